//! The kinds of callers, what they present, and what each route owes them.

use super::{
    ELSEWHERE, GRANT_SECRET, HERE, SIGNING_SECRET, World,
    table::{Access, Organisation, Route},
};
use http::{header, request::Builder};
use restis::{
    clock::{Clock as _, SystemClock},
    events::{Environment, Grant, GrantKeys, TypeFilter, WebhookKeys},
};
use restis_handlers::auth::Scope;

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nobody,
    WrongToken,
    /// The right token under another scheme.
    NotBearer,
    /// Every scope, every organisation.
    Root,
    /// Every scope, every organisation, by a signature.
    Signed,
    /// A signature of the same name by another secret.
    WronglySigned,
    /// One scope, every organisation.
    Scoped(Scope),
    /// Every scope, bound to the organisation that the request names.
    Bound,
    /// Every scope, bound to another organisation.
    BoundElsewhere,
    /// Every scope, bound to an organisation that the request does not name.
    BoundWithoutName,
    /// A live session, from the site itself.
    Cookie,
    /// A live session, from a page of another site.
    CookieFromElsewhere,
    /// A live session, from a client that does not say where the request comes from.
    CookieFromUnknown,
    /// The cookie of a session that was signed out.
    EndedCookie,
    /// A cookie that nobody was given.
    ForgedCookie,
    Grant,
    GrantInQuery,
    GrantElsewhere,
    ExpiredGrant,
    ForgedGrant,
    GrantOfProduction,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passes,
    Unauthenticated,
    Forbidden,
}

impl Verdict {
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Passes => 200,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
        }
    }
}

/// The service token that has one scope only.
pub(crate) fn token_of(scope: Scope) -> String {
    format!("ONLY {}", scope.name()).replace([' ', ':'], "-")
}

impl Kind {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let fixed = [
            Self::Nobody,
            Self::WrongToken,
            Self::NotBearer,
            Self::Root,
            Self::Signed,
            Self::WronglySigned,
            Self::Bound,
            Self::BoundElsewhere,
            Self::BoundWithoutName,
            Self::Cookie,
            Self::CookieFromElsewhere,
            Self::CookieFromUnknown,
            Self::EndedCookie,
            Self::ForgedCookie,
            Self::Grant,
            Self::GrantInQuery,
            Self::GrantElsewhere,
            Self::ExpiredGrant,
            Self::ForgedGrant,
            Self::GrantOfProduction,
        ];
        fixed
            .into_iter()
            .chain(Scope::ALL.into_iter().map(Self::Scoped))
    }

    pub(crate) fn names_organisation(self) -> bool {
        self != Self::BoundWithoutName
    }

    /// Whether only the store can tell that the credential is no good.
    pub(crate) fn is_looked_up(self) -> bool {
        // A signature is good once, which the store remembers.
        matches!(self, Self::EndedCookie | Self::ForgedCookie | Self::Signed)
    }

    /// The request with what this caller presents.
    pub(crate) async fn credentials(self, world: &World, request: Builder) -> Builder {
        let bearer = |request: Builder, token: &str| {
            request.header(header::AUTHORIZATION, format!("Bearer {token}"))
        };
        match self {
            Self::Nobody => request,
            Self::WrongToken => bearer(request, "WRONG"),
            Self::NotBearer => request.header(header::AUTHORIZATION, "Basic ROOT"),
            Self::Root => bearer(request, "ROOT"),
            // `signature` adds the rest.
            Self::Signed | Self::WronglySigned => {
                request.header(header::AUTHORIZATION, "HMAC signer")
            }
            Self::Scoped(scope) => bearer(request, &token_of(scope)),
            Self::Bound | Self::BoundWithoutName => bearer(request, "HERE"),
            Self::BoundElsewhere => bearer(request, "ELSEWHERE"),
            Self::Cookie => {
                let request = request.header(header::COOKIE, world.cookie().await);
                request.header("sec-fetch-site", "same-origin")
            }
            Self::CookieFromElsewhere => {
                let request = request.header(header::COOKIE, world.cookie().await);
                request.header("sec-fetch-site", "cross-site")
            }
            Self::CookieFromUnknown => request.header(header::COOKIE, world.cookie().await),
            Self::EndedCookie => {
                let cookie = world.cookie().await;
                let logout = http::Request::delete("/api/session")
                    .header(header::COOKIE, &cookie)
                    .header("sec-fetch-site", "same-origin");
                let logout = logout.body(axum::body::Body::empty()).unwrap();
                assert_eq!(world.send(logout).await.status(), 204);
                let request = request.header(header::COOKIE, cookie);
                request.header("sec-fetch-site", "same-origin")
            }
            Self::ForgedCookie => {
                let cookie = world.cookie().await;
                let (name, token) = cookie.split_once('=').unwrap();
                let (head, tail) = token.split_at(token.len() - 8);
                let tail: String = tail.chars().rev().collect();
                let request = request.header(header::COOKIE, format!("{name}={head}{tail}"));
                request.header("sec-fetch-site", "same-origin")
            }
            Self::Grant => bearer(request, &grant(GRANT_SECRET, HERE, 60_000)),
            Self::GrantInQuery => {
                let uri = request.uri_ref().unwrap().to_string();
                let join = if uri.ends_with('?') { "" } else { "&" };
                request.uri(format!(
                    "{uri}{join}grant={}",
                    grant(GRANT_SECRET, HERE, 60_000)
                ))
            }
            Self::GrantElsewhere => bearer(request, &grant(GRANT_SECRET, ELSEWHERE, 60_000)),
            Self::ExpiredGrant => bearer(request, &grant(GRANT_SECRET, HERE, -1)),
            Self::ForgedGrant => {
                let secret = "another secret, of more than 32 bytes";
                bearer(request, &grant(secret, HERE, 60_000))
            }
            Self::GrantOfProduction => {
                let keys = GrantKeys::new([GRANT_SECRET], Environment::Production).unwrap();
                bearer(request, &keys.sign(&claims(HERE, 60_000)))
            }
        }
    }

    /// What a signed request has besides, once its body is known.
    pub(crate) fn signature(self, request: Builder, body: &str) -> Builder {
        let secret = match self {
            Self::Signed => SIGNING_SECRET,
            Self::WronglySigned => "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            _ => return request,
        };
        let keys = WebhookKeys::new([secret]).unwrap();
        let at = SystemClock::new().now_ms() / 1000;
        let method = request.method_ref().unwrap();
        let signed = format!("{method} {}\n{body}", request.uri_ref().unwrap());
        let signature = keys.sign("request-1", at, signed.as_bytes());
        request
            .header("webhook-id", "request-1")
            .header("webhook-timestamp", at)
            .header("webhook-signature", signature)
    }

    /// The scopes of the service token, and whether it is good for the request's organisation.
    fn token(self) -> Option<(Vec<Scope>, Good)> {
        Some(match self {
            Self::Root | Self::Signed => (Scope::ALL.into(), Good::Everywhere),
            Self::Scoped(scope) => (vec![scope], Good::Everywhere),
            Self::Bound => (Scope::ALL.into(), Good::Here),
            Self::BoundElsewhere | Self::BoundWithoutName => (Scope::ALL.into(), Good::Elsewhere),
            _ => return None,
        })
    }

    fn is_wrong_authorization(self) -> bool {
        use Kind::{
            ExpiredGrant, ForgedGrant, Grant, GrantElsewhere, GrantOfProduction, NotBearer,
            WrongToken, WronglySigned,
        };
        matches!(
            self,
            WrongToken
                | WronglySigned
                | NotBearer
                | Grant
                | GrantElsewhere
                | ExpiredGrant
                | ForgedGrant
                | GrantOfProduction
        )
    }
}

