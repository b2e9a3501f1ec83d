//! One connection: reading, answering, and what ends it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::encode;
use super::parser::{Bounds, Command, Parser};
use super::session::{Flow, Session};
use super::waiting::{End, Waiting};
use crate::in_flight::{FREE, Held};
use crate::rest::Shared;
use crate::server::Peer;
use crate::sse::stopped;
use crate::texts;

/// Bytes that are read at a time.
const READ: usize = 16 << 10;
/// The most that is read ahead of a large argument.
const READ_AHEAD: usize = 1 << 20;
/// Commands that are taken off the input before they run.
const BATCH: usize = 256;
/// Replies that are written together, once they are so large.
pub(super) const WRITE: usize = 64 << 10;
/// Buffers that are larger are given back.
const KEEP: usize = 1 << 20;
/// The most arguments of a command, as in Redis.
const ELEMENTS: usize = 1 << 20;
/// The most bytes of an argument, as in Redis.
const BULK: usize = 512 << 20;
const INLINE: usize = 64 << 10;

/// Tells a connection that there is no room for it.
pub(crate) async fn refuse(mut io: impl AsyncWrite + Unpin) {
    let line = b"-ERR max number of clients reached\r\n";
    let _ = timeout(Duration::from_secs(1), io.write_all(line)).await;
}

