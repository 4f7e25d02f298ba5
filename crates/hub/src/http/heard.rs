//! Requests that are heard to their end although their answer is known before.
//!
//! Over HTTP/2 an answer may come while its request is still being sent (RFC 9113, section 8.1), and
//! the rest of the request is refused then. Clients are to take such an answer all the same, but
//! curl 7 for one reports the refusal in place of it: who sends a few bytes with a wrong token would
//! be told of a framing error now and then.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::Version;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;

/// The most bytes that are waited for, of a request that says how long it is.
const MAX_HEARD: u64 = 64 * 1024;

/// How long they are waited for.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// Holds back the answer to a short request until that has come as a whole.
pub(super) async fn to_its_end(request: Request, next: Next) -> Response {
    let is_short = request.body().size_hint().exact();
    let is_short = is_short.is_some_and(|bytes| (1..=MAX_HEARD).contains(&bytes));
    if request.version() != Version::HTTP_2 || !is_short {
        return next.run(request).await;
    }
    let (back, mut unread) = oneshot::channel();
    let lend = |body| Lent {
        body,
        back: Some(back),
    };
    let response = next.run(request.map(|body| Body::new(lend(body)))).await;
    // Whoever answers while still reading has it yet.
    if let Ok(body) = unread.try_recv() {
        hear(body).await;
    }
    response
}

/// Reads what is left, for nobody.
async fn hear(mut body: Body) {
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    // Whoever is slower is refused the rest.
    let _ = tokio::time::timeout(HEARD_WITHIN, all).await;
}

/// A body that comes back when it is not read to its end.
struct Lent {
    body: Body,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(back) = self.back.take()
            && !self.body.is_end_stream()
        {
            // Nobody wants it when there is no answer.
            let _ = back.send(std::mem::take(&mut self.body));
        }
    }
}
