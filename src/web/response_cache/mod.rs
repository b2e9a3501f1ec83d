//! A [tower](https://docs.rs/tower-layer) layer that caches whole responses by
//! [RFC 9111](https://www.rfc-editor.org/rfc/rfc9111).

mod directives;
mod origin;
mod policy;
mod service;
mod stored;

use std::{fmt, sync::Arc, time::Duration};

use http::{Uri, header, request::Parts};
use tower_layer::Layer;

use crate::{
    Result,
    cache::{Cache, Invalidated, Key, Keyspace, Tag, TagKey},
};
use service::Asked;
pub use service::CachedService;
use stored::Stored;

type ResponseKey = (String, String, String);
const RESPONSES: Keyspace<ResponseKey, Stored> =
    Keyspace::new("http:{uri}:{owner}:{variant}").tag("http:{uri}");
const RESOURCE: Tag<(String,)> = Tag::new("http:{uri}");

/// Caches whole responses in a [`Cache`], by the rules of
/// [RFC 9111](https://www.rfc-editor.org/rfc/rfc9111) for shared caches.
///
/// A response to `GET` is stored when it says for how long it is fresh (`s-maxage`, `max-age`,
/// `Expires`), and neither `private`, `no-store`, `no-cache`, `Set-Cookie` nor `Vary: *` forbids it. One
/// to a request with `Authorization` or `Cookie` is stored only when it is `public`, `s-maxage` or
/// `must-revalidate`; only such a one answers a request with them. So a handler that says nothing is
/// never cached. Headers in `Vary` select among responses, at the cost of a second read.
///
/// A stored response answers `GET` and `HEAD`, with `Age` and
/// [`Cache-Status`](https://www.rfc-editor.org/rfc/rfc9211); `If-None-Match` and `If-Modified-Since`
/// are answered by 304. `stale-while-revalidate` and `stale-if-error` are honoured, and so are
/// `no-store`, `no-cache`, `max-age`, `min-fresh` and `only-if-cached` of requests. Callers of one
/// process that miss the same response wait for one. A successful request by another method
/// invalidates what is stored for its URI.
///
/// The service sees no conditions while its response is to be stored. Bodies of an unknown length or
/// of more than [`max_body_bytes`](Self::max_body_bytes) pass through, and so do requests with
/// `Range`, `If-Match` or `If-Unmodified-Since`.
///
/// ```
/// use restis::{cache::Cache, web::CacheLayer};
///
/// # fn layer(cache: Cache) {
/// // `private` responses are cached too, each for its user.
/// let layer = CacheLayer::new(cache).owner(|request| {
///     let user = request.extensions.get::<String>();
///     user.cloned()
/// });
/// # let _ = layer;
/// # }
/// ```
#[derive(Clone)]
pub struct CacheLayer(Arc<Settings>);

type Owner = dyn Fn(&Parts) -> Option<String> + Send + Sync;
type Tags = dyn Fn(&Parts) -> Vec<TagKey> + Send + Sync;

#[derive(Clone)]
pub(super) struct Settings {
    cache: Cache,
    owner: Option<Arc<Owner>>,
    tags: Option<Arc<Tags>>,
    fresh: Option<Duration>,
    local: Duration,
    max_body_bytes: usize,
}

impl fmt::Debug for CacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer")
            .field("cache", &self.0.cache)
            .field("fresh_for", &self.0.fresh)
            .field("max_body_bytes", &self.0.max_body_bytes)
            .finish_non_exhaustive()
    }
}

impl CacheLayer {
    /// A layer over a cache; bodies of at most 256 KiB are stored.
    pub fn new(cache: Cache) -> Self {
        Self(Arc::new(Settings {
            cache,
            owner: None,
            tags: None,
            fresh: None,
            local: Duration::ZERO,
            max_body_bytes: 256 * 1024,
        }))
    }

    /// Whom a request's answer belongs to, such as the user of its session; `None` for all.
    ///
    /// What has an owner is stored for it alone, as by a private cache: then `private` responses are
    /// stored too, and credentials do not matter.
    #[must_use]
    pub fn owner(
        mut self,
        owner: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.0).owner = Some(Arc::new(owner));
        self
    }

    /// Tags of a request's response, to [invalidate](Cache::remove_tag) it with others; 16 at most.
    #[must_use]
    pub fn tags(mut self, tags: impl Fn(&Parts) -> Vec<TagKey> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).tags = Some(Arc::new(tags));
        self
    }

    /// How long responses are fresh that do not say it themselves; without it they are not stored.
    #[must_use]
    pub fn fresh_for(mut self, time: Duration) -> Self {
        Arc::make_mut(&mut self.0).fresh = Some(time);
        self
    }

    /// Keeps responses in this process too, as [`Keyspace::local`] does.
    #[must_use]
    pub fn local(mut self, time: Duration) -> Self {
        Arc::make_mut(&mut self.0).local = time;
        self
    }

    /// The most bytes of a body that is stored, below
    /// [`max_value_bytes`](crate::cache::CacheConfig::max_value_bytes).
    #[must_use]
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        Arc::make_mut(&mut self.0).max_body_bytes = bytes;
        self
    }

    /// Removes every response for a URI with its authority, such as
    /// `https://api.example.com/reports?day=1`, whomever it belongs to.
    ///
    /// # Errors
    /// As [`Cache::remove_tag`].
    pub async fn remove(&self, uri: &Uri) -> Result<Invalidated> {
        let host = uri.authority().map_or("", http::uri::Authority::as_str);
        let tag = RESOURCE.of((named(host, uri),));
        self.0.cache.remove_tag(&tag).await
    }

    /// Removes every response.
    ///
    /// # Errors
    /// As [`Cache::clear`].
    pub async fn clear(&self) -> Result<Invalidated> {
        self.0.cache.clear(&RESPONSES).await
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CachedService<S>;

    fn layer(&self, inner: S) -> CachedService<S> {
        CachedService::new(self.clone(), inner)
    }
}

/// A URI as it is cached: host, path and query. The scheme is not known behind a proxy.
fn named(host: &str, uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    format!("{}{path}", host.to_ascii_lowercase())
}

impl Settings {
    /// What a request asks for.
    fn resource(request: &Parts) -> String {
        let host = request.headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let host = request.uri.authority().map_or(host, |of| of.as_str());
        named(host, &request.uri)
    }

    /// The key of what is asked for; requests with credentials have theirs, since what they get is
    /// stored under stricter rules.
    fn key(&self, asked: &Asked, variant: &str) -> Key<Stored> {
        let owner = match &asked.owner {
            Some(owner) => format!("of {owner}"),
            None if asked.wishes.credentials => "with credentials".to_owned(),
            None => String::new(),
        };
        let key = RESPONSES.local(self.local);
        let key = key.key((asked.resource.as_str(), owner, variant));
        asked.tags.iter().fold(key, Key::tagged)
    }
}
