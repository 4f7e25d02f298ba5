//! The same over HTTPS (RFC 8484), by POST.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, time};

use super::{Answers, DnsFault, MAX_QUESTION, Server, Transport};
use crate::{
    Place, Stage, StageError, listen,
    stage::listen as listen_at,
    tls::{self, Door},
};

/// Where it is asked.
const PATH: &str = "/dns-query";
/// The type of questions and answers (RFC 8484 §6).
const MESSAGE_TYPE: &str = "application/dns-message";
/// The longest that a connection lives.
const MAX_LIFE: Duration = Duration::from_secs(60);
/// The longest that reading a request's head may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;

impl Stage {
    /// Starts DNS over HTTPS at the path `/dns-query`, with a certificate for these names.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, or the place is taken.
    pub async fn dns_over_https(
        &mut self,
        place: Place,
        names: &[String],
        answers: Answers,
    ) -> Result<std::net::SocketAddr, StageError> {
        let door = self.door(names)?;
        let (listener, address) = listen_at(place).await?;
        let fault = DnsFault::None;
        let server = Arc::new(Server { answers, fault });
        self.servers.spawn(serve(listener, door, server));
        Ok(address)
    }
}

async fn serve(listener: TcpListener, door: Arc<Door>, server: Arc<Server>) {
    listen::serve_each(listener, move |stream| {
        let (door, server) = (door.clone(), server.clone());
        async move {
            let Some(stream) = tls::secured(stream, &door).await else {
                return;
            };
            let service = service_fn(|request| async {
                Ok::<_, Infallible>(respond(request, &server).await)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(MAX_HEAD)
                .serve_connection(TokioIo::new(stream), service);
            // How it ends is the peer's to notice.
            let _ended = time::timeout(MAX_LIFE, connection).await;
        }
    })
    .await;
}

async fn respond(request: Request<Incoming>, server: &Server) -> Response<Full<Bytes>> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    if request.uri().path() != PATH {
        return refusal(StatusCode::NOT_FOUND);
    }
    if request.method() != Method::POST {
        return refusal(StatusCode::METHOD_NOT_ALLOWED);
    }
    if kind.is_none_or(|kind| kind.as_bytes() != MESSAGE_TYPE.as_bytes()) {
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let body = Limited::new(request.into_body(), MAX_QUESTION);
    let Ok(question) = body.collect().await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let Some(answer) = server.respond(&question.to_bytes(), Transport::Tcp) else {
        return refusal(StatusCode::BAD_REQUEST);
    };
    let mut response = Response::new(Full::from(answer));
    let kind = header::HeaderValue::from_static(MESSAGE_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
