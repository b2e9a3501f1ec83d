//! Sessions as the API shows them: never a token or a hash.

use crate::problem::Result;
use restis::session::{Session, SessionInfo};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A session as its owner may see it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    /// The public id, for lists and revocation.
    id: String,
    /// The user's id; absent for an anonymous session.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// The organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    organisation: Option<String>,
    /// When it was created, in unix milliseconds.
    created_ms: u64,
    /// When it ends without further use, in unix milliseconds.
    expires_ms: u64,
    /// When it ends in any case, in unix milliseconds.
    ends_ms: u64,
    /// When the user last proved who they are, in unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticated_ms: Option<u64>,
    /// How.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    methods: Vec<String>,
    /// Rises with every change; the number in `ETag`.
    version: u64,
    /// What the session holds, by field.
    #[schema(value_type = std::collections::HashMap<String, Value>)]
    data: Map<String, Value>,
}

impl SessionView {
    pub(super) fn of(session: &Session) -> Result<Self> {
        let authentication = session.authentication();
        Ok(Self {
            id: session.public_id().to_owned(),
            user: session.user().map(str::to_owned),
            organisation: session.organisation().map(str::to_owned),
            created_ms: session.created_ms(),
            expires_ms: session.expires_ms(),
            ends_ms: session.ends_ms(),
            authenticated_ms: Some(authentication.at_ms()).filter(|at| *at > 0),
            methods: authentication.methods().map(str::to_owned).collect(),
            version: session.version(),
            data: session.object()?,
        })
    }
}

/// The current session, or none.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CurrentSession {
    /// `null` without a live session.
    pub(super) session: Option<SessionView>,
    /// Send it as `X-CSRF-Token` from clients without `Sec-Fetch-Site` and `Origin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) csrf_token: Option<String>,
}

/// One session of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListedSession {
    /// The public id.
    id: String,
    /// Whether it is the session that asks.
    current: bool,
    /// When it was created, in unix milliseconds.
    created_ms: u64,
    /// When it was last used, in unix milliseconds.
    used_ms: u64,
    /// When it ends without further use, in unix milliseconds.
    expires_ms: u64,
    /// The organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    organisation: Option<String>,
    /// The device's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// The network it was created from, such as `203.0.113.0/24`.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    /// When the user last proved who they are, in unix milliseconds: a sign-in or a step-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticated_ms: Option<u64>,
    /// How.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    methods: Vec<String>,
}

impl From<SessionInfo> for ListedSession {
    fn from(info: SessionInfo) -> Self {
        Self {
            id: info.public_id,
            current: info.current,
            created_ms: info.created_ms,
            used_ms: info.used_ms,
            expires_ms: info.expires_ms,
            organisation: info.organisation,
            device: info.device,
            network: info.network,
            authenticated_ms: Some(info.authentication.at_ms()).filter(|at| *at > 0),
            methods: info.authentication.methods().map(str::to_owned).collect(),
        }
    }
}

/// How many sessions ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Revoked {
    /// How many.
    pub(super) revoked: u64,
}
