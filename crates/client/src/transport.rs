//! Requests to the hub: built, sent, sent again where that is harmless, and their answers read.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, IF_MATCH,
    RETRY_AFTER,
};
use reqwest::{Method, Response, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::Context;
use crate::error::{Error, Problem};
use crate::random;
use crate::trust;

/// The most bytes of an answer.
pub const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// How long reaching the hub may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an answer may take, unless the operation itself waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often a request is sent at the most.
const ATTEMPTS: u32 = 4;

/// The wait before the second attempt; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait that the hub may ask for between attempts; beyond it the caller decides.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A client of one hub. Copies share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<(Cow<'static, str>, Bytes)>,
    headers: HeaderMap,
    patience: Duration,
    repeat: Repeat,
}

/// When a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    /// Whenever there was no answer: doing it twice is doing it once.
    Harmless,
    /// Only when the hub has surely not seen it.
    Unseen,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
    retry_after: Option<Duration>,
    hub: String,
}

impl Client {
    /// A client of the hub that `context` names. Nothing is asked yet. Proxies are those of the
    /// environment (`HTTPS_PROXY`, `NO_PROXY`, …).
    ///
    /// # Errors
    /// [`Error::Address`] when the address cannot be used, or would send the token in the clear;
    /// [`Error::Trust`].
    pub fn new(context: &Context) -> Result<Self, Error> {
        Self::by(context, reqwest::Client::builder())
    }

