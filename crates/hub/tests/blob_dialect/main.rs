//! Files of devices over HTTP, in the words of Azure's Blob storage.

#![cfg(test)]

#[cfg_attr(
    not(feature = "namespaces"),
    expect(dead_code, reason = "other tests look at where its data lies")
)]
#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;

#[cfg(feature = "namespaces")]
mod full_disk;
mod removing;
mod revoking;

use std::time::Duration;

use outgate_azure::storage::sas::{Resource, Terms, sign};
use outgate_core::files::{Issued, NewGrant, Place, Verb};
use outgate_core::identity::Actor;
use outgate_hub::dialects::blob::address;
use reqwest::{Method, Response, StatusCode};
use tempfile::TempDir;

use self::running::Running;

const CONFIG: &str = "
[[listen]]
address = '127.0.0.1:0'
tls = false
";

/// The words for a signature that does not hold, and for one that does not hold for that.
const FAILED: &str = "AuthenticationFailed";
const MISMATCH: &str = "AuthorizationPermissionMismatch";

/// A hub with the device `t7`, and who asks it.
struct Blobs {
    running: Running,
    client: reqwest::Client,
}

impl Blobs {
    async fn start() -> Self {
        Self::on(tempfile::tempdir().unwrap()).await
    }

    /// With its data in this folder.
    async fn on(folder: TempDir) -> Self {
        // Another test of this program may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let running = Running::on(folder, CONFIG).await;
        running.furnish().await;
        running.device("t7").await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { running, client }
    }

    /// A grant for a file of the device.
    async fn grant(&self, name: &str, verb: Verb) -> Issued {
        let place = Place {
            device: "t7".parse().unwrap(),
            name: name.parse().unwrap(),
        };
        let lasts = Duration::from_hours(1);
        let new = NewGrant { place, verb, lasts };
        let files = &self.running.core().files;
        files.grant(&Actor::hub(), new).await.unwrap()
    }

