//! What a command sees, and how a command is run.

mod host;
mod settings;
mod table;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::acl::{Acl, Caller, DatabaseId};
use crate::budget::Budget;
use crate::changelog::ChangeLog;
use crate::command::{Args, Command, Flags};
use crate::db::Db;
use crate::error::{Error, OOM};
use crate::hub::Hub;
use crate::options::{Clock, Dialect, Eviction, Options};
use crate::reply::Reply;
use crate::scripting::Scripting;
use crate::slowlog::SlowLog;
use crate::stats::Stats;
use crate::text::Str;
use crate::value::Value;

pub(crate) use settings::Settings;
#[cfg(test)]
pub(crate) use table::LONGEST;
pub(crate) use table::{Spec, Table};

/// Everything of an engine besides its keys.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) options: Options,
    /// The commands there are.
    pub(crate) table: &'static Table,
    pub(crate) hub: Arc<Hub>,
    pub(crate) acl: Acl,
    pub(crate) stats: Stats,
    pub(crate) slow: SlowLog,
    /// The most memory that was used so far, in bytes.
    pub(crate) peak: usize,
    /// When the engine started.
    pub(crate) started: Duration,
    pub(crate) scripting: Scripting,
    /// Settings of Redis that Redis' tests make; none unless there are debug commands.
    pub(crate) settings: Settings,
    /// Whether keys that are due go before they are touched.
    pub(crate) expires_actively: bool,
    /// What the running call follows.
    pub(crate) dialect: Dialect,
    /// What the running command may still do.
    pub(crate) budget: Budget,
    /// Why every command is refused: the data contradicts itself, or is not there.
    pub(crate) damaged: Option<Error>,
    /// Where changes are kept, if anywhere.
    pub(crate) log: Option<Arc<dyn ChangeLog>>,
    /// Why the running call may change nothing.
    pub(crate) refusal: Option<Error>,
}

impl Side {
    pub(crate) fn new(options: Options, hub: Arc<Hub>, table: &'static Table) -> Self {
        let started = options.clock.now();
        let budget = Budget::new(&options);
        let settings = Settings::new(options.debug_commands);
        Self {
            options,
            table,
            hub,
            acl: Acl::default(),
            stats: Stats::default(),
            slow: SlowLog::default(),
            peak: 0,
            started,
            scripting: Scripting::default(),
            settings,
            expires_actively: true,
            dialect: Dialect::default(),
            budget,
            damaged: None,
            log: None,
            refusal: None,
        }
    }

    /// What tokens of this database's users carry.
    pub(crate) fn database_id(&self) -> DatabaseId {
        DatabaseId::of_name(&self.options.name)
    }

    /// Roughly the bytes users, scripts, functions and subscriptions take.
    pub(crate) fn weight(&self) -> usize {
        self.acl.weight() + self.scripting.weight() + self.hub.weight()
    }
}

pub(crate) const DAMAGED: Error = Error::fixed(
    "ERR this database was damaged by an internal error and is closed; a restart loads what was saved last",
);

impl Side {
    /// Whether the running call may use a command.
    pub(crate) fn offers(&self, command: &Command) -> bool {
        let debug = self.options.debug_commands || !command.flags.has(Flags::DEBUG);
        debug && (self.dialect == Dialect::Redis || !command.flags.has(Flags::REDIS_ONLY))
    }

    /// Tells those who cannot wait how many libraries and functions there are.
    pub(crate) fn count_functions(&self) {
        let libraries = self.scripting.libraries().count();
        self.budget
            .set_functions(libraries, self.scripting.function_count());
    }

    /// Ends the streams of users that may no longer listen to what they listen to.
    pub(crate) fn end_refused_streams(&self) {
        self.hub.end_streams(|owner, channels, patterns| {
            let caller = Caller::user(owner);
            self.acl
                .check_channels(&self.budget, &caller, channels, patterns)
                .is_err()
        });
    }
}

/// Set while a script or function runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Script {
    /// Writes are refused.
    pub(crate) read_only: bool,
}

/// What a command sees.
///
/// A script runs commands with [`Ctx::call`] on the very context it was given: same database, same
/// time, same caller. It sets `script` before the first call and restores it after the last.
#[derive(Debug)]
pub(crate) struct Ctx<'a> {
    pub(crate) db: &'a mut Db,
    pub(crate) side: &'a mut Side,
    pub(crate) caller: &'a Caller,
    pub(crate) script: Option<Script>,
}