    /// As [`Client::new`], past all proxies: for a hub on this very machine.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn without_proxy(context: &Context) -> Result<Self, Error> {
        Self::by(context, reqwest::Client::builder().no_proxy())
    }

    fn by(context: &Context, builder: reqwest::ClientBuilder) -> Result<Self, Error> {
        let base = address(&context.hub)?;
        let tls = trust::tls(context)?;
        let http = builder
            .tls_backend_preconfigured(tls)
            // A token goes to the hub that it was made for and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("outgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| unreachable(&base, source))?;
        let authorization = context.token.as_ref().map(|token| {
            let text = format!("Bearer {}", token.expose());
            let mut value =
                HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
            value.set_sensitive(true);
            value
        });
        Ok(Self {
            http,
            base,
            authorization,
        })
    }

    /// Where the hub is.
    #[must_use]
    pub fn hub(&self) -> &str {
        self.base.as_str()
    }

    /// What it means that a request could not be sent or its answer not be read.
    pub(crate) fn unreachable(&self, source: reqwest::Error) -> Error {
        unreachable(&self.base, source)
    }

    /// Sends a request, again where that is harmless, and reads the answer.
    pub(crate) async fn send(&self, ask: &Ask) -> Result<Reply, Error> {
        let mut attempt = 1;
        loop {
            let (error, wait) = match self.attempt(ask).await {
                Ok(reply) if reply.status < 400 => return Ok(reply),
                Ok(reply) => {
                    let problem = Problem::read(reply.status, &reply.body, reply.retry_after);
                    let again = problem.passes() && ask.repeat == Repeat::Harmless;
                    let wait = problem.retry_after;
                    (Error::Refused(problem), again.then_some(wait))
                }
                Err(Error::Unreachable { hub, hint, source }) => {
                    let again = source.is_connect()
                        || (ask.repeat == Repeat::Harmless && !source.is_timeout());
                    // A certificate that is not trusted will not be in a second either.
                    let again = again && hint.is_empty();
                    let error = Error::Unreachable { hub, hint, source };
                    (error, again.then_some(None))
                }
                Err(error) => (error, None),
            };
            let Some(asked) = wait.filter(|_| attempt < ATTEMPTS) else {
                return Err(error);
            };
            let wait = asked.unwrap_or_else(|| random::jittered(FIRST_WAIT * 2_u32.pow(attempt)));
            if wait > LONGEST_WAIT {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// Sends a request once and gives the answer as soon as its head is there, for a stream.
    pub(crate) async fn open(&self, ask: &Ask) -> Result<Response, Error> {
        let sent = tokio::time::timeout(ask.patience, self.request(ask).send()).await;
        let response = sent
            .map_err(|_| Error::Silent {
                hub: self.hub().to_owned(),
                patience: ask.patience,
            })?
            .map_err(|source| self.unreachable(source))?;
        if response.status().as_u16() < 400 {
            return Ok(response);
        }
        let reply = self.read(response).await?;
        Err(Error::Refused(Problem::read(
            reply.status,
            &reply.body,
            reply.retry_after,
        )))
    }

    /// Sends a request once, with a body of `size` bytes as they come, and reads the answer.
    pub(crate) async fn send_once(
        &self,
        ask: &Ask,
        (content_type, size): (&str, u64),
        body: reqwest::Body,
    ) -> Result<Reply, Error> {
        let request = self
            .request(ask)
            .timeout(ask.patience)
            .header(CONTENT_TYPE, content_type)
            .header(CONTENT_LENGTH, size)
            .body(body);
        let response = request.send().await;
        let reply = self
            .read(response.map_err(|source| self.unreachable(source))?)
            .await?;
        if reply.status < 400 {
            return Ok(reply);
        }
        Err(Error::Refused(Problem::read(
            reply.status,
            &reply.body,
            reply.retry_after,
        )))
    }

    async fn attempt(&self, ask: &Ask) -> Result<Reply, Error> {
        let request = self.request(ask).timeout(ask.patience);
        let response = request
            .send()
            .await
            .map_err(|source| self.unreachable(source))?;
        self.read(response).await
    }

    fn request(&self, ask: &Ask) -> reqwest::RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&ask.path);
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        let mut request = self
            .http
            .request(ask.method.clone(), url)
            .headers(ask.headers.clone());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some((kind, body)) = &ask.body {
            request = request.header(CONTENT_TYPE, &**kind).body(body.clone());
        }
        request
    }

    async fn read(&self, mut response: Response) -> Result<Reply, Error> {
        let text = |name| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let mut reply = Reply {
            status: response.status().as_u16(),
            body: Vec::new(),
            retry_after: text(RETRY_AFTER)
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
            hub: self.hub().to_owned(),
        };
        loop {
            let chunk = response.chunk().await;
            let chunk = chunk.map_err(|source| self.unreachable(source))?;
            let Some(chunk) = chunk else { break };
            if reply.body.len() + chunk.len() > MAX_ANSWER {
                return Err(reply.wrong(format!("it has more than {MAX_ANSWER} bytes")));
            }
            reply.body.extend_from_slice(&chunk);
        }
        if (300..400).contains(&reply.status) {
            return Err(reply.wrong("it sends us elsewhere".to_owned()));
        }
        Ok(reply)
    }
}

