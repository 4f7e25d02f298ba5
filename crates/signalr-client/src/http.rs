//! Requests to one server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Builder,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use outgate_signalr::negotiate::ANSWER_MAX;
use tokio::{task::JoinHandle, time::timeout};

use crate::connect::{Connect, Stream};
use crate::cookies::Cookies;
use crate::error::Cause;
use crate::token::Source;
use crate::url::HubUrl;

/// Most headers of an answer.
const HEADERS_MAX: usize = 100;
/// Most bytes of an answer's head.
const HEAD_MAX: usize = 64 * 1024;
/// Who asks, unless the caller says otherwise.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!(
    "outgate-signalr-client/",
    env!("CARGO_PKG_VERSION")
));
/// What makes ASP.NET Core answer 401 rather than redirect to a page to log in at.
const REQUESTED_WITH: (&str, HeaderValue) = (
    "x-requested-with",
    HeaderValue::from_static("XMLHttpRequest"),
);

/// What of a client's settings requests need.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) headers: HeaderMap,
    /// How long a connection may take to be made.
    pub(crate) connect_limit: Duration,
    /// How long a request may take that is not held on purpose.
    pub(crate) request_limit: Duration,
}

/// One server, and what its answers have set.
pub(crate) struct Server {
    pub(crate) way: Way,
    pub(crate) url: HubUrl,
    tokens: Source,
    token: Mutex<Option<HeaderValue>>,
    cookies: Mutex<Cookies>,
}

impl Server {
    /// Gets a token for it; nothing is sent yet.
    pub(crate) async fn new(way: Way, url: HubUrl, tokens: Source) -> Result<Self, Cause> {
        let token = Mutex::new(tokens.next().await?);
        Ok(Self {
            way,
            url,
            tokens,
            token,
            cookies: Mutex::default(),
        })
    }

    /// Gets another token in place of one that was refused, if there may be another.
    pub(crate) async fn renew_token(&self) -> Result<bool, Cause> {
        if !self.tokens.is_renewable() {
            return Ok(false);
        }
        let token = self.tokens.next().await?;
        *locked(&self.token) = token;
        Ok(true)
    }

    /// A request with everything that every request has. What the application sets goes before.
    pub(crate) fn request(&self, method: Method, target: &str) -> Builder {
        let mut request = Request::builder().method(method).uri(target);
        if let Some(headers) = request.headers_mut() {
            let (name, value) = REQUESTED_WITH;
            headers.insert(name, value);
            headers.insert(header::USER_AGENT, USER_AGENT);
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            if let Some(token) = locked(&self.token).clone() {
                headers.insert(header::AUTHORIZATION, token);
            }
            if let Some(cookies) = locked(&self.cookies).header() {
                headers.insert(header::COOKIE, cookies);
            }
            for (name, value) in &self.way.headers {
                headers.insert(name, value.clone());
            }
            // Text of a URL that was read.
            if let Ok(host) = HeaderValue::from_str(&self.url.host) {
                headers.insert(header::HOST, host);
            }
        }
        request
    }

    /// Takes what an answer sets.
    pub(crate) fn on_answer(&self, headers: &HeaderMap) {
        locked(&self.cookies).on_answer(headers);
    }

    pub(crate) async fn connect(&self) -> Result<Box<dyn Stream>, Cause> {
        let authority = &self.url.authority;
        let limit = self.way.connect_limit;
        let connecting = timeout(limit, self.way.connect.connect(authority)).await;
        let connected = connecting.map_err(|_| Cause::TimedOut {
            what: "connecting",
            limit,
        })?;
        connected.map_err(|error| Cause::Connect {
            authority: authority.clone(),
            source: Arc::new(error),
        })
    }
}

/// One connection to a server, on which requests follow one another; a new one when it has gone.
pub(crate) struct Line {
    server: Arc<Server>,
    open: Option<Open>,
}

struct Open {
    sender: http1::SendRequest<Full<Bytes>>,
    _driver: Driver,
}

/// Drives a connection in the background until it is dropped.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is asked for.
pub(crate) struct Ask<'a> {
    /// What it is, for whoever reads of its failure.
    pub(crate) what: &'static str,
    pub(crate) method: Method,
    pub(crate) target: &'a str,
    pub(crate) accept: HeaderValue,
    pub(crate) body: Option<(HeaderValue, Bytes)>,
    /// How long the head of the answer may take.
    pub(crate) limit: Duration,
}

