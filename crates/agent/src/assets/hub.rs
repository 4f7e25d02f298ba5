//! Asks the hub over HTTP, by the way that the link goes.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use outgate_probe::PathConfig;

use super::{AssetError, Digest, LIST_MAX};
use crate::files::Coming;
use crate::hub_http;
use crate::proof::{ProofError, Shown};

/// So long the hub may take until it begins to answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Where the hub is, and what is shown to it.
#[derive(Clone)]
pub struct Hub {
    /// As `https://hub.example:8443`.
    pub at: String,
    /// The way to it.
    pub way: PathConfig,
    /// What the device shows.
    pub shows: Arc<dyn Fn() -> Result<Shown, ProofError> + Send + Sync>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// What the device should hold, in JSON.
    pub(super) async fn list(&self) -> Result<Bytes, AssetError> {
        let coming = self.get("/assets").await?;
        let most = usize::try_from(LIST_MAX).unwrap_or(usize::MAX);
        let whole = tokio::time::timeout(ANSWER_MAX, Limited::new(coming, most).collect()).await;
        match whole {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(error)) => Err(AssetError::unreached(io::Error::other(error))),
            Err(_) => Err(AssetError::unreached(io::ErrorKind::TimedOut.into())),
        }
    }

    /// A file, as it comes after its first `begun` bytes; or whole, as then the number says that comes
    /// with it.
    pub(super) async fn file(
        &self,
        digest: Digest,
        name: &str,
        begun: u64,
    ) -> Result<(u64, Coming), AssetError> {
        let path = format!("/assets/{digest}/{}", quoted(name));
        if begun > 0 {
            let response = self.answer(&path, begun).await?;
            match response.status() {
                StatusCode::PARTIAL_CONTENT if starts_at(response.headers(), begun) => {
                    return Ok((begun, response.into_body()));
                }
                // It has no more than that, so what has come is not it.
                StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {}
                _ => return Ok((0, whole(response)?)),
            }
        }
        Ok((0, self.get(&path).await?))
    }

    async fn get(&self, path: &str) -> Result<Coming, AssetError> {
        let response = self.answer(path, 0).await?;
        whole(response)
    }

    async fn answer(&self, path: &str, from: u64) -> Result<Response<Coming>, AssetError> {
        let asked = tokio::time::timeout(ANSWER_MAX, self.ask(path, from)).await;
        let asked = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        asked.map_err(AssetError::unreached)
    }

    async fn ask(&self, path: &str, from: u64) -> io::Result<Response<Coming>> {
        let mut way = self.way.clone();
        let token = match (self.shows)().map_err(io::Error::other)? {
            Shown::Token(token) => Some(token),
            Shown::Certificate(identity) => {
                way.client_identity = Some(identity);
                None
            }
        };
        let mut request = Request::new(Empty::<Bytes>::new());
        let fields = request.headers_mut();
        if from > 0 {
            let range = HeaderValue::from_str(&format!("bytes={from}-"));
            fields.insert(RANGE, range.map_err(io::Error::other)?);
        }
        if let Some(token) = token {
            let mut shown = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(io::Error::other)?;
            shown.set_sensitive(true);
            fields.insert(AUTHORIZATION, shown);
        }
        hub_http::send((&self.at, path), way, request).await
    }
}

/// The body of an answer that is a whole file.
fn whole(response: Response<Coming>) -> Result<Coming, AssetError> {
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        StatusCode::NOT_FOUND => Err(AssetError::Unknown),
        other => {
            let why = io::Error::other(format!("the hub answers {other}"));
            Err(AssetError::unreached(why))
        }
    }
}

/// Whether what comes begins after so many bytes (RFC 9110 §14.4).
fn starts_at(headers: &HeaderMap, from: u64) -> bool {
    let range = headers.get(CONTENT_RANGE);
    let range = range.and_then(|value| value.to_str().ok());
    let first = range.and_then(|text| text.strip_prefix("bytes ")?.split('-').next());
    first.is_some_and(|first| first.parse() == Ok(from))
}

/// A name as it stands in a path: what is no letter or digit is written as RFC 3986 has it.
fn quoted(name: &str) -> String {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    name.bytes().map(letter).collect()
}
