//! Removing a file by a grant for that.

use outgate_core::files::{Issued, Verb};
use outgate_core::identity::Actor;
use outgate_hub::dialects::blob::address;
use reqwest::{Method, StatusCode};

use crate::{Blobs, FAILED, MISMATCH, header, refused, told};

impl Blobs {
    async fn remove(&self, url: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        self.ask(Method::DELETE, url, headers, b"").await
    }

    /// A file with something in it; its entity tag.
    async fn made(&self, name: &str) -> String {
        let write = self.address(name, Verb::Write).await;
        let put = self.put(&write, &[], b"one").await;
        assert_eq!(put.status(), StatusCode::CREATED);
        header(&put, "etag").to_owned()
    }

    async fn revoke(&self, issued: &Issued) {
        let (hub, grant) = (Actor::hub(), &issued.grant);
        let files = &self.running.core().files;
        let revoked = files.revoke_grant(&hub, &grant.device, &grant.id);
        revoked.await.unwrap();
    }
}

#[tokio::test]
async fn a_file_is_removed_by_a_grant_for_that_and_by_no_other() {
    let blobs = Blobs::start().await;
    let read = blobs.address("a", Verb::Read).await;
    let write = blobs.address("a", Verb::Write).await;
    let issued = blobs.grant("a", Verb::Delete).await;
    let delete = blobs.url(&address(&issued));
    let none = blobs.remove(&delete, &[]).await;
    assert_eq!(told(&none), (404, "BlobNotFound".into()));
    blobs.made("a").await;
    refused(&blobs.remove(&read, &[]).await, MISMATCH);
    refused(&blobs.remove(&write, &[]).await, MISMATCH);
    refused(&blobs.get(&delete, &[]).await, MISMATCH);
    refused(&blobs.put(&delete, &[], b"two").await, MISMATCH);
    let list = format!("{delete}&comp=blocklist&blocklisttype=uncommitted");
    refused(&blobs.get(&list, &[]).await, MISMATCH);
    let block = format!("{delete}&comp=block&blockid=AAAA");
    refused(&blobs.put(&block, &[], b"two").await, MISMATCH);
    let other = delete.replace("/files/t7/a?", "/files/t7/b?");
    refused(&blobs.remove(&other, &[]).await, FAILED);
    assert_eq!(blobs.get(&read, &[]).await.bytes().await.unwrap(), "one");
    let gone = blobs.remove(&delete, &[]).await;
    assert_eq!(gone.status(), StatusCode::ACCEPTED);
    assert_eq!(header(&gone, "x-ms-delete-type-permanent"), "true");
    assert_eq!(told(&blobs.get(&read, &[]).await).0, 404);
    blobs.made("a").await;
    blobs.revoke(&issued).await;
    refused(&blobs.remove(&delete, &[]).await, FAILED);
    assert_eq!(blobs.get(&read, &[]).await.bytes().await.unwrap(), "one");
}

#[tokio::test]
async fn a_file_is_removed_only_if_it_is_the_one_that_is_meant() {
    let blobs = Blobs::start().await;
    let read = blobs.address("a", Verb::Read).await;
    let delete = blobs.address("a", Verb::Delete).await;
    let tag = blobs.made("a").await;
    let kept = (412, "ConditionNotMet".to_owned());
    for condition in [
        ("if-match", "\"other\""),
        ("if-none-match", tag.as_str()),
        ("if-none-match", "*"),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ] {
        let refused = blobs.remove(&delete, &[condition]).await;
        assert_eq!(told(&refused), kept, "{condition:?}");
    }
    for (header, problem) in [
        (("x-ms-lease-id", "1"), "UnsupportedHeader"),
        (("x-ms-if-tags", "a = '1'"), "UnsupportedHeader"),
        (("x-ms-delete-snapshots", "only"), "UnsupportedHeader"),
        (("x-ms-delete-snapshots", "some"), "InvalidHeaderValue"),
    ] {
        let refused = blobs.remove(&delete, &[header]).await;
        assert_eq!(told(&refused), (400, problem.to_owned()), "{header:?}");
    }
    assert_eq!(blobs.get(&read, &[]).await.bytes().await.unwrap(), "one");
    let same = [
        ("if-match", tag.as_str()),
        ("x-ms-delete-snapshots", "include"),
    ];
    let gone = blobs.remove(&delete, &same).await;
    assert_eq!(gone.status(), StatusCode::ACCEPTED);
    let again = blobs.remove(&delete, &same).await;
    assert_eq!(told(&again), kept);
}
