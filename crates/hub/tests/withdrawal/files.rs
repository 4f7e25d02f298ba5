//! Files that are on their way by addresses with a key in them.

use std::time::Duration;

use http::StatusCode;
use outgate_core::files::{NewGrant, Place, Verb};
use outgate_core::identity::Actor;
use outgate_hub::dialects::blob::address;
use tokio::task::JoinHandle;

use crate::Site;
use crate::channels::{LARGE, half_sent, taken_in_part, until_requests_are};
use crate::running::Running;

/// What sessions by an address are called.
const VIA: &str = "blob";

/// What is there before anything is sent.
const BEFORE: &str = "what was there before";

/// The addresses that the terminal has been told.
pub(crate) struct Addresses {
    to_send: String,
    to_fetch: String,
}

impl Addresses {
    /// Has the vendor put a large file and grant it, and another one to be sent.
    pub(crate) async fn told(running: &Running, hub: &str) -> Self {
        let addresses = Self {
            to_send: granted(running, "log.txt", Verb::Write).await,
            to_fetch: granted(running, "large.bin", Verb::Read).await,
        };
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let large = granted(running, "large.bin", Verb::Write).await;
        let put = client.put(format!("{hub}{large}"));
        let put = put.header("x-ms-blob-type", "BlockBlob");
        let put = put.body(vec![7; LARGE]).send().await.unwrap();
        assert_eq!(put.status(), StatusCode::CREATED);
        addresses
    }
}

/// A file that the terminal has sent half of.
pub(crate) async fn upload(site: &Site) -> Option<JoinHandle<()>> {
    let (terminal, path) = (&site.terminal, &site.addresses.to_send);
    let put = terminal.client.put(format!("{}{path}", terminal.hub));
    let put = put.header("x-ms-blob-type", "BlockBlob").body(BEFORE);
    let status = put.send().await.unwrap().status();
    if status != StatusCode::CREATED {
        assert_eq!(status, StatusCode::FORBIDDEN);
        return None;
    }
    until_requests_are(site, VIA, 0).await;
    let request = format!("PUT {path} HTTP/1.1\r\nhost: hub\r\nx-ms-blob-type: BlockBlob\r\n");
    Some(half_sent(site, request, VIA).await)
}

/// A file of which the terminal has taken the beginning only.
pub(crate) async fn download(site: &Site) -> Option<JoinHandle<()>> {
    let path = &site.addresses.to_fetch;
    let request = format!("GET {path} HTTP/1.1\r\nhost: hub\r\n\r\n");
    taken_in_part(site, request, "403").await
}

/// Makes sure that nothing of what was broken off is to be seen by the vendor.
pub(crate) async fn are_as_before(site: &Site) {
    let first = site.running.hub.first_token().unwrap();
    let token = std::fs::read_to_string(first).unwrap();
    let file = format!("{}/api/devices/T7/files/log.txt", site.terminal.hub);
    let get = site.terminal.client.get(file).bearer_auth(token.trim());
    let got = get.send().await.unwrap().text().await.unwrap();
    assert_eq!(got, BEFORE);
}

/// The address of a file of the terminal's, by a grant of its own.
async fn granted(running: &Running, name: &str, verb: Verb) -> String {
    let place = Place {
        device: "T7".parse().unwrap(),
        name: name.parse().unwrap(),
    };
    let lasts = Duration::from_hours(1);
    let new = NewGrant { place, verb, lasts };
    let issued = running.core().files.grant(&Actor::hub(), new).await;
    address(&issued.unwrap())
}
