//! CLIENT.

use std::sync::Arc;
use std::time::{Duration, Instant};

use restis_engine::{Caller, Reply, Shape};

use super::auth::is_name;
use super::clients::{Client, Pause};
use super::parser::Command;
use super::session::{Heard, Session};
use super::waiting::End;
use crate::texts;

pub(super) const BAD_NAME: &str =
    "ERR Client names cannot contain spaces, newlines or special characters.";
const SYNTAX: &str = "ERR syntax error";
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

type Outcome = Result<(Shape, Reply), String>;

fn plain(reply: Reply) -> Outcome {
    Ok((Shape::Plain, reply))
}

impl Session {
    pub(super) async fn client_command(&mut self, args: &[&[u8]]) {
        let Some(sub) = args.get(1) else {
            return self.error("ERR wrong number of arguments for 'client' command");
        };
        if sub.eq_ignore_ascii_case(b"REPLY") {
            return self.client_reply(args);
        }
        if let Err(line) = self.check_user(args).await {
            return self.error(&line);
        }
        self.client().note_query(args);
        let outcome = self.client_outcome(&sub.to_ascii_uppercase(), args);
        self.client().note_query(&[]);
        match outcome {
            Ok((shape, reply)) => self.reply_of(shape, &reply),
            Err(line) => self.error(&line),
        }
    }

    fn client_reply(&mut self, args: &[&[u8]]) {
        let mode = match args {
            [_, _, mode] => mode.to_ascii_uppercase(),
            _ => return self.error("ERR wrong number of arguments for 'client|reply' command"),
        };
        match &*mode {
            b"ON" => {
                self.heard = Heard::On;
                self.reply_of(Shape::Plain, &Reply::ok());
            }
            b"OFF" => self.heard = Heard::Off,
            b"SKIP" if self.heard != Heard::Off => self.heard = Heard::SkipNext,
            b"SKIP" => {}
            _ => self.error(SYNTAX),
        }
    }

    fn client_outcome(&mut self, sub: &[u8], args: &[&[u8]]) -> Outcome {
        let wrong = || {
            let sub = String::from_utf8_lossy(sub).to_lowercase();
            Err(format!(
                "ERR wrong number of arguments for 'client|{sub}' command"
            ))
        };
        match (sub, &args[2..]) {
            (b"ID", []) => plain(Reply::Int(self.client().id as i64)),
            (b"GETNAME", []) => {
                let name = self.client().state().name.clone();
                plain(if name.is_empty() {
                    Reply::Nil
                } else {
                    Reply::bulk(name)
                })
            }
            (b"SETNAME", [name]) => {
                if !is_name(name) {
                    return Err(BAD_NAME.to_owned());
                }
                self.client().state().name = name[..name.len().min(1024)].to_vec();
                plain(Reply::ok())
            }
            (b"SETINFO", [what, value]) => self.set_info(what, value),
            (b"INFO", []) => {
                let line = format!("{}\n", self.client().line());
                Ok((Shape::Verbatim, Reply::bulk(line)))
            }
            (b"LIST", filters) => self.list_clients(filters),
            (b"KILL", filters) if !filters.is_empty() => self.kill_clients(filters),
            (b"PAUSE", [_] | [_, _]) => self.pause_clients(&args[2..]),
            (b"UNPAUSE", []) => {
                self.need_full_access()?;
                if let Some(login) = &self.login {
                    login.access.database.pause.send_replace(None);
                }
                plain(Reply::ok())
            }
            (b"NO-EVICT" | b"NO-TOUCH", [mode]) => {
                let known = mode.eq_ignore_ascii_case(b"ON") || mode.eq_ignore_ascii_case(b"OFF");
                if known {
                    plain(Reply::ok())
                } else {
                    Err(SYNTAX.to_owned())
                }
            }
            (b"TRACKING" | b"CACHING", _) => {
                Err("ERR client-side caching (CLIENT TRACKING) is not supported".to_owned())
            }
            (b"UNBLOCK", [id, mode @ ..]) if mode.len() <= 1 => self.unblock_client(id, mode),
            (b"GETREDIR", []) => plain(Reply::Int(-1)),
            (
                b"ID" | b"GETNAME" | b"SETNAME" | b"SETINFO" | b"INFO" | b"KILL" | b"PAUSE"
                | b"UNPAUSE" | b"NO-EVICT" | b"NO-TOUCH" | b"GETREDIR",
                _,
            ) => wrong(),
            _ => Err(format!(
                "ERR unknown subcommand '{}'. Try CLIENT HELP.",
                String::from_utf8_lossy(&args[1][..args[1].len().min(128)])
            )),
        }
    }

