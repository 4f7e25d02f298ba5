#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use futures_util::stream;
use http::header::{ETAG, IF_MATCH, RANGE};
use http::{HeaderMap, Method, StatusCode};
use outgate_probe::PathConfig;
use outgate_wire::agent::Blob;
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::inbox::Inbox;
use crate::proof::ProofError;
use crate::queue::{Limits, MachineClock, Queue};
use crate::twin::Twin;

/// More than a few parts of a file, and of no even size.
const SIZE: usize = (9 << 20) + 7;

/// What a hub holds, and what it was asked.
#[derive(Default)]
struct Held {
    content: Vec<u8>,
    /// After how many bytes it breaks off, or after how many blocks it takes no more; once.
    cut: Option<usize>,
    blocks: BTreeMap<String, Vec<u8>>,
    puts: usize,
    ranges: Vec<String>,
    asked: usize,
}

type Shared = Arc<Mutex<Held>>;

struct Bench {
    held: Shared,
    all: Transfers,
    folder: TempDir,
}

async fn serve(
    State(held): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut held = held.lock();
    held.asked += 1;
    match (method, query.get("comp").map(String::as_str)) {
        (Method::GET, None) => got(&mut held, &headers),
        (Method::GET, Some(_)) => {
            let names = held.blocks.keys();
            let names = names.map(|name| format!("<Block><Name>{name}</Name></Block>"));
            names.collect::<String>().into_response()
        }
        (_, Some("block")) => {
            if held.cut == Some(held.puts) {
                held.cut = None;
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            held.puts += 1;
            held.blocks.insert(query["blockid"].clone(), body.to_vec());
            StatusCode::CREATED.into_response()
        }
        _ => {
            let list = String::from_utf8(body.to_vec()).unwrap();
            let names = list.split("<Latest>").skip(1);
            let names = names.map(|rest| rest.split_once('<').unwrap().0);
            let whole = names.flat_map(|name| held.blocks[name].clone()).collect();
            held.content = whole;
            held.blocks.clear();
            StatusCode::CREATED.into_response()
        }
    }
}

fn got(held: &mut Held, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hex(&held.content));
    if headers
        .get(IF_MATCH)
        .is_some_and(|theirs| theirs != tag.as_str())
    {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    let range = headers.get(RANGE).map(|range| range.to_str().unwrap());
    held.ranges.extend(range.map(str::to_owned));
    let from = range.map_or(0, |range| {
        let from = range.strip_prefix("bytes=").unwrap();
        from.trim_end_matches('-').parse().unwrap()
    });
    let status = match range {
        Some(_) => StatusCode::PARTIAL_CONTENT,
        None => StatusCode::OK,
    };
    let rest = Bytes::copy_from_slice(&held.content[from..]);
    let body = match held.cut.take() {
        None => Body::from(rest),
        Some(cut) => {
            let broken = Err(io::Error::other("cut"));
            Body::from_stream(stream::iter([Ok(rest.slice(..cut)), broken]))
        }
    };
    (status, [(ETAG, tag)], body).into_response()
}

fn hex(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn content() -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(SIZE).collect()
}

impl Bench {
    async fn new(content: Vec<u8>) -> Self {
        // Another test may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let held = Shared::default();
        held.lock().content = content;
        let router = Router::new()
            .route("/files/{*name}", any(serve))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&held));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = TempDir::new().unwrap();
        for name in ["in", "out"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let hub = Hub {
            at,
            way: PathConfig::default(),
            shows: Arc::new(|| -> Result<_, ProofError> { panic!("the key is in the address") }),
        };
        let settings = Files {
            incoming: Some(folder.path().join("in")),
            outgoing: Some(folder.path().join("out")),
            allow: vec!["*".to_owned()],
            bytes: 64 << 20,
        };
        Self {
            held,
            all: Transfers {
                settings,
                hub,
                board: Board::new(None),
            },
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the hub says of a file of that name.
    fn told(&self, name: &str) -> Value {
        let held = self.held.lock();
        json!({
            "grant": "gr-1",
            "name": name,
            "url": "https://elsewhere.example/",
            "path": "/files/t7/any?sig=secret",
            "size": held.content.len(),
            "sha256": hex(&held.content),
        })
    }

    async fn fetch(&self, told: &Value) -> Result<(), Failed> {
        let folder = self.path("in");
        self.all.download(&command(DOWNLOAD, told), &folder).await
    }

    async fn send(&self, told: &Value) -> Result<(), Failed> {
        let folder = self.path("out");
        self.all.upload(&command(UPLOAD, told), &folder).await
    }

    /// What lies below the folder for what comes, but for parts.
    fn there(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.path("in")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != PARTS).collect()
    }
}

fn command(name: &str, told: &Value) -> Command {
    Command {
        id: "cm-1".to_owned(),
        name: name.to_owned(),
        content_type: "application/json".to_owned(),
        properties: BTreeMap::new(),
        payload: Blob(told.to_string().into_bytes()),
        deliveries: 1,
        expires: "2999-01-01T00:00:00Z".to_owned(),
    }
}

#[tokio::test]
async fn a_file_that_was_cut_off_goes_on_where_it_was_and_is_seen_as_a_whole() {
    let bench = Bench::new(content()).await;
    let told = bench.told("lists/staff.csv");
    bench.held.lock().cut = Some(1 << 20);
    let cut = bench.fetch(&told).await;
    assert!(matches!(cut, Err(Failed::ForNow(_))), "{cut:?}");
    assert!(bench.there().is_empty());
    let had = fs::metadata(bench.path("in/.outgate/gr-1.part"))
        .unwrap()
        .len();
    assert!(had > 0);
    bench.fetch(&told).await.unwrap();
    assert_eq!(bench.held.lock().ranges, [format!("bytes={had}-")]);
    let come = fs::read(bench.path("in/lists/staff.csv")).unwrap();
    assert!(come == content());
    assert_eq!(fs::read_dir(bench.path("in/.outgate")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_the_power_took_of_a_part_comes_again_from_the_beginning() {
    let bench = Bench::new(content()).await;
    let told = bench.told("staff.csv");
    bench.held.lock().cut = Some(1 << 20);
    bench.fetch(&told).await.unwrap_err();
    let part = bench.path("in/.outgate/gr-1.part");
    let had = fs::metadata(&part).unwrap().len();
    fs::write(&part, vec![0; usize::try_from(had).unwrap()]).unwrap();
    let lost = bench.fetch(&told).await;
    assert!(matches!(lost, Err(Failed::ForNow(_))), "{lost:?}");
    assert!(bench.there().is_empty());
    bench.fetch(&told).await.unwrap();
    assert!(fs::read(bench.path("in/staff.csv")).unwrap() == content());
}

#[tokio::test]
async fn nothing_comes_that_the_disk_has_no_room_for_or_that_has_no_place() {
    let bench = Bench::new(b"staff".to_vec()).await;
    // As much as the device may have to say is kept free for that.
    let say = |bytes| {
        bench
            .all
            .board
            .write(|status| status.queue.limit_bytes = bytes)
    };
    say(u64::MAX);
    let full = bench.fetch(&bench.told("staff.csv")).await.unwrap_err();
    assert!(matches!(full, Failed::ForNow(_)), "{full:?}");
    assert!(full.to_string().contains("no room"), "{full}");
    assert_eq!(bench.held.lock().asked, 0);
    say(0);
    fs::create_dir(bench.path("in/staff.csv")).unwrap();
    let folder = bench.fetch(&bench.told("staff.csv")).await;
    assert!(matches!(folder, Err(Failed::ForGood(_))), "{folder:?}");
    assert_eq!(fs::read_dir(bench.path("in/.outgate")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_comes_is_for_those_whom_the_folder_is_for_and_old_parts_go() {
    let bench = Bench::new(b"staff".to_vec()).await;
    fs::set_permissions(bench.path("in"), fs::Permissions::from_mode(0o750)).unwrap();
    let parts = bench.path("in/.outgate");
    fs::create_dir(&parts).unwrap();
    let old = fs::File::create(parts.join("gr-0.part")).unwrap();
    let age = Duration::from_secs(32 * 24 * 60 * 60);
    old.set_modified(SystemTime::now() - age).unwrap();
    fs::File::create(parts.join("gr-2.part")).unwrap();
    bench.fetch(&bench.told("lists/staff.csv")).await.unwrap();
    let mode = |name| fs::metadata(bench.path(name)).unwrap().mode() & 0o7777;
    let modes = [mode("in/lists"), mode("in/lists/staff.csv")];
    assert_eq!(modes, [0o750, 0o640]);
    let left = fs::read_dir(&parts).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["gr-2.part"]);
}

#[tokio::test]
async fn a_file_that_changed_while_it_was_cut_off_is_not_put_together_of_both() {
    let bench = Bench::new(content()).await;
    let told = bench.told("staff.csv");
    bench.held.lock().cut = Some(1 << 20);
    assert!(bench.fetch(&told).await.is_err());
    bench.held.lock().content[0] ^= 1;
    let changed = bench.fetch(&told).await;
    assert!(matches!(changed, Err(Failed::ForNow(_))), "{changed:?}");
    // Nothing of the other came after what was there.
    assert!(bench.held.lock().ranges.is_empty());
    let other = bench.fetch(&told).await;
    assert!(matches!(other, Err(Failed::ForGood(_))), "{other:?}");
    assert!(bench.there().is_empty());
    // The hub says so, and it comes.
    bench.fetch(&bench.told("staff.csv")).await.unwrap();
    assert_eq!(bench.there().len(), 1);
}

#[tokio::test]
async fn blocks_that_the_hub_has_are_not_sent_again() {
    let bench = Bench::new(Vec::new()).await;
    fs::write(bench.path("out/log.txt"), content()).unwrap();
    let told = bench.told("log.txt");
    bench.held.lock().cut = Some(2);
    let cut = bench.send(&told).await;
    assert!(matches!(cut, Err(Failed::ForNow(_))), "{cut:?}");
    assert_eq!(bench.held.lock().puts, 2);
    bench.send(&told).await.unwrap();
    assert_eq!(bench.held.lock().puts, SIZE.div_ceil(1 << 20));
    assert!(bench.held.lock().content == content());
    // An empty one has none.
    fs::write(bench.path("out/log.txt"), "").unwrap();
    bench.send(&told).await.unwrap();
    assert!(bench.held.lock().content.is_empty());
}

#[tokio::test]
async fn nothing_is_asked_for_names_and_addresses_that_lead_elsewhere() {
    let mut bench = Bench::new(b"staff".to_vec()).await;
    bench.all.settings.allow = vec!["lists/*".to_owned(), "..*".to_owned(), ".*".to_owned()];
    let elsewhere = TempDir::new().unwrap();
    for folder in ["in", "out"] {
        let link = bench.path(folder).join("lists");
        std::os::unix::fs::symlink(elsewhere.path(), link).unwrap();
    }
    fs::write(elsewhere.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("secret"), bench.path("out/.link")).unwrap();
    let went = bench.send(&bench.told(".link")).await;
    assert!(matches!(went, Err(Failed::ForGood(_))), "{went:?}");
    for name in [
        "../staff.csv",
        "lists/../../staff.csv",
        "lists/secret",
        "lists//a",
        "lists/a\\b",
        ".outgate/gr-2.part",
        "staff.csv",
    ] {
        let told = bench.told(name);
        let came = bench.fetch(&told).await;
        assert!(matches!(came, Err(Failed::ForGood(_))), "{name} {came:?}");
        let went = bench.send(&told).await;
        assert!(matches!(went, Err(Failed::ForGood(_))), "{name} {went:?}");
    }
    bench.all.settings.allow.clear();
    for (member, value) in [
        ("path", json!("@elsewhere.example/files/x")),
        ("path", json!("https://elsewhere.example/files/x")),
        ("path", json!("/files/t7/any?sig=secret#")),
        ("grant", json!("../../gr")),
        ("size", json!(1_u64 << 40)),
        ("sha256", json!(null)),
    ] {
        let mut told = bench.told("staff.csv");
        told[member] = value;
        let came = bench.fetch(&told).await;
        assert!(matches!(came, Err(Failed::ForGood(_))), "{told} {came:?}");
    }
    assert_eq!(bench.held.lock().asked, 0);
}

#[tokio::test]
async fn commands_of_files_are_settled_and_all_others_left_alone() {
    let bench = Bench::new(b"staff".to_vec()).await;
    let queue = Queue::open(
        bench.folder.path(),
        Limits {
            bytes: 4 << 20,
            keep: Duration::from_secs(3_600),
            reserve: 0,
        },
        Arc::new(MachineClock::new().unwrap()),
    );
    let twin = Twin::open(bench.folder.path()).unwrap();
    let device = Device::new(queue.unwrap(), Inbox::default(), twin, Board::new(None));
    let (settings, hub) = (bench.all.settings.clone(), bench.all.hub.clone());
    let keeping = tokio::spawn(keep(device.clone(), settings, hub));
    let other = Command {
        id: "cm-2".to_owned(),
        ..command("print", &json!({}))
    };
    let _other = device.inbox.command(other);
    let settled = device
        .inbox
        .command(command(DOWNLOAD, &bench.told("staff.csv")));
    assert_eq!(settled.await, Ok(Settlement::Completed));
    let refused = Command {
        id: "cm-3".to_owned(),
        ..command(UPLOAD, &bench.told("not-there.txt"))
    };
    let refused = device.inbox.command(refused);
    assert_eq!(refused.await, Ok(Settlement::Rejected));
    let left = device.inbox.commands();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].name, "print");
    keeping.abort();
}