impl Ctx<'_> {
    /// Unix milliseconds; constant within a command, a script, a transaction.
    pub(crate) const fn now(&self) -> u64 {
        self.db.now()
    }

    /// Runs a command: checks, execution, settling. Errors are replies.
    pub(crate) fn call(&mut self, args: Args<'_>) -> Reply {
        if let Err(error) = self.begin() {
            return Reply::Error(error);
        }
        let spec = match admit(self.side, self.caller, self.script, args) {
            Ok(spec) => spec,
            Err(error) => {
                let known = args.first().and_then(|name| self.side.table.find(name));
                return self.rejected(known, error);
            }
        };
        self.execute(spec, args)
    }

    /// Counts a command that is refused.
    fn rejected(&mut self, spec: Option<&'static Spec>, error: Error) -> Reply {
        if let Some(spec) = spec {
            self.side.stats.rejected(spec.command.name);
        }
        self.side.stats.error(error.code());
        Reply::Error(error)
    }

    /// The commands of a script share what the script may do.
    fn begin(&mut self) -> Result<(), Error> {
        match self.script {
            Some(_) => Ok(()),
            None => match &self.side.damaged {
                Some(error) => Err(error.clone()),
                None => self.side.budget.begin(),
            },
        }
    }

    /// Fails if nothing may be changed now; for what is no write command.
    pub(crate) fn may_change(&self) -> Result<(), Error> {
        self.side.refusal.clone().map_or(Ok(()), Err)
    }

    /// Runs a command that was admitted.
    pub(crate) fn run(&mut self, spec: &'static Spec, args: Args<'_>) -> Reply {
        match self.begin() {
            Ok(()) => self.execute(spec, args),
            Err(error) => Reply::Error(error),
        }
    }

    fn execute(&mut self, spec: &'static Spec, args: Args<'_>) -> Reply {
        if spec.command.flags.has(Flags::DENYOOM)
            && let Err(error) = self.make_room(cost(args))
        {
            return self.rejected(Some(spec), error);
        }
        if self.side.hub.has_monitors() && !spec.command.flags.has(Flags::ADMIN) {
            let clock = &self.side.options.clock;
            let line = || monitor_line(clock, self.script.is_some(), args);
            self.side.hub.feed_monitors(args, line);
        }
        self.side.stats.processed += 1;
        self.side.stats.sample(self.db.now());
        let started = Instant::now();
        let reading = spec.command.flags.has(Flags::READ);
        self.db.begin(reading);
        let mark = self.db.effects.begin();
        let mut reply = (spec.run)(self, args);
        self.db.settle();
        if let Err(stopped) = self.side.budget.check() {
            reply = Err(stopped);
        }
        let done = !reading && !matches!(reply, Err(_) | Ok(Reply::Error(_)));
        // A message alone is no reason to let a script run on: Redis calls it unwritten, too.
        if done && spec.command.flags.has(Flags::WRITE) {
            self.side.budget.wrote();
        }
        let command = done.then_some((self.side.dialect, args));
        self.db.end_effects(mark, command);
        let error = match &reply {
            Err(error) | Ok(Reply::Error(error)) => Some(error),
            Ok(_) => None,
        };
        let took = started.elapsed();
        self.count(spec, args, took, error);
        if self.script.is_some() {
            self.side.budget.spend_time(took);
            return reply.into();
        }
        self.bounded(spec, reply.into())
    }

    /// Counts a command that ran.
    fn count(
        &mut self,
        spec: &'static Spec,
        args: Args<'_>,
        took: Duration,
        error: Option<&Error>,
    ) {
        let side = &mut *self.side;
        side.stats.ran(spec.command.name, took, error.is_some());
        if let Some(error) = error {
            side.stats.error(error.code());
        }
        // Of a script only the whole is told.
        if self.script.is_none() {
            side.slow.note(self.db.now() / 1000, took, args);
            side.peak = side.peak.max(self.db.used() + side.weight());
        }
    }

    /// The reply, or an error if it is too large for the call.
    fn bounded(&mut self, spec: &Spec, reply: Reply) -> Reply {
        match self.side.budget.reply(|| reply.size()) {
            Ok(()) => reply,
            Err(error) if spec.command.flags.has(Flags::READ) => Reply::Error(error),
            Err(error) => Reply::Error(Error::new(format!("{error}; the command was executed"))),
        }
    }

    /// Roughly the bytes everything takes that the database keeps.
    pub(crate) fn used(&self) -> usize {
        self.db.used() + self.side.weight()
    }

    /// Whether so many bytes more fit the limit as it is.
    pub(crate) fn fits(&self, more: usize) -> bool {
        self.side
            .options
            .memory_limit
            .is_none_or(|limit| self.used().saturating_add(more) <= limit)
    }

    /// Fails if something of this size would not fit the limit even alone.
    pub(crate) fn check_size(&self, bytes: usize) -> Result<(), Error> {
        match self.side.options.memory_limit {
            Some(limit) if bytes > limit => Err(OOM),
            _ => Ok(()),
        }
    }

    /// Makes room for what is about to be kept, or fails.
    ///
    /// May evict keys: what was read before has to be read again.
    pub(crate) fn make_room(&mut self, more: usize) -> Result<(), Error> {
        if more == 0 || self.fits(more) {
            return Ok(());
        }
        self.check_size(more)?;
        self.side.scripting.forget_evaluated();
        while !self.fits(more) {
            if !self.evict_one() {
                return Err(OOM);
            }
        }
        Ok(())
    }

    /// Evicts a key if that is how memory is won back; `false`: nothing was evicted.
    pub(crate) fn evict_one(&mut self) -> bool {
        match self.side.options.eviction {
            Eviction::NoEviction => false,
            Eviction::AllKeysRandom => self.db.evict_one(false),
            Eviction::VolatileRandom => self.db.volatile_len() > 0 && self.db.evict_one(true),
            Eviction::OptimisticVolatile => self.db.evict_one(true),
        }
    }

    /// Makes room for a string that grows to this length, or fails.
    pub(crate) fn grow_string(&mut self, key: &[u8], len: usize) -> Result<(), Error> {
        let old = self.db.read::<Str>(key)?.map_or(0, |text| text.len());
        self.make_room(len.saturating_sub(old))
    }

    /// Makes room for a value that was made of others, or fails.
    pub(crate) fn keep(&mut self, value: &Value) -> Result<(), Error> {
        self.make_room(value.weight())
    }
}

