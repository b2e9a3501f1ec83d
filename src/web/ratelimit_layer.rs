//! A [tower](https://docs.rs/tower-layer) layer: the decision before the handler, its headers after.

use std::{borrow::Cow, fmt, net::IpAddr, sync::Arc, time::Duration};

use http::{HeaderMap, Request, Response, StatusCode, request::Parts};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    Error, ErrorKind, Result,
    ratelimit::{Decision, Query, RateLimiter, Reason, group_ipv6},
    web::{
        problem::{UNAVAILABLE, problem},
        ratelimit_headers::{self as headers, HeaderStyle},
        service::{Answering, Around, Layered, sealed::Sealed},
    },
};

/// Who asks and at which cost, as a [`RateLimitLayer`] finds it in a request.
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

    /// Whom the caller belongs to, for limits [per group](crate::ratelimit::Limit::per_group).
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

    /// The question to a limiter.
    pub fn query(&self) -> Query<'_> {
        let mut query = Query::new(&self.identifier).cost(self.cost);
        if let Some(group) = &self.group {
            query = query.group(group);
        }
        if let Some(ip) = self.ip {
            query = query.ip(ip);
        }
        if let Some(user_agent) = &self.user_agent {
            query = query.user_agent(user_agent);
        }
        if let Some(country) = &self.country {
            query = query.country(country);
        }
        query
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
pub struct RateLimitLayer(Arc<Gate>);

type Find = dyn Fn(&Parts) -> Option<Subject> + Send + Sync;

#[derive(Clone)]
struct Gate {
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
        Self(Arc::new(Gate {
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
        self.0.limiter.decide(subject.query()).await
    }

    /// Writes the decision to the analytics, if the limiter has them, and looks after its deny list.
    pub async fn record(&self, subject: &Subject, decision: &Decision) {
        let (recorded, refreshed) = futures_util::future::join(
            self.0.limiter.record(subject.query(), decision),
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
        if decision.is_allowed() {
            return None;
        }
        let what = match decision.reason() {
            Reason::DenyList => (
                StatusCode::FORBIDDEN,
                "denied",
                "The caller is on a deny list",
            ),
            Reason::Unavailable => UNAVAILABLE,
            _ => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate-limited",
                "Too many requests",
            ),
        };
        let violated = headers::violated(&self.0.policy, decision);
        let unknown = decision.reason() == Reason::DenyList && decision.listed().is_none();
        let mut members = vec![];
        if unknown {
            let detail =
                "The client's address is not known, and this limit has lists of addresses.";
            members.push(("detail", detail.into()));
        }
        if !violated.is_empty() {
            members.push(("violated-policies", violated.into()));
        }
        let mut response = self.problem(what, decision.retry_after(), members);
        self.write_headers(decision, response.headers_mut());
        Some(response)
    }

    /// The answer when there is no decision.
    pub fn failure<B: From<String>>(&self, error: &Error) -> Response<B> {
        tracing::warn!(%error, "no decision");
        if error.kind() == ErrorKind::InvalidInput {
            let title = "The request is not valid";
            return self.problem(
                (StatusCode::BAD_REQUEST, "invalid-request", title),
                None,
                vec![],
            );
        }
        let retry = error.retry_after().unwrap_or(Duration::from_secs(1));
        self.problem(UNAVAILABLE, Some(retry), vec![])
    }

    fn problem<B: From<String>>(
        &self,
        what: (StatusCode, &str, &str),
        retry: Option<Duration>,
        mut members: Vec<(&str, serde_json::Value)>,
    ) -> Response<B> {
        members.push(("policy", (&*self.0.policy).into()));
        problem(what, retry, &members)
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = Layered<Self, S>;

    fn layer(&self, inner: S) -> Layered<Self, S> {
        Layered::new(self, inner)
    }
}

impl Sealed for RateLimitLayer {}

impl Around for RateLimitLayer {
    fn around<S, B, C>(self, mut inner: S, request: Request<B>) -> Answering<Response<C>, S::Error>
    where
        S: Service<Request<B>, Response = Response<C>> + Send + 'static,
        S::Future: Send,
        S::Error: Send,
        B: Send + 'static,
        C: From<String> + Send,
    {
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let Some(subject) = self.subject(&parts) else {
                return inner.call(Request::from_parts(parts, body)).await;
            };
            let decision = match self.decide(&subject).await {
                Ok(decision) => decision,
                Err(error) => return Ok(self.failure(&error)),
            };
            if let Some(refusal) = self.refusal(&decision) {
                self.record(&subject, &decision).await;
                return Ok(refusal);
            }
            parts.extensions.insert(decision.clone());
            // Analytics travel with what the handler asks of the store.
            let (response, ()) = futures_util::future::join(
                inner.call(Request::from_parts(parts, body)),
                self.record(&subject, &decision),
            )
            .await;
            let mut response = response?;
            self.write_headers(&decision, response.headers_mut());
            Ok(response)
        })
    }
}
