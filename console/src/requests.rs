//! The last requests to the functions, with the commands that each of them sent.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, StreamExt as _};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;

use crate::Console;

/// Requests that are kept, and trips of one.
const KEPT: usize = 500;
const TRIPS: usize = 100;
/// Problem documents above this are passed on unread.
const PROBLEM_BYTES: usize = 64 << 10;

tokio::task_local! {
    static TRIPS_OF_REQUEST: Arc<Mutex<Vec<Trip>>>;
}

/// One request to the store.
#[derive(Clone, Debug, Serialize)]
pub struct Trip {
    /// The commands, as they are to be shown.
    pub commands: Vec<String>,
    /// How long the answer took.
    pub millis: f64,
    /// Why there was none.
    pub error: Option<String>,
}

/// Notes a trip for the request that the current task answers, if it answers one.
///
/// A merged trip is noted for the request that sent it.
pub fn note_trip(trip: impl FnOnce() -> Trip) {
    let _ = TRIPS_OF_REQUEST.try_with(|trips| {
        let mut trips = trips.lock().unwrap_or_else(PoisonError::into_inner);
        if trips.len() < TRIPS {
            trips.push(trip());
        }
    });
}

#[derive(Serialize)]
struct Entry<'e> {
    at: u64,
    id: Option<&'e str>,
    method: &'e str,
    path: &'e str,
    status: u16,
    code: Option<&'e str>,
    problem: Option<&'e Value>,
    millis: f64,
    trips: &'e [Trip],
}

/// The last requests, and whoever waits for the next ones.
#[derive(Debug)]
pub(crate) struct Requests {
    last: Mutex<VecDeque<Arc<str>>>,
    next: broadcast::Sender<Arc<str>>,
}

impl Requests {
    pub(crate) fn new() -> Self {
        Self {
            last: Mutex::default(),
            next: broadcast::channel(KEPT).0,
        }
    }

    fn add(&self, entry: &Entry<'_>) {
        let Ok(text) = serde_json::to_string(entry) else {
            return;
        };
        let text: Arc<str> = text.into();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(Arc::clone(&text));
        // Under the lock: who begins to listen misses nothing and sees nothing twice.
        let _ = self.next.send(text);
    }

    fn listen(&self) -> (Vec<Arc<str>>, broadcast::Receiver<Arc<str>>) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        (last.iter().cloned().collect(), self.next.subscribe())
    }
}

/// Notes a request to the functions and its answer.
pub(crate) async fn note(
    State(console): State<Arc<Console>>,
    request: Request,
    next: Next,
) -> Response {
    let at = SystemTime::now().duration_since(UNIX_EPOCH);
    let at = at.map_or(0, |since| since.as_millis() as u64);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let trips = Arc::new(Mutex::new(Vec::new()));
    let started = Instant::now();
    let response = TRIPS_OF_REQUEST
        .scope(Arc::clone(&trips), next.run(request))
        .await;
    let (response, problem) = problem(response).await;
    let trips = trips.lock().unwrap_or_else(PoisonError::into_inner);
    let id = response.headers().get("x-request-id");
    console.requests.add(&Entry {
        at,
        id: id.and_then(|id| id.to_str().ok()),
        method: method.as_str(),
        path: &path,
        status: response.status().as_u16(),
        code: problem
            .as_ref()
            .and_then(|problem| problem.get("code")?.as_str()),
        problem: problem.as_ref(),
        millis: started.elapsed().as_secs_f64() * 1000.0,
        trips: &trips,
    });
    drop(trips);
    response
}

/// The problem document that says why a request failed.
async fn problem(response: Response) -> (Response, Option<Value>) {
    let kind = response.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "application/problem+json") {
        return (response, None);
    }
    let (parts, body) = response.into_parts();
    // The functions' problems are whole and far shorter.
    let Ok(bytes) = axum::body::to_bytes(body, PROBLEM_BYTES).await else {
        return (Response::from_parts(parts, Body::empty()), None);
    };
    let problem = serde_json::from_slice(&bytes).ok();
    (Response::from_parts(parts, Body::from(bytes)), problem)
}

/// `GET /console/api/requests`: the last requests and the next ones, as server-sent events.
pub(crate) async fn follow(State(console): State<Arc<Console>>) -> Response {
    let (last, receiver) = console.requests.listen();
    let next = stream::unfold(receiver, async |mut receiver| {
        loop {
            match receiver.recv().await {
                Ok(text) => return Some((text, receiver)),
                // A reader that is too slow misses some.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    let events = stream::iter(last)
        .chain(next)
        .map(|text| Ok::<_, Infallible>(Bytes::from(format!("data: {text}\n\n"))))
        .take_until(console.stopped());
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(events)).into_response()
}
