//! What becomes of a file that is on its way when its grant is revoked.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use outgate_core::files::{Issued, Verb};
use outgate_core::identity::Actor;
use outgate_hub::dialects::blob::address;
use tokio::sync::mpsc;

use crate::{Blobs, told};

/// More than goes into the buffers between hub and client.
const LARGE: usize = 64 << 20;

async fn revoke(blobs: &Blobs, issued: &Issued) {
    let (hub, grant) = (Actor::hub(), &issued.grant);
    let files = &blobs.running.core().files;
    files
        .revoke_grant(&hub, &grant.device, &grant.id)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_coming_when_its_grant_is_revoked_never_is_there() {
    let blobs = Blobs::start().await;
    let issued = blobs.grant("a", Verb::Write).await;
    let (parts, mut coming) = mpsc::channel::<Bytes>(1);
    let body = stream::poll_fn(move |context| {
        coming
            .poll_recv(context)
            .map(|part| part.map(Ok::<_, std::io::Error>))
    });
    let request = blobs.client.put(blobs.url(&address(&issued)));
    let request = request
        .header("x-ms-blob-type", "BlockBlob")
        .header("content-length", LARGE)
        .body(reqwest::Body::wrap_stream(body));
    let answer = tokio::spawn(request.send());
    let part = Bytes::from(vec![7; 1 << 20]);
    for _ in 0..8 {
        parts.send(part.clone()).await.unwrap();
    }
    assert_eq!(blobs.running.core().sessions.count(), 1);
    revoke(&blobs, &issued).await;
    // The rest comes to nothing: nobody takes it any more.
    let rest = tokio::spawn(async move { while parts.send(part.clone()).await.is_ok() {} });
    match answer.await.unwrap() {
        Ok(response) => assert_eq!(told(&response), (403, "AuthenticationFailed".into())),
        Err(error) => assert!(error.is_request() || error.is_body(), "{error:?}"),
    }
    rest.await.unwrap();
    let read = blobs.address("a", Verb::Read).await;
    assert_eq!(told(&blobs.get(&read, &[]).await).0, 404);
    let again = blobs.put(&blobs.url(&address(&issued)), &[], b"").await;
    assert_eq!(told(&again), (403, "AuthenticationFailed".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_sent_when_its_grant_is_revoked_breaks_off() {
    let blobs = Blobs::start().await;
    let write = blobs.address("a", Verb::Write).await;
    assert!(
        blobs
            .put(&write, &[], &vec![7; LARGE])
            .await
            .status()
            .is_success()
    );
    let issued = blobs.grant("a", Verb::Read).await;
    let mut response = blobs.get(&blobs.url(&address(&issued)), &[]).await;
    let first = response.chunk().await.unwrap().unwrap();
    let revoked = tokio::time::timeout(Duration::from_secs(30), revoke(&blobs, &issued));
    revoked.await.unwrap();
    let mut got = first.len();
    let ended = loop {
        match response.chunk().await {
            Ok(Some(part)) => got += part.len(),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert!(ended.is_err() && got < LARGE, "{got} bytes, then {ended:?}");
}
