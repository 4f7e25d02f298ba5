//! HTTP/1.1 and, by upgrade, WebSocket, and SignalR over both: the same over TLS and without.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::{TokioIo, TokioTimer};
use outgate_signalr::negotiate::Transport;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};

use crate::{
    Clock, listen,
    signalr::{Asked, Body, Connection, Hub, whole},
    websocket,
};

/// The longest that reading a request's head may take, and the wait for the next request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest that a connection lives before it becomes a WebSocket.
const MAX_LIFE: Duration = Duration::from_secs(10 * 60);

/// How long [`HttpFault::WebSocketCut`] has patience.
const CUT_AFTER: Duration = Duration::from_secs(2);

/// Header fields in a request.
const MAX_HEADERS: usize = 64;

/// Bytes of a request's head; also what is buffered for a connection in each direction.
const MAX_HEAD: usize = 16 * 1024;

/// The date of RFC 9110 §5.6.7, in its preferred form.
const DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// What an HTTP stand-in does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpFault {
    /// Nothing.
    #[default]
    None,
    /// Listens to a request and never answers.
    Silent,
    /// Closes the connection before a request can be read.
    CloseAtOnce,
    /// Answers every request with this status, one for a WebSocket too.
    Status(StatusCode),
    /// Accepts a WebSocket and drops it before the first message.
    WebSocketDropped,
    /// Answers the request for a WebSocket as if it were any other, as a proxy that strips the
    /// upgrade makes a server do.
    WebSocketStripped,
    /// Accepts a WebSocket, answers on it, and drops it after two seconds, as a proxy does that has
    /// no patience with long connections.
    WebSocketCut,
    /// Sends everybody to a login page, as a captive portal does: `http://portal.test/login`.
    Portal,
}

/// What the answers depend on beside the request.
pub(crate) struct Site {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) fault: HttpFault,
    pub(crate) hub: Hub,
}

/// What a connection becomes after HTTP.
struct Upgrade {
    on: OnUpgrade,
    /// The connection of SignalR that it carries; an echo where there is none.
    carries: Option<Arc<Connection>>,
}

/// Serves plain HTTP until dropped.
pub(crate) async fn serve(listener: TcpListener, site: Arc<Site>) {
    listen::serve_each(listener, move |stream| {
        connection(stream, None, site.clone())
    })
    .await;
}

/// Serves one connection, from its first byte to its last. `sni` is the name that the TLS
/// handshake asked for; requests for another one are refused.
pub(crate) async fn connection<S>(stream: S, sni: Option<String>, site: Arc<Site>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match site.fault {
        HttpFault::Silent => return listen::hold_silently(stream).await,
        HttpFault::CloseAtOnce => return listen::close(stream).await,
        HttpFault::None
        | HttpFault::Status(_)
        | HttpFault::WebSocketDropped
        | HttpFault::WebSocketStripped
        | HttpFault::WebSocketCut
        | HttpFault::Portal => {}
    }

    let upgrade = Mutex::new(None);
    let service = service_fn(|request: Request<Incoming>| async {
        Ok::<_, Infallible>(respond(request, sni.as_deref(), &site, &upgrade).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_HEAD)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let Ok(Ok(())) = tokio::time::timeout(MAX_LIFE, connection).await else {
        return;
    };

    let Some(upgrade) = lock(&upgrade).take() else {
        return;
    };
    let Ok(upgraded) = upgrade.on.await else {
        return;
    };
    let socket = TokioIo::new(upgraded);
    if site.fault == HttpFault::WebSocketDropped {
        return listen::close(socket).await;
    }
    let serving = async {
        match upgrade.carries {
            Some(connection) => site.hub.serve_socket(socket, &connection).await,
            None => websocket::echo(socket).await,
        }
    };
    if site.fault == HttpFault::WebSocketCut {
        // Whoever is cut off hears no goodbye.
        let _cut = tokio::time::timeout(CUT_AFTER, serving).await;
    } else {
        serving.await;
    }
}

async fn respond(
    mut request: Request<Incoming>,
    sni: Option<&str>,
    site: &Site,
    upgrade: &Mutex<Option<Upgrade>>,
) -> Response<Body> {
    let asked = site.hub.asked(&request);
    let mut response = match (refuse(&request, sni, site.fault), asked) {
        (Some(refused), _) => told(refused),
        (None, Some(Asked::Connection(connection))) if wants_socket(&request, site.fault) => {
            let response = match connection.begin(Transport::WebSockets) {
                Ok(()) => websocket::handshake(&request),
                Err(status) => error(status, "").0,
            };
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                *lock(upgrade) = Some(Upgrade {
                    on: hyper::upgrade::on(&mut request),
                    carries: Some(connection),
                });
            }
            told((response, String::new()))
        }
        (None, Some(asked)) => site.hub.respond(asked, request).await,
        (None, None) => {
            let (response, text) = serve_page(&request, site.fault);
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                *lock(upgrade) = Some(Upgrade {
                    on: hyper::upgrade::on(&mut request),
                    carries: None,
                });
            }
            told((response, text))
        }
    };
    let headers = response.headers_mut();
    if let Some(date) = date(site.clock.now()) {
        headers.insert(header::DATE, date);
    }
    headers.insert(header::SERVER, HeaderValue::from_static("outgate-standin"));
    response
}

