//! Telemetry of requests: a span for each, exported before the process may freeze.

use crate::{
    AppState, Host,
    context::TraceParent,
    deferred::{AfterAnswer, Work},
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use restis::otel::RequestOutcome;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Most time that an export adds to an answer, where the process freezes right after it.
const BEFORE_ANSWER: Duration = Duration::from_millis(200);
/// Most time of an export after the answer.
const AFTER_ANSWER: Duration = Duration::from_secs(5);

/// Runs a request within its span; a function exports it with the answer.
pub(crate) async fn observe(
    State(state): State<AppState>,
    TraceParent(trace): TraceParent,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(telemetry) = state.telemetry().cloned() else {
        return next.run(request).await;
    };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let after = request.extensions().get::<AfterAnswer>().cloned();
    let deferred = Arc::<Mutex<Vec<Work>>>::default();
    if state.host() != Host::Http && after.is_some() {
        // What follows the answer has spans, too: the export comes after it.
        let collected = Arc::clone(&deferred);
        request
            .extensions_mut()
            .insert(AfterAnswer(Arc::new(move |work| {
                let mut works = collected.lock().unwrap_or_else(PoisonError::into_inner);
                works.push(work);
            })));
    }
    let span = telemetry.request(trace.as_deref());
    let response = span.scope(next.run(request)).await;
    let outcome = RequestOutcome::new(method.as_str(), response.status().as_u16())
        .route(route.as_ref().map(MatchedPath::as_str));
    if state.host() == Host::Http {
        // `run_beside` exports.
        span.end(outcome.plain_http());
        return response;
    }
    span.end(outcome);
    match after {
        Some(AfterAnswer(run)) => {
            let works =
                std::mem::take(&mut *deferred.lock().unwrap_or_else(PoisonError::into_inner));
            run(Box::pin(async move {
                for work in works {
                    work.await;
                }
                telemetry.flush(AFTER_ANSWER).await;
            }));
        }
        None => telemetry.flush(BEFORE_ANSWER).await,
    }
    response
}