    /// The address of a file, by a grant of its own.
    async fn address(&self, name: &str, verb: Verb) -> String {
        self.url(&address(&self.grant(name, verb).await))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.hub.listening()[0].address)
    }

    /// Asks for something with these headers.
    async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut request = self.client.request(method, url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Response {
        self.ask(Method::GET, url, headers, b"").await
    }

    async fn put(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut all = vec![("x-ms-blob-type", "BlockBlob")];
        all.extend(headers);
        self.ask(Method::PUT, url, &all, body).await
    }
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

/// The status and the word for what went wrong.
fn told(response: &Response) -> (u16, String) {
    let code = header(response, "x-ms-error-code").to_owned();
    (response.status().as_u16(), code)
}

#[tokio::test]
async fn what_is_put_is_got_whole_and_in_ranges() {
    let blobs = Blobs::start().await;
    let write = blobs.address("menus/a b+ö.txt", Verb::Write).await;
    let read = blobs.address("menus/a b+ö.txt", Verb::Read).await;
    assert_eq!(
        told(&blobs.get(&read, &[]).await),
        (404, "BlobNotFound".into())
    );
    let headers = [
        ("content-type", "text/html"),
        ("x-ms-meta-shop", "7"),
        ("x-ms-blob-cache-control", "no-store"),
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
        ("x-ms-client-request-id", "mine"),
    ];
    let put = blobs.put(&write, &headers, b"hello").await;
    assert_eq!(put.status(), StatusCode::CREATED);
    assert_eq!(header(&put, "x-ms-client-request-id"), "mine");
    assert_eq!(header(&put, "content-md5"), "XUFAKrxLKna5cZ2REBfFkg==");
    let tag = header(&put, "etag").to_owned();
    let got = blobs.get(&read, &[]).await;
    for (name, value) in [
        ("etag", tag.as_str()),
        ("content-type", "text/html"),
        ("content-length", "5"),
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
        ("x-ms-meta-shop", "7"),
        ("cache-control", "no-store"),
        ("x-ms-blob-type", "BlockBlob"),
        ("content-security-policy", "sandbox"),
    ] {
        assert_eq!(header(&got, name), value, "{name}");
    }
    assert_eq!(got.bytes().await.unwrap(), "hello");
    // Azure's own header for a range goes before that of HTTP.
    let range = [("range", "bytes=0-0"), ("x-ms-range", "bytes=1-3")];
    let got = blobs.get(&read, &range).await;
    assert_eq!(got.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(header(&got, "content-range"), "bytes 1-3/5");
    assert_eq!(got.bytes().await.unwrap(), "ell");
    let got = blobs.get(&read, &[("range", "bytes=5-")]).await;
    assert_eq!(header(&got, "content-range"), "bytes */5");
    assert_eq!(told(&got), (416, "InvalidRange".into()));
    let md5 = [
        ("range", "bytes=0-2"),
        ("x-ms-range-get-content-md5", "true"),
    ];
    let got = blobs.get(&read, &md5).await;
    assert_eq!(header(&got, "content-md5"), "RjVq/lX6POqcvnOtRCytRw==");
    let head = blobs.ask(Method::HEAD, &read, &[], b"").await;
    assert_eq!(
        (head.status(), header(&head, "content-length")),
        (StatusCode::OK, "5")
    );
}

#[tokio::test]
async fn conditions_hold_for_who_reads_and_for_who_writes() {
    let blobs = Blobs::start().await;
    let write = blobs.address("a", Verb::Write).await;
    let read = blobs.address("a", Verb::Read).await;
    let only_new = [("if-none-match", "*")];
    let put = blobs.put(&write, &only_new, b"one").await;
    assert_eq!(put.status(), StatusCode::CREATED);
    let tag = header(&put, "etag").to_owned();
    let again = blobs.put(&write, &only_new, b"two").await;
    assert_eq!(told(&again), (409, "BlobAlreadyExists".into()));
    let other = [("if-match", "\"other\"")];
    let again = blobs.put(&write, &other, b"two").await;
    assert_eq!(told(&again), (412, "ConditionNotMet".into()));
    assert_eq!(
        told(&blobs.get(&read, &other).await),
        (412, "ConditionNotMet".into())
    );
    let known = blobs.get(&read, &[("if-none-match", &tag)]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(
        blobs
            .put(&write, &[("if-match", &tag)], b"two")
            .await
            .status(),
        StatusCode::CREATED
    );
    // Who reads on after that is told that it is another file.
    assert_eq!(told(&blobs.get(&read, &[("if-match", &tag)]).await).0, 412);
    assert_eq!(blobs.get(&read, &[]).await.bytes().await.unwrap(), "two");
}

#[tokio::test]
async fn blocks_are_seen_once_they_are_listed() {
    let blobs = Blobs::start().await;
    let write = blobs.address("a", Verb::Write).await;
    let read = blobs.address("a", Verb::Read).await;
    for (id, bytes) in [("MQ==", "one"), ("Mg==", "two"), ("Mw==", "three")] {
        let url = format!("{write}&comp=block&blockid={}", id.replace('=', "%3D"));
        let staged = blobs.ask(Method::PUT, &url, &[], bytes.as_bytes()).await;
        assert_eq!(staged.status(), StatusCode::CREATED);
    }
    assert_eq!(told(&blobs.get(&read, &[]).await).0, 404);
    let staged = format!("{write}&comp=blocklist&blocklisttype=uncommitted");
    let staged = blobs.get(&staged, &[]).await.text().await.unwrap();
    assert!(
        staged.contains("<Name>Mw==</Name><Size>5</Size>"),
        "{staged}"
    );
    let list = format!("{write}&comp=blocklist");
    let missing = b"<BlockList><Latest>NA==</Latest></BlockList>";
    let refused = blobs.ask(Method::PUT, &list, &[], missing).await;
    assert_eq!(told(&refused), (400, "InvalidBlockList".into()));
    let wanted = b"<BlockList><Latest>Mg==</Latest><Uncommitted>MQ==</Uncommitted></BlockList>";
    let made = blobs
        .ask(
            Method::PUT,
            &list,
            &[("x-ms-blob-content-type", "a/b")],
            wanted,
        )
        .await;
    assert_eq!(made.status(), StatusCode::CREATED);
    let got = blobs.get(&read, &[]).await;
    assert_eq!(header(&got, "content-type"), "a/b");
    assert_eq!(got.bytes().await.unwrap(), "twoone");
    let all = format!("{read}&comp=blocklist&blocklisttype=all");
    let all = blobs.get(&all, &[]).await.text().await.unwrap();
    assert!(all.ends_with(
        "<CommittedBlocks><Block><Name>Mg==</Name><Size>3</Size></Block><Block><Name>MQ==</Name>\
         <Size>3</Size></Block></CommittedBlocks><UncommittedBlocks></UncommittedBlocks></BlockList>"
    ), "{all}");
}

#[tokio::test]
async fn an_address_is_for_one_file_one_verb_and_its_time() {
    let blobs = Blobs::start().await;
    let write = blobs.address("a", Verb::Write).await;
    let read = blobs.address("a", Verb::Read).await;
    assert_eq!(
        blobs.put(&write, &[], b"one").await.status(),
        StatusCode::CREATED
    );
    let failed = |response: Response| refused(&response, FAILED);
    let mismatch = |response: Response| refused(&response, MISMATCH);
    mismatch(blobs.put(&read, &[], b"two").await);
    mismatch(blobs.get(&write, &[]).await);
    mismatch(blobs.ask(Method::DELETE, &read, &[], b"").await);
    failed(
        blobs
            .get(&read.replace("/files/t7/a?", "/files/t7/b?"), &[])
            .await,
    );
    failed(blobs.get(&read.replace("sp=r", "sp=rw"), &[]).await);
    failed(blobs.get(&read.replace("se=20", "se=21"), &[]).await);
    failed(blobs.get(read.split_once('?').unwrap().0, &[]).await);
}

/// Asserts that a request was refused by that word.
fn refused(response: &Response, code: &str) {
    assert_eq!(told(response), (403, code.to_owned()));
}

#[tokio::test]
async fn who_has_a_key_signs_for_no_longer_than_it_holds_and_for_nothing_else() {
    let blobs = Blobs::start().await;
    let write = blobs.address("a", Verb::Write).await;
    assert_eq!(
        blobs.put(&write, &[], b"one").await.status(),
        StatusCode::CREATED
    );
    let failed = |response: Response| refused(&response, FAILED);
    let mismatch = |response: Response| refused(&response, MISMATCH);
    let issued = blobs.grant("a", Verb::Read).await;
    let begins = issued.grant.created.as_millis() / 1_000;
    let ends = issued.grant.ends.as_millis() / 1_000;
    let signed = |starts: i64, ends: i64, permissions: &str, file: &str| {
        let terms = Terms {
            starts,
            ends,
            permissions,
            policy: issued.grant.id.as_str(),
        };
        let blob = format!("t7/{file}");
        let resource = Resource {
            account: "outgate",
            container: "files",
            blob: &blob,
        };
        let query = sign(terms, resource, issued.key.expose());
        blobs.url(&format!("/files/{blob}?{query}"))
    };
    let as_it_is = signed(begins, ends, "r", "a");
    assert_eq!(blobs.get(&as_it_is, &[]).await.status(), StatusCode::OK);
    failed(
        blobs
            .get(&signed(begins, begins + 31 * 86_400, "r", "a"), &[])
            .await,
    );
    failed(
        blobs
            .get(&signed(begins - 31 * 86_400, ends, "r", "a"), &[])
            .await,
    );
    failed(blobs.get(&signed(begins, ends + 1, "r", "a"), &[]).await);
    failed(
        blobs
            .get(&signed(begins - 60, begins - 1, "r", "a"), &[])
            .await,
    );
    failed(
        blobs
            .get(&signed(begins + 3_000, ends, "r", "a"), &[])
            .await,
    );
    mismatch(blobs.get(&signed(begins, ends, "r", "b"), &[]).await);
    mismatch(blobs.put(&signed(begins, ends, "rw", "a"), &[], b"").await);
}

#[tokio::test]
async fn who_may_only_make_a_file_does_not_take_the_place_of_one() {
    let blobs = Blobs::start().await;
    let write = blobs.address("a", Verb::Write).await;
    let issued = blobs.grant("a", Verb::Write).await;
    let terms = Terms {
        starts: issued.grant.created.as_millis() / 1_000,
        ends: issued.grant.ends.as_millis() / 1_000,
        permissions: "c",
        policy: issued.grant.id.as_str(),
    };
    let resource = Resource {
        account: "outgate",
        container: "files",
        blob: "t7/a",
    };
    let query = sign(terms, resource, issued.key.expose());
    let make = blobs.url(&format!("/files/t7/a?{query}"));
    assert_eq!(
        blobs.put(&make, &[], b"one").await.status(),
        StatusCode::CREATED
    );
    let refused = blobs.put(&make, &[], b"two").await;
    assert_eq!(told(&refused), (403, "UnauthorizedBlobOverwrite".into()));
    assert_eq!(
        blobs.put(&write, &[], b"two").await.status(),
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn what_is_not_done_here_is_refused_and_leaves_nothing() {
    let blobs = Blobs::start().await;
    let write = blobs.address("a", Verb::Write).await;
    let read = blobs.address("a", Verb::Read).await;
    for (headers, expected) in [
        (
            vec![("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")],
            (400, "Md5Mismatch"),
        ),
        (vec![("content-md5", "XUFA")], (400, "InvalidMd5")),
        (
            vec![("x-ms-content-crc64", "AAAAAAAAAAA=")],
            (400, "UnsupportedHeader"),
        ),
        (
            vec![("x-ms-copy-source", "http://127.0.0.1/")],
            (400, "UnsupportedHeader"),
        ),
    ] {
        let refused = blobs.put(&write, &headers, b"other").await;
        assert_eq!(
            told(&refused),
            (expected.0, expected.1.to_owned()),
            "{headers:?}"
        );
    }
    let page = [("x-ms-blob-type", "PageBlob")];
    let refused = blobs.ask(Method::PUT, &write, &page, b"").await;
    assert_eq!(told(&refused), (409, "InvalidBlobType".into()));
    let refused = blobs.ask(Method::PUT, &write, &[], b"").await;
    assert_eq!(told(&refused), (400, "MissingRequiredHeader".into()));
    let refused = blobs.ask(Method::POST, &write, &[], b"").await;
    assert_eq!(told(&refused), (405, "UnsupportedHttpVerb".into()));
    let stream = futures_util::stream::iter([Ok::<_, std::io::Error>("chunked")]);
    let chunked = blobs
        .client
        .put(&write)
        .header("x-ms-blob-type", "BlockBlob");
    let chunked = chunked
        .body(reqwest::Body::wrap_stream(stream))
        .send()
        .await
        .unwrap();
    assert_eq!(told(&chunked), (411, "MissingContentLengthHeader".into()));
    assert_eq!(told(&blobs.get(&read, &[]).await).0, 404);
    for path in ["..%2Fconfig", "%2e%2e/config", "a//b", "a%5Cb", "%00"] {
        let url = read.replace("/files/t7/a?", &format!("/files/t7/{path}?"));
        let status = blobs.get(&url, &[]).await.status();
        assert!(status.is_client_error(), "{path}: {status}");
    }
}
