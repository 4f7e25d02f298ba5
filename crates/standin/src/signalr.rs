//! SignalR at any path: negotiation, all three transports, and a hub that echoes
//! (`TransportProtocols.md` of ASP.NET Core).

mod connection;
mod session;

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt, stream};
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Body as HttpBody, Bytes, Frame};
use outgate_signalr::{
    MESSAGE_MAX, event,
    negotiate::{self, Answer, Offer, Token, Transport},
};
use rustls::crypto::SecureRandom;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{listen, websocket};
pub(crate) use connection::Connection;
use connection::Polled;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 256;
/// For how long a connection that nobody uses is kept.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// How often a quiet client hears a ping: what ASP.NET Core does.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a poll is held: what ASP.NET Core does.
const POLL_MAX: Duration = Duration::from_secs(90);
/// Length of what names a connection, in bytes: what ASP.NET Core does.
const TOKEN_BYTES: usize = 16;

/// The body of an answer, whole or bit by bit.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A whole body.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// The connections of one server.
pub(crate) struct Hub {
    random: &'static dyn SecureRandom,
    connections: Mutex<HashMap<String, Arc<Connection>>>,
}

/// What of SignalR a request is about.
pub(crate) enum Asked {
    Negotiation,
    Connection(Arc<Connection>),
    /// A connection that is not there.
    Nothing,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            random: rustls::crypto::ring::default_provider().secure_random,
            connections: Mutex::default(),
        }
    }

    /// What of SignalR a request is about, if it is about SignalR.
    pub(crate) fn asked<B>(&self, request: &Request<B>) -> Option<Asked> {
        let uri = request.uri();
        if request.method() == Method::POST && uri.path().ends_with("/negotiate") {
            return Some(Asked::Negotiation);
        }
        let fields = uri.query().unwrap_or_default().split('&');
        let id = fields
            .filter_map(|field| field.split_once('='))
            .find_map(|(name, value)| name.eq_ignore_ascii_case("id").then_some(value))?;
        let known = self.connections().get(id).cloned();
        Some(known.map_or(Asked::Nothing, Asked::Connection))
    }

    /// Answers a request that is no WebSocket's.
    pub(crate) async fn respond<B>(&self, asked: Asked, request: Request<B>) -> Response<Body>
    where
        B: HttpBody<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        let (parts, body) = request.into_parts();
        let connection = match asked {
            Asked::Negotiation => return self.negotiate(&parts),
            Asked::Nothing => return said(StatusCode::NOT_FOUND, "No Connection with that ID"),
            Asked::Connection(connection) => connection,
        };
        if parts.method == Method::POST {
            hear(&connection, body).await
        } else if parts.method == Method::GET && wants_events(&parts) {
            match connection.begin(Transport::ServerSentEvents) {
                Ok(()) => events(connection),
                Err(status) => said(status, "the connection is taken"),
            }
        } else if parts.method == Method::GET {
            poll(&connection).await
        } else if parts.method == Method::DELETE {
            self.delete(&connection)
        } else {
            said(
                StatusCode::METHOD_NOT_ALLOWED,
                "GET, POST or DELETE, please",
            )
        }
    }

    fn negotiate(&self, parts: &Parts) -> Response<Body> {
        let query = parts.uri.query().unwrap_or_default();
        let answer = match negotiate::Request::read(query) {
            Ok(request) => self.connect(request.version.min(1)),
            Err(error) => Answer::Refused {
                error: error.to_string(),
            },
        };
        let mut response = Response::new(whole(answer.to_json()));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }

    fn connect(&self, version: u32) -> Answer {
        let (Some(connection_id), Some(token)) = (self.name(), self.name()) else {
            return Answer::Refused {
                error: "no randomness".to_owned(),
            };
        };
        let mut connections = self.connections();
        connections.retain(|_, connection| connection.idle() < IDLE_MAX);
        if connections.len() >= CONNECTIONS_MAX {
            return Answer::Refused {
                error: "too many connections".to_owned(),
            };
        }
        connections.insert(token.clone(), Arc::new(Connection::new()));
        Answer::Connection(negotiate::Connection {
            version,
            connection_id,
            token: Token::new(token),
            transports: Transport::ALL.map(Offer::all_of).to_vec(),
            stateful: false,
        })
    }

    /// A name that nobody guesses.
    fn name(&self) -> Option<String> {
        let mut bytes = [0; TOKEN_BYTES];
        self.random.fill(&mut bytes).ok()?;
        Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn delete(&self, connection: &Arc<Connection>) -> Response<Body> {
        if connection.transport() != Some(Transport::LongPolling) {
            return said(StatusCode::BAD_REQUEST, "nobody polls here");
        }
        self.forget(connection);
        said(StatusCode::ACCEPTED, "")
    }

    fn forget(&self, connection: &Arc<Connection>) {
        connection.end();
        self.connections()
            .retain(|_, known| !Arc::ptr_eq(known, connection));
    }

    /// Speaks over a WebSocket until either side has had enough.
    pub(crate) async fn serve_socket(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        connection: &Arc<Connection>,
    ) {
        let mut socket = websocket::accept(stream).await;
        loop {
            let message = tokio::select! {
                received = socket.next() => match received {
                    Some(Ok(Message::Text(text))) => {
                        connection.hear(text.as_bytes());
                        continue;
                    }
                    Some(Ok(Message::Binary(bytes))) => {
                        connection.hear(&bytes);
                        continue;
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                },
                record = connection.next(KEEP_ALIVE) => record.map(|record| framed(record, connection)),
            };
            let last = message.is_none();
            let message = message.unwrap_or(Message::Close(None));
            let sent = time::timeout(websocket::SEND_TIMEOUT, socket.send(message)).await;
            if last || !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
        self.forget(connection);
        // The library answers a close by itself; reading on lets it.
        while let Ok(Some(Ok(_))) = time::timeout(websocket::SEND_TIMEOUT, socket.next()).await {}
        listen::close(socket.into_inner()).await;
    }

    /// Nothing can panic while the lock is held, so what it guards is whole even when poisoned.
    fn connections(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Connection>>> {
        let connections = self.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Text in messages of text, bytes in messages of bytes: Microsoft's clients want it so.
fn framed(record: Vec<u8>, connection: &Connection) -> Message {
    if connection.is_binary() {
        return Message::Binary(record.into());
    }
    String::from_utf8(record).map_or(Message::Close(None), Message::text)
}

async fn hear<B>(connection: &Connection, body: B) -> Response<Body>
where
    B: HttpBody<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    if connection.transport() == Some(Transport::WebSockets) {
        return said(
            StatusCode::METHOD_NOT_ALLOWED,
            "the connection is a WebSocket",
        );
    }
    match Limited::new(body, MESSAGE_MAX).collect().await {
        Ok(body) => {
            connection.hear(&body.to_bytes());
            said(StatusCode::OK, "")
        }
        Err(_) => said(StatusCode::PAYLOAD_TOO_LARGE, "too much at once"),
    }
}

fn wants_events(parts: &Parts) -> bool {
    let accept = parts.headers.get(header::ACCEPT);
    accept.is_some_and(|accept| accept == "text/event-stream")
}

fn events(connection: Arc<Connection>) -> Response<Body> {
    let opening = stream::once(async { event::OPENING.to_owned() });
    let records = stream::unfold(connection, |connection| async {
        let record = connection.next(KEEP_ALIVE).await?;
        // Bytes that are no text have no way through events.
        let text = String::from_utf8(record).ok()?;
        Some((event::of(&text), connection))
    });
    let frames = opening
        .chain(records)
        .map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, no_store());
    response
}

async fn poll(connection: &Connection) -> Response<Body> {
    match connection.begin(Transport::LongPolling) {
        Ok(()) | Err(StatusCode::CONFLICT) => {}
        Err(status) => return said(status, "Cannot change transports mid-connection"),
    }
    let mut response = match connection.poll(POLL_MAX).await {
        Polled::Records(records) => Response::new(whole(records)),
        Polled::Over => said(StatusCode::NO_CONTENT, ""),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, no_store());
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    response
}

fn no_store() -> HeaderValue {
    HeaderValue::from_static("no-cache, no-store")
}

fn said(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    response
}
