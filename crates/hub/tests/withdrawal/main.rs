//! A device is withdrawn: everything that it has open ends when the revocation returns, and is
//! refused from then on.

#![cfg(test)]

#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;
#[path = "../live/terminal.rs"]
mod terminal;
#[path = "../live/vendor.rs"]
mod vendor;

mod azure;
mod channels;
mod files;
mod resumption;

use std::time::Duration;

use http::StatusCode;
use outgate_core::Refusal;
use outgate_core::identity::{Actor, Enrolment, enrolment_text};
use ring::hmac;

use self::channels::{Channel, Channels, holds};
use self::files::Addresses;
use self::running::Running;
use self::terminal::{Fleet, Terminal};
use self::vendor::Vendor;

/// What must come comes within this.
const SOON: Duration = Duration::from_secs(30);

/// TLS first, then none.
const LISTENERS: &str = "
[[listen]]
address = '127.0.0.1:0'
[[listen]]
address = '127.0.0.1:0'
tls = false
[[signalr.hubs]]
name = 'pos'
path = '/devices'
";

/// A hub, the vendor's API behind it, and the terminal T7 with all its keys.
struct Site {
    running: Running,
    vendor: Vendor,
    fleet: Fleet,
    terminal: Terminal,
    /// What it was told of files.
    addresses: Addresses,
    /// The token by which T7 speaks what needs one.
    token: String,
}

impl Site {
    async fn start() -> Self {
        let vendor = Vendor::start().await;
        let live = vendor.configured();
        let azure = azure::configured();
        let text = format!("{LISTENERS}{live}answer-seconds = 60\n{azure}");
        let running = Running::on(tempfile::tempdir().unwrap(), &text).await;
        running.furnish().await;
        let fleet = running.fleet("T*").await;
        let mut terminal = running.terminal("T7", &fleet).await;
        terminal.hub = format!("http://{}", running.hub.listening()[1].address);
        let addresses = Addresses::told(&running, &terminal.hub).await;
        let (hub, device) = (Actor::hub(), "T7".parse().unwrap());
        let identity = &running.core().identity;
        let issued = identity.add_token(&hub, &device, "all".to_owned(), None);
        let token = site::token(issued.await.unwrap());
        Self {
            running,
            vendor,
            fleet,
            terminal,
            addresses,
            token,
        }
    }

    /// Asks to be taken up under the terminal's name, as with a stolen fleet key.
    async fn enrol(&self) -> Result<(), Refusal> {
        let (device, at) = ("T7".parse().unwrap(), self.running.core().clock.now());
        let nonce = "withdrawn-terminal".to_owned();
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.fleet.key.expose());
        let text = enrolment_text(&device, at, &nonce, None);
        let enrolment = Enrolment {
            fleet_key: self.fleet.id.clone(),
            proof: hmac::sign(&key, text.as_bytes()).as_ref().to_vec(),
            device,
            at,
            nonce,
            request: None,
            peer: [127, 0, 0, 1].into(),
        };
        let enrolled = self.running.core().identity.enrol(enrolment).await;
        enrolled.map(|_| ())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_a_withdrawn_terminal_has_open_ends_and_stays_refused() {
    let site = Site::start().await;
    is_withdrawn_from(&site, &channels::NAMES).await;
    let enrolled = site.enrol().await;
    assert!(matches!(enrolled, Err(Refusal::Revoked)), "{enrolled:?}");
    files::are_as_before(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_what_it_has_open_in_azures_words_over_a_websocket() {
    let site = Site::start().await;
    is_withdrawn_from(&site, &channels::OVER_WEBSOCKET).await;
}

/// Withdraws the terminal while it has these channels open.
async fn is_withdrawn_from(site: &Site, names: &[&'static str]) {
    let channels = Channels::open(site, names).await;
    let (hub, device) = (Actor::hub(), "T7".parse().unwrap());
    let identity = &site.running.core().identity;
    let revoked = identity.revoke_device(&hub, &device).await.unwrap();
    let connections = revoked.connections;
    assert_eq!((connections.ended, connections.lingering), (names.len(), 0));
    assert!(!site.running.core().sessions.is_present(&device));
    for Channel { name, ended } in channels.open {
        let ended = tokio::time::timeout(SOON, ended).await;
        assert!(ended.is_ok(), "{name} is open still");
        ended.unwrap().unwrap();
    }
    let asked = site.vendor.seen.asked();
    for name in names {
        assert!(!holds(site, name).await, "{name} is let in");
    }
    assert_eq!(site.vendor.seen.asked(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_terminal_comes_in_by_its_new_keys_and_by_nothing_that_it_had() {
    let mut site = Site::start().await;
    let (hub, device) = (Actor::hub(), "T7".parse().unwrap());
    let identity = site.running.core().identity.clone();
    let early = identity.restore_device_anew(&hub, &device).await;
    assert!(matches!(early, Err(Refusal::Invalid { .. })), "{early:?}");
    let lookups = site.terminal.token().await;
    identity.revoke_device(&hub, &device).await.unwrap();
    let [primary, _] = identity.restore_device_anew(&hub, &device).await.unwrap();
    for name in channels::NAMES.iter().chain(&channels::OVER_WEBSOCKET) {
        assert!(!holds(&site, name).await, "{name} is let in by what it had");
    }
    let old = site.terminal.look_up(&lookups, "flow/open/a").send().await;
    assert_eq!(old.unwrap().status(), StatusCode::UNAUTHORIZED);
    let outgate_core::identity::Given::Key(key) = primary.given else {
        panic!("a key was expected");
    };
    site.terminal.own_key = key.expose().to_vec();
    let token = site.terminal.token().await;
    let answer = site.terminal.look_up(&token, "flow/open/a").send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    // A key is a password in every dialect.
    site.token = key.to_base64().to_string();
    for name in channels::BY_KEY {
        assert!(holds(&site, name).await, "{name} is not let in");
    }
}
