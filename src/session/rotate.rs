//! New identifiers for a session: at every change of privilege, and from time to time.

use super::{
    Authentication, EventKind, LoginEpoch, Secrets, Session, Sessions, Token, create::ONCE, error,
    keys::UserKeys, load::Loaded, new_session::check_id, state::field,
};
use crate::{FromReply, Reply, Result};

script_call! {
    /// The `next_` keys are those of the organisation that the session moves to; the same if it stays.
    Rotate<'a> = "lua/rotate.lua"
    keys {
        old_key, new_key, index_key, epoch_key, devices_key, set_key, old_count_key, new_count_key,
        next_index_key, next_epoch_key, next_devices_key, next_set_key, everywhere_key,
        organisations_key, marker_key,
    }
    args {
        now: u64, idle_ms: u64,
        // 0: the old identifier dies at once.
        grace_end: u64,
        // How long the old identifier is remembered.
        memory_ms: u64,
        old_sid: &'a str, new_sid: &'a str,
        // s set, x exact count.
        flags: &'a str,
        // Empty where it is not checked.
        epoch_seen: &'a str,
        // 0 without a marker.
        marker_ms: u64,
        organisation: &'a str
    }
}

/// Which key of a user.
type Pick = fn(&UserKeys) -> &String;

/// How long an identifier that was replaced for privileges is remembered: sign-out follows it.
const PRIVILEGE_MEMORY_MS: u64 = 60_000;

/// Why a session gets a new identifier.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing happens before `Sessions::rotate`"]
pub struct Rotation {
    periodic: bool,
    methods: Option<String>,
    organisation: Option<String>,
    epoch: Option<LoginEpoch>,
    /// Names what this change may be made with once.
    once: Option<String>,
}

impl Rotation {
    /// After a change of privilege: re-authentication, role, password. The old identifier dies at once.
    pub fn privilege() -> Self {
        Self::default()
    }

    /// From time to time. The old identifier works during the grace and leads to the same successor for all.
    pub fn periodic() -> Self {
        Self {
            periodic: true,
            ..Self::default()
        }
    }

    /// Notes that the user was verified again, by these methods.
    pub fn authenticated_by<M: AsRef<str>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        let methods: Vec<String> = methods.into_iter().map(|m| m.as_ref().to_owned()).collect();
        self.methods = Some(methods.join(" "));
        self
    }

    /// Switches the organisation.
    pub fn organisation(mut self, id: impl Into<String>) -> Self {
        self.organisation = Some(id.into());
        self
    }

    /// Refuses the change if "sign out everywhere" happened since [`Sessions::begin_login`].
    pub fn epoch(mut self, epoch: LoginEpoch) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Refuses the change if its key was used within the last two minutes, here or by
    /// [`NewSession::once`](super::NewSession::once).
    pub fn once(mut self, key: impl Into<String>) -> Self {
        self.once = Some(key.into());
        self
    }
}

/// What came of a rotation.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the common one, and it is taken apart at once"
)]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Rotated {
    /// The session under its new identifier; give the browser its cookie.
    Done(Session),
    /// Another request has replaced the identifier for good. Do not remove the cookie.
    Superseded,
    /// The session is gone.
    Gone,
    /// Refused: the user signed out everywhere after the verification had begun.
    StaleLogin,
    /// Refused: the key of [`Rotation::once`] was used before.
    AlreadyUsed,
}

impl Sessions {
    /// Gives a session a new identifier: one request; one more for those who lose a periodic race.
    ///
    /// # Errors
    /// `InvalidInput` for facts out of bounds; otherwise when the store does not answer.
    pub async fn rotate(&self, session: &Session, rotation: &Rotation) -> Result<Rotated> {
        if let Some(organisation) = &rotation.organisation {
            check_id(organisation)?;
        }
        if rotation
            .methods
            .as_ref()
            .is_some_and(|m| m.len() > 50 || !m.bytes().all(|b| matches!(b, b' '..=b'~')))
        {
            return Err(error::invalid(
                "authentication methods must be short and printable",
            ));
        }
        let now = self.now_ms();
        let secrets = &self.0.config.secrets;
        let token = match rotation.periodic {
            // Everybody who holds the old token can be handed the same new one, and nothing is stored in clear.
            true => secrets.successor(&session.token, now / 1000),
            false => Token::random(secrets, session.token.tag, now / 1000)
                .map_err(|_| crate::Error::no_randomness())?,
        };
        let mut next = session.clone();
        next.sid = self.sid(&token).ok_or_else(crate::Error::no_randomness)?;
        next.token = token;
        next.new_cookie = true;
        next.core.used_ms = now;
        next.core.rotated_ms = now;
        let mut sets = Vec::new();
        if let Some(methods) = &rotation.methods {
            next.core.authentication = Authentication {
                at_ms: now,
                methods: methods.clone(),
            };
            sets.extend([field::AUTH.to_owned(), next.core.authentication.render()]);
        }
        if let Some(organisation) = &rotation.organisation {
            next.core.organisation = Some(organisation.clone());
            sets.extend([field::ORGANISATION.to_owned(), organisation.clone()]);
        }
        let reply = self.send_rotate(session, &next, rotation, sets).await?;
        self.conclude(session, next, reply).await
    }