impl Line {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server, open: None }
    }

    /// Sends a request and waits for the head of its answer, once more with another token if that
    /// was refused. The body of an earlier answer must have been read, or that connection is lost.
    pub(crate) async fn ask(&mut self, ask: &Ask<'_>) -> Result<Response<Incoming>, Cause> {
        let asking = timeout(ask.limit, self.ask_twice(ask)).await;
        asking.map_err(|_| {
            self.open = None;
            Cause::TimedOut {
                what: ask.what,
                limit: ask.limit,
            }
        })?
    }

    async fn ask_twice(&mut self, ask: &Ask<'_>) -> Result<Response<Incoming>, Cause> {
        let answer = self.ask_once(ask).await?;
        if answer.status() != StatusCode::UNAUTHORIZED || !self.server.renew_token().await? {
            return Ok(answer);
        }
        self.open = None;
        self.ask_once(ask).await
    }

    async fn ask_once(&mut self, ask: &Ask<'_>) -> Result<Response<Incoming>, Cause> {
        let mut request = self.request(ask)?;
        // It is put back only when it has answered.
        if let Some(mut open) = self.open.take()
            && open.sender.ready().await.is_ok()
        {
            match open.sender.try_send_request(request).await {
                Ok(answer) => return Ok(self.answered(open, answer)),
                // What was not sent is sent on a new connection.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Cause::http(ask.what, error.into_error())),
                },
            }
        }
        let mut open = self.open().await?;
        let answer = open.sender.send_request(request).await;
        let answer = answer.map_err(|error| Cause::http(ask.what, error))?;
        Ok(self.answered(open, answer))
    }

    fn answered(&mut self, open: Open, answer: Response<Incoming>) -> Response<Incoming> {
        self.open = Some(open);
        self.server.on_answer(answer.headers());
        answer
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, Cause> {
        let request = self.server.request(ask.method.clone(), ask.target);
        let request = request.header(header::ACCEPT, ask.accept.clone());
        let request = match ask.body.clone() {
            Some((kind, body)) => {
                // hyper leaves the length out where nothing is sent, and some servers want it.
                let length = HeaderValue::from(body.len());
                let request = request.header(header::CONTENT_LENGTH, length);
                request
                    .header(header::CONTENT_TYPE, kind)
                    .body(Full::new(body))
            }
            None => request.body(Full::default()),
        };
        request.map_err(|error| Cause::http(ask.what, error))
    }

    async fn open(&self) -> Result<Open, Cause> {
        let stream = self.server.connect().await?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Cause::http("HTTP", error))?;
        let driver = Driver(tokio::spawn(connection.map(|_| ())));
        Ok(Open {
            sender,
            _driver: driver,
        })
    }
}

/// Reads a body of at most [`ANSWER_MAX`] bytes, within a time.
pub(crate) async fn read_whole(
    what: &'static str,
    body: Incoming,
    limit: Duration,
) -> Result<Bytes, Cause> {
    let reading = timeout(limit, Limited::new(body, ANSWER_MAX).collect()).await;
    let read = reading.map_err(|_| Cause::TimedOut { what, limit })?;
    let body = read.map_err(|error| Cause::Http {
        what,
        source: error.into(),
    })?;
    Ok(body.to_bytes())
}

/// A status that was not wanted.
pub(crate) fn status<B>(what: &'static str, answer: &Response<B>) -> Cause {
    Cause::Status {
        what,
        status: answer.status().as_u16(),
        retry_after: retry_after(answer.headers()),
    }
}

/// How long a server wants to be left alone (RFC 9110 §10.2.3). A date counts from the server's own
/// where it says that, since a device's clock may be wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(text).ok()?;
    let date = headers.get(header::DATE).and_then(|it| it.to_str().ok());
    let now = date.and_then(|date| httpdate::parse_http_date(date).ok());
    then.duration_since(now.unwrap_or_else(SystemTime::now))
        .ok()
}

/// Nothing can panic while the lock is held, so what it guards is whole even when poisoned.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_in_seconds_or_by_a_date_how_long_it_wants_to_be_left_alone() {
        let asked = |pairs: &[(header::HeaderName, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                (name.clone(), value)
            });
            retry_after(&pairs.collect())
        };
        let minute = Some(Duration::from_secs(60));
        assert_eq!(asked(&[(header::RETRY_AFTER, "60")]), minute);
        let date = (header::DATE, "Sun, 06 Nov 1994 08:48:37 GMT");
        let after = (header::RETRY_AFTER, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(asked(&[date, after.clone()]), minute);
        // Over long ago.
        assert_eq!(asked(&[after]), None);
        assert_eq!(asked(&[(header::RETRY_AFTER, "soon")]), None);
        assert_eq!(asked(&[]), None);
    }
}
