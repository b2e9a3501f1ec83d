//! The session of one request.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::lock::Mutex as AsyncMutex;
use http::{HeaderMap, HeaderValue, header};

use super::{
    Absence, Changes, Creation, Loaded, NewSession, Rotated, Rotation, Session, Sessions, Token,
    Updated,
};
use crate::{Error, Result};

/// The session of a request: asked for once, when somebody first wants it.
///
/// A session layer puts it into the extensions of every request; without a
/// well-signed cookie it never asks the store. Clones are the same session. The layer sends the
/// cookie that signing in, signing out and renewing call for, and writes the queued changes in one
/// request before it lets the answer go.
#[derive(Clone)]
pub struct CurrentSession(Arc<Inner>);

struct Inner {
    sessions: Sessions,
    token: Result<Token, Absence>,
    agent: Option<HeaderValue>,
    loaded: AsyncMutex<Option<Loaded>>,
    queued: Mutex<Changes>,
    cookie: Mutex<Option<HeaderValue>>,
    /// Expires every cookie that makes the session cookie ambiguous.
    ambiguous: Mutex<Vec<HeaderValue>>,
    asked: AtomicBool,
}

/// Why queued changes were not written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SaveError {
    /// The store did not answer, or the changes are not valid.
    Store(Error),
    /// The session does not take them: it is gone, has another version or is full.
    Refused(Updated),
}