/// Serves a connection until it ends.
pub(crate) async fn serve<I>(
    io: I,
    (address, local): (SocketAddr, SocketAddr),
    peer: Arc<Peer>,
    shared: Arc<Shared>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send,
{
    let limits = shared.limits;
    let mut connection = Connection {
        io,
        input: BytesMut::new(),
        parser: Parser::default(),
        session: Session::new(shared, peer, address, local),
        held: None,
        write_timeout: limits.write_timeout,
        command_bytes: limits.redis_command_bytes,
    };
    let stranger = Instant::now() + limits.header_timeout;
    let idle = limits.redis_idle_timeout;
    // An error is a connection that is gone.
    let _ = connection.run(stranger, idle).await;
}

struct Connection<I> {
    io: I,
    input: BytesMut,
    parser: Parser,
    session: Session,
    /// What has come of a command takes.
    held: Option<Held>,
    write_timeout: Duration,
    command_bytes: usize,
}

/// The connection is over.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin + Send> Connection<I> {
    async fn run(&mut self, stranger: Instant, idle: Option<Duration>) -> Result<(), Over> {
        let client = Arc::clone(self.session.client());
        let stop = self.session.shared.stop.clone();
        let mut stop = std::pin::pin!(stopped(stop));
        let mut killed = std::pin::pin!(client.killed());
        loop {
            self.make_room();
            let until = if self.session.login.is_none() {
                Some(stranger)
            } else if self.session.subscriptions.is_active() {
                None
            } else {
                idle.map(|idle| Instant::now() + idle)
            };
            let patience = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                read = self.io.read_buf(&mut self.input) => {
                    let read = read?;
                    if read == 0 {
                        return Ok(());
                    }
                    self.session.received(read);
                    if !self.hold() {
                        self.session.error(texts::IN_FLIGHT);
                        self.flush().await?;
                        return Err(Over);
                    }
                }
                frame = self.session.subscriptions.next() => {
                    let frame = frame.ok_or(Over)?;
                    self.session.frame(&frame);
                    self.more_frames();
                    self.flush().await?;
                    continue;
                }
                () = &mut stop => return Ok(()),
                () = &mut killed => return Ok(()),
                () = patience => return Ok(()),
            }
            self.work().await?;
            self.hold();
        }
    }

    /// Counts what has come of a command; `false`: there is no room for it.
    fn hold(&mut self) -> bool {
        let bytes = self.parser.bytes(&self.input);
        if bytes <= FREE {
            self.held = None;
            return true;
        }
        let Some(login) = &self.session.login else {
            return true;
        };
        let all = &self.session.shared.in_flight;
        let new = || Held::new(all, &login.access.database);
        self.held.get_or_insert_with(new).set(bytes)
    }

    /// Room for what is read next.
    fn make_room(&mut self) {
        if self.parser.is_idle(&self.input) && self.input.capacity() > KEEP {
            self.input = BytesMut::new();
        }
        let wanted = self.parser.wants(&self.input).clamp(READ, READ_AHEAD);
        self.input.reserve(wanted);
    }

    /// Writes the messages that wait, up to one piece.
    fn more_frames(&mut self) {
        use futures_util::FutureExt as _;
        while self.session.out.len() < WRITE {
            match self.session.subscriptions.next().now_or_never() {
                Some(Some(frame)) => self.session.frame(&frame),
                _ => return,
            }
        }
    }

    fn bounds(&self) -> Bounds {
        if self.session.login.is_none() {
            return Bounds::STRANGER;
        }
        Bounds {
            bulk: BULK.min(self.command_bytes),
            elements: ELEMENTS,
            inline: INLINE,
            command: self.command_bytes,
        }
    }

    /// Runs every whole command that has come. Nothing is read meanwhile: a client that does not
    /// read its replies waits.
    async fn work(&mut self) -> Result<(), Over> {
        let mut commands: VecDeque<Command> = VecDeque::new();
        loop {
            let mut malformed = None;
            // What a stranger sends after AUTH is held to other bounds.
            let batch = if self.session.login.is_none() {
                1
            } else {
                BATCH
            };
            let bounds = self.bounds();
            while commands.len() < batch {
                match self.parser.next(&mut self.input, &bounds) {
                    Ok(Some(command)) => commands.push_back(command),
                    Ok(None) => break,
                    Err(error) => {
                        malformed = Some(error);
                        break;
                    }
                }
            }
            let more = commands.len() == batch;
            let mut flow = self.session.execute(&mut commands).await;
            while let Flow::Wait(_) | Flow::Full = flow {
                self.flush().await?;
                if let Flow::Wait(mut waiting) = flow {
                    self.wait(&mut waiting).await?;
                }
                flow = self.session.execute(&mut commands).await;
            }
            if let (Flow::Next, Some(malformed)) = (&flow, malformed) {
                self.session.error(&malformed.to_string());
                self.flush().await?;
                return Err(Over);
            }
            if !more || self.session.out.len() >= WRITE || !matches!(flow, Flow::Next) {
                self.flush().await?;
            }
            match flow {
                Flow::Close => return Err(Over),
                Flow::Next if !more => return Ok(()),
                Flow::Next | Flow::Full | Flow::Wait(_) => {}
            }
        }
    }

    /// Waits for the reply of a command; reads meanwhile to see that the client is there.
    async fn wait(&mut self, waiting: &mut Waiting) -> Result<(), Over> {
        let client = Arc::clone(self.session.client());
        let stop = self.session.shared.stop.clone();
        let mut stop = std::pin::pin!(stopped(stop));
        let mut killed = std::pin::pin!(client.killed());
        let until = waiting
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let mut time = std::pin::pin!(async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        });
        let end = loop {
            self.input.reserve(READ);
            tokio::select! {
                reply = &mut waiting.reply => {
                    // The sender goes with a database that was closed.
                    let reply = reply.map_err(|_| Over)?;
                    self.session.waited(waiting, &reply);
                    return Ok(());
                }
                read = self.io.read_buf(&mut self.input), if self.input.len() < READ_AHEAD => {
                    match read {
                        Ok(bytes @ 1..) => self.session.received(bytes),
                        _ => break End::Gone,
                    }
                }
                frame = self.session.subscriptions.next() => {
                    match frame {
                        Some(frame) => self.session.frame(&frame),
                        None => break End::Gone,
                    }
                    if self.flush().await.is_err() {
                        break End::Gone;
                    }
                }
                () = &mut time => break End::Time,
                end = waiting.unblocked.changed() => break match end {
                    Ok(()) => *waiting.unblocked.borrow_and_update(),
                    Err(_) => End::Gone,
                },
                () = &mut stop => break End::Gone,
                () = &mut killed => break End::Gone,
            }
        };
        let reply = waiting.stop(end).await;
        if end == End::Gone {
            return Err(Over);
        }
        self.session.waited(waiting, &reply);
        Ok(())
    }

    /// Sends what was answered; a client that takes nothing for long is gone.
    async fn flush(&mut self) -> Result<(), Over> {
        let Self {
            io,
            session,
            write_timeout,
            ..
        } = self;
        let client = Arc::clone(session.client());
        let mut lost = false;
        if !session.unsettled.is_empty() {
            let settled = tokio::select! {
                settled = session.settle() => settled,
                () = client.killed() => return Err(Over),
            };
            // Not one of these replies may be sent: which of them would not be true is not known.
            if let Err(error) = settled {
                session.forget_replies();
                encode::error(&mut session.out, error.message());
                lost = true;
            }
        }
        while !session.out.is_empty() || session.refill() {
            session.sending();
            let out = &mut session.out;
            while !out.is_empty() {
                tokio::select! {
                    written = timeout(*write_timeout, io.write_buf(out)) => {
                        if written.map_err(|_| Over)?? == 0 {
                            return Err(Over);
                        }
                    }
                    () = client.killed() => return Err(Over),
                }
            }
            if out.capacity() > KEEP {
                *out = BytesMut::new();
            }
        }
        timeout(*write_timeout, io.flush())
            .await
            .map_err(|_| Over)??;
        if lost { Err(Over) } else { Ok(()) }
    }
}
