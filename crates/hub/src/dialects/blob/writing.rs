//! What is put into a file.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::HeaderName;
use http_body_util::BodyExt as _;
use outgate_azure::storage::blocks::{self, BlockError, MAX_LIST_BYTES, parse_list};
use outgate_azure::storage::condition::{Conditions, Current, Verdict};
use outgate_azure::storage::problem::Problem;
use outgate_azure::storage::sas::Permission;
use outgate_core::Refusal;
use outgate_core::contents::{Hashes, Whole};
use outgate_core::files::{Condition, Described, File, Which};

use super::Asked;
use super::answer::{Refused, empty, identify, insert, tag, unsigned_seconds};
use super::pace::{Pace, TooSlow};
use crate::api::whole_within;

/// What the names of texts that a writer wants to be kept begin with.
pub(super) const META: &str = "x-ms-meta-";

/// Headers that say something of a file, and the headers in which it is told again. Kept among the
/// texts: those have names without a hyphen.
pub(super) const KEPT: [(&str, &str); 4] = [
    ("x-ms-blob-cache-control", "cache-control"),
    ("x-ms-blob-content-disposition", "content-disposition"),
    ("x-ms-blob-content-encoding", "content-encoding"),
    ("x-ms-blob-content-language", "content-language"),
];

/// Headers that ask for what is not done here: whoever sends one would take for done what is not.
const UNSUPPORTED: [&str; 12] = [
    "x-ms-content-crc64",
    "x-ms-copy-source",
    "x-ms-encryption-key",
    "x-ms-encryption-scope",
    "x-ms-expiry-option",
    "x-ms-if-tags",
    "x-ms-immutability-policy-until-date",
    "x-ms-lease-id",
    "x-ms-legal-hold",
    "x-ms-source-content-md5",
    "x-ms-structured-body",
    "x-ms-tags",
];

/// How long the list of a file's blocks may take to come.
const LIST_WITHIN: Duration = Duration::from_secs(60);

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// The body is the file.
pub(super) async fn put_blob(asked: Asked, body: &mut Body) -> Result<Response, Refused> {
    asked.check_supported()?;
    match asked.header("x-ms-blob-type") {
        None => return Err(Problem::MissingRequiredHeader.into()),
        Some("BlockBlob") => {}
        Some(_) => return Err(Problem::InvalidBlobType.into()),
    }
    let mut described = asked.described()?;
    asked.look_ahead().await?;
    let of_blob = asked.md5("x-ms-blob-content-md5")?;
    let whole = asked.whole(body, of_blob).await?;
    described.md5 = whole.md5().copied();
    let put = asked.files.put(&asked.access, whole, described).await;
    let file = put.map_err(overwriting)?;
    Ok(created(Some(&file), file.md5.as_ref()))
}

/// The body is a block of it.
pub(super) async fn put_block(
    asked: Asked,
    id: &blocks::BlockId,
    body: &mut Body,
) -> Result<Response, Refused> {
    asked.check_supported()?;
    let id = id.as_str().parse();
    let id = id.map_err(|_: Refusal| Problem::InvalidQueryParameterValue)?;
    let whole = asked.whole(body, None).await?;
    let md5 = whole.md5().copied();
    asked.files.stage(&asked.access, id, whole).await?;
    Ok(created(None, md5.as_ref()))
}

/// The body says of which blocks the file is made.
pub(super) async fn put_block_list(asked: Asked, body: &mut Body) -> Result<Response, Refused> {
    asked.check_supported()?;
    let mut described = asked.described()?;
    asked.look_ahead().await?;
    described.md5 = asked.md5("x-ms-blob-content-md5")?;
    let text = whole_within(mem::take(body), None, MAX_LIST_BYTES, LIST_WITHIN).await;
    let text = text.map_err(|_| Problem::RequestBodyTooLarge)?;
    let text = std::str::from_utf8(&text).map_err(|_| Problem::InvalidXmlDocument)?;
    let list = parse_list(text).map_err(|error| match error {
        BlockError::List => Problem::InvalidXmlDocument,
        BlockError::Id => Problem::InvalidBlockList,
        BlockError::TooMany => Problem::BlockListTooLong,
    })?;
    let mut wanted = Vec::with_capacity(list.len());
    for (place, id) in list {
        let id = id.as_str().parse();
        let id = id.map_err(|_: Refusal| Problem::InvalidBlockList)?;
        wanted.push((id, which(place)));
    }
    let made = asked.files.commit(&asked.access, wanted, described).await;
    let file = made.map_err(overwriting)?;
    Ok(created(Some(&file), None))
}

impl Asked {
    fn check_supported(&self) -> Result<(), Problem> {
        let has = |name: &&str| self.headers.contains_key(*name);
        if UNSUPPORTED.iter().any(has) {
            return Err(Problem::UnsupportedHeader);
        }
        Ok(())
    }

    /// Refuses at once what would be refused once all of it had come.
    async fn look_ahead(&self) -> Result<(), Refused> {
        let there = self.files.there(&self.access).await?;
        let judged = (self.condition())(there.as_ref());
        judged.map_err(overwriting)
    }

