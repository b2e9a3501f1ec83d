//! One user: on or off, tokens, and rules for commands, keys and channels.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::category::{CATEGORIES, in_category};
use super::token::{DatabaseId, Digested, Token};
use crate::budget::Budget;
use crate::command::Command;
use crate::error::Error;
use crate::glob;

/// What a command does with a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    pub(super) read: bool,
    pub(super) write: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyRule {
    pattern: Vec<u8>,
    read: bool,
    write: bool,
}

/// Commands that are not in the table but may be allowed: the server runs them.
const OUTSIDE: &[&str] = &["SUBSCRIBE", "PSUBSCRIBE", "MONITOR", "MULTI", "EXEC"];
/// The most rules of a kind that a user keeps.
const MAX_RULES: usize = 1_000;

/// What the rules of a user speak of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleScope<'a> {
    /// The database whose tokens are taken; none: the rules come from a snapshot.
    pub(crate) database: Option<DatabaseId>,
    /// The commands there are.
    pub(crate) commands: &'a [&'static Command],
}

impl RuleScope<'_> {
    /// Every command that can be allowed.
    fn everything(&self) -> impl Iterator<Item = &'static str> {
        let names = self.commands.iter().map(|command| command.name);
        names.chain(OUTSIDE.iter().copied())
    }

    fn everything_in(&self, category: &str) -> impl Iterator<Item = &'static str> {
        let commands = self.commands.iter();
        let commands = commands.filter(move |command| in_category(command, category));
        commands.map(|command| command.name)
    }
}

/// A user and its rules. A new user is off and may do nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct User {
    pub(crate) enabled: bool,
    passwords: Vec<Digested>,
    /// The rules for commands as given, those without effect left out.
    commands: Vec<String>,
    allowed: HashSet<&'static str>,
    keys: Vec<KeyRule>,
    channels: Vec<Vec<u8>>,
}

const SYNTAX: &str = "Syntax error";

impl User {
    pub(super) fn may_run(&self, name: &str) -> bool {
        self.allowed.contains(name)
    }

    pub(super) fn may_use_key(&self, budget: &Budget, key: &[u8], needs: Needs) -> bool {
        let fits = |rule: &KeyRule| glob::matches(&rule.pattern, key, budget);
        // One pattern must allow all of it.
        self.keys
            .iter()
            .any(|rule| (!needs.read || rule.read) && (!needs.write || rule.write) && fits(rule))
    }

    /// Whether every key that begins with this may be read.
    pub(super) fn may_read_prefix(&self, prefix: &[u8]) -> bool {
        let covers = |rule: &KeyRule| match rule.pattern.split_last() {
            Some((b'*', head)) => literal_head(head) == head && prefix.starts_with(head),
            _ => false,
        };
        self.keys.iter().any(|rule| rule.read && covers(rule))
    }

    /// Whether the keys may be read of which a channel notifies.
    pub(super) fn may_be_notified(&self, budget: &Budget, channel: &[u8]) -> bool {
        let read = Needs {
            read: true,
            write: false,
        };
        match notified(channel) {
            None => true,
            Some(Notified::Key(key)) => self.may_use_key(budget, key, read),
            Some(Notified::AnyKey) => self.may_read_prefix(b""),
        }
    }

    /// Whether the keys may be read of which the channels notify that fit a pattern.
    pub(super) fn may_be_notified_like(&self, pattern: &[u8]) -> bool {
        let head = literal_head(pattern);
        if let Some(Notified::Key(key)) = notified(head) {
            return self.may_read_prefix(key);
        }
        let related = |channel: &[u8]| channel.starts_with(head) || head.starts_with(channel);
        let notifies = related(KEYSPACE) || related(KEYEVENT);
        !notifies || self.may_read_prefix(b"")
    }

