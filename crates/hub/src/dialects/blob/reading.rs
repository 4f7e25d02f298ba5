//! What is in a file, and what is known of it.

use std::ops::Range;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, StatusCode};
use md5::{Digest as _, Md5};
use outgate_azure::storage::blocks::{BlockId, Listed, write_list};
use outgate_azure::storage::condition::{Conditions, Current, Verdict, http_date};
use outgate_azure::storage::problem::Problem;
use outgate_azure::storage::range::{ByteRange, content_range};
use outgate_azure::storage::sas::Answered;
use outgate_core::files::{Access, Block, File, Sending};

use super::Asked;
use super::answer::{ERROR_CODE, Refused, XML, empty, identify, insert, tag, unsigned_seconds};
use super::writing::{KEPT, META};
use crate::api::Place;

/// The most bytes whose MD5 is worked out while they are sent: as many as Azure's service takes.
const MAX_HASHED: u64 = 4 << 20;

/// How many bytes go at a time of what is ready.
const READY_AT_ONCE: usize = 16 << 10;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const BLOB_MD5: HeaderName = HeaderName::from_static("x-ms-blob-content-md5");
const BLOB_SIZE: HeaderName = HeaderName::from_static("x-ms-blob-content-length");
const CREATED: HeaderName = HeaderName::from_static("x-ms-creation-time");

/// What a blob is, in the answers to who reads it: none of them has another kind or is leased.
const ALWAYS: [(&str, &str); 4] = [
    ("x-ms-blob-type", "BlockBlob"),
    ("x-ms-lease-state", "available"),
    ("x-ms-lease-status", "unlocked"),
    ("x-ms-server-encrypted", "false"),
];

/// What is in the file, or the range of it that is asked for.
pub(super) async fn blob(asked: Asked) -> Result<Response, Refused> {
    let file = asked.files.find(&asked.access).await?;
    if asked.judge(&file)? == Verdict::NotModified {
        return Ok(not_modified(&file));
    }
    let wanted = asked.header("x-ms-range").or(asked.header("range"));
    let range = match wanted.and_then(ByteRange::parse) {
        None => None,
        Some(range) => Some(range.of(file.size).ok_or_else(|| {
            let range = content_range(None, file.size);
            Refused::with(Problem::InvalidRange, CONTENT_RANGE, &range)
        })?),
    };
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    asked.describe(headers, &file, range.as_ref());
    let bytes = range.clone().unwrap_or(0..file.size);
    insert(
        headers,
        CONTENT_LENGTH,
        &(bytes.end - bytes.start).to_string(),
    );
    if let Some(range) = &range {
        insert(
            headers,
            CONTENT_RANGE,
            &content_range(Some(range), file.size),
        );
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    if asked.header("x-ms-range-get-content-crc64").is_some() {
        return Err(Problem::UnsupportedHeader.into());
    }
    if asked.wants_md5() {
        let md5 = asked.md5_of(&file, bytes.clone()).await?;
        insert(response.headers_mut(), CONTENT_MD5, &STANDARD.encode(md5));
    }
    let sending = asked.files.read(&asked.access, &file, bytes).await?;
    Ok(response.map(|_| sent(sending, asked.place)))
}

/// What is known of the file.
pub(super) async fn properties(asked: Asked) -> Result<Response, Refused> {
    let file = asked.files.find(&asked.access).await?;
    if asked.judge(&file)? == Verdict::NotModified {
        return Ok(not_modified(&file));
    }
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    asked.describe(headers, &file, None);
    insert(headers, CONTENT_LENGTH, &file.size.to_string());
    insert(headers, CREATED, &http_date(unsigned_seconds(file.created)));
    Ok(response)
}

/// Which blocks there are.
pub(super) async fn block_list(asked: Asked, which: Listed) -> Result<Response, Refused> {
    let files = &asked.files;
    let file = files.there(&asked.access).await?;
    let staged = match which {
        Listed::Committed => None,
        Listed::Uncommitted | Listed::All => Some(named(files.staged(&asked.access).await?)),
    };
    if file.is_none() && staged.as_ref().is_none_or(Vec::is_empty) {
        return Err(Problem::BlobNotFound.into());
    }
    let committed = match (which, &file) {
        (Listed::Uncommitted, _) => None,
        (Listed::Committed | Listed::All, None) => Some(Vec::new()),
        (Listed::Committed | Listed::All, Some(_)) => {
            Some(named(files.blocks(&asked.access).await?))
        }
    };
    let list = write_list(committed.as_deref(), staged.as_deref());
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, XML);
    insert(headers, CONTENT_LENGTH, &list.len().to_string());
    if let Some(file) = &file
        && which != Listed::Uncommitted
    {
        identify(headers, file);
        insert(headers, BLOB_SIZE, &file.size.to_string());
    }
    let list = ready(list.into(), asked.access, asked.place);
    Ok(response.map(|_| list))
}