    async fn send_rotate(
        &self,
        old: &Session,
        next: &Session,
        rotation: &Rotation,
        sets: Vec<String>,
    ) -> Result<Reply> {
        let keys = &self.0.keys;
        let lifetimes = &self.0.config.lifetimes;
        let now = next.core.rotated_ms;
        let (grace_end, memory) = match rotation.periodic {
            true => {
                let grace = lifetimes.grace.as_millis() as u64;
                // A grace end of 0 means "at once".
                (
                    (now + grace).max(1),
                    grace + lifetimes.reuse_memory.as_millis() as u64,
                )
            }
            false => (0, PRIVILEGE_MEMORY_MS),
        };
        let old_key = keys.session(old.token.tag, old.sid);
        let [user_keys, next_keys] = [old, next].map(|s| s.subject().map(|user| keys.user(user)));
        let of_user = |pick: Pick| user_keys.as_ref().map_or(&*old_key, |keys| pick(keys));
        let of_next = |pick: Pick| next_keys.as_ref().map_or(&*old_key, |keys| pick(keys));
        let marker = match (&rotation.once, next.subject(), &next_keys) {
            (Some(key), Some(user), Some(keys)) => {
                Some(keys.login(&Secrets::login_marker(user, &["once", "", key])))
            }
            _ => None,
        };
        let old_count = self.count_key(old.sid, now, &old_key);
        let new_count = self.count_key(next.sid, now, &old_key);
        let call = Rotate {
            old_key: &old_key,
            new_key: &keys.session(next.token.tag, next.sid),
            index_key: of_user(|k| &k.index),
            epoch_key: of_user(|k| &k.epoch),
            devices_key: of_user(|k| &k.devices),
            set_key: of_user(|k| &k.set),
            old_count_key: &old_count,
            new_count_key: &new_count,
            next_index_key: of_next(|k| &k.index),
            next_epoch_key: of_next(|k| &k.epoch),
            next_devices_key: of_next(|k| &k.devices),
            next_set_key: of_next(|k| &k.set),
            everywhere_key: of_next(|k| &k.everywhere),
            organisations_key: of_next(|k| &k.organisations),
            marker_key: marker.as_deref().unwrap_or(&old_key),
            now,
            idle_ms: old.idle().as_millis() as u64,
            grace_end,
            memory_ms: memory,
            old_sid: old.sid.as_str(),
            new_sid: next.sid.as_str(),
            flags: &self.flags(),
            epoch_seen: rotation.epoch.as_ref().map_or("", LoginEpoch::as_str),
            marker_ms: marker.as_ref().map_or(0, |_| ONCE.as_millis() as u64),
            organisation: next.organisation().unwrap_or_default(),
        };
        call.call().args(sets).idempotent().run(&self.0.redis).await
    }

    async fn conclude(&self, old: &Session, mut next: Session, reply: Reply) -> Result<Rotated> {
        let mut items = reply.into_array()?.into_iter();
        let mut take = || items.next().unwrap_or(Reply::Nil);
        match String::from_reply(take())?.as_str() {
            "OK" => {
                next.core.version = u64::from_reply(take())?;
                self.emit(EventKind::Rotated, Some(&next), "rotate");
                Ok(Rotated::Done(next))
            }
            "ALREADY" => {
                let successor = String::from_reply(take())?;
                let grace_end_ms = u64::from_reply(take())?;
                // Ours: an earlier attempt of this very call went through.
                let leads_to = if successor == next.sid.as_str() {
                    Ok(next.token)
                } else {
                    let subject = old.subject();
                    self.follow(&old.token, old.sid, &successor, grace_end_ms, subject)
                        .await?
                };
                let Ok(token) = leads_to else {
                    return Ok(Rotated::Superseded);
                };
                Ok(match self.peek(&token).await? {
                    Loaded::Live(mut session) => {
                        session.new_cookie = true;
                        Rotated::Done(session)
                    }
                    Loaded::Absent(_) => Rotated::Gone,
                })
            }
            "GONE" => {
                self.emit(EventKind::Gone, Some(old), "rotate");
                Ok(Rotated::Gone)
            }
            "STALE" => {
                self.emit(EventKind::StaleLogin, Some(old), "rotate");
                Ok(Rotated::StaleLogin)
            }
            "USED" => {
                self.emit(EventKind::Replayed, Some(old), "rotate");
                Ok(Rotated::AlreadyUsed)
            }
            // COLLISION: two tokens with one hash do not happen.
            _ => Err(error::decode("no free session identifier")),
        }
    }
}
