//! What bounds whoever waits for the disk and says what the digest of a file is: the disk and the
//! digests by themselves.

use std::fs::{File, rename};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use md5::{Digest as _, Md5};
use ring::digest::{SHA256, digest};

use super::{Load, MEBIBYTE, PART};
use crate::report::Figure;

/// How many mebibytes are hashed.
const HASHED: usize = 256;

/// What a load comes to without a server.
pub(crate) fn of(load: Load) -> anyhow::Result<Vec<(String, &'static str, Figure)>> {
    let folder = tempfile::tempdir()?;
    let took = written(folder.path(), load)?;
    let figure = Figure::rate(load.things(load.sent), took, 0.0);
    let mut figures = vec![(load.named("upload"), "write + fsync", figure)];
    if load.bytes >= HASHED * MEBIBYTE {
        let part = vec![0x5a; MEBIBYTE];
        let each = |hash: &dyn Fn(&[u8])| {
            let began = Instant::now();
            for _ in 0..HASHED {
                hash(&part);
            }
            let took = began.elapsed();
            Figure::rate(HASHED, took, took.as_secs_f64())
        };
        let sha256 = each(&|part| {
            std::hint::black_box(digest(&SHA256, part));
        });
        let md5 = each(&|part| {
            std::hint::black_box(Md5::digest(part));
        });
        figures.push((load.named("upload"), "SHA-256", sha256));
        figures.push((load.named("upload"), "MD5", md5));
    }
    Ok(figures)
}

/// Writes the files one after the other, each on the disk before the next and in its place by its
/// name.
fn written(folder: &Path, load: Load) -> anyhow::Result<Duration> {
    let part = vec![0x5a; PART.min(load.bytes)];
    let (coming, there) = (folder.join("coming"), folder.join("there"));
    let began = Instant::now();
    for _ in 0..load.sent {
        let mut file = File::create(&coming)?;
        for _ in 0..load.bytes / part.len() {
            file.write_all(&part)?;
        }
        file.sync_all()?;
        rename(&coming, &there)?;
    }
    Ok(began.elapsed())
}
