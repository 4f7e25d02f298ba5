//! What Mender's clients ask over HTTP, where no client of theirs would: tickets that do not hold,
//! and ranges of a release.

#![cfg(test)]

#[expect(dead_code, reason = "other tests look at where its data lies")]
#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;

use std::time::Duration;

use bytes::Bytes;
use outgate_core::deployments::{Plan, Target};
use outgate_core::id::DeploymentId;
use outgate_core::identity::{Actor, Identified, TicketFor};
use outgate_core::releases::{Described, NewRelease};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use self::running::Running;

const CONFIG: &str = "
[[listen]]
address = '127.0.0.1:0'
tls = false
";

const HOUR: Duration = Duration::from_hours(1);

/// A hub with the devices `t7` and `t8`, and a release on its way to `t7`.
struct Updates {
    running: Running,
    client: reqwest::Client,
    t7: Identified,
    t8: Identified,
    deployment: DeploymentId,
    content: Vec<u8>,
}

impl Updates {
    async fn start() -> Self {
        // Another test of this program may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let running = Running::on(tempfile::tempdir().unwrap(), CONFIG).await;
        running.furnish().await;
        let t7 = known(&running, "t7").await;
        let t8 = known(&running, "t8").await;
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        release(&running, &content).await;
        let target = Target::Devices(vec!["t7".parse().unwrap()]);
        let (hub, deployments) = (Actor::hub(), &running.core().deployments);
        let made = deployments.create(&hub, "fort-1".parse().unwrap(), target, Plan::default());
        let deployment = made.await.unwrap().id;
        Self {
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            running,
            t7,
            t8,
            deployment,
            content,
        }
    }

    /// A ticket of the device's.
    fn ticket(&self, of: TicketFor, by: &Identified, about: &str, lasts: Duration) -> String {
        let identity = &self.running.core().identity;
        let ticket = identity.ticket(of, by, about, lasts).unwrap();
        String::from_utf8(ticket.text.expose().to_vec()).unwrap()
    }

    /// A ticket by which `t7` fetches the release.
    fn right(&self) -> String {
        self.ticket(
            TicketFor::Download,
            &self.t7,
            self.deployment.as_str(),
            HOUR,
        )
    }

    async fn fetch(&self, ticket: &str, headers: &[(&str, &str)]) -> Response {
        let at = self.running.hub.listening()[0].address;
        let url = format!("http://{at}/api/devices/v1/deployments/download/{ticket}");
        let mut asked = self.client.get(url);
        for (name, value) in headers {
            asked = asked.header(*name, *value);
        }
        asked.send().await.unwrap()
    }

    /// What is due for who shows this ticket.
    async fn next(&self, ticket: &str) -> Response {
        let at = self.running.hub.listening()[0].address;
        let url = format!("http://{at}/api/devices/v2/deployments/device/deployments/next");
        let on = json!({"artifact_name": "fort-0", "device_type": "fort"});
        let body = json!({ "device_provides": on }).to_string();
        let asked = self.client.post(url).bearer_auth(ticket).body(body);
        asked.send().await.unwrap()
    }
}

/// A device of the site, and who shows its key.
async fn known(running: &Running, device: &str) -> Identified {
    running.device(device).await;
    let (hub, identity) = (Actor::hub(), &running.core().identity);
    let (device, print) = (device.parse().unwrap(), [7; 32]);
    let added = identity.add_public_key(&hub, &device, print).await;
    added.unwrap();
    identity.by_public_key(&device, print).await.unwrap()
}

/// The release `fort-1`, with this in it.
async fn release(running: &Running, content: &[u8]) {
    let (hub, releases) = (Actor::hub(), &running.core().releases);
    let (key, print) = ("a key".to_owned(), "00".to_owned());
    let key = releases.add_key(&hub, "ours".to_owned(), key, print).await;
    let incoming = releases.begin(&hub).await.unwrap();
    let incoming = incoming.take(Bytes::copy_from_slice(content)).await;
    let new = NewRelease {
        name: "fort-1".parse().unwrap(),
        described: Described {
            device_types: vec!["fort".to_owned()],
            ..Described::default()
        },
        signed_by: key.unwrap().id,
    };
    let content = incoming.unwrap().finish().await.unwrap();
    releases.add(&hub, new, content).await.unwrap();
}

/// That nothing of the release is in an answer.
async fn is_refused(answer: Response, status: StatusCode, why: &str) {
    assert_eq!(answer.status(), status, "{why}");
    let body = answer.bytes().await.unwrap();
    let told: Value = serde_json::from_slice(&body).unwrap();
    assert!(told["error"].is_string(), "{why}: {told}");
}

