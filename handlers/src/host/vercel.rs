//! Vercel's function runtime (IPC socket), and `vercel dev`.

use super::HostError;
use crate::deferred::{AfterAnswer, Work};
use axum::{Router, body::Body};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tower::ServiceExt as _;
use vercel_runtime::{AppState as Invocation, Error, Request, Response, ResponseBody, service_fn};

pub(super) async fn run(app: Router) -> Result<(), HostError> {
    let service = service_fn(move |request: Request, invocation: Invocation| {
        answer(app.clone(), request, invocation)
    });
    vercel_runtime::run(service)
        .await
        .map_err(HostError::Runtime)
}

async fn answer(
    app: Router,
    request: Request,
    invocation: Invocation,
) -> Result<Response<ResponseBody>, Error> {
    let mut request = request.map(Body::new);
    // The invocation stays open until this work is done.
    let after = AfterAnswer(Arc::new(move |work: Work| invocation.wait_until(work)));
    request.extensions_mut().insert(after);
    let Ok(response) = app.oneshot(request).await;
    Ok(response.map(|body| ResponseBody(SyncBody(Mutex::new(body)).boxed())))
}

/// Vercel's body type must be `Sync`; exclusive access makes any body that.
struct SyncBody(Mutex<Body>);

impl http_body::Body for SyncBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let body = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        Pin::new(body).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .size_hint()
    }
}
