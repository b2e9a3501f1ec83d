//! Who a connection is: AUTH and HELLO.

use std::sync::Arc;

use restis_engine::{Caller, Reply, Shape};

use super::encode::{self, Version};
use super::session::{Login, Session};
use crate::database::Access;

const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";
/// The version of Redis whose behaviour is offered.
const REDIS_VERSION: &str = "8.2.0";

fn bad_option(option: &[u8]) -> String {
    let option = String::from_utf8_lossy(&option[..option.len().min(128)]);
    format!("ERR Syntax error in HELLO option '{option}'")
}

/// Letters that names of connections may have, as in Redis.
pub(super) fn is_name(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

impl Session {
    /// AUTH [user] password.
    pub(super) fn auth(&mut self, args: &[&[u8]]) {
        let outcome = match args {
            [_, password] => self.log_in(b"default", password),
            [_, user, password] => self.log_in(user, password),
            [_] => Err("ERR wrong number of arguments for 'auth' command"),
            _ => Err("ERR syntax error"),
        };
        match outcome {
            Ok(()) => self.reply(args, &Reply::ok()),
            Err(line) => self.error(line),
        }
    }

    /// Opens the database of a token. The user is `default`, or the one whose token it is.
    fn log_in(&mut self, user: &[u8], token: &[u8]) -> Result<(), &'static str> {
        let access = self.shared.access(token).filter(|access| {
            user == b"default" && !access.caller.is_user()
                || user == access.caller.name().as_bytes()
        });
        let access = access.ok_or(WRONGPASS)?;
        // A token of a user can be taken away while the connection lives.
        let token = access.caller.is_user().then(|| token.to_vec());
        self.open(access, token);
        Ok(())
    }

    /// Opens the database that needs no token, if there is one.
    pub(super) fn log_in_anonymously(&mut self) {
        if let Some(access) = self.shared.anonymous.clone() {
            self.open(access, None);
        }
    }

    fn open(&mut self, Access { database, caller }: Access, token: Option<Vec<u8>>) {
        let same = self.login.as_ref().is_some_and(|login| {
            Arc::ptr_eq(&login.access.database, &database) && login.access.caller == caller
        });
        if !same && self.login.is_some() {
            // What was subscribed, watched or queued belongs to another user.
            self.forget_state();
        }
        self.peer.authorised();
        let mut state = self.client().state();
        state.database = Some(database.name.clone());
        caller.name().clone_into(&mut state.user);
        drop(state);
        self.login = Some(Login {
            access: Access { database, caller },
            token,
        });
    }

    /// Whether the token that opened the database still does.
    pub(super) fn is_still_open(&self) -> bool {
        let Some(login) = &self.login else {
            return true;
        };
        let Some(token) = &login.token else {
            return true;
        };
        let access = self.shared.access(token);
        access.is_some_and(|access| access.caller == login.access.caller)
    }

    /// HELLO [version [AUTH user password] [SETNAME name]].
    pub(super) fn hello(&mut self, args: &[&[u8]]) {
        match self.hello_options(args) {
            Ok(()) => self.greet(),
            Err(line) => self.error(&line),
        }
    }

    fn hello_options(&mut self, args: &[&[u8]]) -> Result<(), String> {
        let version = match args.get(1).copied() {
            None => self.version,
            Some(b"2") => Version::Resp2,
            Some(b"3") => Version::Resp3,
            Some(other) if other.iter().all(u8::is_ascii_digit) => {
                return Err("NOPROTO unsupported protocol version".to_owned());
            }
            Some(_) => {
                return Err("ERR Protocol version is not an integer or out of range".to_owned());
            }
        };
        let mut rest = args.get(2..).unwrap_or_default();
        let mut login = None;
        let mut name = None;
        while let Some((option, values)) = rest.split_first() {
            rest = if option.eq_ignore_ascii_case(b"AUTH") {
                let [user, password, rest @ ..] = values else {
                    return Err(bad_option(option));
                };
                login = Some((*user, *password));
                rest
            } else if option.eq_ignore_ascii_case(b"SETNAME") {
                let [given, rest @ ..] = values else {
                    return Err(bad_option(option));
                };
                if !is_name(given) {
                    return Err(super::client_command::BAD_NAME.to_owned());
                }
                name = Some(*given);
                rest
            } else {
                return Err(bad_option(option));
            };
        }
        if let Some((user, password)) = login {
            self.log_in(user, password)?;
        }
        if self.login.is_none() {
            return Err(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
                    .to_owned(),
            );
        }
        if let Some(name) = name {
            self.client().state().name = name.to_vec();
        }
        self.version = version;
        self.client().state().version = version;
        Ok(())
    }

    /// The reply to HELLO, in the version that it asked for.
    fn greet(&mut self) {
        let id = self.client().id as i64;
        let version = self.version;
        let proto = match version {
            Version::Resp2 => 2,
            Version::Resp3 => 3,
        };
        let Some(out) = self.out_if_heard() else {
            return;
        };
        encode::map(out, version, 7);
        let text = |text: &str| Reply::bulk(text);
        for (name, value) in [
            ("server", text("redis")),
            ("version", text(REDIS_VERSION)),
            ("proto", Reply::Int(proto)),
            ("id", Reply::Int(id)),
            ("mode", text("standalone")),
            ("role", text("master")),
            ("modules", Reply::empty()),
        ] {
            for item in [text(name), value] {
                encode::reply(out, version, Shape::Plain, &item);
            }
        }
    }

    /// The caller, once there is one.
    pub(super) fn caller(&self) -> Option<&Caller> {
        self.login.as_ref().map(|login| &login.access.caller)
    }
}