fn told((response, text): (Response<()>, String)) -> Response<Body> {
    response.map(|()| whole(text))
}

fn wants_socket<B>(request: &Request<B>, fault: HttpFault) -> bool {
    fault != HttpFault::WebSocketStripped && websocket::is_asked_for(request.headers())
}

/// What is wrong with a request, or done wrong with every one.
fn refuse<B>(
    request: &Request<B>,
    sni: Option<&str>,
    fault: HttpFault,
) -> Option<(Response<()>, String)> {
    let Some(name) = host(request) else {
        return Some(error(StatusCode::BAD_REQUEST, "one Host header, please"));
    };
    if let HttpFault::Status(status) = fault {
        return Some(error(status, "this is a fault on purpose"));
    }
    if fault == HttpFault::Portal {
        let (mut response, text) = error(StatusCode::FOUND, "log in first");
        let login = HeaderValue::from_static("http://portal.test/login");
        response.headers_mut().insert(header::LOCATION, login);
        return Some((response, text));
    }
    let other = sni.is_some_and(|sni| !sni.eq_ignore_ascii_case(without_port(name)));
    let misdirected = StatusCode::MISDIRECTED_REQUEST;
    other.then(|| error(misdirected, "TLS was asked for another name"))
}

/// The answer to a request that is in order, and its text.
fn serve_page<B>(request: &Request<B>, fault: HttpFault) -> (Response<()>, String) {
    if wants_socket(request, fault) {
        return (websocket::handshake(request), String::new());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let (mut response, text) = error(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD, please");
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
        return (response, text);
    }
    let name = host(request).unwrap_or_default();
    let text = format!("outgate stand-in for {name}: {}\n", request.uri().path());
    (plain(StatusCode::OK), text)
}

/// The one host that the request is for (RFC 9112 §3.2, §3.3). HTTP/1.0 may leave it out.
fn host<B>(request: &Request<B>) -> Option<&str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?,
        (None, None) if request.version() == Version::HTTP_10 => "",
        _ => return None,
    };
    let authority = request.uri().authority();
    Some(authority.map_or(host, |authority| authority.as_str()))
}

/// The host of `host:port` or `[v6]:port`.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn error(status: StatusCode, text: &str) -> (Response<()>, String) {
    (plain(status), format!("outgate stand-in: {text}\n"))
}

fn plain(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

pub(crate) fn date(now: SystemTime) -> Option<HeaderValue> {
    let text = OffsetDateTime::from(now).format(DATE).ok()?;
    HeaderValue::from_str(&text).ok()
}

/// Nothing can panic while the lock is held, so what it guards is whole even when poisoned.
fn lock(upgrade: &Mutex<Option<Upgrade>>) -> std::sync::MutexGuard<'_, Option<Upgrade>> {
    upgrade.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(request: &Request<()>, sni: Option<&str>, fault: HttpFault) -> (Response<()>, String) {
        refuse(request, sni, fault).unwrap_or_else(|| serve_page(request, fault))
    }

    fn judged(request: http::request::Builder, sni: Option<&str>) -> (u16, String) {
        let request = request.body(()).unwrap();
        let (response, text) = judge(&request, sni, HttpFault::None);
        (response.status().as_u16(), text)
    }

    #[test]
    fn the_date_has_the_form_of_the_rfc() {
        // The example of RFC 9110 §5.6.7.
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(date(moment).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn the_text_names_host_and_path() {
        let request = Request::get("/a?secret=1").header("host", "x.example:8443");
        let (status, text) = judged(request, Some("X.example"));
        assert_eq!(
            (status, text.as_str()),
            (200, "outgate stand-in for x.example:8443: /a\n")
        );
    }

    #[test]
    fn a_request_for_another_name_than_the_handshakes_is_misdirected() {
        let request = Request::get("/").header("host", "y.example");
        assert_eq!(judged(request, Some("x.example")).0, 421);
    }

    #[test]
    fn a_portal_sends_everybody_to_its_login_page() {
        let request = Request::get("/any").header("host", "x.example").body(());
        let (response, _) = judge(&request.unwrap(), None, HttpFault::Portal);
        assert_eq!(response.status(), 302);
        assert_eq!(response.headers()["location"], "http://portal.test/login");
    }

    #[test]
    fn a_stripped_websocket_is_answered_as_any_other_request() {
        let request = Request::get("/")
            .header("host", "x.example")
            .header("upgrade", "websocket")
            .body(());
        let (response, _) = judge(&request.unwrap(), None, HttpFault::WebSocketStripped);
        assert_eq!(response.status(), 200);
    }

    #[test]
    fn no_host_or_two_are_refused() {
        assert_eq!(judged(Request::get("/"), None).0, 400);
        let two = Request::get("/").header("host", "a").header("host", "b");
        assert_eq!(judged(two, None).0, 400);
        assert_eq!(
            judged(Request::get("/").version(Version::HTTP_10), None).0,
            200
        );
    }

    #[test]
    fn only_reading_is_allowed() {
        let request = Request::post("/").header("host", "a");
        assert_eq!(judged(request, None).0, 405);
    }
}
