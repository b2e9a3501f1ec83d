//! Lua scripts: sent by hash, uploaded when the server does not know them.
use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    client::{
        Redis, Surface,
        batch::{CallOptions, CommandContext, ScriptContext, ScriptItems},
        pipeline::Handle,
    },
    protocol::{
        command::{Args, Command, ToArg},
        error::{ErrorKind, Result},
        reply::{FromReply, Reply},
    },
};

const FLAG: &str = "#!lua flags=allow-key-locking\n";

/// A Lua script with its hash; make it a `static`.
#[derive(Debug)]
pub struct Script {
    text: Cow<'static, str>,
    locks_keys: bool,
    forms: OnceLock<Arc<ScriptForms>>,
}

impl Script {
    /// A script that lives as long as the program, e.g. from `include_str!`.
    pub const fn new(text: &'static str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            locks_keys: false,
            forms: OnceLock::new(),
        }
    }

    /// A script made at run time.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self {
            text: Cow::Owned(text.into()),
            locks_keys: false,
            forms: OnceLock::new(),
        }
    }

    /// Locks only the declared keys where the server can, instead of the whole database.
    ///
    /// Upstash knows the flag `allow-key-locking`; a server that rejects it gets the script
    /// without, which a client learns once.
    #[must_use]
    pub const fn key_locking(mut self) -> Self {
        self.locks_keys = true;
        self
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The SHA1 of the text as it was given, 40 lower-case hex digits.
    pub fn sha1(&self) -> &str {
        &self.forms().plain.hash
    }

    fn forms(&self) -> &Arc<ScriptForms> {
        self.forms.get_or_init(|| {
            let flagged = self.locks_keys && !self.text.starts_with("#!");
            Arc::new(ScriptForms {
                plain: Form::new(self.text.clone()),
                flagged: flagged.then(|| Form::new(format!("{FLAG}{}", self.text).into())),
            })
        })
    }

    /// What the client keeps of a call of this script.
    pub(crate) fn context(&self, items: Option<ScriptItems>) -> ScriptContext {
        ScriptContext {
            forms: Arc::clone(self.forms()),
            items,
        }
    }

    /// Starts a call with its first key.
    pub fn key(&self, key: impl ToArg) -> ScriptCall<'_> {
        self.call().key(key)
    }

    /// Starts a call without keys with its first argument.
    pub fn arg(&self, value: impl ToArg) -> ScriptCall<'_> {
        self.call().arg(value)
    }

    /// Starts a call.
    pub fn call(&self) -> ScriptCall<'_> {
        ScriptCall {
            script: self,
            keys: Args::new(),
            args: Args::new(),
            shared_keys: 0,
            items: None,
            options: CallOptions::default(),
        }
    }
}

/// Text or hash and the number of keys, with room for what follows.
fn begin(args: &mut Args, body: &str, keys: usize, arguments: usize, bytes: usize) {
    args.reserve(keys + arguments + 2, body.len() + bytes + 20);
    args.add(body).add(keys);
}

/// The texts a script is sent as.
pub(crate) struct ScriptForms {
    plain: Form,
    flagged: Option<Form>,
}

impl fmt::Debug for ScriptForms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScriptForms({})", self.plain.hash)
    }
}

impl ScriptForms {
    fn best(&self, locking: &KeyLocking) -> &Form {
        match &self.flagged {
            Some(flagged) if !locking.is_rejected() => flagged,
            _ => &self.plain,
        }
    }
}

struct Form {
    text: Cow<'static, str>,
    hash: String,
}

impl Form {
    fn new(text: Cow<'static, str>) -> Self {
        let hash = sha1_smol::Sha1::from(text.as_bytes()).digest().to_string();
        Self { text, hash }
    }
}

/// Whether the server of a client takes `allow-key-locking`; believed until it objects.
#[derive(Debug, Default)]
pub(crate) struct KeyLocking {
    rejected: AtomicBool,
}

impl KeyLocking {
    fn is_rejected(&self) -> bool {
        self.rejected.load(Ordering::Relaxed)
    }
}

/// The commands to send for scripts that the server did not run, with their places.
///
/// The text of each script is sent once and further calls follow by hash, unless `each` asks for the
/// text in all of them.
pub(crate) fn fixes(
    locking: &KeyLocking,
    commands: &[Args],
    contexts: &[CommandContext],
    results: &[Result<Reply>],
    each: bool,
) -> Vec<(usize, Args)> {
    let mut uploaded: Vec<&str> = Vec::new();
    let mut fixes = Vec::new();
    for (place, (args, result)) in commands.iter().zip(results).enumerate() {
        let script = contexts
            .get(place)
            .and_then(|context| context.script.as_ref());
        let (Some(ScriptContext { forms, .. }), Ok(Reply::Error(error))) = (script, result) else {
            continue;
        };
        let flagged = forms.flagged.as_ref().is_some_and(|form| {
            let sent = args.get(1).unwrap_or_default();
            sent == form.text.as_bytes() || sent == form.hash.as_bytes()
        });
        if flagged && rejects_flag(error.line()) {
            locking.rejected.store(true, Ordering::Relaxed);
        } else if error.code() != "NOSCRIPT" {
            continue;
        }
        let form = forms.best(locking);
        fixes.push(if !each && uploaded.contains(&&*form.hash) {
            (place, args.with_head("EVALSHA", &form.hash))
        } else {
            uploaded.push(&form.hash);
            (place, args.with_head("EVAL", &form.text))
        });
    }
    fixes
}

