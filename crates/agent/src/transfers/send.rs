//! Sending a file, in blocks.
//!
//! A block is named by its place and its digest. So what the hub has of a file that was cut off, and
//! has not changed since, need not be sent again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderValue, Method, StatusCode};
use ring::digest::{SHA256, digest};

use super::{Failed, Told, Transfers, web};
use crate::assets::Hub;

/// The most bytes of a block, but of files with very many: so much is sent again after a cut.
const BLOCK: u64 = 1 << 20;

/// The most blocks of a file; the hub takes ten thousand.
const BLOCKS_MAX: u64 = 8_192;

/// How much of a block's digest is in its name.
const DIGEST_IN_NAME: usize = 14;

/// Sends a file.
pub(super) async fn send(told: &Told, file: &File, all: &Transfers) -> Result<(), Failed> {
    let (size, most, hub) = (file.metadata()?.len(), all.settings.bytes, &all.hub);
    if size > most {
        let why = format!("the file has {size} bytes, at most {most} may go");
        return Err(Failed::ForGood(why));
    }
    let there = staged(told, hub).await?;
    let block = BLOCK.max(size.div_ceil(BLOCKS_MAX));
    let mut left = size;
    let mut names = Vec::new();
    while left > 0 {
        let wanted = left.min(block);
        let (bytes, name) = read(file.try_clone()?, wanted, names.len()).await?;
        left -= wanted;
        if !there.contains(&name) {
            let quoted = name.replace('+', "%2B").replace('/', "%2F");
            let more = format!("&comp=block&blockid={quoted}");
            put(told, hub, (&more, bytes)).await?;
        }
        names.push(name);
    }
    let latest = names.iter().map(|name| format!("<Latest>{name}</Latest>"));
    let list: String = latest.collect();
    let list = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{list}</BlockList>");
    put(told, hub, ("&comp=blocklist", list.into())).await
}

/// The next block of a file, and its name.
async fn read(file: File, wanted: u64, place: usize) -> Result<(Bytes, String), Failed> {
    let work = move || {
        let mut bytes = Vec::new();
        (&file).take(wanted).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    let stopped = || std::io::Error::other("the reading of a block stopped");
    let bytes = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| stopped())??;
    if u64::try_from(bytes.len()).unwrap_or_default() != wanted {
        return Err(Failed::ForNow(
            "the file became shorter while it was read".to_owned(),
        ));
    }
    let mut name = u32::try_from(place)
        .unwrap_or(u32::MAX)
        .to_be_bytes()
        .to_vec();
    let digest = digest(&SHA256, &bytes);
    name.extend(digest.as_ref().iter().take(DIGEST_IN_NAME));
    // 18 bytes: there is no padding.
    Ok((bytes.into(), STANDARD.encode(name)))
}

/// The names of the blocks that the hub has already.
async fn staged(told: &Told, hub: &Hub) -> Result<BTreeSet<String>, Failed> {
    let asked = (
        Method::GET,
        &told.path,
        "&comp=blocklist&blocklisttype=uncommitted",
    );
    let answer = web::ask(hub, asked, &[], Bytes::new()).await?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(BTreeSet::new()),
        _ => return Err(web::refused(&answer)),
    }
    let text = web::text(answer).await?;
    let names = text.split("<Name>").skip(1);
    let names = names.filter_map(|rest| rest.split_once("</Name>"));
    Ok(names.map(|(name, _)| name.to_owned()).collect())
}

async fn put(told: &Told, hub: &Hub, (more, body): (&str, Bytes)) -> Result<(), Failed> {
    let version = HeaderName::from_static("x-ms-version");
    let headers = [(version, HeaderValue::from_static("2023-11-03"))];
    let asked = (Method::PUT, &told.path, more);
    let answer = web::ask(hub, asked, &headers, body).await?;
    match answer.status() {
        StatusCode::CREATED => Ok(()),
        _ => Err(web::refused(&answer)),
    }
}
