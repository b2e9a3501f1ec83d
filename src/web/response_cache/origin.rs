//! The service behind the layer, asked for one request.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Buf;
use futures_util::future::poll_fn;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use tower_service::Service;

use super::{
    Settings,
    policy::{Storable, storable},
    stored::{Stored, StoredResponse},
};
use crate::{
    cache::{Key, Lifetime, Loaded},
    web::Refusal,
};

/// How long it is remembered that a response could not be stored.
const PASS: Duration = Duration::from_secs(10);
/// How long it is remembered which headers responses depend on.
const VARIES: Duration = Duration::from_secs(3600);

/// What is taken once.
type Shared<T> = Arc<Mutex<Option<T>>>;

/// The service behind the layer and the request for it: it is asked once.
pub(super) struct Origin<S, B, C>
where
    S: Service<Request<B>>,
{
    waiting: Shared<(S, Request<B>)>,
    answered: Shared<Result<Response<C>, S::Error>>,
    has_answered: Arc<AtomicBool>,
}

impl<S: Service<Request<B>>, B, C> Clone for Origin<S, B, C> {
    fn clone(&self) -> Self {
        Self {
            waiting: Arc::clone(&self.waiting),
            answered: Arc::clone(&self.answered),
            has_answered: Arc::clone(&self.has_answered),
        }
    }
}

fn take<T>(of: &Mutex<Option<T>>) -> Option<T> {
    of.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Why a load has nothing to store.
#[derive(Debug)]
pub(super) struct NotStored;

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the service failed")
    }
}

impl std::error::Error for NotStored {}

impl<S, B, C> Origin<S, B, C>
where
    S: Service<Request<B>, Response = Response<C>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
    C: Body + From<Vec<u8>> + From<String> + Send + 'static,
    C::Data: Send,
    C::Error: Send,
{
    pub(super) fn new(service: S, request: Request<B>) -> Self {
        Self {
            waiting: Arc::new(Mutex::new(Some((service, request)))),
            answered: Arc::default(),
            has_answered: Arc::default(),
        }
    }

    pub(super) fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Acquire)
    }

    fn keep(&self, response: Result<Response<C>, S::Error>) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
    }

    /// The answer as the service gave it, or gives it now.
    pub(super) async fn finish(&self, timed_out: bool) -> Result<Response<C>, S::Error> {
        if let Some(answered) = take(&self.answered) {
            return answered;
        }
        if let Some((mut service, request)) = take(&self.waiting) {
            return service.call(request).await;
        }
        // A load that was given up, or whose response is damaged.
        Ok(if timed_out {
            let title = "The answer took too long";
            Refusal::new(StatusCode::GATEWAY_TIMEOUT, "timeout", title).into_response()
        } else {
            Refusal::internal().into_response()
        })
    }

    /// Lets the service answer, and says what is to be stored of it.
    pub(super) async fn load(
        self,
        settings: Arc<Settings>,
        (credentials, owned): (bool, bool),
        vary: Vec<String>,
        first: Key<Stored>,
    ) -> Result<Loaded<Stored>, NotStored> {
        let (mut service, mut request) = take(&self.waiting).ok_or(NotStored)?;
        // What is stored is whole: the conditions are for the answer.
        for name in [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE] {
            request.headers_mut().remove(name);
        }
        let answered = service.call(request).await;
        self.has_answered.store(true, Ordering::Release);
        let response = match answered {
            Ok(response) => response,
            Err(error) => {
                self.keep(Err(error));
                return Err(NotStored);
            }
        };
        // RFC 5861: then a stale response may be better.
        if matches!(response.status().as_u16(), 500 | 502 | 503 | 504) {
            self.keep(Ok(response));
            return Err(NotStored);
        }
        let now_ms = settings.cache.now_ms();
        let (status, headers) = (response.status(), response.headers());
        let size = response.body().size_hint().exact();
        let is_small = size.is_some_and(|size| size <= settings.max_body_bytes as u64);
        let how = storable(status, headers, credentials, owned, settings.fresh, now_ms);
        let Some(how) = how.filter(|_| is_small) else {
            self.keep(Ok(response));
            return Ok(pass());
        };
        let varies = |names| Loaded::new(Stored::Varies(names)).lifetime(Lifetime::new(VARIES));
        let mut names = vary;
        let known = names.len();
        names.extend(
            how.vary
                .iter()
                .filter(|name| !names.contains(name))
                .cloned()
                .collect::<Vec<_>>(),
        );
        if names.len() > known {
            self.keep(Ok(response));
            names.sort_unstable();
            if known == 0 {
                return Ok(varies(names));
            }
            // It depends on more than was known.
            let first = first.lives(Lifetime::new(VARIES));
            if let Err(error) = settings.cache.put(&first, &Stored::Varies(names)).await {
                tracing::debug!(%error, "what a response depends on was not stored");
            }
            return Ok(pass());
        }
        Ok(self.whole(response, how, now_ms).await)
    }

    /// A response with all of its body.
    async fn whole(&self, response: Response<C>, how: Storable, now_ms: u64) -> Loaded<Stored> {
        let (mut head, body) = response.into_parts();
        let Ok(body) = collect(body).await else {
            self.keep(Ok(Refusal::internal().into_response()));
            return pass();
        };
        if !head.headers.contains_key(header::DATE) {
            let now = std::time::UNIX_EPOCH + Duration::from_millis(now_ms);
            if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(now)) {
                head.headers.insert(header::DATE, date);
            }
        }
        let stored = StoredResponse::new(&head, &body, how.age.as_secs());
        self.keep(Ok(Response::from_parts(head, C::from(body))));
        match stored {
            Some(stored) => Loaded::new(Stored::Response(stored)).lifetime(how.lifetime),
            None => pass(),
        }
    }
}

fn pass() -> Loaded<Stored> {
    Loaded::new(Stored::Pass).lifetime(Lifetime::new(PASS))
}

async fn collect<C: Body>(body: C) -> Result<Vec<u8>, C::Error> {
    let mut body = std::pin::pin!(body);
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(mut data) = frame?.into_data() {
            while data.has_remaining() {
                let chunk = data.chunk();
                all.extend_from_slice(chunk);
                let length = chunk.len();
                data.advance(length);
            }
        }
    }
    Ok(all)
}
