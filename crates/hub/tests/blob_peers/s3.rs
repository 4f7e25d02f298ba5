//! Files that are kept in S3, by a server that verifies who asks: s3s-fs.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use outgate_testbed::{Program, free, packages};
use serde_json::json;

use crate::{against, hub_with};

/// The name of the key, and the key.
const KEY_ID: &str = "outgate";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The bucket.
const BUCKET: &str = "kept";

/// s3s-fs, which listens there and keeps a bucket in `folder`.
async fn s3(folder: &Path) -> (Program, SocketAddr) {
    let root = folder.join("root");
    std::fs::create_dir_all(root.join(BUCKET)).unwrap();
    let at: SocketAddr = free().unwrap();
    let mut command = Command::new(packages().unwrap().join("s3s-fs/bin/s3s-fs"));
    command
        .args(["--host", "127.0.0.1", "--port", &at.port().to_string()])
        .args(["--access-key", KEY_ID, "--secret-key", SECRET])
        .arg(root);
    (Program::start(&mut command, folder, at).await.unwrap(), at)
}

/// The configuration of a hub that shows this key.
fn configured(folder: &Path, at: SocketAddr, (id, secret): (&str, &str)) -> String {
    let key = folder.join("key");
    std::fs::write(&key, secret).unwrap();
    format!(
        "[files.s3]
        bucket = '{BUCKET}'
        key-id = '{id}'
        key-file = {key:?}
        endpoint = 'http://{at}'
        prefix = 'hub/one'"
    )
}

/// How many objects lie in the bucket below the prefix.
fn objects(folder: &Path) -> usize {
    fn count(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        let counts = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
            true => count(&entry.path()),
            false => 1,
        });
        counts.sum()
    }
    count(&folder.join("root").join(BUCKET).join("hub/one"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_can_be_kept_in_s3_that_verifies_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let (_s3, at) = s3(folder.path()).await;
    let right = configured(folder.path(), at, (KEY_ID, SECRET));
    let running = hub_with(&right).await;
    let told = against(&running).await;
    assert_eq!(told["large"], json!([true, 50, [4 << 20]]), "{told:#}");
    for (step, expected) in [
        ("get again", json!("hello again")),
        ("range", json!("ell")),
        ("get empty", json!("")),
        ("still there", json!("hello again")),
        ("delete", json!(null)),
        (
            "gone",
            json!(["ResourceNotFoundError", 404, "BlobNotFound"]),
        ),
    ] {
        assert_eq!(told[step], expected, "{step}: {told:#}");
    }
    // Those of the large file, of the empty one, and two blocks of a file that is not there yet.
    assert_eq!(objects(folder.path()), 50 + 1 + 2);
    assert!(!running.folder.path().join("files").exists());
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_key_that_s3_does_not_take_the_device_is_told_little_and_the_log_why() {
    let folder = tempfile::tempdir().unwrap();
    let (_s3, at) = s3(folder.path()).await;
    let log = Log::default();
    let writer = log.clone();
    // No other test of this program looks at it.
    tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .init();
    for (id, secret, why) in [
        (KEY_ID, "wrong", "SignatureDoesNotMatch"),
        // Amazon's says InvalidAccessKeyId.
        ("nobody", SECRET, "NotSignedUp"),
    ] {
        let running = hub_with(&configured(folder.path(), at, (id, secret))).await;
        let told = against(&running).await;
        let refused = json!(["HttpResponseError", 500, "InternalError"]);
        assert_eq!(told["small"], refused, "{why}");
        let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(said.contains("the store of files fails"), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(!said.contains(SECRET));
        assert_eq!(objects_or_none(folder.path()), 0);
    }
}

/// As [`objects`], where there may not have been one.
fn objects_or_none(folder: &Path) -> usize {
    match folder.join("root").join(BUCKET).join("hub").exists() {
        true => objects(folder),
        false => 0,
    }
}
