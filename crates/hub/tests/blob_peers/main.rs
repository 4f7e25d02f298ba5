//! Azure's library for Blob storage against a whole hub, through addresses with a signature; and the
//! same against azurite, Microsoft's own stand-in for its storage, whose answers are compared.
//!
//! Needs the packages in `xtask/peers`; `cargo xtask test` installs them.

#![cfg(test)]

#[path = "../running/hub.rs"]
mod running;
mod s3;
#[path = "../running/site.rs"]
mod site;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use outgate_azure::storage::sas::{Resource, Terms, sign};
use outgate_core::contents::Hashes;
use outgate_core::files::{Access, Described, File, Files, Issued, NewGrant, Place, Verb};
use outgate_core::identity::Actor;
use outgate_hub::dialects::blob::address;
use outgate_testbed::{Program, free, packages, python_program, run};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::running::Running;

/// A hub over TLS.
const CONFIGURATION: &str = "
    [[listen]]
    address = '127.0.0.1:0'
";

/// The key of azurite's account, which is in its documents.
const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The files of the scenario.
const FILES: [&str; 6] = ["small", "empty", "large", "hashed", "missing", "odd"];

/// What is refused differently by azurite, and why: it says `AuthorizationFailure` where Azure says
/// `AuthenticationFailed`.
const REFUSED: [&str; 3] = ["expired", "tampered", "other file"];

/// A hub with the device `t7`.
async fn hub() -> Running {
    hub_with("").await
}

/// With more in its configuration.
async fn hub_with(more: &str) -> Running {
    let text = format!("{CONFIGURATION}{more}");
    let running = Running::on(tempfile::tempdir().unwrap(), &text).await;
    running.furnish().await;
    running.device("t7").await;
    running
}

async fn grant(running: &Running, name: &str, verb: Verb) -> Issued {
    let place = Place {
        device: "t7".parse().unwrap(),
        name: name.parse().unwrap(),
    };
    let lasts = Duration::from_hours(30 * 24);
    let new = NewGrant { place, verb, lasts };
    let files = &running.core().files;
    files.grant(&Actor::hub(), new).await.unwrap()
}

fn url(running: &Running, path: &str) -> String {
    let at = running.hub.listening()[0].address;
    format!("https://127.0.0.1:{}{path}", at.port())
}

/// An address that whoever has the key of a grant makes of it.
fn signed_anew(running: &Running, issued: &Issued, starts: i64, ends: i64) -> String {
    let grant = &issued.grant;
    let blob = format!("t7/{}", grant.name);
    let terms = Terms {
        starts,
        ends,
        permissions: "r",
        policy: grant.id.as_str(),
    };
    let resource = Resource {
        account: "outgate",
        container: "files",
        blob: &blob,
    };
    let query = sign(terms, resource, issued.key.expose());
    url(running, &format!("/files/{blob}?{query}"))
}