#[derive(PartialEq, Eq)]
enum Good {
    Everywhere,
    Here,
    Elsewhere,
}

fn claims(organisation: &str, left_ms: i64) -> Grant {
    Grant {
        organisation: Some(organisation.to_owned()),
        types: TypeFilter::all(),
        publish: TypeFilter::none(),
        expires_ms: SystemClock::new().now_ms().saturating_add_signed(left_ms),
        subject: String::new(),
    }
}

fn grant(secret: &str, organisation: &str, left_ms: i64) -> String {
    let keys = GrantKeys::new([secret], Environment::Development).unwrap();
    keys.sign(&claims(organisation, left_ms))
}

/// What a route owes a caller.
pub(crate) fn expected(route: &Route, kind: Kind) -> Verdict {
    let changes = route.method != "GET";
    match route.access {
        Access::AnyoneWithoutWrongToken if kind.is_wrong_authorization() => {
            Verdict::Unauthenticated
        }
        Access::Anyone | Access::AnyoneWithoutWrongToken => Verdict::Passes,
        Access::Token(needed, place) => by_token(needed, place, kind),
        Access::Sync(needed) => match kind {
            Kind::Grant if route.when.is_empty() => Verdict::Passes,
            Kind::Grant | Kind::GrantElsewhere => Verdict::Forbidden,
            Kind::Signed => Verdict::Unauthenticated,
            other => by_token(needed, Organisation::Body, other),
        },
        Access::Login(needed) => by_token(needed, Organisation::Body, kind),
        // No kind presents both credentials: `session.rs` does.
        Access::StepUp(needed) => match by_token(needed, Organisation::Body, kind) {
            Verdict::Passes => Verdict::Unauthenticated,
            refused => refused,
        },
        Access::Signature => Verdict::Unauthenticated,
        Access::Reader => match kind {
            Kind::Grant | Kind::GrantInQuery => Verdict::Passes,
            Kind::GrantElsewhere => Verdict::Forbidden,
            Kind::Signed => Verdict::Unauthenticated,
            other => by_token(&[Scope::EventsRead], Organisation::Query, other),
        },
        Access::Browser => match kind {
            Kind::CookieFromElsewhere | Kind::CookieFromUnknown if changes => Verdict::Forbidden,
            Kind::Cookie | Kind::CookieFromElsewhere | Kind::CookieFromUnknown => Verdict::Passes,
            _ => Verdict::Unauthenticated,
        },
        Access::BrowserOrNone => match kind {
            Kind::CookieFromElsewhere | Kind::CookieFromUnknown if changes => Verdict::Forbidden,
            _ => Verdict::Passes,
        },
    }
}

fn by_token(needed: &[Scope], place: Organisation, kind: Kind) -> Verdict {
    let Some((scopes, good)) = kind.token() else {
        return Verdict::Unauthenticated;
    };
    let for_organisation = match place {
        Organisation::All => good == Good::Everywhere,
        _ => good != Good::Elsewhere,
    };
    if for_organisation && needed.iter().all(|s| scopes.contains(s)) {
        Verdict::Passes
    } else {
        Verdict::Forbidden
    }
}
