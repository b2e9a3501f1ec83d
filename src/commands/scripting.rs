//! Script and function commands. Source: <https://upstash.com/docs/redis/commands/scripts>.

use super::{
    options::{FlushMode, counted},
    replies::Fields,
};
use crate::{Command, FromReply, Surface, ToArg};

fn eval<T>(
    command: Command<T>,
    what: impl ToArg,
    keys: impl IntoIterator<Item: ToArg>,
    args: impl IntoIterator<Item: ToArg>,
) -> Command<T> {
    command.arg(what).opt(counted(keys)).args(args)
}

/// Script commands; [`Script`](crate::Script) needs fewer bytes and handles `NOSCRIPT`.
pub trait ScriptingCommands: Surface {
    /// `EVAL`: runs a script.
    fn eval<T: FromReply>(
        self,
        script: &str,
        keys: impl IntoIterator<Item: ToArg>,
        args: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<T> {
        self.submit(eval(command!("EVAL"), script, keys, args))
    }
    /// `EVAL_RO`: runs a script that only reads.
    fn eval_ro<T: FromReply>(
        self,
        script: &str,
        keys: impl IntoIterator<Item: ToArg>,
        args: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<T> {
        self.submit(eval(command!("EVAL_RO"), script, keys, args))
    }
    /// `EVALSHA`: runs a script that the server has.
    fn evalsha<T: FromReply>(
        self,
        sha1: &str,
        keys: impl IntoIterator<Item: ToArg>,
        args: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<T> {
        self.submit(eval(command!("EVALSHA"), sha1, keys, args))
    }
    /// `EVALSHA_RO`: runs a script that the server has and that only reads.
    fn evalsha_ro<T: FromReply>(
        self,
        sha1: &str,
        keys: impl IntoIterator<Item: ToArg>,
        args: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<T> {
        self.submit(eval(command!("EVALSHA_RO"), sha1, keys, args))
    }
    /// `SCRIPT EXISTS`: for each SHA1 whether the server has the script.
    fn script_exists(self, sha1s: impl IntoIterator<Item: ToArg>) -> Self::Out<Vec<bool>> {
        self.submit(command!("SCRIPT").arg("EXISTS").args(sha1s))
    }
    /// `SCRIPT FLUSH`: forgets every script.
    fn script_flush(self) -> Self::Out<()> {
        self.submit(command!("SCRIPT").arg("FLUSH"))
    }
    /// `SCRIPT FLUSH ASYNC|SYNC`.
    fn script_flush_with(self, mode: FlushMode) -> Self::Out<()> {
        self.submit(command!("SCRIPT").arg("FLUSH").arg(mode))
    }
    /// `SCRIPT KILL`: stops a running script; Upstash always answers `NOTBUSY`.
    fn script_kill(self) -> Self::Out<()> {
        self.submit(command!("SCRIPT").arg("KILL"))
    }
    /// `SCRIPT LOAD`: gives the server a script; its SHA1.
    fn script_load(self, script: &str) -> Self::Out<String> {
        self.submit(command!("SCRIPT").arg("LOAD").arg(script))
    }
}

impl<S: Surface> ScriptingCommands for S {}

/// Function commands. Source: <https://upstash.com/docs/redis/commands/functions>.
pub trait FunctionCommands: Surface {
    /// `FCALL`: calls a function.
    fn fcall<T: FromReply>(
        self,
        function: &str,
        keys: impl IntoIterator<Item: ToArg>,
        args: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<T> {
        self.submit(eval(command!("FCALL"), function, keys, args))
    }
    /// `FCALL_RO`: calls a function that only reads.
    fn fcall_ro<T: FromReply>(
        self,
        function: &str,
        keys: impl IntoIterator<Item: ToArg>,
        args: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<T> {
        self.submit(eval(command!("FCALL_RO"), function, keys, args))
    }
    /// `FUNCTION DELETE`: deletes a library.
    fn function_delete(self, library: &str) -> Self::Out<()> {
        self.submit(command!("FUNCTION").arg("DELETE").arg(library))
    }
    /// `FUNCTION FLUSH`: deletes every library.
    fn function_flush(self) -> Self::Out<()> {
        self.submit(command!("FUNCTION").arg("FLUSH"))
    }
    /// `FUNCTION FLUSH ASYNC|SYNC`.
    fn function_flush_with(self, mode: FlushMode) -> Self::Out<()> {
        self.submit(command!("FUNCTION").arg("FLUSH").arg(mode))
    }
    /// `FUNCTION KILL`: stops a running function; Upstash always answers `NOTBUSY`.
    fn function_kill(self) -> Self::Out<()> {
        self.submit(command!("FUNCTION").arg("KILL"))
    }
    /// `FUNCTION LIST`: the libraries, those that match a pattern if there is one.
    fn function_list(self, pattern: Option<&str>) -> Self::Out<Vec<Fields>> {
        self.submit(
            command!("FUNCTION")
                .arg("LIST")
                .opt(|a| library(pattern, a)),
        )
    }
    /// `FUNCTION LIST … WITHCODE`: the libraries with their source.
    fn function_list_withcode(self, pattern: Option<&str>) -> Self::Out<Vec<Fields>> {
        self.submit(
            command!("FUNCTION")
                .arg("LIST")
                .opt(|a| library(pattern, a))
                .arg("WITHCODE"),
        )
    }
    /// `FUNCTION LOAD`: loads a library; its name.
    fn function_load(self, code: &str) -> Self::Out<String> {
        self.submit(command!("FUNCTION").arg("LOAD").arg(code))
    }
    /// `FUNCTION LOAD REPLACE`: loads a library over an old one.
    fn function_load_replace(self, code: &str) -> Self::Out<String> {
        self.submit(command!("FUNCTION").arg("LOAD").arg("REPLACE").arg(code))
    }
    /// `FUNCTION STATS`: the running function and the engines.
    fn function_stats(self) -> Self::Out<Fields> {
        self.submit(command!("FUNCTION").arg("STATS"))
    }
}

fn library(pattern: Option<&str>, a: &mut crate::Args) {
    if let Some(pattern) = pattern {
        super::options::word_and("LIBRARYNAME", pattern, a);
    }
}

impl<S: Surface> FunctionCommands for S {}
