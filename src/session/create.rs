//! Creating sessions: sign-in, anonymous visitors, and the step from one to the other.

use super::{
    Authentication, Device, EventKind, LimitPolicy, Session, Sessions, Sid, Token,
    codec::{self, Owner},
    error,
    load::Loaded,
    record::{Core, field},
    secrets,
    token::Tag,
};
use crate::{Error, FromReply, Reply, Result, Script};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

static CREATE: Script = Script::new(include_str!("lua/create.lua"));

/// The most bytes of a user's or organisation's id.
pub const MAX_ID_BYTES: usize = 128;
/// How long a login is recognised when it is repeated.
const REPEAT: Duration = Duration::from_secs(60);

/// A user's epoch before a login; see [`Sessions::begin_login`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginEpoch(pub(crate) String);

impl LoginEpoch {
    /// The epoch as text, to carry it through a login form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads an epoch from text.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| Self(text.to_owned()))
    }
}

/// What a new session starts with.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing happens before `Sessions::create`"]
pub struct NewSession {
    user: Option<String>,
    organisation: Option<String>,
    methods: Vec<String>,
    device: Device,
    idle: Option<Duration>,
    absolute: Option<Duration>,
    values: BTreeMap<String, String>,
    replaced: Option<(Token, Option<String>)>,
    epoch: Option<LoginEpoch>,
    repeat_key: Option<String>,
    problem: Option<Error>,
}

impl NewSession {
    /// A session of a visitor who has not signed in.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// A session of a user whose identity the caller has verified.
    pub fn user(id: impl Into<String>) -> Self {
        Self {
            user: Some(id.into()),
            ..Self::default()
        }
    }

    /// Sets the organisation.
    pub fn organisation(mut self, id: impl Into<String>) -> Self {
        self.organisation = Some(id.into());
        self
    }

    /// Says by which methods the user was verified, e.g. `pwd`, `otp` (RFC 8176).
    pub fn authenticated_by(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.methods = methods.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the device facts.
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Overrides the idle time, e.g. for "remember me".
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Overrides the absolute lifetime; not longer than the configured one.
    pub fn absolute(mut self, absolute: Duration) -> Self {
        self.absolute = Some(absolute);
        self
    }

    /// Sets one value.
    pub fn set<T: Serialize + ?Sized>(mut self, name: impl Into<String>, value: &T) -> Self {
        match codec::to_json(value) {
            Ok(json) => {
                self.values.insert(name.into(), json);
            }
            Err(e) => self.problem = self.problem.or(Some(e)),
        }
        self
    }

    /// Sets every field of a structure as one value each.
    pub fn data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        match serde_json::to_value(data) {
            Ok(serde_json::Value::Object(object)) => {
                self.values.extend(
                    object
                        .into_iter()
                        .map(|(name, value)| (name, value.to_string())),
                );
            }
            _ => {
                self.problem = self
                    .problem
                    .or_else(|| Some(error::invalid("session data must be a structure")));
            }
        }
        self
    }

    /// Ends the session that the same browser presents, in the same step.
    pub fn replace(mut self, session: &Session) -> Self {
        self.replaced = Some((session.token.clone(), session.user().map(str::to_owned)));
        self
    }

    /// Ends the session of a token that was not loaded.
    pub fn replace_token(mut self, token: &Token) -> Self {
        self.replaced = Some((token.clone(), None));
        self
    }

    /// Turns an anonymous session into this one: ends it and keeps the named values, no others.
    pub fn upgrade<'a>(
        mut self,
        anonymous: &Session,
        keep: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        for name in keep {
            match anonymous.json(name) {
                Ok(Some(json)) => {
                    self.values.insert(name.to_owned(), json);
                }
                Ok(None) => {}
                Err(e) => self.problem = self.problem.or(Some(e)),
            }
        }
        self.replace(anonymous)
    }

    /// Refuses the login if "sign out everywhere" happened since [`Sessions::begin_login`].
    pub fn epoch(mut self, epoch: LoginEpoch) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Recognises a repeated login by its idempotency key for a minute: it gets the first session.
    pub fn repeat_key(mut self, key: impl Into<String>) -> Self {
        self.repeat_key = Some(key.into());
        self
    }

    fn check(&mut self) -> Result<()> {
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        for id in [&self.user, &self.organisation].into_iter().flatten() {
            check_id(id)?;
        }
        if self
            .methods
            .iter()
            .any(|m| m.is_empty() || m.len() > 16 || !m.bytes().all(|b| b.is_ascii_graphic()))
            || self.methods.len() > 3
        {
            return Err(error::invalid(
                "at most three authentication methods of 1 to 16 graphic characters",
            ));
        }
        if self
            .repeat_key
            .as_ref()
            .is_some_and(|k| k.is_empty() || k.len() > 256)
        {
            return Err(error::invalid(
                "an idempotency key must have 1 to 256 bytes",
            ));
        }
        if [self.idle, self.absolute]
            .into_iter()
            .flatten()
            .any(|d| d < Duration::from_secs(1))
        {
            return Err(error::invalid("a session must live 1 s or more"));
        }
        Ok(())
    }
}

pub(crate) fn check_id(id: &str) -> Result<()> {
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err(error::invalid("an id must have 1 to 128 bytes"));
    }
    Ok(())
}

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
}

impl Creation {
    /// The session, if there is one.
    pub fn session(self) -> Option<Session> {
        match self {
            Self::Created(session) | Self::Repeated(session) => Some(session),
            Self::LimitReached { .. } | Self::StaleLogin => None,
        }
    }
}

/// What the script answers.
enum Answer {
    Ok {
        others: Vec<String>,
        other_user: Option<String>,
        successor: Option<String>,
    },
    Stale,
    Repeated(String),
    Collision,
    Limit(u64),
}