/// Redis 7 and later names the flag; earlier ones do not know the first line at all.
fn rejects_flag(line: &str) -> bool {
    line.contains("Unexpected flag in script shebang")
        || (line.contains("Error compiling script") && line.contains("near '#'"))
        || (line.contains("Error compiling script") && line.contains("unexpected symbol near '!'"))
}

/// One call of a script: keys, arguments, then [`run`](Self::run).
#[derive(Debug, Clone)]
#[must_use = "a script call does nothing until it is run"]
pub struct ScriptCall<'s> {
    script: &'s Script,
    pub(crate) keys: Args,
    pub(crate) args: Args,
    shared_keys: u32,
    items: Option<ScriptItems>,
    options: CallOptions,
}

impl ScriptCall<'_> {
    /// Appends a key.
    pub fn key(mut self, key: impl ToArg) -> Self {
        key.write(&mut self.keys);
        self
    }

    /// Appends every item as one key.
    pub fn keys<A: ToArg>(mut self, keys: impl IntoIterator<Item = A>) -> Self {
        for key in keys {
            key.write(&mut self.keys);
        }
        self
    }

    /// Appends an argument.
    pub fn arg(mut self, value: impl ToArg) -> Self {
        value.write(&mut self.args);
        self
    }

    /// Appends every item as one argument.
    pub fn args<A: ToArg>(mut self, values: impl IntoIterator<Item = A>) -> Self {
        for value in values {
            value.write(&mut self.args);
        }
        self
    }

    /// Starts the keys that are this call's own; those before are shared by calls that become one.
    ///
    /// It matters only for a call that has an [`item`](Self::item).
    pub fn own_keys(mut self) -> Self {
        self.shared_keys = self.keys.len() as u32;
        self
    }

    /// Starts the arguments that are this call's own; concurrent calls that share all else become
    /// one.
    ///
    /// The script gets the shared keys, the own keys of each call, the shared arguments, then the
    /// own ones of each. It returns a list with one reply for each call; an error of one is its
    /// text.
    pub fn item(&mut self) -> &mut Args {
        self.items = Some(ScriptItems {
            count: 1,
            shared_keys: self.shared_keys,
            shared_args: self.args.len() as u32,
        });
        &mut self.args
    }

    /// Total time for the call, all attempts included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Promises that running the script twice does no harm, so that it may be retried
    /// when a first attempt may have been executed.
    pub fn idempotent(mut self) -> Self {
        self.options.idempotent = true;
        self
    }

    fn command<T>(&self, mut command: Command<T>, body: &str) -> Command<T> {
        let (keys, args) = (&self.keys, &self.args);
        let bytes = keys.bytes() + args.bytes();
        begin(&mut command.args, body, keys.len(), args.len(), bytes);
        command.args.append(keys, 0..keys.len());
        command.args.append(args, 0..args.len());
        if let Err(problem) = self.keys.check().and_then(|()| self.args.check()) {
            command.args.fail(problem);
        }
        command
    }

    /// Runs the script by hash; where the server does not know it, once by text.
    ///
    /// Merged with concurrent commands of the client. Never repeated after it may have run,
    /// unless it is [`idempotent`](Self::idempotent).
    ///
    /// # Errors
    /// The script's error reply, a decode error, or that the call was not answered.
    pub fn run<T: FromReply>(self, redis: &Redis) -> impl Future<Output = Result<T>> {
        let forms = self.script.forms();
        let hash = &forms.best(redis.core.key_locking()).hash;
        let command = self.command(command!("EVALSHA"), hash);
        let script = self.script.context(self.items);
        redis.core.run_with(command, self.options, Some(script))
    }

    /// Adds the script to a pipeline or transaction, by text: a batch keeps its order, so
    /// a part of it cannot be sent again when the server does not know a hash.
    pub fn queue<T: FromReply>(self, batch: impl Surface<Out<T> = Handle<T>>) -> Handle<T> {
        batch.submit(self.command::<T>(command!("EVAL"), self.script.text()))
    }
}

impl Redis {
    /// Uploads a script, so that the first call need not; returns its hash.
    ///
    /// # Errors
    /// The server's refusal, or that it did not answer.
    pub async fn load_script(&self, script: &Script) -> Result<String> {
        let forms = script.forms();
        let load = |form: &Form| command!("SCRIPT").arg("LOAD").arg(&*form.text);
        let options = CallOptions {
            idempotent: true,
            ..CallOptions::default()
        };
        let locking = self.core.key_locking();
        match self
            .core
            .run_with(load(forms.best(locking)), options, None)
            .await
        {
            Err(e)
                if e.kind() == ErrorKind::Server
                    && e.server_error().is_some_and(|e| rejects_flag(e.line())) =>
            {
                locking.rejected.store(true, Ordering::Relaxed);
                self.core.run_with(load(&forms.plain), options, None).await
            }
            other => other,
        }
    }
}