    fn set_info(&mut self, what: &[u8], value: &[u8]) -> Outcome {
        let value = &value[..value.len().min(256)];
        if !is_name(value) {
            return Err(format!(
                "ERR {} cannot contain spaces, newlines or special characters.",
                String::from_utf8_lossy(&what[..what.len().min(64)]).to_lowercase()
            ));
        }
        let mut state = self.client().state();
        if what.eq_ignore_ascii_case(b"LIB-NAME") {
            state.library = value.to_vec();
        } else if what.eq_ignore_ascii_case(b"LIB-VER") {
            state.library_version = value.to_vec();
        } else {
            return Err(format!(
                "ERR Unrecognized option '{}'",
                String::from_utf8_lossy(&what[..what.len().min(64)])
            ));
        }
        plain(Reply::ok())
    }

    /// Other connections are the business of who has the whole database.
    fn need_full_access(&self) -> Result<(), String> {
        if self.caller() == Some(&Caller::default()) {
            Ok(())
        } else {
            Err(texts::no_permission(b"client"))
        }
    }

    /// Fails if the connections of a user are to be killed that the database does not have.
    async fn check_user(&self, args: &[&[u8]]) -> Result<(), String> {
        let [_, sub, filters @ ..] = args else {
            return Ok(());
        };
        let local = self
            .login
            .as_ref()
            .and_then(|login| login.access.database.local());
        let kills = sub.eq_ignore_ascii_case(b"KILL") && self.need_full_access().is_ok();
        let (Some(local), true) = (local, kills) else {
            return Ok(());
        };
        for [word, user] in filters.as_chunks::<2>().0 {
            let user = String::from_utf8_lossy(user);
            if word.eq_ignore_ascii_case(b"USER")
                && !local.briefly(|engine| engine.has_user(&user)).await
            {
                return Err(format!("ERR No such user '{user}'"));
            }
        }
        Ok(())
    }

    /// The connections to this database.
    fn neighbours(&self) -> Vec<Arc<Client>> {
        let login = self.login.as_ref();
        login.map_or_else(Vec::new, |login| {
            self.shared.clients.of(&login.access.database.name)
        })
    }

    fn list_clients(&self, filters: &[&[u8]]) -> Outcome {
        self.need_full_access()?;
        let mut wanted = Filter::default();
        match filters {
            [] => {}
            [word, kind] if word.eq_ignore_ascii_case(b"TYPE") => wanted.kind(kind)?,
            [word, ids @ ..] if word.eq_ignore_ascii_case(b"ID") && !ids.is_empty() => {
                for id in ids {
                    wanted.ids.push(number(id).ok_or("ERR Invalid client ID")?);
                }
            }
            _ => return Err(SYNTAX.to_owned()),
        }
        let clients = self.neighbours();
        let lines = clients.iter().filter(|client| wanted.fits(client));
        let text: String = lines.map(|client| client.line() + "\n").collect();
        Ok((Shape::Verbatim, Reply::bulk(text)))
    }

    fn kill_clients(&mut self, filters: &[&[u8]]) -> Outcome {
        self.need_full_access()?;
        let mut wanted = Filter::default();
        let old_form = filters.len() == 1;
        if let [address] = filters {
            wanted.address = Some(String::from_utf8_lossy(address).into_owned());
        } else {
            wanted.skip_own = true;
            let (pairs, rest) = filters.as_chunks::<2>();
            if !rest.is_empty() {
                return Err(SYNTAX.to_owned());
            }
            for [word, value] in pairs {
                wanted.add(word, value)?;
            }
        }
        let own = self.client().id;
        let mut killed = 0;
        for client in self.neighbours() {
            if !wanted.fits(&client) || wanted.skip_own && client.id == own {
                continue;
            }
            killed += 1;
            if client.id == own {
                self.closing = true;
            } else {
                client.kill();
            }
        }
        match (old_form, killed) {
            (true, 0) => Err("ERR No such client".to_owned()),
            (true, _) => plain(Reply::ok()),
            (false, _) => plain(Reply::Int(killed)),
        }
    }

    fn unblock_client(&self, id: &[u8], mode: &[&[u8]]) -> Outcome {
        self.need_full_access()?;
        let id = number(id).ok_or("ERR value is not an integer or out of range")?;
        let end = match mode {
            [mode] if mode.eq_ignore_ascii_case(b"ERROR") => End::Unblocked,
            [mode] if !mode.eq_ignore_ascii_case(b"TIMEOUT") => {
                return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".to_owned());
            }
            _ => End::Time,
        };
        let clients = self.neighbours();
        let client = clients.iter().find(|client| client.id == id);
        plain(Reply::bool(
            client.is_some_and(|client| client.unblock(end)),
        ))
    }

