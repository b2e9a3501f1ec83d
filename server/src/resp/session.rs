//! The state of one connection, and what it does with each command.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use restis_engine::{Error, Reply, Shape, Watched};

use super::clients::{Client, Listed};
use super::connection::WRITE;
use super::encode::{self, Version};
use super::names::Kind;
use super::parser::Command;
use super::subscriptions::Subscriptions;
use super::transaction::Transaction;
use super::waiting::Waiting;
use crate::backend::Local;
use crate::database::{Access, Database};
use crate::in_flight::{FREE, Held};
use crate::rest::Shared;
use crate::server::Peer;
use crate::texts;

const NOAUTH: &str = "NOAUTH Authentication required.";

/// What happens after commands were executed.
#[derive(Debug)]
pub(super) enum Flow {
    /// The next commands follow.
    Next,
    /// The connection ends once what was answered is sent.
    Close,
    /// Enough was answered: it is sent before the next commands follow.
    Full,
    /// A command waits for its reply.
    Wait(Waiting),
}

/// Who opened which database.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) access: Access,
    /// The token of a user, which can be taken away.
    pub(super) token: Option<Vec<u8>>,
}

/// Which replies are sent (CLIENT REPLY).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    On,
    Off,
    /// All but the next one.
    SkipNext,
    /// All but this one.
    Skip,
}

/// A database that something was asked of.
#[derive(Debug)]
pub(super) struct Unsettled {
    database: Arc<Database>,
    /// Bytes that its log had got before.
    before: u64,
    may_write: bool,
}