/// The library, with these addresses.
fn library(folder: &Path, asked: &Value) -> Child {
    let file = folder.join(format!("asked-{}.json", asked["acts"][0].as_str().unwrap()));
    std::fs::write(&file, asked.to_string()).unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blob_peers/sdk.py");
    Command::new(python_program("azure", "python").unwrap())
        .arg(here)
        .arg(file)
        .env_remove("REQUESTS_CA_BUNDLE")
        .env_remove("CURL_CA_BUNDLE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// What came of each step.
async fn results(mut library: Child) -> Value {
    let mut said = String::new();
    let mut output = library.stdout.take().unwrap();
    output.read_to_string(&mut said).await.unwrap();
    assert!(library.wait().await.unwrap().success(), "{said}");
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap()
}

async fn against(running: &Running) -> Value {
    let mut addresses = BTreeMap::new();
    for name in FILES {
        for (verb, what) in [
            (Verb::Read, "read"),
            (Verb::Write, "write"),
            (Verb::Delete, "delete"),
        ] {
            let issued = grant(running, name, verb).await;
            addresses.insert(format!("{name}-{what}"), url(running, &address(&issued)));
        }
    }
    let issued = grant(running, "small", Verb::Read).await;
    let begins = issued.grant.created.as_millis() / 1_000;
    let expired = signed_anew(running, &issued, begins - 60, begins - 1);
    let small = addresses["small-read"].clone();
    addresses.insert("expired".to_owned(), expired);
    addresses.insert("tampered".to_owned(), small.replace("sp=r", "sp=rw"));
    addresses.insert("other-file".to_owned(), small.replace("/small?", "/empty?"));
    let asked = json!({
        "acts": ["steps"],
        "addresses": addresses,
        "trust": running.folder.path().join("tls/ca.pem"),
    });
    results(library(running.folder.path(), &asked)).await
}

/// azurite, which listens there and keeps its data in `folder`.
async fn azurite(folder: &Path) -> (Program, SocketAddr) {
    let at: SocketAddr = free().unwrap();
    let azurite = packages()
        .unwrap()
        .join("node/node_modules/.bin/azurite-blob");
    let mut command = std::process::Command::new(azurite);
    command
        .args([
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            &at.port().to_string(),
        ])
        .args(["--skipApiVersionCheck", "--disableTelemetry", "--silent"])
        .arg("--location")
        .arg(folder);
    (Program::start(&mut command, folder, at).await.unwrap(), at)
}

async fn against_azurite() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (_azurite, at) = azurite(folder.path()).await;
    let asked = json!({
        "acts": ["steps"],
        "addresses": {},
        "trust": true,
        "azurite": at.port(),
        "key": AZURITE_KEY,
    });
    results(library(folder.path(), &asked)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_s_library_is_answered_as_azurite_answers_it() {
    let ours = against(&hub().await).await;
    let theirs = against_azurite().await;
    assert_eq!(ours["large"], json!([true, 50, [4 << 20]]), "{ours:#}");
    assert_eq!(ours["get again"], json!("hello again"));
    for (step, theirs) in theirs.as_object().unwrap() {
        let ours = &ours[step];
        if REFUSED.contains(&step.as_str()) {
            let refused = json!(["ClientAuthenticationError", 403, "AuthenticationFailed"]);
            assert_eq!((ours, &theirs[1]), (&refused, &json!(403)), "{step}");
        } else {
            assert_eq!(ours, theirs, "{step}: ours, theirs");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_s_library_gets_nothing_for_longer_than_thirty_days() {
    let running = hub().await;
    let issued = grant(&running, "small", Verb::Read).await;
    let begins = issued.grant.created.as_millis() / 1_000;
    let mut addresses = BTreeMap::new();
    for name in FILES {
        for (what, ends) in [("read", 31), ("write", 31)] {
            let longer = signed_anew(&running, &issued, begins, begins + ends * 86_400);
            addresses.insert(format!("{name}-{what}"), longer);
        }
    }
    let asked = json!({
        "acts": ["get on"],
        "addresses": addresses,
        "trust": running.folder.path().join("tls/ca.pem"),
    });
    let told = results(library(running.folder.path(), &asked)).await;
    let refused = json!(["ClientAuthenticationError", 403, "AuthenticationFailed"]);
    assert_eq!(told["get on"], refused);
}

/// The hub's own access to a file.
async fn reached(running: &Running, name: &str) -> Access {
    let place = Place {
        device: "t7".parse().unwrap(),
        name: name.parse().unwrap(),
    };
    let files = &running.core().files;
    let reached = files.reach(&Actor::hub(), place, Verb::Write).await;
    reached.unwrap()
}

/// Puts something long into a file.
async fn filled(files: &Files, access: &Access) -> File {
    let mut coming = files.begin(access, Hashes::Sha256).await.unwrap();
    for _ in 0..100 {
        let part = Bytes::from(vec![7; 1 << 20]);
        coming = coming.take(part).await.unwrap();
    }
    let whole = coming.finish().await.unwrap();
    let put = files.put(access, whole, Described::nothing()).await;
    put.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_s_library_gets_and_puts_no_more_of_a_file_once_its_grant_is_revoked() {
    let running = hub().await;
    let (hub, files) = (Actor::hub(), &running.core().files);
    let read = grant(&running, "large", Verb::Read).await;
    let write = grant(&running, "large", Verb::Write).await;
    let addresses = json!({
        "large-read": url(&running, &address(&read)),
        "large-write": url(&running, &address(&write)),
    });
    let there = reached(&running, "large").await;
    let before = filled(files, &there).await;
    for (act, issued) in [("get on", read), ("put on", write)] {
        let asked = json!({
            "acts": [act],
            "addresses": addresses,
            "trust": running.folder.path().join("tls/ca.pem"),
        });
        let mut library = library(running.folder.path(), &asked);
        let mut output = BufReader::new(library.stdout.take().unwrap());
        let mut said = String::new();
        output.read_line(&mut said).await.unwrap();
        assert_eq!(said, "begun\n", "{act}");
        let grant = &issued.grant;
        let revoked = files.revoke_grant(&hub, &grant.device, &grant.id);
        revoked.await.unwrap();
        library
            .stdin
            .take()
            .unwrap()
            .write_all(b"go on\n")
            .await
            .unwrap();
        let mut said = String::new();
        output.read_to_string(&mut said).await.unwrap();
        let told: Value = serde_json::from_str(&said).unwrap();
        let refused = json!(["ClientAuthenticationError", 403, "AuthenticationFailed"]);
        assert_eq!(told[act], refused, "{act}");
    }
    assert_eq!(files.there(&there).await.unwrap(), Some(before));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_can_be_kept_in_blob_storage_that_verifies_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let (_azurite, at) = azurite(folder.path()).await;
    let endpoint = format!("http://{at}/devstoreaccount1");
    let container = format!(
        "from azure.storage.blob import BlobServiceClient as Client\n\
         Client({endpoint:?}, credential={AZURITE_KEY:?}).create_container('kept')"
    );
    let mut made = Command::new(python_program("azure", "python").unwrap());
    let (status, said) = run(made.args(["-c", &container])).await.unwrap();
    assert!(status.success(), "{said}");
    let key = folder.path().join("key");
    let configured = |right: &str| {
        std::fs::write(&key, right).unwrap();
        format!(
            "[files.azure]
            account = 'devstoreaccount1'
            container = 'kept'
            key-file = {key:?}
            endpoint = {endpoint:?}
            prefix = 'hub/one'"
        )
    };
    let running = hub_with(&configured(AZURITE_KEY)).await;
    let told = against(&running).await;
    assert_eq!(told["large"], json!([true, 50, [4 << 20]]), "{told:#}");
    assert_eq!(told["get again"], json!("hello again"));
    assert_eq!(told["get empty"], json!(""));
    assert!(!running.folder.path().join("files").exists());
    // With a key that is not the account's nothing is kept, and that is said.
    let wrong = AZURITE_KEY.replace("Eby8", "Aby8");
    let told = against(&hub_with(&configured(&wrong)).await).await;
    let refused = json!(["HttpResponseError", 500, "InternalError"]);
    assert_eq!(told["small"], refused);
}
