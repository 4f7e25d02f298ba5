//! Asks the hub over HTTP, by the way that the link goes.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use outgate_probe::{Path, PathConfig};
use tokio::task::JoinSet;

use super::{AssetError, Digest, LIST_MAX};
use crate::chain::chain;
use crate::files::Coming;
use crate::hub_http::asked;
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
            Ok(Err(error)) => Err(AssetError::Unreached(Some(io::Error::other(error)))),
            Err(_) => Err(AssetError::Unreached(Some(io::ErrorKind::TimedOut.into()))),
        }
    }

    /// A file, as it comes.
    pub(super) async fn file(&self, digest: Digest, name: &str) -> Result<Coming, AssetError> {
        self.get(&format!("/assets/{digest}/{}", quoted(name)))
            .await
    }

    async fn get(&self, path: &str) -> Result<Coming, AssetError> {
        let asked = tokio::time::timeout(ANSWER_MAX, self.ask(path)).await;
        let asked = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let (response, connection) = asked.map_err(|why| AssetError::Unreached(Some(why)))?;
        match response.status() {
            StatusCode::OK => Ok(Coming::new(response.into_body(), connection)),
            StatusCode::NOT_FOUND => Err(AssetError::Unknown),
            other => {
                let why = io::Error::other(format!("the hub answers {other}"));
                Err(AssetError::Unreached(Some(why)))
            }
        }
    }

    async fn ask(&self, path: &str) -> io::Result<(Response<Incoming>, JoinSet<()>)> {
        let uri: Uri = format!("{}{path}", self.at.trim_end_matches('/'))
            .parse()
            .map_err(io::Error::other)?;
        let (ask, secure) = asked(&uri).map_err(io::Error::other)?;
        let mut way = self.way.clone();
        let token = match (self.shows)().map_err(io::Error::other)? {
            Shown::Token(token) => Some(token),
            Shown::Certificate(identity) => {
                way.client_identity = Some(identity);
                None
            }
        };
        // Of its own, since networks, name servers and proxies change.
        let way = Path::new(way).map_err(|error| io::Error::other(chain(&error)))?;
        let stream = outgate_probe::open(&ask, &way, secure).await;
        let stream = stream.map_err(|trouble| io::Error::other(trouble.to_string()))?;
        let (mut requests, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let mut task = JoinSet::new();
        task.spawn(async {
            // What became of it the answer shows.
            let _ = connection.await;
        });
        let mut request = Request::new(Empty::<Bytes>::new());
        let authority = uri.authority().map(http::uri::Authority::as_str);
        let authority = HeaderValue::from_str(authority.unwrap_or_default());
        let fields = request.headers_mut();
        fields.insert(HOST, authority.map_err(io::Error::other)?);
        if let Some(token) = token {
            let mut shown = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(io::Error::other)?;
            shown.set_sensitive(true);
            fields.insert(AUTHORIZATION, shown);
        }
        *request.uri_mut() = uri
            .path_and_query()
            .map(|path| path.as_str())
            .unwrap_or_default()
            .parse()
            .map_err(io::Error::other)?;
        let response = requests.send_request(request).await;
        Ok((response.map_err(io::Error::other)?, task))
    }
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
