//! A [tower](https://docs.rs/tower-layer) layer: the decision before the handler, its headers after.

use std::{borrow::Cow, fmt, net::IpAddr, sync::Arc};

use http::{HeaderMap, Response, request::Parts};
use tower_layer::Layer;

use crate::{
    Error, Result,
    ratelimit::{Decision, RateLimitRequest, RateLimiter, group_ipv6},
    web::{
        problem::Refusal,
        ratelimit_headers::{self as headers, HeaderStyle},
        service::{Layered, sealed::Steps},
    },
};

/// KeyParts asks and at which cost, as a [`RateLimitLayer`] finds it in a request.
#[derive(Debug, Clone)]
#[must_use]
pub struct Subject {
    identifier: Cow<'static, str>,
    group: Option<Cow<'static, str>>,
    cost: u64,
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    country: Option<String>,
    /// The caller is known by its address, and has none.
    no_address: bool,
}

impl Subject {
    /// A caller by name, such as a user or an organisation; cost 1.
    pub fn new(identifier: impl Into<Cow<'static, str>>) -> Self {
        Self {
            identifier: identifier.into(),
            group: None,
            cost: 1,
            ip: None,
            user_agent: None,
            country: None,
            no_address: false,
        }
    }

    /// A caller by address: IPv6 by its /64 network; all without an address share one limit, and a
    /// limiter with lists refuses them, because nobody can tell whether their address is denied.
    pub fn from_ip(ip: Option<IpAddr>) -> Self {
        match ip {
            Some(ip) => Self {
                ip: Some(ip),
                ..Self::new(group_ipv6(ip))
            },
            None => Self {
                no_address: true,
                ..Self::new("no-address")
            },
        }
    }

    /// Sets the group that the caller belongs to, for limits [per group](crate::ratelimit::Limit::per_group).
    pub fn group(mut self, group: impl Into<Cow<'static, str>>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Takes more than one.
    pub fn cost(mut self, cost: u64) -> Self {
        self.cost = cost;
        self
    }

    /// The client's address, for lists.
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }

    /// The client's user agent, for lists.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }

    /// The client's country code, for lists and analytics.
    pub fn country(mut self, country: impl Into<String>) -> Self {
        self.country = Some(country.into());
        self
    }

    /// The request for a decision.
    pub fn request(&self) -> RateLimitRequest<'_> {
        let mut request = RateLimitRequest::new(&self.identifier).cost(self.cost);
        if let Some(group) = &self.group {
            request = request.group(group);
        }
        if let Some(ip) = self.ip {
            request = request.ip(ip);
        }
        if let Some(user_agent) = &self.user_agent {
            request = request.user_agent(user_agent);
        }
        if let Some(country) = &self.country {
            request = request.country(country);
        }
        request
    }
}

/// Limits the requests of a service.
///
/// The decision is put into the request's extensions, its headers onto every answer. A refused
/// request does not reach the service: 429 over a limit, 403 on a deny list, 503 while the store
/// does not answer and the failure policy refuses, each as
/// [problem document](https://www.rfc-editor.org/rfc/rfc9457).
///
/// ```
/// use restis::{ratelimit::RateLimiter, web::{RateLimitLayer, Subject, client_ip}};
/// use std::net::{IpAddr, SocketAddr};
///
/// # fn layer(limiter: RateLimiter) {
/// // Behind one trusted proxy; preflight requests are not counted.
/// let layer = RateLimitLayer::new(limiter, |request| {
///     let peer = request.extensions.get::<SocketAddr>().map(SocketAddr::ip);
///     let ip = client_ip(&request.headers, peer, 1);
///     (request.method != http::Method::OPTIONS).then(|| Subject::from_ip(ip))
/// });
/// # let _ = layer.policy("api");
/// # }
/// ```
#[derive(Clone)]
pub struct RateLimitLayer(Arc<Settings>);

type Find = dyn Fn(&Parts) -> Option<Subject> + Send + Sync;

#[derive(Clone)]
struct Settings {
    limiter: RateLimiter,
    subject: Arc<Find>,
    policy: Cow<'static, str>,
    style: HeaderStyle,
}

impl fmt::Debug for RateLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer")
            .field("limiter", &self.0.limiter)
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}