impl FromReply for Answer {
    fn from_reply(reply: Reply) -> Result<Self> {
        let mut items = reply.into_array()?.into_iter();
        let mut next = || items.next().unwrap_or(Reply::Nil);
        Ok(match String::from_reply(next())?.as_str() {
            "OK" => {
                let _live = next();
                let others = Vec::from_reply(next())?;
                let mut text = || Ok(Some(String::from_reply(next())?).filter(|t| !t.is_empty()));
                Self::Ok {
                    others,
                    other_user: text()?,
                    successor: text()?,
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
    pub async fn begin_login(&self, user: &str) -> Result<LoginEpoch> {
        check_id(user)?;
        let key = self.0.keys.user(user).epoch;
        let epoch: Option<String> = self.0.redis.command("GET").arg(key).query().await?;
        Ok(LoginEpoch(epoch.unwrap_or_else(|| "0".to_owned())))
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
        let (Some(user), Some(key)) = (&new.user, &new.repeat_key) else {
            let token =
                Token::random(secrets, tag, now_ms / 1000).map_err(|_| error::no_random())?;
            return Ok((token, String::new()));
        };
        let nonce: [u8; 12] = secrets::random().map_err(|_| error::no_random())?;
        let nonce = URL_SAFE_NO_PAD.encode(nonce);
        let first = secrets.login_tokens(user, key, nonce.as_bytes()).next();
        let (secret, key) = first.ok_or_else(error::no_random)?;
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
        let sid = self.sid(&token).ok_or_else(error::no_random)?;
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
        if values.len() > inner.config.max_fields as usize {
            return Err(error::too_large(
                "a session has more fields than the configured limit",
            ));
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
        let answer: Answer = self.run_create(new, &session, inside, &nonce, now).await?;
        match answer {
            Answer::Ok {
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
            Answer::Stale => {
                self.emit_for(EventKind::StaleLogin, new.user.as_deref(), None, "create");
                Ok(Attempt::Done(Box::new(Creation::StaleLogin)))
            }
            Answer::Limit(live) => {
                self.emit_for(EventKind::LimitReached, new.user.as_deref(), None, "create");
                Ok(Attempt::Done(Box::new(Creation::LimitReached { live })))
            }
            Answer::Repeated(nonce) => self.repeated(new, tag, &nonce, now).await,
            Answer::Collision => {
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
        let public_id: [u8; 12] = secrets::random().map_err(|_| error::no_random())?;
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
    ) -> Result<Answer> {
        let inner = &self.0;
        let key = inner.keys.session(session.token.tag, session.sid);
        let user = new.user.as_deref();
        let user_keys = user.map(|u| inner.keys.user(u));
        let of_user = |pick: fn(&super::keys::UserKeys) -> &String| {
            user_keys.as_ref().map_or(&key, pick).clone()
        };
        let marker = match (user, &new.repeat_key, &user_keys) {
            (Some(user), Some(repeat), Some(keys)) => {
                keys.login(&super::Secrets::login_marker(user, repeat))
            }
            _ => key.clone(),
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
        CREATE
            .key(&key)
            .key(of_user(|k| &k.index))
            .key(of_user(|k| &k.epoch))
            .key(old_key)
            .key(of_user(|k| &k.devices))
            .key(marker)
            .key(of_user(|k| &k.set))
            .key(self.count_key(session.sid, now, &key))
            .key(old_count)
            .arg(now)
            .arg(session.expires_ms())
            .arg(inner.config.max_per_user)
            .arg(policy)
            .arg(new.epoch.as_ref().map_or("", LoginEpoch::as_str))
            .arg(session.sid.as_str())
            .arg(inside.map_or("", |r| r.sid.as_str()))
            .arg(user.unwrap_or_default())
            .arg(device)
            .arg(nonce)
            .arg(REPEAT.as_millis() as u64)
            .arg(self.flags())
            .arg(session.public_id())
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
        let Some(user) = new.user.as_deref().filter(|_| !others.is_empty()) else {
            return Ok(());
        };
        let sids: Vec<Sid> = others.iter().filter_map(|s| Sid::parse(s)).collect();
        let ended = self.end(Some(user), session.token.tag, sids).await?;
        for sid in ended {
            self.emit_for(EventKind::Evicted, Some(user), Some(sid), "create");
        }
        Ok(())
    }

    async fn finish_replacing(
        &self,
        new: &NewSession,
        old: &Replaced,
        was_inside: bool,
        other_user: Option<String>,
        successor: Option<String>,
    ) -> Result<()> {
        self.emit_for(
            EventKind::Replaced,
            old.user.as_deref(),
            Some(old.sid),
            "create",
        );
        let owner = old.user.clone().or(other_user);
        let mut left: Vec<Sid> = successor.iter().filter_map(|s| Sid::parse(s)).collect();
        // The script cleaned the index of the new session's user only.
        if !was_inside || (owner.is_some() && owner != new.user) {
            left.push(old.sid);
        }
        if left.is_empty() {
            return Ok(());
        }
        let ended = self.end(owner.as_deref(), old.tag, left).await?;
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
        let (Some(user), Some(repeat)) = (new.user.as_deref(), new.repeat_key.as_deref()) else {
            return Ok(Attempt::WithoutRepeat);
        };
        for (secret, key) in self
            .0
            .config
            .secrets
            .login_tokens(user, repeat, nonce.as_bytes())
        {
            let token = Token {
                secret,
                key,
                issued_s: now / 1000,
                tag,
            };
            if let Loaded::Live(mut session) = self.peek(&token).await? {
                session.new_cookie = true;
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
    user: Option<String>,
}

enum Attempt {
    Done(Box<Creation>),
    Again,
    WithoutRepeat,
}
