//! The service that answers from the store, or lets another one answer and stores that.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use sha2::{Digest as _, Sha256};
use tower_service::Service;

use super::{
    CacheLayer, RESOURCE, Settings,
    origin::Origin,
    policy::{Wishes, is_not_modified},
    stored::{Stored, StoredResponse, not_modified},
};
use crate::{
    cache::{Cached, Key, LoadError, Source, TagKey},
    web::Refusal,
};

static CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// A service behind a [`CacheLayer`].
#[derive(Debug, Clone)]
pub struct CachedService<S> {
    layer: CacheLayer,
    inner: S,
}

impl<S> CachedService<S> {
    pub(super) fn new(layer: CacheLayer, inner: S) -> Self {
        Self { layer, inner }
    }
}

type Answer<C, E> = Pin<Box<dyn Future<Output = Result<Response<C>, E>> + Send>>;

impl<S, B, C> Service<Request<B>> for CachedService<S>
where
    S: Service<Request<B>, Response = Response<C>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
    C: Body + From<Vec<u8>> + From<String> + Send + 'static,
    C::Data: Send,
    C::Error: Send,
{
    type Response = Response<C>;
    type Error = S::Error;
    type Future = Answer<C, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready is used; the clone has to become so.
        let fresh = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, fresh);
        let settings = Arc::clone(&self.layer.0);
        Box::pin(answer(settings, ready, request))
    }
}

async fn answer<S, B, C>(
    settings: Arc<Settings>,
    mut service: S,
    request: Request<B>,
) -> Result<Response<C>, S::Error>
where
    S: Service<Request<B>, Response = Response<C>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
    C: Body + From<Vec<u8>> + From<String> + Send + 'static,
    C::Data: Send,
    C::Error: Send,
{
    let (parts, body) = request.into_parts();
    let resource = Settings::resource(&parts);
    let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
    let wishes = Wishes::of(&parts);
    if !is_read || wishes.bypass {
        let is_safe = parts.method.is_safe();
        let response = service.call(Request::from_parts(parts, body)).await?;
        let status = response.status();
        if !is_safe && (status.is_success() || status.is_redirection()) {
            settings.invalidate(resource).await;
        }
        return Ok(response);
    }
    let owner = settings.owner.as_ref().and_then(|owner| owner(&parts));
    let tags = settings.tags.as_ref().map(|tags| tags(&parts));
    let asked = Asked {
        method: parts.method.clone(),
        headers: parts.headers.clone(),
        resource,
        owner,
        tags: tags.unwrap_or_default(),
        wishes,
    };
    let origin = Origin::new(service, Request::from_parts(parts, body));
    asked.answer(&settings, origin).await
}

impl Settings {
    /// RFC 9111, 4.4.
    async fn invalidate(&self, resource: String) {
        let tag = RESOURCE.of((resource,));
        if let Err(error) = self.cache.remove_tag(&tag).await {
            tracing::warn!(%error, "stored responses of a changed resource were not invalidated");
        }
    }
}

/// What a request asks for.
pub(super) struct Asked {
    method: Method,
    headers: HeaderMap,
    pub(super) resource: String,
    pub(super) owner: Option<String>,
    pub(super) tags: Vec<TagKey>,
    pub(super) wishes: Wishes,
}

impl Asked {
    async fn answer<S, B, C>(
        self,
        settings: &Arc<Settings>,
        origin: Origin<S, B, C>,
    ) -> Result<Response<C>, S::Error>
    where
        S: Service<Request<B>, Response = Response<C>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Send + 'static,
        C: Body + From<Vec<u8>> + From<String> + Send + 'static,
        C::Data: Send,
        C::Error: Send,
    {
        let mut vary = Vec::new();
        // The first key may say that there is one for each variant.
        for _ in 0..2 {
            let variant = self.variant(&vary);
            let key = settings.key(&self, &variant);
            let found = match self.find(settings, &key, &origin, &vary).await {
                Ok(found) => found,
                Err(Unfound::NotCached) => return Ok(only_if_cached()),
                Err(Unfound::Failed(timed_out)) => return origin.finish(timed_out).await,
            };
            let is_own = found.source() == Source::Loaded && origin.has_answered();
            match &*found {
                Stored::Varies(names) if vary.is_empty() && !names.is_empty() => {
                    if origin.has_answered() {
                        return origin.finish(false).await;
                    }
                    vary.clone_from(names);
                }
                Stored::Response(stored) => {
                    return match self.respond(stored, &found, is_own) {
                        Some(response) => Ok(response),
                        None => origin.finish(false).await,
                    };
                }
                _ => break,
            }
        }
        origin.finish(false).await
    }

