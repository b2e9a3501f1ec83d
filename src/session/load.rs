//! Loading a session.

use super::{
    Device, EventKind, Session, Sessions, Sid, Token,
    device::is_of_agent,
    state::SessionState,
    user::{OwnedUser, User},
};
use crate::{Redis, Result};
use http::{HeaderMap, HeaderValue, header};
use std::{collections::BTreeMap, fmt};

script_call! {
    Load<'a> = "lua/load.lua"
    keys { session_key }
    args {}
}

/// A session so new may not have reached the replica that answers reads.
const REPLICATION_S: u64 = 5;
/// How many renewals a late request may have missed.
const MAX_HOPS: usize = 4;

/// What a token leads to.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the common one, and it is taken apart at once"
)]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Loaded {
    /// A live session.
    Live(Session),
    /// No session.
    Absent(Absence),
}

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Absence {
    /// The request has no session cookie. The store was not asked.
    NoCookie,
    /// The request has several session cookies, or an imitation. The store was not asked.
    Ambiguous,
    /// The cookie was not signed here. The store was not asked.
    Forged,
    /// The session reached its end.
    Ended,
    /// The store has no such session: signed out, expired, or never there.
    Unknown,
    /// The identifier was replaced on purpose. A parallel request: do not remove the cookie.
    Superseded,
    /// The identifier was used after its grace; the whole session was ended.
    Reused,
}

impl Absence {
    /// Whether the browser should be told to drop its cookie.
    pub fn clears_cookie(self) -> bool {
        !matches!(self, Self::NoCookie | Self::Superseded)
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCookie => "the request has no session cookie",
            Self::Ambiguous => "the request has several session cookies",
            Self::Forged => "the session cookie was not signed here",
            Self::Ended => "the session reached its end",
            Self::Unknown => "there is no such session: signed out, expired, or never there",
            Self::Superseded => "the session's identifier was replaced",
            Self::Reused => "the session's identifier was used after it was replaced",
        })
    }
}

impl std::error::Error for Absence {}

impl Loaded {
    /// The session, if it is live.
    pub fn session(self) -> Option<Session> {
        match self {
            Self::Live(session) => Some(session),
            Self::Absent(_) => None,
        }
    }
}

impl Sessions {
    /// Loads the session of a request: no request to the store without a well-signed cookie.
    ///
    /// # Errors
    /// When the store does not answer; protected routes must then refuse.
    pub async fn load_from(&self, headers: &HeaderMap) -> Result<Loaded> {
        let token = match self.token(headers) {
            Ok(token) => token,
            Err(absence) => return Ok(Loaded::Absent(absence)),
        };
        let loaded = self.load(&token).await?;
        if let Loaded::Live(session) = &loaded {
            self.notice_device(session, headers.get(header::USER_AGENT));
        }
        Ok(loaded)
    }

    /// Tells listeners when another browser or platform than at sign-in uses the session.
    ///
    /// A hint to look closer, no proof of theft. [`load_from`](Self::load_from) and the layer do it.
    pub fn notice_device(&self, session: &Session, user_agent: Option<&HeaderValue>) {
        let Some(agent) = user_agent.and_then(|a| a.to_str().ok()) else {
            return;
        };
        let was_agent = session.device_label().is_some_and(is_of_agent);
        if was_agent && session.device_differs(&Device::new().user_agent(agent)) {
            self.emit(EventKind::DeviceChanged, Some(session), "load");
        }
    }

    /// Loads a session: one read request.
    ///
    /// A second one follows a renewed identifier, and repeats a miss on the write path when the
    /// token is only seconds old.
    ///
    /// # Errors
    /// When the store does not answer, or its record is damaged.
    pub async fn load(&self, token: &Token) -> Result<Loaded> {
        let loaded = self.peek(token).await?;
        if let Loaded::Absent(Absence::Unknown) = loaded {
            self.emit_for(EventKind::Unknown, None, self.sid(token), "load");
        }
        Ok(loaded)
    }

    /// Like `load`, without a word about an unknown token.
    pub(crate) async fn peek(&self, token: &Token) -> Result<Loaded> {
        let mut token = token.clone();
        for hop in 0..=MAX_HOPS {
            let Some(sid) = self.sid(&token) else {
                return Ok(Loaded::Absent(Absence::Forged));
            };
            match self.read(&token, sid).await? {
                SessionState::Live(core, values) => {
                    let inner = &self.0;
                    let mut session = Session::new(
                        token,
                        sid,
                        core,
                        inner.config.lifetimes,
                        values,
                        inner.codec.clone(),
                    );
                    if self.now_ms() >= session.expires_ms() {
                        self.emit(EventKind::Expired, Some(&session), "load");
                        return Ok(Loaded::Absent(Absence::Ended));
                    }
                    session.new_cookie = hop > 0;
                    return Ok(Loaded::Live(session));
                }
                SessionState::Moved {
                    successor,
                    grace_end_ms,
                    user,
                } => {
                    match self
                        .follow(
                            &token,
                            sid,
                            &successor,
                            grace_end_ms,
                            user.as_ref().map(OwnedUser::borrow),
                        )
                        .await?
                    {
                        Ok(next) => token = next,
                        Err(absence) => return Ok(Loaded::Absent(absence)),
                    }
                }
                SessionState::Missing => return Ok(Loaded::Absent(Absence::Unknown)),
            }
        }
        Ok(Loaded::Absent(Absence::Superseded))
    }

    async fn read(&self, token: &Token, sid: Sid) -> Result<SessionState> {
        let key = self.0.keys.session(token.tag, sid);
        let fields = read_hash(&self.0.redis, &key).await?;
        let is_new = (self.now_ms() / 1000).saturating_sub(token.issued_s) < REPLICATION_S;
        if fields.is_empty() && is_new {
            let call = Load { session_key: &key }.call().idempotent();
            return SessionState::parse(call.run(&self.0.redis).await?);
        }
        SessionState::parse(fields)
    }

    /// The token that a renewed identifier leads to, or why it leads nowhere.
    pub(crate) async fn follow(
        &self,
        token: &Token,
        sid: Sid,
        successor: &str,
        grace_end_ms: u64,
        user: Option<User<'_>>,
    ) -> Result<Result<Token, Absence>> {
        let id = user.map(User::id);
        let now = self.now_ms();
        if grace_end_ms == 0 {
            return Ok(Err(Absence::Superseded));
        }
        if now > grace_end_ms {
            self.emit_for(
                EventKind::Reused,
                id,
                Some(sid),
                "identifier used after its grace",
            );
            // `end` follows the chain of successors to the live session.
            let ended = self.end(user, token.tag, vec![sid]).await?;
            for sid in ended {
                self.emit_for(EventKind::Revoked, id, Some(sid), "reuse");
            }
            return Ok(Err(Absence::Reused));
        }
        let next = self
            .0
            .config
            .secrets
            .find_successor(token, successor, now / 1000);
        Ok(next.ok_or(Absence::Superseded))
    }
}

pub(crate) async fn read_hash(redis: &Redis, key: &str) -> Result<BTreeMap<String, String>> {
    redis.command("HGETALL").arg(key).query().await
}