    /// `literal`: the name is a pattern itself and must be one of the user's.
    pub(super) fn may_use_channel(&self, budget: &Budget, name: &[u8], literal: bool) -> bool {
        self.channels.iter().any(|pattern| {
            if literal {
                pattern == b"*" || pattern == name
            } else {
                glob::matches(pattern, name, budget)
            }
        })
    }

    /// Roughly the bytes this takes.
    pub(crate) fn weight(&self) -> usize {
        /// What a rule takes besides its text.
        const RULE: usize = 64;
        let commands = self.commands.iter().map(String::len);
        let keys = self.keys.iter().map(|rule| rule.pattern.len());
        let channels = self.channels.iter().map(Vec::len);
        let rules = commands.chain(keys).chain(channels);
        size_of::<Self>()
            + rules.map(|bytes| bytes + RULE).sum::<usize>()
            + self.passwords.len() * size_of::<Digested>()
            + self.allowed.capacity() * 2 * size_of::<&str>()
    }

    /// Whether this token is one of the user's; looks at all of them.
    pub(super) fn has_password(&self, token: &Token) -> bool {
        let mut found = subtle::Choice::from(0);
        for digest in &self.passwords {
            found |= token.is(digest);
        }
        found.into()
    }

    /// Whether this token is one of the user's and names it.
    pub(crate) fn accepts(&self, name: &str, token: &str) -> bool {
        Token::parse(token).is_some_and(|token| token.user() == name && self.has_password(&token))
    }

    /// The digests of tokens that open the database now.
    pub(super) fn live_tokens(&self) -> &[Digested] {
        if self.enabled { &self.passwords } else { &[] }
    }

    /// Applies one rule of SETUSER to the user `name`.
    pub(crate) fn apply(
        &mut self,
        name: &str,
        rule: &[u8],
        scope: RuleScope<'_>,
    ) -> Result<(), Error> {
        self.change(name, rule, scope).map_err(|reason| {
            // A rule may be a password: only those that cannot be are repeated.
            let shown = match rule.first() {
                Some(b'>' | b'<' | b'#' | b'!') => format!("{}…", char::from(rule[0])),
                _ => String::from_utf8_lossy(&rule[..rule.len().min(128)]).into_owned(),
            };
            Error::new(format!(
                "ERR Error in ACL SETUSER modifier '{shown}': {reason}"
            ))
        })
    }