impl Ask {
    /// Asks for something.
    pub(crate) fn get<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::GET, path, Repeat::Harmless)
    }

    /// Has something done that may be done again without harm, as a revocation.
    pub(crate) fn post<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::POST, path, Repeat::Harmless)
    }

    /// Has something done once, whether or not the hub knows keys of idempotency for it.
    pub(crate) fn post_once<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::POST, path, Repeat::Unseen)
    }

    /// Has something made, once however often it is sent.
    pub(crate) fn create<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let key = random::nonce()?;
        Ok(Self::post(path).header("idempotency-key", &key))
    }

    /// Has something changed.
    pub(crate) fn patch<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::PATCH, path, Repeat::Unseen)
    }

    /// Has something be as it is told, however often.
    pub(crate) fn put<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::PUT, path, Repeat::Harmless)
    }

    /// Has something removed. A second time it would not be found, so it is not sent again when
    /// the hub may have seen it.
    pub(crate) fn delete<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::DELETE, path, Repeat::Unseen)
    }

    fn new<S: AsRef<str>>(
        method: Method,
        path: impl IntoIterator<Item = S>,
        repeat: Repeat,
    ) -> Self {
        let path = path.into_iter().map(|part| part.as_ref().to_owned());
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Self {
            method,
            path: path.collect(),
            query: Vec::new(),
            body: None,
            headers,
            patience: PATIENCE,
            repeat,
        }
    }

    /// With a parameter, if there is one.
    pub(crate) fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query
            .extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// With a JSON body.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string().into_bytes())
    }

    /// With a body of this media type.
    pub(crate) fn body(
        mut self,
        kind: impl Into<Cow<'static, str>>,
        body: impl Into<Bytes>,
    ) -> Self {
        self.body = Some((kind.into(), body.into()));
        self
    }

    /// Only if what is changed still has this version.
    pub(crate) fn if_version(self, version: Option<u64>) -> Self {
        match version {
            Some(version) => self.header(IF_MATCH.as_str(), &format!("\"{version}\"")),
            None => self,
        }
    }

    /// With a header; one that cannot be sent is left out.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Waits so long for the answer.
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl Reply {
    /// The body as what it should be.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| self.wrong(error.to_string()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> Result<String, Error> {
        String::from_utf8(self.body.clone()).map_err(|error| self.wrong(error.to_string()))
    }

    pub(crate) fn wrong(&self, why: String) -> Error {
        Error::Answer {
            hub: self.hub.clone(),
            why,
        }
    }
}

/// The address of a hub, to which paths can be added.
fn address(hub: &str) -> Result<Url, Error> {
    let wrong = |why| Error::Address {
        hub: hub.to_owned(),
        why,
    };
    let url = Url::parse(hub).map_err(|_| wrong("it must be https://HOST[:PORT]"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Address {
            // Whatever stands there may be a secret.
            hub: url.host_str().unwrap_or_default().to_owned(),
            why: "it must not hold a name or a password",
        });
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return Err(wrong(
                "over http:// the token could be read on the way; use https://",
            ));
        }
        // Also of HOST:PORT, as what stands before the colon reads as a scheme.
        _ => return Err(wrong("it must begin with https://")),
    }
    if url.query().is_some() || url.fragment().is_some() || !matches!(url.path(), "" | "/") {
        return Err(wrong("it must end after the host and the port"));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn unreachable(base: &Url, source: reqwest::Error) -> Error {
    Error::Unreachable {
        hub: base.to_string(),
        hint: if names_certificate(&source) {
            " (its certificate is not trusted: give the hub's authority with `outgate login --ca`)"
        } else {
            ""
        },
        source: source.without_url(),
    }
}

/// Whether the reason lies with the hub's certificate.
fn names_certificate(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(one) = source {
        if let Some(tls) = one.downcast_ref::<rustls::Error>() {
            return matches!(tls, rustls::Error::InvalidCertificate(_));
        }
        // What an error of `io` wraps is not its source, but itself.
        let wrapped = one
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        source = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => one.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_is_told_what_it_lacks() {
        for hub in ["localhost:8443", "hub.example:443", "hub.example"] {
            let said = address(hub).unwrap_err().to_string();
            assert!(said.contains("https://"), "{said}");
        }
    }

    #[test]
    fn an_address_that_would_send_the_token_in_the_clear_is_refused() {
        for (hub, right) in [
            ("https://hub.example", true),
            ("https://hub.example:8443/", true),
            ("http://localhost:1", true),
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://hub.example", false),
            ("http://127.0.0.1.hub.example", false),
            ("ftp://hub.example", false),
            ("hub.example", false),
            ("https://hub.example/path", false),
            ("https://hub.example/?a=b", false),
            ("https://user:secret@hub.example", false),
        ] {
            let parsed = address(hub);
            assert_eq!(parsed.is_ok(), right, "{hub}: {parsed:?}");
            assert!(!format!("{parsed:?}").contains("secret"));
        }
    }
}
