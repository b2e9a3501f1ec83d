//! Creating sessions: sign-in, anonymous visitors, and the step from one to the other.

use super::{
    Authentication, EventKind, LimitPolicy, LoginEpoch, NewSession, Session, Sessions, Sid, Token,
    codec::Owner,
    error,
    load::Loaded,
    secrets,
    state::{Core, field},
    token::Tag,
    user::{OwnedUser, User},
};
use crate::{FromReply, Reply, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{collections::BTreeMap, time::Duration};

script_call! {
    /// Keys that a login does not need are the session's.
    Create<'a> = "lua/create.lua"
    keys {
        session_key, index_key, epoch_key, replaced_key, devices_key, marker_key, set_key, count_key,
        replaced_count_key, everywhere_key, organisations_key,
    }
    args {
        now: u64, expiry: u64,
        // 0 for no cap.
        most: u32,
        // `evict` or `reject` beyond it.
        policy: &'a str,
        // Empty where it is not checked.
        epoch_seen: &'a str,
        sid: &'a str,
        // The sid of the session that is replaced, if there is one.
        old: &'a str,
        user: &'a str, device: &'a str,
        // With a fingerprint, if there is one.
        nonce: String,
        marker_ms: u64,
        // s set, x exact count, h estimated count.
        flags: &'a str,
        public_id: &'a str, organisation: &'a str, absolute_end: u64
    }
}

/// How long a login is recognised when it is repeated.
const REPEAT: Duration = Duration::from_secs(60);
/// How long a key that is good for one login is remembered.
pub(super) const ONCE: Duration = Duration::from_secs(120);

/// What came of a login.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Creation {
    /// A new session; give the browser its cookie.
    Created(Session),
    /// The login had been made before: its session.
    Repeated(Session),
    /// Refused: the user has as many live sessions as allowed.
    LimitReached {
        /// How many.
        live: u64,
    },
    /// Refused: the user signed out everywhere after this login had begun.
    StaleLogin,
    /// Refused: the key of [`NewSession::once`] was used before.
    AlreadyUsed,
    /// Refused: the key of [`NewSession::repeat_key`] was used for a login with another payload.
    KeyReused,
}

impl Creation {
    /// The session, if there is one.
    pub fn session(self) -> Option<Session> {
        match self {
            Self::Created(session) | Self::Repeated(session) => Some(session),
            Self::LimitReached { .. } | Self::StaleLogin | Self::AlreadyUsed | Self::KeyReused => {
                None
            }
        }
    }
}

/// What the script answers.
enum CreateReply {
    Ok {
        others: Vec<String>,
        other_user: Option<OwnedUser>,
        successor: Option<String>,
    },
    Stale,
    Repeated(String),
    Collision,
    Limit(u64),
}

impl FromReply for CreateReply {
    fn from_reply(reply: Reply) -> Result<Self> {
        let mut items = reply.into_array()?.into_iter();
        let mut next = || items.next().unwrap_or(Reply::Nil);
        Ok(match String::from_reply(next())?.as_str() {
            "OK" => {
                let _live = next();
                let others = Vec::from_reply(next())?;
                let mut text = || Ok(Some(String::from_reply(next())?).filter(|t| !t.is_empty()));
                let (user, successor, organisation) = (text()?, text()?, text()?);
                Self::Ok {
                    others,
                    other_user: OwnedUser::from_fields(user, organisation),
                    successor,
                }
            }
            "STALE" => Self::Stale,
            "REPEATED" => Self::Repeated(String::from_reply(next())?),
            "COLLISION" => Self::Collision,
            "LIMIT" => Self::Limit(u64::from_reply(next())?),
            _ => return Err(error::decode("unknown answer of the session script")),
        })
    }
}

