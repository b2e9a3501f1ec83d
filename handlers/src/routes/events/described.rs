//! Events in the API description; the library reads them.

use serde_json::Value;
use std::collections::HashMap;
use utoipa::ToSchema;

/// One event: a CloudEvent of version 1.0; only `type` is needed. Other members are extension attributes,
/// named by 1 to 20 lower-case letters and digits.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body")]
pub(super) struct EventBody {
    /// Words of letters, digits and `_`, joined by dots.
    #[schema(
        rename = "type",
        max_length = 128,
        pattern = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$",
        example = "booking.created"
    )]
    kind: String,
    /// Unique for its source; made when absent, except in an outbox.
    id: Option<String>,
    /// Where it comes from; `/` when absent.
    source: Option<String>,
    /// What it is about, within the source.
    subject: Option<String>,
    /// When it happened, RFC 3339.
    time: Option<String>,
    /// The media type of the data; JSON when absent.
    datacontenttype: Option<String>,
    /// Any JSON.
    data: Option<Value>,
    /// Data that is bytes rather than JSON, as base64; there is no `data` beside it.
    data_base64: Option<String>,
    /// Ties related events together; that of the request when absent.
    correlationid: Option<String>,
    /// The id of the event that caused this one.
    causationid: Option<String>,
    #[serde(flatten)]
    extensions: HashMap<String, Extension>,
}

/// The value of an extension attribute.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the body")]
enum Extension {
    Text(String),
    Number(i32),
    Boolean(bool),
}

/// 1 to 100 events.
#[derive(Debug, ToSchema)]
#[schema(min_items = 1, max_items = 100)]
#[expect(dead_code, reason = "describes the body")]
pub(super) struct EventBatch(Vec<EventBody>);

/// One event, or several.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the body")]
pub(super) enum PublishBody {
    One(Box<EventBody>),
    Batch(EventBatch),
}