    fn pause_clients(&mut self, args: &[&[u8]]) -> Outcome {
        self.need_full_access()?;
        let millis = number(args[0]).ok_or("ERR timeout is not an integer or out of range")?;
        let only_writes = match args.get(1) {
            None => false,
            Some(mode) if mode.eq_ignore_ascii_case(b"ALL") => false,
            Some(mode) if mode.eq_ignore_ascii_case(b"WRITE") => true,
            Some(_) => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".to_owned()),
        };
        let pause = Duration::from_millis(millis).min(LONGEST_PAUSE);
        if let Some(login) = &self.login {
            login.access.database.pause.send_replace(Some(Pause {
                until: Instant::now() + pause,
                only_writes,
            }));
        }
        plain(Reply::ok())
    }

    /// The pause that holds now.
    pub(super) fn pause(&self) -> Option<Pause> {
        let pause = *self.login.as_ref()?.access.database.pause.borrow();
        pause.filter(|pause| pause.until > Instant::now())
    }

    /// Waits while a pause stops this command.
    pub(super) async fn wait_for_pause(&self, command: &Command) {
        let Some(login) = &self.login else {
            return;
        };
        let mut changes = login.access.database.pause.subscribe();
        while let Some(pause) = self.pause() {
            let args = super::run::args_of(command);
            if pause.only_writes && !restis_engine::may_write(&args) {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(pause.until.into()) => {}
                _ = changes.changed() => {}
                () = self.client().killed() => return,
            }
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Which connections are meant.
#[derive(Debug, Default)]
struct Filter {
    ids: Vec<u64>,
    address: Option<String>,
    local: Option<String>,
    user: Option<String>,
    subscribers: Option<bool>,
    /// Connections of another type are asked for: there are none.
    nothing: bool,
    least_age: Option<u64>,
    skip_own: bool,
}

impl Filter {
    fn kind(&mut self, kind: &[u8]) -> Result<(), String> {
        match &*kind.to_ascii_lowercase() {
            b"normal" => self.subscribers = Some(false),
            b"pubsub" => self.subscribers = Some(true),
            b"master" | b"replica" | b"slave" => self.nothing = true,
            _ => {
                return Err(format!(
                    "ERR Unknown client type '{}'",
                    String::from_utf8_lossy(&kind[..kind.len().min(64)])
                ));
            }
        }
        Ok(())
    }

    fn add(&mut self, word: &[u8], value: &[u8]) -> Result<(), String> {
        let text = || String::from_utf8_lossy(value).into_owned();
        match &*word.to_ascii_uppercase() {
            b"ID" => {
                let id = number(value).filter(|id| *id > 0);
                self.ids
                    .push(id.ok_or("ERR client-id should be greater than 0")?);
            }
            b"ADDR" => self.address = Some(text()),
            b"LADDR" => self.local = Some(text()),
            b"USER" => self.user = Some(text()),
            b"TYPE" => self.kind(value)?,
            b"MAXAGE" => {
                self.least_age =
                    Some(number(value).ok_or("ERR maxage is not an integer or out of range")?);
            }
            b"SKIPME" if value.eq_ignore_ascii_case(b"YES") => self.skip_own = true,
            b"SKIPME" if value.eq_ignore_ascii_case(b"NO") => self.skip_own = false,
            _ => return Err(SYNTAX.to_owned()),
        }
        Ok(())
    }

    fn fits(&self, client: &Client) -> bool {
        let state = client.state();
        let subscribes = state.channels + state.patterns > 0;
        let is = |wanted: &Option<String>, actual: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == actual)
        };
        !self.nothing
            && (self.ids.is_empty() || self.ids.contains(&client.id))
            && is(&self.address, &client.address.to_string())
            && is(&self.local, &client.local.to_string())
            && is(&self.user, &state.user)
            && self.subscribers.is_none_or(|wanted| wanted == subscribes)
            && self.least_age.is_none_or(|age| client.age_secs() >= age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_are_none_are_errors() {
        let mut filter = Filter::default();
        for (word, value) in [
            ("ID", "0"),
            ("ID", "x"),
            ("TYPE", "odd"),
            ("SKIPME", "1"),
            ("A", "b"),
        ] {
            assert!(
                filter.add(word.as_bytes(), value.as_bytes()).is_err(),
                "{word}"
            );
        }
        assert!(filter.add(b"type", b"Pubsub").is_ok());
        assert_eq!(filter.subscribers, Some(true));
    }
}
