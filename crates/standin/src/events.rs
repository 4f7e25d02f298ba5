//! Server-Sent Events and long polling over TLS: answers that take their time.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time;

use crate::{
    Clock, Place, Stage, StageError,
    http::date,
    listen::{self, MAX_SILENCE},
    stage::listen as listen_at,
    tls,
};

/// The time between two events.
const EVENTS_APART: Duration = Duration::from_secs(1);
/// Events of a stream; then it ends.
const MAX_EVENTS: u16 = 600;
/// How many events [`StreamFault::Buffered`] gathers.
const GATHERED: u16 = 60;
/// How long a poll is left open when there is nothing to tell.
const POLL: Duration = Duration::from_secs(25);
/// How long somebody waits for the answer to a poll under [`StreamFault::PollCut`].
const IMPATIENCE: Duration = Duration::from_secs(2);
/// The longest that a request's head may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Header fields in a request.
const MAX_HEADERS: usize = 64;

/// What goes wrong between a server of streams and whoever listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamFault {
    /// Nothing.
    #[default]
    None,
    /// A proxy gathers events and hands them on in lumps, the head with the first of them.
    Buffered,
    /// A proxy answers 504 to a poll whose answer takes longer than two seconds.
    PollCut,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Stage {
    /// Starts HTTPS that sends an event a second to whoever accepts a stream of events, and lets
    /// every other GET wait for 25 seconds. HEAD is answered at once.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, or the place is taken.
    pub async fn streams(
        &mut self,
        place: Place,
        names: &[String],
        fault: StreamFault,
    ) -> Result<SocketAddr, StageError> {
        let door = self.door(names)?;
        let clock = self.clock.clone();
        let (listener, address) = listen_at(place).await?;
        let serving = listen::serve_each(listener, move |stream| {
            let (door, clock) = (door.clone(), clock.clone());
            async move {
                if let Some(stream) = tls::secured(stream, &door).await {
                    connection(stream, clock, fault).await;
                }
            }
        });
        self.servers.spawn(serving);
        Ok(address)
    }
}

async fn connection<S>(stream: S, clock: Arc<dyn Clock>, fault: StreamFault)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let clock = clock.clone();
        async move {
            let mut response = respond(&request, fault).await;
            if let Some(date) = date(clock.now()) {
                response.headers_mut().insert(header::DATE, date);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    // However it ends, the connection is dropped.
    let _ended = time::timeout(MAX_SILENCE, connection).await;
}

async fn respond<B>(request: &Request<B>, fault: StreamFault) -> Response<Body> {
    let wanted = request.headers().get(header::ACCEPT);
    let streams = wanted.is_some_and(|kinds| kinds.as_bytes().starts_with(b"text/event-stream"));
    match (request.method(), streams) {
        (&Method::GET, true) => {
            let mut response = Response::new(events(fault));
            let kind = HeaderValue::from_static("text/event-stream");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            if fault == StreamFault::Buffered {
                time::sleep(EVENTS_APART * u32::from(GATHERED)).await;
            }
            response
        }
        (&Method::GET, false) if fault == StreamFault::PollCut => {
            time::sleep(IMPATIENCE).await;
            status(StatusCode::GATEWAY_TIMEOUT)
        }
        (&Method::GET, false) => {
            time::sleep(POLL).await;
            status(StatusCode::NO_CONTENT)
        }
        (&Method::HEAD, _) => status(StatusCode::OK),
        (_, _) => status(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::new()).boxed_unsync());
    *response.status_mut() = status;
    response
}

/// The events, the first at once.
fn events(fault: StreamFault) -> Body {
    let lump = match fault {
        StreamFault::Buffered => GATHERED,
        StreamFault::None | StreamFault::PollCut => 1,
    };
    let stream = stream::unfold(0, move |sent| async move {
        if sent >= MAX_EVENTS {
            return None;
        }
        if sent > 0 {
            time::sleep(EVENTS_APART * u32::from(lump)).await;
        }
        let text: String = (sent..sent + lump)
            .map(|number| format!("data: {number}\n\n"))
            .collect();
        Some((Ok(Frame::data(Bytes::from(text))), sent + lump))
    });
    StreamBody::new(stream).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, accept: &str) -> Request<()> {
        let built = Request::builder().method(method).header("accept", accept);
        built.body(()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn events_come_one_by_one_and_behind_a_buffer_in_lumps() {
        for (fault, head_after, pieces) in [
            (StreamFault::None, 0, [1, 1]),
            (StreamFault::Buffered, 60, [60, 60]),
        ] {
            let start = time::Instant::now();
            let request = request(Method::GET, "text/event-stream");
            let response = respond(&request, fault).await;
            assert_eq!(start.elapsed().as_secs(), head_after);
            let mut body = response.into_body();
            for piece in pieces {
                let frame = body.frame().await.unwrap().unwrap();
                let text = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
                assert_eq!(text.matches("data: ").count(), piece);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_waits_for_its_answer_unless_somebody_has_no_patience() {
        for (fault, seconds, code) in [(StreamFault::None, 25, 204), (StreamFault::PollCut, 2, 504)]
        {
            let start = time::Instant::now();
            let response = respond(&request(Method::GET, "*/*"), fault).await;
            assert_eq!(
                (start.elapsed().as_secs(), response.status().as_u16()),
                (seconds, code)
            );
        }
        let head = respond(&request(Method::HEAD, "*/*"), StreamFault::None).await;
        assert_eq!(head.status(), 200);
        let post = respond(&request(Method::POST, "*/*"), StreamFault::None).await;
        assert_eq!(post.status(), 405);
    }
}