impl Sessions {
    /// Reads the user's epoch before credentials are verified; pass it to [`NewSession::epoch`].
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn begin_login<'u>(&self, user: impl Into<User<'u>>) -> Result<LoginEpoch> {
        let user = user.into();
        user.check()?;
        let keys = self.0.keys.user(user);
        let epochs: Vec<Option<u64>> = self
            .0
            .redis
            .command("MGET")
            .args([keys.epoch, keys.everywhere])
            .query()
            .await?;
        // Each only rises, so that the sum changes with either.
        let epoch: u64 = epochs.into_iter().flatten().sum();
        Ok(LoginEpoch(epoch.to_string()))
    }

    /// Creates a session: one request, a second one if sessions have to make room.
    ///
    /// # Errors
    /// `InvalidInput` for ids and values out of bounds; otherwise when the store does not answer.
    pub async fn create(&self, mut new: NewSession) -> Result<Creation> {
        new.check()?;
        // A collision of 192-bit hashes does not happen; a repeated request does (see `attempt`).
        for _ in 0..3 {
            match self.attempt(&new).await? {
                Attempt::Done(creation) => return Ok(*creation),
                Attempt::Again => {}
                Attempt::WithoutRepeat => new.repeat_key = None,
            }
        }
        Err(error::decode("no free session identifier"))
    }

    fn new_token(
        &self,
        new: &NewSession,
        tag: Option<Tag>,
        now_ms: u64,
    ) -> Result<(Token, String)> {
        let secrets = &self.0.config.secrets;
        let Some(marker) = new.marker() else {
            let token = Token::random(secrets, tag, now_ms / 1000)
                .map_err(|_| crate::Error::no_randomness())?;
            return Ok((token, String::new()));
        };
        let nonce: [u8; 12] = secrets::random().map_err(|_| crate::Error::no_randomness())?;
        let nonce = URL_SAFE_NO_PAD.encode(nonce);
        let first = secrets.login_tokens(&marker, &nonce).next();
        let (secret, key) = first.ok_or_else(crate::Error::no_randomness)?;
        Ok((
            Token {
                secret,
                key,
                issued_s: now_ms / 1000,
                tag,
            },
            nonce,
        ))
    }

    async fn attempt(&self, new: &NewSession) -> Result<Attempt> {
        let inner = &self.0;
        let now = self.now_ms();
        let tag = inner.keys.tag(new.user.as_deref());
        let (token, nonce) = self.new_token(new, tag, now)?;
        let sid = self.sid(&token).ok_or_else(crate::Error::no_randomness)?;
        let core = self.new_core(new, now)?;
        let mut values = BTreeMap::new();
        let owner = Owner {
            public_id: &core.public_id,
            user: core.user.as_deref(),
        };
        for (name, json) in &new.values {
            values.insert(
                format!("{}{name}", field::DATA),
                inner.codec.write(owner, name, json)?,
            );
        }
        let most = inner.config.max_fields;
        if values.len() > most as usize {
            return Err(error::too_large(format!(
                "a session has at most {most} fields"
            )));
        }
        let session = Session::new(
            token,
            sid,
            core,
            inner.config.lifetimes,
            values,
            inner.codec.clone(),
        );
        let replaced = self.replaced(new);
        // A script cannot reach another slot: what lives there is ended by a second call.
        let inside = replaced
            .as_ref()
            .filter(|r| !inner.keys.is_cluster() || (r.tag.is_some() && r.tag == tag));
        let answer: CreateReply = self.run_create(new, &session, inside, &nonce, now).await?;
        match answer {
            CreateReply::Ok {
                others,
                other_user,
                successor,
            } => {
                self.emit(EventKind::Created, Some(&session), "create");
                self.make_room(new, &session, others).await?;
                if let Some(old) = &replaced {
                    self.finish_replacing(new, old, inside.is_some(), other_user, successor)
                        .await?;
                }
                let mut session = session;
                session.new_cookie = true;
                Ok(Attempt::Done(Box::new(Creation::Created(session))))
            }
            CreateReply::Stale => {
                self.emit_for(EventKind::StaleLogin, new.user.as_deref(), None, "create");
                Ok(Attempt::Done(Box::new(Creation::StaleLogin)))
            }
            CreateReply::Limit(live) => {
                self.emit_for(EventKind::LimitReached, new.user.as_deref(), None, "create");
                Ok(Attempt::Done(Box::new(Creation::LimitReached { live })))
            }
            CreateReply::Repeated(mark) => {
                let (first, fingerprint) = mark.split_once(' ').unwrap_or((&mark, ""));
                if new.once && first != nonce {
                    self.emit_for(EventKind::Replayed, new.user.as_deref(), None, "create");
                    return Ok(Attempt::Done(Box::new(Creation::AlreadyUsed)));
                }
                if fingerprint != new.fingerprint {
                    return Ok(Attempt::Done(Box::new(Creation::KeyReused)));
                }
                self.repeated(new, tag, first, now).await
            }
            CreateReply::Collision => {
                // The request may have been sent twice: then the stored session is this one.
                match self.load(&session.token).await? {
                    Loaded::Live(mut stored) if stored.public_id() == session.public_id() => {
                        stored.new_cookie = true;
                        Ok(Attempt::Done(Box::new(Creation::Created(stored))))
                    }
                    _ => Ok(Attempt::Again),
                }
            }
        }
    }

    fn new_core(&self, new: &NewSession, now: u64) -> Result<Core> {
        let lifetimes = &self.0.config.lifetimes;
        let public_id: [u8; 12] = secrets::random().map_err(|_| crate::Error::no_randomness())?;
        let absolute = new
            .absolute
            .unwrap_or(lifetimes.absolute)
            .min(lifetimes.absolute);
        let authentication = match new.user {
            Some(_) => Authentication {
                at_ms: now,
                methods: new.methods.join(" "),
            },
            None => Authentication::default(),
        };
        Ok(Core {
            version: 1,
            user: new.user.clone(),
            organisation: new.organisation.clone(),
            created_ms: now,
            used_ms: now,
            rotated_ms: now,
            end_ms: now + absolute.as_millis() as u64,
            idle: new.idle,
            public_id: URL_SAFE_NO_PAD.encode(public_id),
            authentication,
            device_id: new.device.id.clone(),
            label: new.device.label.clone(),
            network: new.device.network.clone(),
        })
    }

    fn replaced(&self, new: &NewSession) -> Option<Replaced> {
        let (token, user) = new.replaced.as_ref()?;
        let sid = self.sid(token)?;
        Some(Replaced {
            sid,
            tag: token.tag,
            user: user.clone(),
        })
    }

    async fn run_create(
        &self,
        new: &NewSession,
        session: &Session,
        inside: Option<&Replaced>,
        nonce: &str,
        now: u64,
    ) -> Result<CreateReply> {
        let inner = &self.0;
        let key = inner.keys.session(session.token.tag, session.sid);
        let user = new.user.as_deref();
        let user_keys = new.subject().map(|u| inner.keys.user(u));
        let of_user = |pick: fn(&super::keys::UserKeys) -> &String| {
            user_keys.as_ref().map_or(&*key, |keys| pick(keys))
        };
        let marker = match (new.marker(), &user_keys) {
            (Some(marker), Some(keys)) => keys.login(&marker),
            _ => key.clone(),
        };
        let mark = match new.fingerprint.as_str() {
            "" => nonce.to_owned(),
            fingerprint if !nonce.is_empty() => format!("{nonce} {fingerprint}"),
            _ => String::new(),
        };
        let old_key = inside.map_or_else(|| key.clone(), |r| inner.keys.session(r.tag, r.sid));
        let old_count = inside.map_or_else(|| key.clone(), |r| self.count_key(r.sid, now, &key));
        let device = session
            .device_id()
            .filter(|_| inner.config.one_per_device)
            .unwrap_or_default();
        let policy = match inner.config.policy {
            LimitPolicy::Evict => "evict",
            LimitPolicy::Reject => "reject",
        };
        let count = self.count_key(session.sid, now, &key);
        let call = Create {
            session_key: &key,
            index_key: of_user(|k| &k.index),
            epoch_key: of_user(|k| &k.epoch),
            replaced_key: &old_key,
            devices_key: of_user(|k| &k.devices),
            marker_key: &marker,
            set_key: of_user(|k| &k.set),
            count_key: &count,
            replaced_count_key: &old_count,
            everywhere_key: of_user(|k| &k.everywhere),
            organisations_key: of_user(|k| &k.organisations),
            now,
            expiry: session.expires_ms(),
            most: inner.config.max_per_user,
            policy,
            epoch_seen: new.epoch.as_ref().map_or("", LoginEpoch::as_str),
            sid: session.sid.as_str(),
            old: inside.map_or("", |r| r.sid.as_str()),
            user: user.unwrap_or_default(),
            device,
            nonce: mark,
            marker_ms: if new.once { ONCE } else { REPEAT }.as_millis() as u64,
            flags: &self.flags(),
            public_id: session.public_id(),
            organisation: new.organisation.as_deref().unwrap_or_default(),
            absolute_end: session.ends_ms(),
        };
        call.call()
            .args(session.stored())
            .idempotent()
            .run(&inner.redis)
            .await
    }

    /// Ends what the script named before the login is answered: over the cap, or on the same device.
    async fn make_room(
        &self,
        new: &NewSession,
        session: &Session,
        others: Vec<String>,
    ) -> Result<()> {
        let Some(user) = new.subject().filter(|_| !others.is_empty()) else {
            return Ok(());
        };
        let sids: Vec<Sid> = others.iter().filter_map(|s| Sid::parse(s)).collect();
        let ended = self.end(Some(user), session.token.tag, sids).await?;
        for sid in ended {
            self.emit_for(EventKind::Evicted, Some(user.id()), Some(sid), "create");
        }
        Ok(())
    }

    async fn finish_replacing(
        &self,
        new: &NewSession,
        old: &Replaced,
        was_inside: bool,
        other_user: Option<OwnedUser>,
        successor: Option<String>,
    ) -> Result<()> {
        self.emit_for(
            EventKind::Replaced,
            old.user.as_ref().map(|user| user.borrow().id()),
            Some(old.sid),
            "create",
        );
        let owner = old.user.clone().or(other_user);
        let owner = owner.as_ref().map(OwnedUser::borrow);
        let mut left: Vec<Sid> = successor.iter().filter_map(|s| Sid::parse(s)).collect();
        // The script cleaned the index of the new session's user only.
        if !was_inside || (owner.is_some() && owner != new.subject()) {
            left.push(old.sid);
        }
        if left.is_empty() {
            return Ok(());
        }
        let ended = self.end(owner, old.tag, left).await?;
        tracing::debug!(target: "restis::session", ended = ended.len(), "replaced sessions ended");
        Ok(())
    }

    async fn repeated(
        &self,
        new: &NewSession,
        tag: Option<Tag>,
        nonce: &str,
        now: u64,
    ) -> Result<Attempt> {
        let Some(marker) = new.marker() else {
            return Ok(Attempt::WithoutRepeat);
        };
        for (secret, key) in self.0.config.secrets.login_tokens(&marker, nonce) {
            let token = Token {
                secret,
                key,
                issued_s: now / 1000,
                tag,
            };
            if let Loaded::Live(mut session) = self.peek(&token).await? {
                session.new_cookie = true;
                if new.once {
                    // The store had answered an earlier attempt of this very call.
                    return Ok(Attempt::Done(Box::new(Creation::Created(session))));
                }
                self.emit(EventKind::Repeated, Some(&session), "create");
                return Ok(Attempt::Done(Box::new(Creation::Repeated(session))));
            }
        }
        // The first session ended within the minute: this is a login of its own.
        Ok(Attempt::WithoutRepeat)
    }
}

#[derive(Debug)]
struct Replaced {
    sid: Sid,
    tag: Option<Tag>,
    user: Option<OwnedUser>,
}

enum Attempt {
    Done(Box<Creation>),
    Again,
    WithoutRepeat,
}
