//! A disk that fills up while files come: a small one, in a mount namespace of its own.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use outgate_core::files::Verb;
use outgate_testbed::{SmallDisk, on_disk_of};
use reqwest::{Method, StatusCode};
use tempfile::TempDir;

use crate::{Blobs, told};

/// The disk: what a hub leaves free of one (64 MiB), and some for files.
const DISK: u32 = 64 + 24;

/// More than goes onto it.
const TOO_MUCH: usize = 40 << 20;

/// A block, of which several go onto it.
const BLOCK: usize = 3 << 20;

/// How many mebibytes of four blocks come before the disk is full: more than the hub holds back.
const BEGUN: usize = 8;

/// What a hub says when the disk has no more room, and when it has again.
const FULL: &str = "the disk is full: files that come are refused";
const ROOM: &str = "the disk has room for files again";

/// What is logged, in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// How often that was said.
    fn times(&self, what: &str) -> usize {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        log.matches(what).count()
    }
}

/// How many bytes lie in the folder and below.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let sizes = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => bytes_in(&entry.path()),
        false => entry.metadata().map_or(0, |file| file.len()),
    });
    sizes.sum()
}

#[test]
fn what_fills_the_disk_is_refused_and_leaves_nothing_and_the_rest_goes_on() {
    on_disk_of(DISK, |disk| {
        let log = Log::default();
        let writer = log.clone();
        // This process runs nothing else.
        tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .init();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(fill_and_recover(disk, &log));
    })
    .unwrap();
}

async fn fill_and_recover(disk: &SmallDisk, log: &Log) {
    let blobs = Blobs::on(TempDir::new_in(disk.path()).unwrap()).await;
    let (read, write) = (
        blobs.address("a", Verb::Read).await,
        blobs.address("a", Verb::Write).await,
    );
    let put = blobs.put(&write, &[], b"before").await;
    assert_eq!(put.status(), StatusCode::CREATED);
    // Of one that says how large it is nothing has to come.
    let full = (507, "InsufficientStorage".to_owned());
    let put = blobs.put(&write, &[], &vec![7; TOO_MUCH]).await;
    assert_eq!(told(&put), full);
    assert_eq!((log.times(FULL), log.times(ROOM)), (1, 0));
    let files = blobs.running.folder.path().join("files");
    assert_eq!(bytes_in(&files), 6);

    let mut taken = 0;
    let refused = loop {
        let block = format!("{write}&comp=block&blockid={taken:04}");
        let put = blobs.ask(Method::PUT, &block, &[], &vec![7; BLOCK]).await;
        if put.status() != StatusCode::CREATED {
            break put;
        }
        taken += 1;
    };
    assert!((2..8).contains(&taken), "{taken}");
    assert_eq!(told(&refused), full);
    // It is said once more: in between there was room.
    assert_eq!(log.times(FULL), log.times(ROOM) + 1);
    assert_eq!(bytes_in(&files), 6 + taken * BLOCK as u64);
    for body in [BLOCK, TOO_MUCH] {
        let put = blobs.put(&write, &[], &vec![7; body]).await;
        assert_eq!(told(&put), full);
    }
    // What is there is as it was, and what needs no room is done.
    let got = blobs.get(&read, &[]).await;
    assert_eq!(got.bytes().await.unwrap(), "before");
    let delete = blobs.address("a", Verb::Delete).await;
    let gone = blobs.ask(Method::DELETE, &delete, &[], b"").await;
    assert_eq!(gone.status(), StatusCode::ACCEPTED);
    // The blocks went with it, and so there is room.
    assert_eq!(bytes_in(&files), 0);
    let put = blobs.put(&write, &[], &vec![7; BLOCK]).await;
    assert_eq!(put.status(), StatusCode::CREATED);
    disk.grow().unwrap();
    let put = blobs.put(&write, &[], &vec![8; TOO_MUCH]).await;
    assert_eq!(put.status(), StatusCode::CREATED);
    let got = blobs.get(&read, &[]).await.bytes().await.unwrap();
    assert!(got == vec![8; TOO_MUCH]);
    assert_eq!((log.times(FULL), log.times(ROOM)), (2, 2));
}

#[test]
fn a_disk_that_somebody_else_fills_while_a_file_comes_keeps_nothing_of_it() {
    on_disk_of(DISK, |disk| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(fill_in_the_middle(disk));
    })
    .unwrap();
}

async fn fill_in_the_middle(disk: &SmallDisk) {
    let blobs = Blobs::on(TempDir::new_in(disk.path()).unwrap()).await;
    let write = blobs.address("a", Verb::Write).await;
    let read = blobs.address("a", Verb::Read).await;
    let (parts, mut coming) = tokio::sync::mpsc::channel::<bytes::Bytes>(1);
    let body = futures_util::stream::poll_fn(move |context| {
        let part = coming.poll_recv(context);
        part.map(|part| part.map(Ok::<_, std::io::Error>))
    });
    let size = 4 * BLOCK;
    let request = blobs.client.put(&write);
    let request = request
        .header("x-ms-blob-type", "BlockBlob")
        .header("content-length", size)
        .body(reqwest::Body::wrap_stream(body));
    let answer = tokio::spawn(request.send());
    let part = bytes::Bytes::from(vec![7; 1 << 20]);
    let files = blobs.running.folder.path().join("files");
    // Not all of it: however late the hub is, something is left to come once the disk is full.
    for _ in 0..BEGUN {
        parts.send(part.clone()).await.unwrap();
    }
    while bytes_in(&files) == 0 {
        tokio::task::yield_now().await;
    }
    let ballast = disk.path().join("ballast");
    let mut other = std::fs::File::create(&ballast).unwrap();
    while other.write_all(&[7; 64 << 10]).is_ok() {}
    drop(other);
    // The rest is taken, and comes to nothing.
    let rest = tokio::spawn(async move { while parts.send(part.clone()).await.is_ok() {} });
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(told(&answer), (507, "InsufficientStorage".to_owned()));
    rest.await.unwrap();
    while bytes_in(&files) > 0 {
        tokio::task::yield_now().await;
    }
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(told(&blobs.get(&read, &[]).await).0, 404);
    let put = blobs.put(&write, &[], &vec![7; size]).await;
    assert_eq!(put.status(), StatusCode::CREATED);
}
