//! One event to a thousand clients of the functions' stream.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use restis::Redis;
use restis::events::{Environment, Event, Events};
use restis_handlers::{AppState, app, auth::ServiceTokens};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::contest::say;
use crate::events::failed;
use crate::failure::Failure;
use crate::javascript::percentile;
use crate::store::{TOKEN, resident_bytes};

const CLIENTS: usize = 1000;
const EVENTS: usize = 50;
const LONGEST: Duration = Duration::from_secs(60);

/// The functions on a thread of their own, the clients on this one.
pub(crate) fn run(redis: &Redis) -> Result<(), Failure> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(io)?;
    let address = listener.local_addr().map_err(io)?;
    let tokens = ServiceTokens::none().with_full_access("bench", TOKEN);
    let state = AppState::builder(redis.fork()).tokens(tokens);
    let app = app(state.build().map_err(Failure::new)?);
    listener.set_nonblocking(true).map_err(io)?;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let functions = crate::runtime::event_loop()?;
    let thread = std::thread::spawn(move || {
        functions.block_on(async {
            let served = restis_handlers::serve(TcpListener::from_std(listener)?, app, async {
                // A dropped sender means the same as a sent one.
                let _ = stopped.await;
            });
            served.await
        })
    });
    let address = address.to_string();
    let measured = crate::runtime::event_loop()?.block_on(async {
        let measure = tokio::time::timeout(LONGEST, measure(redis, &address));
        measure.await.unwrap_or_else(|_| {
            let files = 2 * CLIENTS + 100;
            Err(Failure::new(format!(
                "the fan-out did not end: it needs {files} open files (`ulimit -n`)"
            )))
        })
    });
    let _ = stop.send(());
    let served = thread.join();
    measured?;
    match served {
        Ok(result) => result.map_err(io),
        Err(_) => Err(Failure::new("the functions' thread failed")),
    }
}

fn io(error: std::io::Error) -> Failure {
    Failure::new(format!("fan-out: {error}"))
}

async fn measure(redis: &Redis, address: &str) -> Result<(), Failure> {
    let mut one = Client::open(address).await?;
    one.until("event: ready").await?;
    let memory = resident_bytes(std::process::id());
    let mut clients = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS / 100 {
        let part = try_join_all((0..100).map(|_| Client::open(address)));
        clients.extend(part.await?);
    }
    for client in &mut clients {
        client.until("event: ready").await?;
    }
    let grown = memory
        .zip(resident_bytes(std::process::id()))
        .map(|(a, b)| b.saturating_sub(a));
    let events = Events::new(redis.clone(), Environment::Development);
    let (mut each, mut last) = (Vec::with_capacity(CLIENTS * EVENTS), Vec::new());
    for n in 0..EVENTS {
        let event = Event::new("bench.fanout", "/bench", json!(n)).map_err(failed)?;
        let (id, start) = (event.id.clone(), Instant::now());
        let hear = clients.iter_mut().map(|client| async {
            client.until(&id).await?;
            Ok::<Duration, Failure>(start.elapsed())
        });
        let (published, heard) = tokio::join!(events.publish(&event), join_all(hear));
        published.map_err(failed)?;
        let heard = heard.into_iter().collect::<Result<Vec<_>, _>>()?;
        last.extend(heard.iter().max());
        each.extend(heard);
    }
    say(&format!(
        "\none event to {CLIENTS} clients of one process ({EVENTS} events)\n  \
           until a client has it              p50 {:>8.0} us   p99 {:>8.0} us\n  \
           until the last one has it          p50 {:>8.0} us\n",
        percentile(&mut each, 50),
        percentile(&mut each, 99),
        percentile(&mut last, 50),
    ))?;
    match grown {
        Some(bytes) => say(&format!(
            "  memory a client, both ends         {:>12.1} kB\n",
            bytes as f64 / CLIENTS as f64 / 1000.0
        )),
        None => Ok(()),
    }
}

/// A reader of the stream that looks for one text after another.
#[derive(Debug)]
struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Client {
    async fn open(address: &str) -> Result<Self, Failure> {
        let mut socket = TcpStream::connect(address).await.map_err(io)?;
        let request = format!(
            "GET /api/events/stream HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await.map_err(io)?;
        Ok(Self {
            socket,
            buffer: vec![0; 4096],
            filled: 0,
        })
    }

    async fn until(&mut self, wanted: &str) -> Result<(), Failure> {
        loop {
            let text = self.buffer.get(..self.filled).unwrap_or_default();
            let mut windows = text.windows(wanted.len());
            if let Some(at) = windows.position(|window| window == wanted.as_bytes()) {
                self.buffer.copy_within(at + wanted.len()..self.filled, 0);
                self.filled -= at + wanted.len();
                return Ok(());
            }
            // Room for the next read; what is cut off was looked through.
            let keep = wanted.len().min(self.filled);
            if self.filled > self.buffer.len() / 2 {
                self.buffer.copy_within(self.filled - keep..self.filled, 0);
                self.filled = keep;
            }
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            match self.socket.read(room).await.map_err(io)? {
                0 => return Err(Failure::new("a stream ended")),
                n => self.filled += n,
            }
        }
    }
}