    /// All of the body as a piece, if it has the digest that is said of it.
    async fn whole(&self, body: &mut Body, of_blob: Option<[u8; 16]>) -> Result<Whole, Refused> {
        let size = self.header("content-length").and_then(|it| it.parse().ok());
        let size: u64 = size.ok_or(Problem::MissingContentLengthHeader)?;
        let said = self.md5("content-md5")?;
        let hashes = match said.or(of_blob) {
            Some(_) => Hashes::WithMd5,
            None => Hashes::Sha256,
        };
        let mut coming = self.files.begin(&self.access, hashes).await?;
        coming.expect(size)?;
        let mut pace = Pace::new();
        loop {
            let frame = pace.wait(body.frame()).await;
            let Some(frame) = frame.map_err(|TooSlow| Problem::OperationTimedOut)? else {
                break;
            };
            let frame = frame.map_err(|_| Problem::IncompleteBody)?;
            self.access.check()?;
            if let Ok(bytes) = frame.into_data() {
                pace.came(bytes.len());
                coming = coming.take(bytes).await?;
            }
        }
        if coming.size() != size {
            return Err(Problem::IncompleteBody.into());
        }
        let whole = coming.finish().await?;
        let is_other = |said: [u8; 16]| whole.md5() != Some(&said);
        if said.is_some_and(is_other) || of_blob.is_some_and(is_other) {
            return Err(Problem::Md5Mismatch.into());
        }
        Ok(whole)
    }

    /// The MD5 in a header.
    fn md5(&self, name: &'static str) -> Result<Option<[u8; 16]>, Problem> {
        let Some(text) = self.header(name) else {
            return Ok(None);
        };
        let bytes = STANDARD.decode(text).map_err(|_| Problem::InvalidMd5)?;
        let bytes = bytes.try_into().map_err(|_| Problem::InvalidMd5)?;
        Ok(Some(bytes))
    }

    /// What is said of the file that is made.
    fn described(&self) -> Result<Described, Problem> {
        let content_type = self.header("x-ms-blob-content-type");
        // What the body of a request is that lists blocks is nothing of the file's.
        let content_type = content_type.or_else(|| {
            self.headers.get("x-ms-blob-type")?;
            self.header("content-type")
        });
        let mut properties = BTreeMap::new();
        for (name, value) in &self.headers {
            let meta = name.as_str().strip_prefix(META);
            let kept = KEPT.iter().find(|(header, _)| name == header);
            let Some(key) = meta.or(kept.map(|(_, kept)| *kept)) else {
                continue;
            };
            let text = value.to_str().map_err(|_| Problem::InvalidHeaderValue)?;
            if properties.insert(key.to_owned(), text.to_owned()).is_some() {
                return Err(Problem::InvalidHeaderValue);
            }
        }
        Ok(Described {
            content_type: content_type.unwrap_or_default().to_owned(),
            properties,
            condition: self.condition(),
            ..Described::nothing()
        })
    }

    /// Whether what is made may take the place of what is there.
    fn condition(&self) -> Condition {
        let conditions = Conditions::parse(|name| self.header(name));
        let only_new = self.sas.permits(Permission::Write) == Some(false);
        Box::new(move |there: Option<&File>| {
            let tag = there.map(tag);
            let current = there.zip(tag.as_deref()).map(|(file, tag)| Current {
                tag,
                changed: unsigned_seconds(file.changed),
            });
            match conditions.on_writing(current) {
                Verdict::Go => {}
                Verdict::Exists => {
                    let id = there.map_or(String::new(), |file| file.place.name.to_string());
                    return Err(Refusal::Exists { what: "file", id });
                }
                Verdict::Failed | Verdict::NotModified => {
                    return Err(Refusal::Conflict { what: "the file" });
                }
            }
            if only_new && there.is_some() {
                return Err(Refusal::forbidden(OVERWRITING));
            }
            Ok(())
        })
    }
}

/// What a signature that only lets make something does not.
const OVERWRITING: &str = "overwriting a file";

/// A refusal to take the place of what is there has a word of its own.
fn overwriting(refusal: Refusal) -> Refused {
    if let Refusal::Forbidden { what } = &refusal
        && what == OVERWRITING
    {
        return Problem::UnauthorizedBlobOverwrite.into();
    }
    refusal.into()
}

fn which(place: blocks::Place) -> Which {
    match place {
        blocks::Place::Committed => Which::Committed,
        blocks::Place::Uncommitted => Which::Staged,
        blocks::Place::Latest => Which::Latest,
    }
}

/// What was sent is kept.
fn created(file: Option<&File>, md5: Option<&[u8; 16]>) -> Response {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    if let Some(file) = file {
        identify(headers, file);
    }
    if let Some(md5) = md5 {
        insert(headers, CONTENT_MD5, &STANDARD.encode(md5));
    }
    insert(
        headers,
        HeaderName::from_static("x-ms-request-server-encrypted"),
        "false",
    );
    response
}
