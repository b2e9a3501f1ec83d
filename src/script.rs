//! Lua scripts: sent by hash, uploaded when the server does not know them.
use std::{
    borrow::Cow,
    fmt::Write as _,
    sync::{Arc, OnceLock},
};

use sha1::{Digest, Sha1};

use crate::{
    client::Redis,
    command::{Args, Command, ToArg},
    dispatch::CallOptions,
    error::{Error, ErrorKind, Result},
    pipeline::Handle,
    reply::FromReply,
};

/// A Lua script with its hash; make it a `static`.
#[derive(Debug)]
pub struct Script {
    text: Cow<'static, str>,
    hash: OnceLock<Arc<str>>,
}

impl Script {
    /// A script that lives as long as the program, e.g. from `include_str!`.
    pub const fn new(text: &'static str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            hash: OnceLock::new(),
        }
    }

    /// A script made at run time.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self {
            text: Cow::Owned(text.into()),
            hash: OnceLock::new(),
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The SHA1 of the text, 40 lower-case hex digits, computed once.
    pub fn sha1(&self) -> &str {
        self.hash.get_or_init(|| sha1_hex(&self.text).into())
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
            options: CallOptions::default(),
        }
    }
}

/// One call of a script: keys, arguments, then [`run`](Self::run).
#[derive(Debug, Clone)]
#[must_use = "a script call does nothing until it is run"]
pub struct ScriptCall<'s> {
    script: &'s Script,
    keys: Args,
    args: Args,
    options: CallOptions,
}

impl ScriptCall<'_> {
    /// Appends a key.
    pub fn key(mut self, key: impl ToArg) -> Self {
        key.write(&mut self.keys);
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

    /// Total time for the call, all attempts included.
    pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Promises that running the script twice does no harm, so that it may be retried
    /// when a first attempt may have been executed.
    pub fn idempotent(mut self) -> Self {
        self.options.idempotent = true;
        self
    }

    fn command<T>(&self, name: &str, body: &str) -> Command<T> {
        let keys = self.keys.iter();
        let count = keys.len();
        Command::new(name)
            .arg(body)
            .arg(count)
            .args(keys)
            .args(self.args.iter())
    }

    fn problem(&self) -> Option<Error> {
        self.keys.check().and_then(|()| self.args.check()).err()
    }

    /// Runs the script by hash; where the server does not know it, once by text.
    ///
    /// # Errors
    /// The script's error reply, a decode error, or that the call was not answered.
    pub async fn run<T: FromReply>(self, redis: &Redis) -> Result<T> {
        if let Some(problem) = self.problem() {
            return Err(problem);
        }
        let by_hash = self.command("EVALSHA", self.script.sha1());
        match redis.core.run_with(by_hash, self.options).await {
            Err(e) if e.kind() == ErrorKind::NoScript => {
                redis
                    .core
                    .run_with(self.command("EVAL", self.script.text()), self.options)
                    .await
            }
            other => other,
        }
    }

    /// Adds the script to a pipeline or transaction, by text: a batch cannot be repaired
    /// when the server does not know a hash.
    pub fn queue<'p, T: FromReply>(
        self,
        batch: impl crate::Surface<Out<T> = Handle<T>> + 'p,
    ) -> Handle<T> {
        let mut command: Command<T> = self.command("EVAL", self.script.text());
        if let Some(problem) = self.problem() {
            command.args.fail(problem);
        }
        batch.submit(command)
    }
}

pub(crate) fn sha1_hex(text: &str) -> String {
    let mut hex = String::with_capacity(40);
    for byte in Sha1::digest(text.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
