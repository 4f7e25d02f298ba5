//! Hears other members: HTTP/1.1 on the local network.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use outgate_neighbours::{MESSAGE_MAX_BYTES, Message};
use outgate_signed_http::check_content;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::address::Addresses;
use super::driver::{Command, now};
use super::envelope::{
    CHALLENGE, Envelope, FILE_PATH, Heard, MEMBER, NotHeard, PATH, RELAY_PATH, ROSTER_PATH, SITE,
};
use super::file::{self, FETCH_MAX, Files, Wanted};
use super::relay::{self, RELAY_MAX, RELAYED_MAX_BYTES, Relay};
use crate::files::Outgoing;

/// Most connections at a time: two of each member, and strangers.
const CONNECTIONS_MAX: usize = 160;
/// Longest head of a request, in bytes.
const HEAD_MAX_BYTES: usize = 16 * 1024;
/// So long a request may take to come, and its answer to go.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// Longest life of a connection; who wants to go on makes another.
const CONNECTION_MAX: Duration = Duration::from_secs(600);

/// What all parts know.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) envelope: Envelope,
    pub(super) addresses: Addresses,
    /// Where this device listens.
    pub(super) own: SocketAddr,
    pub(super) commands: mpsc::Sender<Command>,
    /// Who has files for others, if somebody does, and room to give them.
    pub(super) files: Option<Files>,
    pub(super) giving: Arc<Semaphore>,
    /// Who hands on what others say to the hub, if somebody does, and room for that.
    pub(super) relay: Option<Relay>,
    pub(super) relaying: Arc<Semaphore>,
}