impl Asked {
    /// Whether the file may be sent, by the conditions of the request.
    fn judge(&self, file: &File) -> Result<Verdict, Problem> {
        let tag = tag(file);
        let current = Current {
            tag: &tag,
            changed: unsigned_seconds(file.changed),
        };
        let conditions = Conditions::parse(|name| self.header(name));
        match conditions.on_reading(Some(current)) {
            Verdict::Failed | Verdict::Exists => Err(Problem::ConditionNotMet),
            verdict @ (Verdict::Go | Verdict::NotModified) => Ok(verdict),
        }
    }

    /// Whether the MD5 of a range is wanted.
    fn wants_md5(&self) -> bool {
        let wish = self.header("x-ms-range-get-content-md5");
        wish.is_some_and(|wish| wish.eq_ignore_ascii_case("true"))
    }

    /// The MD5 of a range. It is read once for that and once more to be sent, so that nobody's bytes
    /// wait in memory.
    async fn md5_of(&self, file: &File, range: Range<u64>) -> Result<[u8; 16], Refused> {
        if range.end - range.start > MAX_HASHED {
            return Err(Problem::OutOfRangeInput.into());
        }
        let mut reading = self.files.read(&self.access, file, range).await?;
        let mut md5 = Md5::new();
        while let Some(next) = reading.next().await? {
            md5.update(&next);
        }
        Ok(md5.finalize().into())
    }

    fn describe(&self, headers: &mut HeaderMap, file: &File, range: Option<&Range<u64>>) {
        identify(headers, file);
        for (name, value) in ALWAYS {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        insert(headers, CONTENT_TYPE, &file.content_type);
        if let Some(md5) = &file.md5 {
            let name = if range.is_some() {
                BLOB_MD5
            } else {
                CONTENT_MD5
            };
            insert(headers, name, &STANDARD.encode(md5));
        }
        for (name, text) in &file.properties {
            if KEPT.iter().any(|(_, kept)| kept == name) {
                // What its writer said is as good a header as they said it in.
                if let Ok(name) = HeaderName::try_from(name) {
                    insert(headers, name, text);
                }
            } else if let Ok(name) = HeaderName::try_from(format!("{META}{name}")) {
                insert(headers, name, text);
            }
        }
        for (answered, name) in [
            (Answered::CacheControl, CACHE_CONTROL),
            (Answered::ContentDisposition, CONTENT_DISPOSITION),
            (Answered::ContentEncoding, CONTENT_ENCODING),
            (Answered::ContentLanguage, CONTENT_LANGUAGE),
            (Answered::ContentType, CONTENT_TYPE),
        ] {
            if let Some(text) = self.sas.answered_with(answered) {
                insert(headers, name, text);
            }
        }
        // Whatever a file is, it is no page of the hub's.
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    }
}

/// What a client is told that has the file as it is, which to Azure is a problem like others.
fn not_modified(file: &File) -> Response {
    let mut response = empty(StatusCode::NOT_MODIFIED);
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(
        ERROR_CODE,
        HeaderValue::from_static(Problem::ConditionNotMet.code()),
    );
    identify(headers, file);
    response
}

/// The bytes of a file, for as long as who reads them may. `place` is held until the last.
fn sent(sending: Sending, place: Place) -> Body {
    let parts = stream::unfold(Some((sending, place)), |rest| async {
        let (mut sending, place) = rest?;
        match sending.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some((sending, place)))),
            Ok(None) => None,
            Err(refusal) => Some((Err(refusal), None)),
        }
    });
    Body::from_stream(parts)
}

