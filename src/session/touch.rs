//! Extending a session that is in use.

use super::{EventKind, Session, Sessions};
use crate::{FromReply, Reply, Result};

script_call! {
    /// Keys that a session without a user does not need are its own.
    Touch<'a> = "lua/touch.lua"
    keys { session_key, index_key, set_key, count_key, devices_key }
    args {
        now: u64, idle_ms: u64, sid: &'a str,
        // s set, x exact count, h estimated count.
        flags: &'a str,
        public_id: &'a str,
    }
}

/// What came of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Touched {
    /// Extended.
    Extended {
        /// When the session ends without further use, milliseconds since 1970.
        expires_ms: u64,
    },
    /// Nothing to do: it was extended a short time ago. The store was not asked.
    NotYet,
    /// The identifier was renewed meanwhile; its successor is as fresh.
    Moved,
    /// The session is gone; it stays gone.
    Gone,
}

impl Sessions {
    /// Extends the session if its last extension is long enough ago: at most one request.
    ///
    /// # Errors
    /// When the store does not answer. The session lives on until its current end.
    pub async fn touch(&self, session: &mut Session) -> Result<Touched> {
        if !session.needs_touch(self.now_ms()) {
            return Ok(Touched::NotYet);
        }
        self.touch_now(session).await
    }

    /// Extends the session in any case.
    ///
    /// # Errors
    /// When the store does not answer. The session lives on until its current end.
    pub async fn touch_now(&self, session: &mut Session) -> Result<Touched> {
        let keys = &self.0.keys;
        let now = self.now_ms();
        let key = keys.session(session.token.tag, session.sid);
        let user_keys = session.subject().map(|u| keys.user(u));
        let index = user_keys.as_ref().map_or(&key, |k| &k.index);
        let set = user_keys.as_ref().map_or(&key, |k| &k.set);
        let devices = user_keys.as_ref().map_or(&key, |k| &k.devices);
        let count = self.count_key(session.sid, now, &key);
        let flags = match user_keys {
            Some(_) => self.flags(),
            None => self.flags().replace('s', ""),
        };
        let call = Touch {
            session_key: &key,
            index_key: index,
            set_key: set,
            count_key: &count,
            devices_key: devices,
            now,
            idle_ms: session.idle().as_millis() as u64,
            sid: session.sid.as_str(),
            flags: &flags,
            public_id: session.public_id(),
        };
        let reply: Reply = call.call().idempotent().run(&self.0.redis).await?;
        let (word, expires) = <(String, Option<Reply>)>::from_reply(first_two(reply)?)?;
        Ok(match (word.as_str(), expires) {
            ("OK", Some(expires)) => {
                session.core.used_ms = now;
                Touched::Extended {
                    expires_ms: u64::from_reply(expires)?,
                }
            }
            ("MOVED", _) => Touched::Moved,
            _ => {
                self.emit(EventKind::Gone, Some(session), "touch");
                Touched::Gone
            }
        })
    }
}

/// The first two elements of an answer; nil where there is one only.
fn first_two(reply: Reply) -> Result<Reply> {
    let mut items = reply.into_array()?.into_iter();
    let pair = vec![
        items.next().unwrap_or(Reply::Nil),
        items.next().unwrap_or(Reply::Nil),
    ];
    Ok(Reply::Array(pair))
}