    fn change(
        &mut self,
        name: &str,
        rule: &[u8],
        scope: RuleScope<'_>,
    ) -> Result<(), &'static str> {
        let word = rule.to_ascii_lowercase();
        match &*word {
            b"on" => self.enabled = true,
            b"off" => self.enabled = false,
            b"reset" => *self = Self::default(),
            b"resetpass" => self.passwords.clear(),
            b"resetkeys" => self.keys.clear(),
            b"resetchannels" => self.channels.clear(),
            b"allkeys" => self.add_key(b"*", true, true)?,
            b"allchannels" => self.add_channel(b"*")?,
            b"allcommands" => self.command_rule("+@all", scope)?,
            b"nocommands" => self.command_rule("-@all", scope)?,
            b"clearselectors" | b"sanitize-payload" | b"skip-sanitize-payload" => {}
            b"nopass" => return Err("users without a password are not allowed"),
            [b'(', ..] => return Err("selectors are not supported"),
            [b'~', ..] => self.add_key(&rule[1..], true, true)?,
            [b'%', ..] => self.key_permission(&rule[1..])?,
            [b'&', ..] => self.add_channel(&rule[1..])?,
            [b'+' | b'-', ..] => {
                let text = std::str::from_utf8(&word).map_err(|_| SYNTAX)?;
                self.command_rule(text, scope)?;
            }
            [b'>', ..] => {
                let token = std::str::from_utf8(&rule[1..]).ok().and_then(Token::parse);
                let token = token
                    .filter(|token| token.user() == name)
                    .filter(|token| scope.database.is_none_or(|database| token.is_of(database)))
                    .ok_or("the password must be a token made by ACL GENTOKEN for this user of this database")?;
                self.add_password(token.digest())?;
            }
            [b'<', ..] => {
                let token = std::str::from_utf8(&rule[1..]).ok().and_then(Token::parse);
                let digest = token.ok_or("no such password")?.digest();
                let before = self.passwords.len();
                self.passwords.retain(|other| *other != digest);
                if before == self.passwords.len() {
                    return Err("no such password");
                }
            }
            [b'#', digits @ ..] if scope.database.is_none() => {
                self.add_password(parse_digest(digits).ok_or(SYNTAX)?)?;
            }
            [b'#' | b'!', ..] => return Err("hashed passwords are not supported"),
            _ => return Err(SYNTAX),
        }
        Ok(())
    }

    fn add_password(&mut self, digest: Digested) -> Result<(), &'static str> {
        if !self.passwords.contains(&digest) {
            self.passwords.push(digest);
        }
        bounded(self.passwords.len())
    }

    /// `R~pattern`, `W~pattern` or `RW~pattern`.
    fn key_permission(&mut self, rule: &[u8]) -> Result<(), &'static str> {
        let tilde = rule.iter().position(|byte| *byte == b'~').ok_or(SYNTAX)?;
        let (mut read, mut write) = (false, false);
        for letter in &rule[..tilde] {
            match letter.to_ascii_uppercase() {
                b'R' if !read => read = true,
                b'W' if !write => write = true,
                _ => return Err(SYNTAX),
            }
        }
        if !read && !write {
            return Err(SYNTAX);
        }
        self.add_key(&rule[tilde + 1..], read, write)
    }

    fn add_key(&mut self, pattern: &[u8], read: bool, write: bool) -> Result<(), &'static str> {
        match self.keys.iter_mut().find(|rule| rule.pattern == pattern) {
            Some(rule) => {
                rule.read |= read;
                rule.write |= write;
            }
            None => self.keys.push(KeyRule {
                pattern: pattern.to_vec(),
                read,
                write,
            }),
        }
        bounded(self.keys.len())
    }

    fn add_channel(&mut self, pattern: &[u8]) -> Result<(), &'static str> {
        if !self.channels.iter().any(|other| other == pattern) {
            self.channels.push(pattern.to_vec());
        }
        bounded(self.channels.len())
    }

    /// `+command`, `-command`, `+@category` or `-@category`, in lower case.
    fn command_rule(&mut self, rule: &str, scope: RuleScope<'_>) -> Result<(), &'static str> {
        const UNKNOWN: &str = "Unknown command or category name in ACL";
        let (allow, what) = (rule.starts_with('+'), &rule[1..]);
        let names: Vec<&'static str> = match what.strip_prefix('@') {
            Some("all") => {
                self.commands.clear();
                scope.everything().collect()
            }
            Some("transaction") => vec!["MULTI", "EXEC"],
            Some("pubsub") => scope
                .everything_in("pubsub")
                .chain(["SUBSCRIBE", "PSUBSCRIBE"])
                .collect(),
            Some(category) if CATEGORIES.contains(&category) => {
                scope.everything_in(category).collect()
            }
            Some(_) => return Err(UNKNOWN),
            None if what.contains('|') => return Err("rules for subcommands are not supported"),
            None => {
                let upper = what.to_ascii_uppercase();
                vec![
                    scope
                        .everything()
                        .find(|name| *name == upper)
                        .ok_or(UNKNOWN)?,
                ]
            }
        };
        self.commands.retain(|other| other[1..] != *what);
        // After "nothing", taking away has no effect.
        if what != "@all" || allow {
            self.commands.push(rule.to_owned());
        }
        for name in names {
            if allow {
                self.allowed.insert(name);
            } else {
                self.allowed.remove(name);
            }
        }
        bounded(self.commands.len())
    }

    /// `on` or `off`.
    pub(crate) fn state(&self) -> &'static str {
        if self.enabled { "on" } else { "off" }
    }

    /// Hashes of the tokens, in hexadecimal digits.
    pub(crate) fn password_hashes(&self) -> impl Iterator<Item = String> {
        self.passwords.iter().map(hex::encode)
    }

    /// The rules for commands, on one line.
    pub(crate) fn command_rules(&self) -> String {
        let all = self.commands.first().is_some_and(|rule| rule == "+@all");
        let mut text = if all {
            String::new()
        } else {
            "-@all".to_owned()
        };
        for rule in &self.commands {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(rule);
        }
        text
    }

    /// The patterns of keys, on one line.
    pub(crate) fn key_rules(&self) -> String {
        let rules = self.keys.iter().map(|rule| {
            let sign = match (rule.read, rule.write) {
                (true, false) => "%R~",
                (false, true) => "%W~",
                _ => "~",
            };
            format!("{sign}{}", String::from_utf8_lossy(&rule.pattern))
        });
        rules.collect::<Vec<_>>().join(" ")
    }

    /// The patterns of channels, on one line.
    pub(crate) fn channel_rules(&self) -> String {
        let rules = self
            .channels
            .iter()
            .map(|pattern| format!("&{}", String::from_utf8_lossy(pattern)));
        rules.collect::<Vec<_>>().join(" ")
    }

    /// The user on one line, as ACL LIST shows it.
    pub(crate) fn describe(&self, name: &str) -> String {
        let mut line = format!("user {name} {}", self.state());
        for hash in self.password_hashes() {
            // Writing to a String cannot fail.
            let _ = write!(line, " #{hash}");
        }
        let all_channels = self.channels.iter().any(|pattern| pattern == b"*");
        let reset = if all_channels { "" } else { "resetchannels" };
        for part in [
            &*self.key_rules(),
            reset,
            &*self.channel_rules(),
            &*self.command_rules(),
        ] {
            if !part.is_empty() {
                line.push(' ');
                line.push_str(part);
            }
        }
        line
    }

    /// Rules that make the same user again.
    pub(crate) fn rules(&self) -> Vec<Vec<u8>> {
        let mut rules = vec![b"reset".to_vec(), self.state().into()];
        rules.extend(self.password_hashes().map(|hash| format!("#{hash}").into()));
        for rule in &self.keys {
            let sign: &[u8] = match (rule.read, rule.write) {
                (true, false) => b"%R~",
                (false, true) => b"%W~",
                _ => b"~",
            };
            rules.push([sign, &rule.pattern].concat());
        }
        rules.extend(
            self.channels
                .iter()
                .map(|pattern| [b"&", &**pattern].concat()),
        );
        rules.extend(self.commands.iter().map(|rule| rule.clone().into_bytes()));
        rules
    }
}

const KEYSPACE: &[u8] = b"__keyspace@";
const KEYEVENT: &[u8] = b"__keyevent@";

/// What a pattern begins with before its first special character.
fn literal_head(pattern: &[u8]) -> &[u8] {
    let special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
    let end = pattern.iter().position(special);
    &pattern[..end.unwrap_or(pattern.len())]
}

/// The keys that a keyspace notification tells of.
enum Notified<'c> {
    Key(&'c [u8]),
    AnyKey,
}

/// What a channel notifies of; `None` for an ordinary channel.
fn notified(channel: &[u8]) -> Option<Notified<'_>> {
    if channel.starts_with(KEYEVENT) {
        return Some(Notified::AnyKey);
    }
    let rest = channel.strip_prefix(KEYSPACE)?;
    let colon = rest.iter().position(|byte| *byte == b':')?;
    Some(Notified::Key(&rest[colon + 1..]))
}

fn bounded(count: usize) -> Result<(), &'static str> {
    if count > MAX_RULES {
        Err("too many rules")
    } else {
        Ok(())
    }
}

fn parse_digest(digits: &[u8]) -> Option<Digested> {
    let mut digest = Digested::default();
    hex::decode_to_slice(digits, &mut digest).ok()?;
    Some(digest)
}
