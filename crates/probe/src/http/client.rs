//! One connection of HTTP/1.1, on which requests follow one another.

use futures_util::FutureExt;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::{task::JoinHandle, time::Instant};

use super::{HEAD_MAX, HEADERS_MAX, USER_AGENT, authority, evidence, stop_of};
use crate::{
    evidence::{PhaseName, Trouble},
    run::{Run, Stop},
    stream::Stream,
    tls::before_answer,
};

/// A connection that requests can be sent on.
pub(crate) struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
    _connection: Connection,
}

/// Drives a connection in the background until it is dropped.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Client {
    /// Speaks HTTP/1.1 over a stream. Nothing is sent yet.
    pub(crate) async fn over(stream: Box<dyn Stream>) -> Result<Self, Stop> {
        let start = Instant::now();
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| stop_of(&error, PhaseName::FirstByte, start))?;
        let connection = Connection(tokio::spawn(connection.map(|_| ())));
        Ok(Self {
            sender,
            _connection: connection,
        })
    }

    /// Sends a request and waits for the head of its answer. The body of an earlier answer must
    /// have been read.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Stop> {
        let start = Instant::now();
        let stop = |error| stop_of(&error, PhaseName::FirstByte, start);
        self.sender.ready().await.map_err(stop)?;
        self.sender.send_request(request).await.map_err(stop)
    }
}

/// A request for a path of the lane's own host. `body` empty: none is sent.
pub(crate) fn request(
    run: &Run<'_>,
    method: Method,
    path: &str,
    usual_port: u16,
    (accept, body): (&str, &'static str),
) -> Result<Request<Full<Bytes>>, Stop> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, authority(run, usual_port))
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, accept)
        .header(header::CACHE_CONTROL, "no-cache")
        .body(Full::from(body));
    request.map_err(|error| {
        Trouble::BadAsk {
            what: error.to_string(),
        }
        .into()
    })
}

/// Reads a body of at most `max` bytes; of a longer one nothing is returned.
pub(crate) async fn read_whole(mut body: Incoming, max: usize) -> Result<Option<Vec<u8>>, Stop> {
    let start = Instant::now();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| stop_of(&error, PhaseName::Body, start))?;
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
        if bytes.len() > max {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

/// Asks for something that every HTTP server answers at once. Of a server that then answers late or
/// bit by bit nobody could say otherwise whether it heard.
pub(crate) async fn ask_witness(run: &mut Run<'_>, client: &mut Client) -> Result<(), Stop> {
    let witness = request(run, Method::HEAD, "/", 443, ("*/*", ""))?;
    let response = run
        .phase(PhaseName::FirstByte, client.send(witness))
        .await
        .map_err(|stop| before_answer(run, stop))?;
    let (status, headers) = (response.status(), response.headers());
    run.attempt.http = Some(evidence(status, headers, run.path.now()));
    Ok(())
}