    async fn find<S, B, C>(
        &self,
        settings: &Arc<Settings>,
        key: &Key<Stored>,
        origin: &Origin<S, B, C>,
        vary: &[String],
    ) -> Result<Cached<Stored>, Unfound>
    where
        S: Service<Request<B>, Response = Response<C>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Send + 'static,
        C: Body + From<Vec<u8>> + From<String> + Send + 'static,
        C::Data: Send,
        C::Error: Send,
    {
        let cache = &settings.cache;
        if self.wishes.only_if_cached || self.method == Method::HEAD {
            // What answers HEAD is not stored: it has no body.
            let found = cache.get(key).await.ok().flatten();
            let found = found.filter(|found| self.is_enough(found));
            return match found {
                Some(found) => Ok(found),
                None if self.wishes.only_if_cached => Err(Unfound::NotCached),
                None => Err(Unfound::Failed(false)),
            };
        }
        let loader = || {
            let origin = origin.clone();
            let (settings, vary) = (Arc::clone(settings), vary.to_vec());
            let whose = (self.wishes.credentials, self.owner.is_some());
            let first = settings.key(self, "");
            move |_| origin.load(settings, whose, vary, first)
        };
        let failed = |error: LoadError| Unfound::Failed(error.is_timeout());
        if self.wishes.anew {
            // Which headers select the response need not be asked anew.
            let known = cache.get(key).await.ok().flatten();
            if let Some(known) = known.filter(|known| matches!(**known, Stored::Varies(_))) {
                return Ok(known);
            }
            return cache.reload(key, loader()).await.map_err(failed);
        }
        let found = cache.get_or_load(key, loader()).await.map_err(failed)?;
        if self.is_enough(&found) || origin.has_answered() {
            return Ok(found);
        }
        cache.reload(key, loader()).await.map_err(failed)
    }

    /// Whether a stored response is new enough for who asks.
    fn is_enough(&self, found: &Cached<Stored>) -> bool {
        let Stored::Response(stored) = &**found else {
            return true;
        };
        let age = found.age() + Duration::from_secs(stored.age);
        let wishes = &self.wishes;
        let is_stale = found.source() == Source::Stale;
        let is_young = wishes.max_age.is_none_or(|most| age <= most && !is_stale);
        is_young && !wishes.anew && found.fresh_for() >= wishes.min_fresh
    }

    /// Selects among the responses of a resource (RFC 9111, 4.1).
    fn variant(&self, vary: &[String]) -> String {
        if vary.is_empty() {
            return String::new();
        }
        let mut digest = Sha256::new();
        for name in vary {
            let mut values: Vec<u8> = Vec::new();
            for value in self.headers.get_all(name) {
                values.extend(value.as_bytes().trim_ascii());
                values.push(b',');
            }
            for part in [name.as_bytes(), &values] {
                digest.update((part.len() as u64).to_le_bytes());
                digest.update(part);
            }
        }
        let digest = digest.finalize();
        digest
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    fn respond<C: From<Vec<u8>>>(
        &self,
        stored: &StoredResponse,
        found: &Cached<Stored>,
        is_own: bool,
    ) -> Option<Response<C>> {
        let (status, headers, body) = stored.restore()?;
        let mut response = if status == StatusCode::OK && is_not_modified(&self.headers, &headers) {
            not_modified(&headers)
        } else {
            let is_head = self.method == Method::HEAD;
            let length = body.len();
            let mut response = Response::new(C::from(if is_head { Vec::new() } else { body }));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            if is_head && !response.headers().contains_key(header::CONTENT_LENGTH) {
                response
                    .headers_mut()
                    .insert(header::CONTENT_LENGTH, length.into());
            }
            response
        };
        let age = found.age().as_secs().saturating_add(stored.age);
        let left = found.fresh_for().as_secs();
        let status = match found.source() {
            Source::Loaded if is_own => "restis; fwd=uri-miss; stored".to_owned(),
            Source::Loaded => "restis; fwd=uri-miss; collapsed".to_owned(),
            Source::Stale => format!("restis; hit; ttl=-{}", found.stale_for().as_secs()),
            Source::Fresh => format!("restis; hit; ttl={left}"),
        };
        let headers = response.headers_mut();
        if !is_own || stored.age > 0 {
            headers.insert(header::AGE, age.into());
        }
        headers.append(&CACHE_STATUS, HeaderValue::try_from(status).ok()?);
        Some(response)
    }
}

/// Why there is nothing to answer with.
enum Unfound {
    NotCached,
    /// The service has answered with what is not stored, or not at all; whether it took too long.
    Failed(bool),
}

/// RFC 9111, 5.2.1.7.
fn only_if_cached<C: From<String>>() -> Response<C> {
    let title = "Nothing is cached that may answer the request";
    Refusal::new(StatusCode::GATEWAY_TIMEOUT, "not-cached", title).into_response()
}