impl RateLimitLayer {
    /// Limits requests by the subject that `subject` finds; a request without one is not counted.
    pub fn new(
        limiter: RateLimiter,
        subject: impl Fn(&Parts) -> Option<Subject> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Settings {
            limiter,
            subject: Arc::new(subject),
            policy: "default".into(),
            style: HeaderStyle::default(),
        }))
    }

    /// The policy's name in headers and refusals: letters, digits, `-` and `_`.
    #[must_use]
    pub fn policy(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        Arc::make_mut(&mut self.0).policy = name.into();
        self
    }

    /// Which headers are written.
    #[must_use]
    pub fn headers(mut self, style: HeaderStyle) -> Self {
        Arc::make_mut(&mut self.0).style = style;
        self
    }

    /// Whom a request is counted for.
    pub fn subject(&self, request: &Parts) -> Option<Subject> {
        (self.0.subject)(request)
    }

    /// Asks the limiter; await it beside other commands and they share one HTTP request.
    ///
    /// # Errors
    /// As [`RateLimiter::decide`].
    pub async fn decide(&self, subject: &Subject) -> Result<Decision> {
        if subject.no_address && self.0.limiter.has_lists() {
            return Ok(self.0.limiter.denied());
        }
        self.0.limiter.decide(subject.request()).await
    }

    /// Writes the decision to the analytics, if the limiter has them, and looks after its deny list.
    pub async fn record(&self, subject: &Subject, decision: &Decision) {
        let (recorded, refreshed) = futures_util::future::join(
            self.0.limiter.record(subject.request(), decision),
            self.0.limiter.refresh_deny_list(),
        )
        .await;
        if let Err(error) = recorded {
            tracing::warn!(%error, "analytics were not written");
        }
        if let Err(error) = refreshed {
            tracing::warn!(%error, "the deny list was not refreshed");
        }
    }

    /// Writes the decision's headers.
    pub fn write_headers(&self, decision: &Decision, headers: &mut HeaderMap) {
        headers::write(
            headers,
            &self.0.policy,
            self.0.limiter.limits(),
            decision,
            self.0.style,
        );
    }

    /// The answer to a request that may not go on; `None` when it may.
    pub fn refusal<B: From<String>>(&self, decision: &Decision) -> Option<Response<B>> {
        let refusal = Refusal::of_decision(&self.0.policy, decision)?;
        let mut response = self.named(refusal).into_response();
        self.write_headers(decision, response.headers_mut());
        Some(response)
    }

    /// The answer when there is no decision.
    pub fn failure<B: From<String>>(&self, error: &Error) -> Response<B> {
        self.named(Refusal::of_error(error)).into_response()
    }

    fn named(&self, refusal: Refusal) -> Refusal {
        refusal.member("policy", &*self.0.policy)
    }

    /// Decides for a subject, or makes the answer of a request that may not go on.
    pub(crate) async fn pass<B: From<String>>(
        &self,
        subject: &Subject,
    ) -> std::result::Result<Decision, Response<B>> {
        let decision = self.decide(subject).await;
        let decision = decision.map_err(|error| self.failure(&error))?;
        match self.refusal(&decision) {
            None => Ok(decision),
            Some(refusal) => {
                self.record(subject, &decision).await;
                Err(refusal)
            }
        }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = Layered<Self, S>;

    fn layer(&self, inner: S) -> Layered<Self, S> {
        Layered::new(self, inner)
    }
}

impl Steps for RateLimitLayer {
    /// `None` for a request that is not counted.
    type Passed = Option<(Subject, Decision)>;

    async fn before<C: From<String> + Send>(
        &self,
        request: &mut Parts,
    ) -> std::result::Result<Self::Passed, Response<C>> {
        let Some(subject) = self.subject(request) else {
            return Ok(None);
        };
        let decision = self.pass(&subject).await?;
        request.extensions.insert(decision.clone());
        Ok(Some((subject, decision)))
    }

    /// Analytics travel with what the handler asks of the store.
    async fn beside(&self, passed: &Self::Passed) {
        if let Some((subject, decision)) = passed {
            self.record(subject, decision).await;
        }
    }

    async fn after<C: From<String> + Send>(
        &self,
        passed: Self::Passed,
        mut response: Response<C>,
    ) -> Response<C> {
        if let Some((_, decision)) = passed {
            self.write_headers(&decision, response.headers_mut());
        }
        response
    }
}