/// Serves until dropped.
pub(super) async fn serve(listener: TcpListener, site: Arc<Site>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, from)) = listener.accept().await else {
            // Of the machine's files, say, there are none left: some connection must end first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let site = Arc::clone(&site);
        connections.spawn(async move {
            let _ = tokio::time::timeout(CONNECTION_MAX, connection(stream, from, site)).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, from: SocketAddr, site: Arc<Site>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| async {
        let most = match request.uri().path() {
            FILE_PATH => FETCH_MAX,
            RELAY_PATH => RELAY_MAX,
            _ => REQUEST_MAX,
        };
        let answer = tokio::time::timeout(most, answer(request, from, &site)).await;
        Ok::<_, Infallible>(answer.unwrap_or_else(|_| empty(StatusCode::REQUEST_TIMEOUT)))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_MAX)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // Who goes away in the middle is heard of by its beats, or not at all.
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, from: SocketAddr, site: &Site) -> Response<Outgoing> {
    let (head, body) = request.into_parts();
    match (&head.method, head.uri.path(), head.uri.query()) {
        (&Method::POST, RELAY_PATH, None) => return relayed(&head.headers, body, site).await,
        (&Method::POST, FILE_PATH, None) => return given(&head.headers, body, site).await,
        _ => {}
    }
    let content = Limited::new(body, MESSAGE_MAX_BYTES);
    let Ok(content) = content.collect().await.map(|whole| whole.to_bytes()) else {
        return empty(StatusCode::PAYLOAD_TOO_LARGE);
    };
    match (&head.method, head.uri.path(), head.uri.query()) {
        (&Method::GET, PATH, None) => who(site),
        (&Method::POST, ROSTER_PATH, None) => {
            let roster = Command::Roster(content.to_vec());
            let taken = site.commands.send(roster).await;
            empty(taken.map_or(StatusCode::SERVICE_UNAVAILABLE, |()| StatusCode::ACCEPTED))
        }
        (&Method::POST, PATH, None) => match hear(&head.headers, &content, from, site).await {
            Ok(said) => signed(site, StatusCode::OK, &head.headers, said),
            Err(why) => {
                site.envelope.count(&why);
                match status(&why) {
                    StatusCode::UNAUTHORIZED => empty(StatusCode::UNAUTHORIZED),
                    status => signed(site, status, &head.headers, Vec::new()),
                }
            }
        },
        _ => empty(StatusCode::NOT_FOUND),
    }
}

/// The body of a request that may be long, or take long: nothing of it is read, and no place is taken
/// for it, before its head is that of a member.
async fn of_member(
    path: &str,
    fields: &HeaderMap,
    body: Limited<Incoming>,
    site: &Site,
) -> Result<Limited<Incoming>, NotHeard> {
    let head = site.envelope.open_head(path, fields);
    let Err(why) = head.and_then(|heard| by_member(&heard, site)) else {
        return Ok(body);
    };
    // Who has only heard of no newer challenge goes on by the same connection.
    if let NotHeard::Stale = why {
        let _ = tokio::time::timeout(REQUEST_MAX, skip(body)).await;
    }
    Err(why)
}

/// Gives a member the file that it wants.
async fn given(fields: &HeaderMap, body: Incoming, site: &Site) -> Response<Outgoing> {
    let body = Limited::new(body, MESSAGE_MAX_BYTES);
    let body = match of_member(FILE_PATH, fields, body, site).await {
        Ok(body) => body,
        Err(why) => return declined(&why, site),
    };
    let content = match tokio::time::timeout(REQUEST_MAX, body.collect()).await {
        Ok(Ok(content)) => content.to_bytes(),
        Ok(Err(_)) => return empty(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => return empty(StatusCode::REQUEST_TIMEOUT),
    };
    if check_content(fields, &content).is_err() {
        return declined(&NotHeard::Changed, site);
    }
    match Wanted::from_bytes(&content) {
        Some(wanted) => file::give(wanted, site).await,
        None => declined(&NotHeard::Unreadable, site),
    }
}

/// Hands on what a member says.
async fn relayed(fields: &HeaderMap, body: Incoming, site: &Site) -> Response<Outgoing> {
    let length = body.size_hint().lower();
    let body = Limited::new(body, RELAYED_MAX_BYTES);
    let body = match of_member(RELAY_PATH, fields, body, site).await {
        Ok(body) => body,
        Err(why) => return declined(&why, site),
    };
    if length > RELAYED_MAX_BYTES as u64 {
        return empty(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let Ok(place) = Arc::clone(&site.relaying).try_acquire_owned() else {
        return empty(StatusCode::SERVICE_UNAVAILABLE);
    };
    let Ok(said) = body.collect().await.map(|whole| whole.to_bytes()) else {
        return empty(StatusCode::PAYLOAD_TOO_LARGE);
    };
    if check_content(fields, &said).is_err() {
        return declined(&NotHeard::Changed, site);
    }
    relay::hand_on(said.to_vec(), place, site).await
}

/// Reads a body to its end and keeps nothing of it.
async fn skip(mut body: Limited<Incoming>) -> Option<()> {
    while let Some(frame) = body.frame().await {
        frame.ok()?;
    }
    Some(())
}

fn status(why: &NotHeard) -> StatusCode {
    match why {
        NotHeard::Stale => StatusCode::CONFLICT,
        NotHeard::Unreadable => StatusCode::BAD_REQUEST,
        NotHeard::Signature(_)
        | NotHeard::Changed
        | NotHeard::Misdirected
        | NotHeard::OtherFile
        | NotHeard::NotBelieved(_)
        | NotHeard::Replayed(_) => StatusCode::UNAUTHORIZED,
    }
}

fn declined(why: &NotHeard, site: &Site) -> Response<Outgoing> {
    site.envelope.count(why);
    let mut response = empty(status(why));
    let challenge = site.envelope.challenge();
    response.headers_mut().insert(CHALLENGE, challenge);
    response
}

/// Whether a request is by somebody who belongs to the site now.
fn by_member(heard: &Heard, site: &Site) -> Result<(), NotHeard> {
    let roster = site.envelope.roster();
    roster.member(&heard.from, now().wall / 1_000)?;
    Ok(())
}

async fn hear(
    fields: &HeaderMap,
    content: &[u8],
    address: SocketAddr,
    site: &Site,
) -> Result<Vec<u8>, NotHeard> {
    let heard = site.envelope.open_request(PATH, fields, content)?;
    let message = Message::from_bytes(content).map_err(|_| NotHeard::Unreadable)?;
    let (answer, answered) = oneshot::channel();
    let command = Command::Heard {
        from: heard.from,
        address: Some(SocketAddr::new(address.ip(), heard.port)),
        message,
        answer: Some(answer),
    };
    if site.commands.send(command).await.is_err() {
        return Ok(Vec::new());
    }
    let answer: Option<Message> = answered.await.unwrap_or_default();
    Ok(answer.map(|message| message.to_bytes()).unwrap_or_default())
}

/// Who is here, for those who look for members; nothing that is to be believed.
fn who(site: &Site) -> Response<Outgoing> {
    let mut response = empty(StatusCode::OK);
    let (of, me) = site.envelope.names();
    let fields = response.headers_mut();
    fields.insert(SITE, of);
    fields.insert(MEMBER, me);
    fields.insert(CHALLENGE, site.envelope.challenge());
    response
}

fn signed(
    site: &Site,
    status: StatusCode,
    asked: &HeaderMap,
    content: Vec<u8>,
) -> Response<Outgoing> {
    let fields = site.envelope.response(status, asked, &content);
    let mut response = Response::new(whole(content));
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    let octets = HeaderValue::from_static("application/octet-stream");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, octets);
    response
}

pub(super) fn empty(status: StatusCode) -> Response<Outgoing> {
    let mut response = Response::new(whole(Vec::new()));
    *response.status_mut() = status;
    response
}

pub(super) fn whole(content: Vec<u8>) -> Outgoing {
    let content = Full::new(Bytes::from(content));
    content.map_err(|never| match never {}).boxed_unsync()
}