/// One connection without its socket.
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Arc<Peer>,
    pub(super) listed: Listed,
    pub(super) login: Option<Login>,
    pub(super) version: Version,
    /// What is to be sent.
    pub(super) out: BytesMut,
    /// Replies that follow what is in `out`, once that is sent.
    unsent: VecDeque<(Shape, Reply)>,
    /// What is in `out` takes.
    out_held: Option<Held>,
    /// Databases of which `out` tells.
    pub(super) unsettled: Vec<Unsettled>,
    pub(super) heard: Heard,
    pub(super) transaction: Option<Transaction>,
    pub(super) watched: Option<Watched>,
    pub(super) subscriptions: Subscriptions,
    /// The connection is to end.
    pub(super) closing: bool,
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        peer: Arc<Peer>,
        address: SocketAddr,
        local: SocketAddr,
    ) -> Self {
        let mut session = Self {
            listed: shared.clients.add(address, local),
            shared,
            peer,
            login: None,
            version: Version::default(),
            out: BytesMut::new(),
            unsent: VecDeque::new(),
            out_held: None,
            unsettled: Vec::new(),
            heard: Heard::On,
            transaction: None,
            watched: None,
            subscriptions: Subscriptions::default(),
            closing: false,
        };
        session.log_in_anonymously();
        session
    }

    /// What is answered next tells of this database.
    pub(super) fn unsettle(&mut self, database: &Arc<Database>, commands: &[Command]) {
        let Some(log) = database.local().and_then(Local::log) else {
            return;
        };
        let before = log.appended();
        let same = |last: &Unsettled| Arc::ptr_eq(&last.database, database);
        if !self.unsettled.last().is_some_and(same) {
            self.unsettled.push(Unsettled {
                database: Arc::clone(database),
                before,
                may_write: false,
            });
        }
        if let Some(last) = self.unsettled.last_mut() {
            let mut commands = commands.iter();
            last.may_write |= commands.any(|command| restis_engine::may_write(command));
        }
    }

    /// The same for a command that has run already.
    pub(super) fn unsettle_served(&mut self, database: &Arc<Database>, command: &Command) {
        self.unsettle(database, std::slice::from_ref(command));
        if let Some(last) = self.unsettled.last_mut() {
            last.before = 0;
        }
    }

    /// Waits until what `out` tells is as durable as configured.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        for unsettled in self.unsettled.drain(..) {
            if let Some(log) = unsettled.database.local().and_then(Local::log) {
                let wrote = unsettled.may_write && log.appended() > unsettled.before;
                log.settled(wrote).await?;
            }
        }
        Ok(())
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.listed.client
    }

    /// Counts bytes that came from the client.
    pub(super) fn received(&self, bytes: usize) {
        self.shared.metrics.bytes_in.add(bytes as u64);
        if let Some(login) = &self.login {
            login.access.database.traffic.bytes_in.add(bytes as u64);
        }
    }

    /// Where a reply goes, if it is sent.
    pub(super) fn out_if_heard(&mut self) -> Option<&mut BytesMut> {
        match self.heard {
            Heard::On | Heard::SkipNext => Some(&mut self.out),
            Heard::Off | Heard::Skip => None,
        }
    }

    /// Answers a command.
    pub(super) fn reply(&mut self, args: &[&[u8]], reply: &Reply) {
        let shape = match self.version {
            Version::Resp2 => Shape::Plain,
            Version::Resp3 => Shape::of(args),
        };
        self.reply_of(shape, reply);
    }

    /// Answers with a reply whose type in RESP3 is `shape`.
    pub(super) fn reply_of(&mut self, shape: Shape, reply: &Reply) {
        let version = self.version;
        if self.out_if_heard().is_none() {
            return;
        }
        if self.is_full() {
            self.unsent.push_back((shape, reply.clone()));
        } else if self.holds(reply) {
            encode::reply(&mut self.out, version, shape, reply);
        } else {
            encode::error(&mut self.out, texts::ANSWERS_IN_FLIGHT);
        }
    }

    /// Whether what is answered has to be sent before more is.
    pub(super) fn is_full(&self) -> bool {
        self.out.len() >= WRITE || !self.unsent.is_empty()
    }

    /// Whether there is room for a reply until the client takes it.
    fn holds(&mut self, reply: &Reply) -> bool {
        let size = reply.size();
        let Some(login) = self.login.as_ref().filter(|_| size > FREE) else {
            return true;
        };
        let held = Held::new(&self.shared.in_flight, &login.access.database);
        self.out_held.insert(held).set(size)
    }

    /// Counts what is sent now.
    pub(super) fn sending(&self) {
        let bytes = self.out.len() as u64;
        self.shared.metrics.bytes_out.add(bytes);
        if let Some(login) = &self.login {
            login.access.database.traffic.bytes_out.add(bytes);
        }
    }

    /// What was in `out` is sent: writes what follows; `false`: nothing does.
    pub(super) fn refill(&mut self) -> bool {
        self.out_held = None;
        let mut rest = std::mem::take(&mut self.unsent);
        while self.out.len() < WRITE
            && let Some((shape, reply)) = rest.pop_front()
        {
            self.reply_of(shape, &reply);
        }
        self.unsent = rest;
        !self.out.is_empty()
    }

    /// Nothing that was answered is sent.
    pub(super) fn forget_replies(&mut self) {
        self.out.clear();
        self.unsent.clear();
        self.out_held = None;
    }

    /// Answers with an error line.
    pub(super) fn error(&mut self, line: &str) {
        if let Some(out) = self.out_if_heard() {
            encode::error(out, line);
        }
    }

    /// Ends everything that lasts longer than a command.
    pub(super) fn forget_state(&mut self) {
        self.transaction = None;
        self.watched = None;
        self.subscriptions = Subscriptions::default();
        let mut state = self.client().state();
        state.queued = None;
        state.watched = 0;
        state.channels = 0;
        state.patterns = 0;
        state.monitors = false;
    }

    /// Runs commands in order until all are done or the connection has to end.
    pub(super) async fn execute(&mut self, commands: &mut VecDeque<Command>) -> Flow {
        if !self.is_still_open() {
            self.error("NOAUTH the token of this connection was taken away");
            return Flow::Close;
        }
        while let Some(command) = commands.pop_front() {
            self.shared.metrics.commands.add(1);
            self.heard = match self.heard {
                Heard::SkipNext => Heard::Skip,
                Heard::Skip => Heard::On,
                other => other,
            };
            let kind = Kind::of(&command[0]);
            let args: Vec<&[u8]> = command.iter().map(AsRef::as_ref).collect();
            if self.login.is_none() && !kind.is_open() {
                self.error(NOAUTH);
                continue;
            }
            self.client().note(&args);
            if self.refuses_subscriber(kind, args[0]) {
                continue;
            }
            if self.transaction.is_some() && !kind.ends_queueing() {
                self.queue(kind, command).await;
                continue;
            }
            if kind == Kind::Data || kind == Kind::Ping && !self.subscriptions.is_active() {
                if restis_engine::may_wait(&args) {
                    drop(args);
                    match self.wait(command).await {
                        Flow::Next => continue,
                        other => return other,
                    }
                }
                drop(args);
                let mut run = vec![command];
                if self.heard == Heard::On {
                    let data = |next: &Command| {
                        Kind::of(&next[0]) == Kind::Data && !restis_engine::may_wait(next)
                    };
                    let more = commands.iter().take_while(|next| data(next)).count();
                    run.extend(commands.drain(..more));
                }
                let done = self.run(&run).await;
                self.shared.metrics.commands.add(done as u64 - 1);
                for command in run.drain(done..).rev() {
                    commands.push_front(command);
                }
                if self.is_full() {
                    return Flow::Full;
                }
                continue;
            }
            self.control(kind, &args).await;
            if self.closing {
                return Flow::Close;
            }
            if self.is_full() {
                return Flow::Full;
            }
        }
        Flow::Next
    }

    /// Refuses what a subscriber may not do in RESP2, where messages look like replies.
    fn refuses_subscriber(&mut self, kind: Kind, name: &[u8]) -> bool {
        let refused = self.version == Version::Resp2
            && self.subscriptions.is_active()
            && !kind.is_of_subscriber();
        if refused {
            let name = String::from_utf8_lossy(&name[..name.len().min(128)]).to_lowercase();
            self.error(&format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
            ));
        }
        refused
    }

    /// Runs a command that the connection itself answers.
    async fn control(&mut self, kind: Kind, args: &[&[u8]]) {
        match kind {
            Kind::Auth => self.auth(args),
            Kind::Hello => self.hello(args),
            Kind::Quit => {
                self.reply(args, &Reply::ok());
                self.closing = true;
            }
            Kind::Reset => self.reset(),
            Kind::Client => self.client_command(args).await,
            Kind::Multi => self.multi(args),
            Kind::Exec => self.exec(args).await,
            Kind::Discard => self.discard(args),
            Kind::Watch | Kind::Unwatch => self.watch(kind, args).await,
            Kind::Subscribe | Kind::PSubscribe => self.subscribe(kind, args).await,
            Kind::Unsubscribe | Kind::PUnsubscribe => self.unsubscribe(kind, args),
            Kind::Monitor => self.monitor(args),
            Kind::Ping => self.ping_of_subscriber(args),
            Kind::Foreign(line) => self.error(line),
            Kind::Data => {}
        }
    }

    fn reset(&mut self) {
        self.forget_state();
        self.login = None;
        self.version = Version::Resp2;
        self.heard = Heard::On;
        let mut state = self.client().state();
        state.name.clear();
        state.database = None;
        "default".clone_into(&mut state.user);
        state.version = Version::Resp2;
        drop(state);
        self.log_in_anonymously();
        self.reply_of(Shape::Plain, &Reply::simple("RESET"));
    }
}

/// Fails with Redis' line unless the number of arguments fits; negative: at least.
pub(super) fn arity(args: &[&[u8]], wanted: isize) -> Result<(), String> {
    let least = wanted.unsigned_abs();
    if args.len() == least || wanted < 0 && args.len() > least {
        return Ok(());
    }
    let name = args.first().copied().unwrap_or_default();
    Err(format!(
        "ERR wrong number of arguments for '{}' command",
        String::from_utf8_lossy(name).to_lowercase()
    ))
}
