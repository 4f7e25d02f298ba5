//! Files from one member to another. The request is signed as every other; the file is not, for
//! whoever wants it knows its digest.

use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use outgate_neighbours::MemberId;

use super::call::{ANSWER_MAX, Line, UNTAKEN_MAX, Unsaid, nothing};
use super::envelope::{CHALLENGE, FILE_PATH, NotHeard};
use super::serve::{self, Site};
use crate::files::{Coming, Outgoing, outgoing};

/// Bytes of a digest.
const DIGEST: usize = 32;
/// The most bytes of a name, as of the hub's.
const NAME_MAX: usize = 1024;
/// So long a member may take until a file begins to come: it may have to fetch it first.
pub(super) const FETCH_MAX: Duration = Duration::from_secs(300);
/// So many files are given at a time; who wants another waits.
pub(super) const GIVEN_MAX: usize = 8;

/// Which file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its SHA-256.
    pub digest: [u8; DIGEST],
    /// Its name at the hub.
    pub name: String,
}

impl Wanted {
    fn to_bytes(&self) -> Vec<u8> {
        [self.digest.as_slice(), self.name.as_bytes()].concat()
    }

    /// What a member wants, if that can be understood.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (digest, name) = bytes.split_first_chunk::<DIGEST>()?;
        let name = std::str::from_utf8(name).ok()?;
        (name.len() <= NAME_MAX).then(|| Self {
            digest: *digest,
            name: name.to_owned(),
        })
    }
}

/// Who has files for other members.
#[derive(Clone)]
pub struct Files(Arc<dyn Fn(Wanted) -> BoxFuture<'static, Option<File>> + Send + Sync>);

impl Files {
    /// Files as this finds them.
    pub fn new(
        find: impl Fn(Wanted) -> BoxFuture<'static, Option<File>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(find))
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files")
    }
}

/// Gives a member the file that it wants.
pub(super) async fn give(wanted: Wanted, site: &Site) -> Response<Outgoing> {
    let Some(files) = &site.files else {
        return serve::empty(StatusCode::NOT_FOUND);
    };
    // All who want a file that is still to come wait for that one: only to send it takes a place.
    let Some(file) = (files.0)(wanted).await else {
        return serve::empty(StatusCode::NOT_FOUND);
    };
    let Ok(place) = Arc::clone(&site.giving).acquire_owned().await else {
        return serve::empty(StatusCode::SERVICE_UNAVAILABLE);
    };
    match outgoing(file) {
        Ok((size, body)) => {
            // Its place is free again once it has gone out, or cannot any more.
            let body = body.map_frame(move |frame| {
                let _until_gone = &place;
                frame
            });
            let mut response = Response::new(body.boxed_unsync());
            let fields = response.headers_mut();
            fields.insert(http::header::CONTENT_LENGTH, HeaderValue::from(size));
            response
        }
        Err(error) => {
            tracing::warn!(%error, "a file for a neighbour cannot be read");
            serve::empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Asks a member for a file, wherever that is; it comes with what this returns.
pub(super) async fn fetch(to: &MemberId, wanted: &Wanted, site: &Site) -> Result<Coming, Unsaid> {
    let mut last = Unsaid::Late;
    for address in site.addresses.of_member(to) {
        let line = Line::to(to, address, site.own.ip(), UNTAKEN_MAX);
        let line = match tokio::time::timeout(ANSWER_MAX, line).await {
            Ok(Ok(line)) => line,
            Ok(Err(why)) => {
                last = why;
                continue;
            }
            Err(_) => continue,
        };
        let wanted = wanted.to_bytes();
        let asked = ask(line, (to, FILE_PATH), &wanted, site);
        match tokio::time::timeout(FETCH_MAX, asked).await {
            Ok(Ok(coming)) => return Ok(coming),
            // It is there, so its other addresses lead to the same.
            Ok(Err(Unsaid::Busy)) | Err(_) => return Err(Unsaid::Busy),
            Ok(Err(why)) => last = why,
        }
    }
    Err(last)
}

/// Asks a member something at a path of its own, over a line that serves for nothing else.
pub(super) async fn ask(
    mut line: Line,
    (to, path): (&MemberId, &str),
    content: &[u8],
    site: &Site,
) -> Result<Coming, Unsaid> {
    // Once more where the challenge was another one by now.
    for _ in 0..2 {
        let fields: HeaderMap = site
            .envelope
            .request(path, to, line.challenge().clone(), content);
        let response = line
            .send(Method::POST, path, fields, content.to_vec())
            .await?;
        let (head, body) = response.into_parts();
        match head.status {
            StatusCode::OK => return Ok(line.coming(body)),
            StatusCode::CONFLICT => {}
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => {
                return Err(Unsaid::Busy);
            }
            _ => return Err(Unsaid::Declined),
        }
        if let Some(challenge) = head.headers.get(CHALLENGE) {
            line.shows(challenge);
        }
        nothing(body).await?;
    }
    Err(Unsaid::NotHeard(NotHeard::Stale))
}