/// Bytes that are ready, a few at a time for as long as who reads them may. `place` is held until the
/// last.
fn ready(bytes: Bytes, access: Access, place: Place) -> Body {
    let parts = stream::unfold(Some((bytes, access, place)), |rest| async {
        let (mut bytes, access, place) = rest?;
        if bytes.is_empty() {
            return None;
        }
        if let Err(refusal) = access.check() {
            return Some((Err(refusal), None));
        }
        let part = bytes.split_to(bytes.len().min(READY_AT_ONCE));
        Some((Ok(part), Some((bytes, access, place))))
    });
    Body::from_stream(parts)
}

/// Blocks with the names that their writer gave them; what came as a whole has none.
fn named(blocks: Vec<Block>) -> Vec<(BlockId, u64)> {
    let named = |block: Block| Some((block.id.as_str().parse().ok()?, block.size()));
    blocks.into_iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use outgate_core::files::{Admitted, NewGrant, Shown, Verb};
    use outgate_core::identity::Actor;
    use outgate_core::{Core, Settings};

    use super::*;
    use crate::api::Places;

    /// Somebody who may read a file of a hub in this folder.
    async fn reader(core: &Core) -> Admitted {
        let (hub, site) = (Actor::hub(), "s".parse().unwrap());
        let identity = &core.identity;
        let made = identity.create_site(&hub, site, "S".to_owned());
        let site = made.await.unwrap().id;
        let made = identity.create_device(&hub, "t7".parse().unwrap(), site, None);
        made.await.unwrap();
        let place = outgate_core::files::Place {
            device: "t7".parse().unwrap(),
            name: "a".parse().unwrap(),
        };
        let new = NewGrant {
            place: place.clone(),
            verb: Verb::Read,
            lasts: Duration::from_secs(60),
        };
        let issued = core.files.grant(&hub, new).await.unwrap();
        let shown = Shown {
            grant: issued.grant.id,
            place,
            verb: Verb::Read,
        };
        let peer = ([127, 0, 0, 1], 1).into();
        core.files.admit(&shown, peer, |_| true).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_ready_holds_its_place_and_goes_no_further_once_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::open(&Settings::new(folder.path())).unwrap();
        let Admitted {
            session,
            access,
            grant,
        } = reader(&core).await;
        let places = Places::new(1);
        let place = || places.take(vec![("t7".to_owned(), 1)]);
        let bytes = Bytes::from(vec![7; 3 * READY_AT_ONCE - 1]);
        let mut whole = 0;
        let mut body = ready(bytes.clone(), access.clone(), place().unwrap());
        while let Some(frame) = body.frame().await {
            let part = frame.unwrap().into_data().unwrap();
            assert!(part.len() <= READY_AT_ONCE);
            whole += part.len();
            assert!(place().is_none());
        }
        assert_eq!(whole, bytes.len());
        drop(body);
        let mut body = ready(bytes, access, place().unwrap());
        body.frame().await.unwrap().unwrap();
        drop(session);
        let (hub, files) = (Actor::hub(), &core.files);
        let revoked = files.revoke_grant(&hub, &grant.device, &grant.id);
        revoked.await.unwrap();
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none());
        assert!(place().is_some());
    }
}
