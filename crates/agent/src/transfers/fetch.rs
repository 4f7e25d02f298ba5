//! Fetching a file.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use bytes::Bytes;
use http::header::{ETAG, HeaderName, IF_MATCH, RANGE};
use http::{HeaderValue, Method, StatusCode};
use ring::digest::{Context, SHA256};

use super::part::Part;
use super::{Failed, Told, Transfers, place, web};
use crate::assets::room;

/// How much of a file is read at a time to work out its digest.
const CHUNK: usize = 256 << 10;

/// After how many bytes it is looked again whether the disk has room.
const LOOK_EVERY: u64 = 1 << 20;

/// A file as the hub says it is.
struct Wanted<'a> {
    size: u64,
    sha256: &'a str,
}

/// Fetches a file into `folder`.
pub(super) async fn fetch(told: &Told, folder: &Path, all: &Transfers) -> Result<(), Failed> {
    let (Some(size), Some(sha256)) = (told.size, told.sha256.as_deref()) else {
        let why = "the command does not say how large the file is, or its SHA-256";
        return Err(Failed::ForGood(why.to_owned()));
    };
    let most = all.settings.bytes;
    if size > most {
        let why = format!("the file has {size} bytes, at most {most} may come");
        return Err(Failed::ForGood(why));
    }
    // Before anything comes for a place where it cannot be put.
    place::parent(folder, &told.name)?;
    let part = Part::open(folder, &told.grant)?;
    let come = come(&part, Wanted { size, sha256 }, (folder, told, all)).await;
    if matches!(come, Err(Failed::ForGood(_))) {
        part.remove()?;
    }
    come?;
    place::hand_over(&part.file, folder)?;
    let (parent, name) = place::made_parent(folder, &told.name)?;
    part.becomes(&parent, name)
}

/// Has all of the file come, and looks whether that is it.
async fn come(
    part: &Part,
    wanted: Wanted<'_>,
    how: (&Path, &Told, &Transfers),
) -> Result<(), Failed> {
    let had = part.file.metadata()?.len();
    let mut at_once = false;
    if had < wanted.size || wanted.size == 0 {
        at_once = take(part, (had, wanted.size), how).await?;
    }
    let (size, got) = digest_of(part.file.try_clone()?).await?;
    if size == wanted.size && got.eq_ignore_ascii_case(wanted.sha256) {
        return Ok(());
    }
    Err(wrong(part, at_once)?)
}

/// What came is something else. What was put together of several goes, and another try may help: the
/// first of it may have been lost with the machine's power.
fn wrong(part: &Part, at_once: bool) -> Result<Failed, Failed> {
    part.remove()?;
    let why = "what came is not what the hub said would".to_owned();
    Ok(match at_once {
        true => Failed::ForGood(why),
        false => Failed::ForNow(why),
    })
}

/// Takes what of the file is not here yet; whether all of it came now.
async fn take(
    part: &Part,
    (had, size): (u64, u64),
    (folder, told, all): (&Path, &Told, &Transfers),
) -> Result<bool, Failed> {
    let has_room = |bytes| match room(folder, &all.board) {
        Some(room) if room < bytes => Err(Failed::ForNow(
            "the disk has no room for the file: free some of it".to_owned(),
        )),
        _ => Ok(()),
    };
    has_room(size.saturating_sub(had))?;
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    if had > 0
        && let Some(tag) = part.tag()
    {
        let range = HeaderValue::try_from(format!("bytes={had}-"));
        headers.extend(range.map(|range| (RANGE, range)));
        headers.push((IF_MATCH, tag));
    }
    let asked = (Method::GET, &told.path, "");
    let mut answer = web::ask(&all.hub, asked, &headers, Bytes::new()).await?;
    let mut file = &part.file;
    let at_once = answer.status() == StatusCode::OK;
    let mut have = match answer.status() {
        StatusCode::PARTIAL_CONTENT if !headers.is_empty() => file.seek(SeekFrom::End(0))?,
        StatusCode::OK => {
            part.begin(answer.headers().get(ETAG))?;
            0
        }
        StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => {
            // Something else has taken its place; then from the beginning.
            part.begin(None)?;
            return Err(web::refused(&answer));
        }
        _ => return Err(web::refused(&answer)),
    };
    let mut look_at = have.saturating_add(LOOK_EVERY);
    while let Some(bytes) = web::next(&mut answer).await? {
        have = have.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if have > size {
            return Err(wrong(part, at_once)?);
        }
        if have >= look_at {
            has_room(1)?;
            look_at = have.saturating_add(LOOK_EVERY);
        }
        file.write_all(&bytes)?;
    }
    if have < size {
        return Err(Failed::ForNow("the file was cut off".to_owned()));
    }
    Ok(at_once)
}

/// The size of a file, and its SHA-256 in hexadecimal, once it is on the disk.
async fn digest_of(mut file: File) -> io::Result<(u64, String)> {
    let work = move || {
        file.sync_all()?;
        file.seek(SeekFrom::Start(0))?;
        let mut hash = Context::new(&SHA256);
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                let digest = hash.finish();
                let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
                return Ok((file.stream_position()?, digits.collect()));
            }
            hash.update(buffer.get(..read).unwrap_or_default());
        }
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(io::Error::other("the digest's work stopped")))
}