impl From<Error> for SaveError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl fmt::Debug for CurrentSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentSession")
            .field("asked", &self.0.asked)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CurrentSession {
    /// The session of a request; sends nothing to the store yet.
    pub fn new(sessions: Sessions, headers: &HeaderMap) -> Self {
        Self(Arc::new(Inner {
            token: sessions.token(headers),
            ambiguous: Mutex::new(sessions.clear_ambiguous(headers)),
            agent: headers.get(header::USER_AGENT).cloned(),
            sessions,
            loaded: AsyncMutex::new(None),
            queued: Mutex::default(),
            cookie: Mutex::default(),
            asked: AtomicBool::new(false),
        }))
    }

    /// The sessions it belongs to.
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// What the cookie says, unverified by the store.
    ///
    /// # Errors
    /// Why there is no token to look up.
    pub fn token(&self) -> Result<&Token, Absence> {
        self.0.token.as_ref().map_err(|absence| *absence)
    }

    /// The live session: one request the first time, none without a cookie or when called again.
    ///
    /// # Errors
    /// When the store does not answer; protected routes must then refuse.
    pub async fn load(&self) -> Result<Option<Session>> {
        Ok(self.loaded().await?.session())
    }

    /// The live session, or why there is none; asks as [`load`](Self::load) does.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn loaded(&self) -> Result<Loaded> {
        self.0.asked.store(true, Ordering::Relaxed);
        let mut loaded = self.0.loaded.lock().await;
        if let Some(loaded) = &*loaded {
            return Ok(loaded.clone());
        }
        let fresh = match &self.0.token {
            Ok(token) => self.0.sessions.load(token).await?,
            Err(absence) => Loaded::Absent(*absence),
        };
        if let Loaded::Live(session) = &fresh {
            let agent = self.0.agent.as_ref();
            self.0.sessions.notice_device(session, agent);
        }
        match &fresh {
            Loaded::Live(session) if session.needs_cookie() => self.give(session),
            Loaded::Absent(absence) if absence.clears_cookie() => self.take(),
            _ => {}
        }
        Ok(loaded.insert(fresh).clone())
    }

    /// Queues changes; they are written together, once, after the handler or by [`save`](Self::save).
    pub fn change(&self, changes: Changes) {
        let mut queued = lock(&self.0.queued);
        *queued = std::mem::take(&mut *queued).then(changes);
    }

    /// Writes what is queued: no request when nothing is.
    ///
    /// # Errors
    /// [`SaveError`]; the queue is empty in any case.
    pub async fn save(&self) -> Result<(), SaveError> {
        let changes = std::mem::take(&mut *lock(&self.0.queued));
        if changes.is_empty() {
            return Ok(());
        }
        self.loaded().await?;
        let mut loaded = self.0.loaded.lock().await;
        let Some(Loaded::Live(session)) = &mut *loaded else {
            return Err(SaveError::Refused(Updated::Gone));
        };
        let had_cookie = session.needs_cookie();
        match self.0.sessions.update(session, &changes).await? {
            Updated::Done { .. } => {
                if session.needs_cookie() && !had_cookie {
                    self.give(session);
                }
                Ok(())
            }
            Updated::Gone => {
                *loaded = Some(Loaded::Absent(Absence::Unknown));
                self.take();
                Err(SaveError::Refused(Updated::Gone))
            }
            refused => Err(SaveError::Refused(refused)),
        }
    }

    /// Signs in: the new session replaces the one of this request, and the browser gets its cookie.
    ///
    /// # Errors
    /// As [`Sessions::create`].
    pub async fn sign_in(&self, new: NewSession) -> Result<Creation> {
        let new = match &self.0.token {
            Ok(token) => new.replace_token(token),
            Err(_) => new,
        };
        let mut loaded = self.0.loaded.lock().await;
        let creation = self.0.sessions.create(new).await?;
        if let Creation::Created(session) | Creation::Repeated(session) = &creation {
            self.give(session);
            *loaded = Some(Loaded::Live(session.clone()));
        }
        Ok(creation)
    }

    /// Signs out: ends the session and takes the cookie from the browser; drops what is queued.
    ///
    /// # Errors
    /// When the store does not answer: the session may live on, tell the user.
    pub async fn sign_out(&self) -> Result<bool> {
        *lock(&self.0.queued) = Changes::new();
        let session = self.load().await?;
        let ended = match &session {
            Some(session) => self.0.sessions.logout(session).await?,
            None => false,
        };
        *self.0.loaded.lock().await = Some(Loaded::Absent(Absence::Unknown));
        if session.is_some() {
            self.take();
        }
        Ok(ended)
    }

    /// Gives the session a new identifier, as after a change of privilege.
    ///
    /// # Errors
    /// As [`Sessions::rotate`].
    pub async fn rotate(&self, rotation: &Rotation) -> Result<Rotated> {
        let Some(session) = self.load().await? else {
            return Ok(Rotated::Gone);
        };
        let mut loaded = self.0.loaded.lock().await;
        let rotated = self.0.sessions.rotate(&session, rotation).await?;
        if let Rotated::Done(session) = &rotated {
            self.give(session);
            *loaded = Some(Loaded::Live(session.clone()));
        }
        Ok(rotated)
    }

    fn give(&self, session: &Session) {
        *lock(&self.0.cookie) = Some(self.0.sessions.set_cookie(session));
    }

    fn take(&self) {
        *lock(&self.0.cookie) = Some(self.0.sessions.clear_cookie());
    }

    /// The session if it is loaded, live and due for an extension.
    pub(crate) fn due(&self) -> Option<Session> {
        let loaded = self.0.loaded.try_lock()?;
        match &*loaded {
            Some(Loaded::Live(session)) if session.needs_touch(self.0.sessions.now_ms()) => {
                Some(session.clone())
            }
            _ => None,
        }
    }

    /// Adds the cookie, and where the session was asked for keeps caches from the answer.
    pub(crate) fn write_headers(&self, headers: &mut HeaderMap) {
        let ambiguous = std::mem::take(&mut *lock(&self.0.ambiguous));
        for cookie in ambiguous {
            headers.append(header::SET_COOKIE, cookie);
        }
        if let Some(cookie) = lock(&self.0.cookie).take() {
            headers.append(header::SET_COOKIE, cookie);
        } else if !self.0.asked.load(Ordering::Relaxed) {
            return;
        }
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        headers.append(header::VARY, HeaderValue::from_static("Cookie"));
    }
}