#[tokio::test]
async fn a_ticket_that_is_changed_too_old_or_for_something_else_brings_nothing() {
    let updates = Updates::start().await;
    let (t7, id) = (&updates.t7, updates.deployment.as_str());
    let right = updates.right();
    let mut changed = right.clone().into_bytes();
    changed[3] = if changed[3] == b'a' { b'b' } else { b'a' };
    let changed = String::from_utf8(changed).unwrap();
    let cut = &right[..right.len() - 1];
    let old = updates.ticket(TicketFor::Download, t7, id, Duration::ZERO);
    let polls = updates.ticket(TicketFor::Updates, t7, id, HOUR);
    for (ticket, why) in [
        (changed.as_str(), "changed"),
        (cut, "cut"),
        ("x", "no ticket"),
        (&"x".repeat(4_000), "long"),
        (&old, "too old"),
        (&polls, "one for asking what is due"),
    ] {
        let answer = updates.fetch(ticket, &[]).await;
        is_refused(answer, StatusCode::UNAUTHORIZED, why).await;
    }
    let answer = updates.fetch(&right, &[]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.bytes().await.unwrap(), updates.content);
    // Nor does one for a download ask what is due.
    is_refused(
        updates.next(&right).await,
        StatusCode::UNAUTHORIZED,
        "a download's",
    )
    .await;
    let offered = updates.next(&polls).await;
    assert_eq!(offered.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_ticket_of_another_device_or_deployment_brings_nothing() {
    let updates = Updates::start().await;
    let (t7, t8, id) = (&updates.t7, &updates.t8, updates.deployment.as_str());
    for (by, about, why) in [
        (t8, id, "a device that has no part in it"),
        (t7, "dp-0123456789abcdefghjk", "a deployment that is not"),
        (t7, "", "none"),
    ] {
        let ticket = updates.ticket(TicketFor::Download, by, about, HOUR);
        let answer = updates.fetch(&ticket, &[]).await;
        is_refused(answer, StatusCode::NOT_FOUND, why).await;
    }
}

#[tokio::test]
async fn a_ticket_ends_with_the_deployment_and_with_the_device() {
    let updates = Updates::start().await;
    let (hub, core) = (Actor::hub(), updates.running.core());
    let ticket = updates.right();
    let polls = updates.ticket(TicketFor::Updates, &updates.t7, "", HOUR);
    // While it is paused nothing is offered; who is at it goes on.
    let paused = core.deployments.pause(&hub, &updates.deployment).await;
    paused.unwrap();
    assert_eq!(updates.next(&polls).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(updates.fetch(&ticket, &[]).await.status(), StatusCode::OK);
    let aborted = core.deployments.abort(&hub, &updates.deployment).await;
    aborted.unwrap();
    let answer = updates.fetch(&ticket, &[]).await;
    is_refused(answer, StatusCode::NOT_FOUND, "aborted").await;
    let device = "t7".parse().unwrap();
    core.identity.revoke_device(&hub, &device).await.unwrap();
    let answer = updates.fetch(&ticket, &[]).await;
    is_refused(answer, StatusCode::UNAUTHORIZED, "revoked").await;
    let answer = updates.next(&polls).await;
    is_refused(answer, StatusCode::UNAUTHORIZED, "revoked").await;
}

#[tokio::test]
async fn a_release_is_fetched_in_ranges_as_long_as_it_is_the_one_that_was_begun() {
    let updates = Updates::start().await;
    let (ticket, all) = (updates.right(), &updates.content);
    let length = all.len();
    let whole = updates.fetch(&ticket, &[]).await;
    let tag = whole.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    for (range, from, to) in [
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, length),
        ("bytes=-10", length - 10, length),
        ("bytes=399990-999999", 399_990, length),
    ] {
        for more in [None, Some(("if-range", tag.as_str()))] {
            let headers: Vec<_> = [("range", range)].into_iter().chain(more).collect();
            let part = updates.fetch(&ticket, &headers).await;
            assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{range}");
            let told = format!("bytes {from}-{}/{length}", to - 1);
            assert_eq!(part.headers()["content-range"], told.as_str(), "{range}");
            assert_eq!(part.headers()["etag"], tag.as_str());
            assert_eq!(part.bytes().await.unwrap(), all[from..to], "{range}");
        }
    }
    let other = [("range", "bytes=100-"), ("if-range", "\"another\"")];
    let answer = updates.fetch(&ticket, &other).await;
    assert_eq!(answer.status(), StatusCode::OK, "a part of something else");
    assert_eq!(answer.bytes().await.unwrap(), all);
    let beyond = [("range", "bytes=400000-")];
    let answer = updates.fetch(&ticket, &beyond).await;
    assert_eq!(answer.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(answer.headers()["content-range"], "bytes */400000");
}
