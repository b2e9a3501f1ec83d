//! Limits and switches of a server.

use std::time::Duration;

/// Bounds on what one client may ask for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Largest request body in bytes; 10 MB as on Upstash's first plans.
    pub request_bytes: usize,
    /// Most bytes of the replies of one response, before escapes and base64; 10 MB.
    ///
    /// A reply of a pipeline or transaction that does not fit is its command's error.
    pub response_bytes: usize,
    /// Time that the commands of one request may run on an embedded database, all together; 5 s.
    ///
    /// They are stopped before it when the client is gone.
    pub request_time: Duration,
    /// Most commands in one pipeline or transaction; 100,000.
    pub pipeline_commands: usize,
    /// Time to receive a request's head, and to wait for the first one; 10 s.
    pub header_timeout: Duration,
    /// Time to wait for the next request of a client that has shown a valid token; 75 s.
    pub idle_timeout: Duration,
    /// Bytes that heads may take which are not whole yet, all together; 32 MB.
    ///
    /// Clients of one address get a quarter of it. The first 8 KB of a head are free.
    pub heads_bytes: usize,
    /// Time to receive a request's body; 30 s.
    pub body_timeout: Duration,
    /// Time in which a client must take something of an answer; 60 s.
    pub write_timeout: Duration,
    /// Most connections at once; 10,000.
    ///
    /// Of those without a valid token, one address may hold at most as many as are left.
    pub connections: usize,
    /// Most event streams at once; 5,000.
    ///
    /// With several databases each may hold at most as many as are left.
    pub streams: usize,
    /// Bytes of requests that have begun and of answers that are not taken yet, all together; 1 GB.
    ///
    /// With several databases each may hold at most as much as is left. Less than 64 KB counts for
    /// nothing. Four of the largest requests and answers always have room.
    pub in_flight_bytes: usize,
    /// Bytes that may wait for one slow subscriber; 16 MB.
    pub stream_backlog_bytes: usize,
    /// Bytes that may wait for all slow subscribers together; 256 MB.
    ///
    /// Beyond it those go that are further behind than their share.
    pub streams_backlog_bytes: usize,
    /// Pause between two keep-alive comments of an event stream; 15 s.
    pub stream_keep_alive: Duration,
    /// Most bytes of one command, or of the commands of one MULTI, over the Redis protocol; 512 MB.
    pub redis_command_bytes: usize,
    /// Time after which a connection of the Redis protocol that asks nothing ends; never.
    pub redis_idle_timeout: Option<Duration>,
    /// Time that requests in flight get at shutdown; 10 s.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 10_485_760,
            response_bytes: 10_485_760,
            request_time: Duration::from_secs(5),
            pipeline_commands: 100_000,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            heads_bytes: 32 << 20,
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            connections: 10_000,
            streams: 5_000,
            in_flight_bytes: 1 << 30,
            stream_backlog_bytes: 16 << 20,
            streams_backlog_bytes: 256 << 20,
            stream_keep_alive: Duration::from_secs(15),
            redis_command_bytes: 512 << 20,
            redis_idle_timeout: None,
            shutdown: Duration::from_secs(10),
        }
    }
}