/// How MONITOR shows a command.
pub(crate) fn monitor_line(clock: &Clock, from_script: bool, args: Args<'_>) -> Bytes {
    let now = clock.now();
    let origin = if from_script {
        "[0 lua]"
    } else {
        "[0 0.0.0.0:0]"
    };
    let mut line = format!("{}.{:06} {origin}", now.as_secs(), now.subsec_micros());
    for arg in args {
        line.push(' ');
        quote(&mut line, arg);
    }
    Bytes::from(line)
}

/// The most that a command keeps which keeps no more than it is given. Those that keep more make
/// room by themselves.
fn cost(args: Args<'_>) -> usize {
    /// What a key, a new collection and its first element take.
    const KEY: usize = 1024;
    /// What an element takes, by the argument.
    const PER_ARGUMENT: usize = 64;
    let each = |arg: &&[u8]| arg.len() + PER_ARGUMENT;
    KEY + args.iter().skip(1).map(each).sum::<usize>()
}

/// Appends an argument in quotes, everything that is not printable escaped.
fn quote(line: &mut String, arg: &[u8]) {
    use std::fmt::Write as _;
    line.push('"');
    for &byte in arg {
        match byte {
            b'\\' | b'"' => {
                line.push('\\');
                line.push(char::from(byte));
            }
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            0x07 => line.push_str("\\a"),
            0x08 => line.push_str("\\b"),
            b' '..=b'~' => line.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(line, "\\x{byte:02x}");
            }
        }
    }
    line.push('"');
}

const NOT_FROM_SCRIPT: Error = Error::fixed("ERR This Redis command is not allowed from script");

/// Finds the command and checks what can be checked before it runs.
pub(crate) fn admit(
    side: &Side,
    caller: &Caller,
    script: Option<Script>,
    args: Args<'_>,
) -> Result<&'static Spec, Error> {
    let name = args.first().ok_or(Error::fixed("ERR empty command"))?;
    let offered = |spec: &&Spec| side.offers(&spec.command);
    let spec = side
        .table
        .find(name)
        .filter(offered)
        .ok_or_else(|| match script {
            None => match side.dialect {
                Dialect::Upstash => table::unknown(name),
                Dialect::Redis => table::unknown_to_redis(args),
            },
            Some(_) if table::is_not_from_script(name) => NOT_FROM_SCRIPT,
            Some(_) => Error::fixed("ERR Unknown Redis command called from script"),
        })?;
    if !spec.command.fits(args) {
        return Err(match script {
            None => Error::wrong_arity(spec.command.name),
            Some(_) => Error::fixed("ERR Wrong number of args calling Redis command from script"),
        });
    }
    if let Some(script) = script {
        if spec.command.flags.has(Flags::NOSCRIPT) {
            return Err(NOT_FROM_SCRIPT);
        }
        if script.read_only && spec.command.flags.has(Flags::WRITE) {
            return Err(Error::fixed(
                "ERR Write commands are not allowed from read-only scripts.",
            ));
        }
    }
    side.acl.check(&side.budget, caller, &spec.command, args)?;
    if let (true, Some(refusal)) = (spec.command.flags.has(Flags::WRITE), &side.refusal) {
        return Err(refusal.clone());
    }
    if side.dialect == Dialect::Upstash {
        check_keys(&spec.command, args)?;
    }
    Ok(spec)
}

/// The longest key, as on Upstash.
const LONGEST_KEY: usize = 32 * 1024;

/// Fails if a key is too long.
fn check_keys(command: &Command, args: Args<'_>) -> Result<(), Error> {
    if args.iter().all(|arg| arg.len() <= LONGEST_KEY) {
        return Ok(());
    }
    let mut actual = None;
    command.keys.each(args, |at| {
        let len = args.get(at).map_or(0, |key| key.len());
        if len > LONGEST_KEY {
            actual.get_or_insert(len);
        }
    });
    actual.map_or(Ok(()), |actual| {
        Err(Error::new(format!(
            "ERR max key size exceeded. Limit: {LONGEST_KEY} bytes, Actual: {actual} bytes"
        )))
    })
}
