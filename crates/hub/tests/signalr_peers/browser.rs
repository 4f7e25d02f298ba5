//! Microsoft's client in Chromium, in a page of another origin than the hub's.

use std::net::SocketAddr;
use std::time::SystemTime;

use outgate_core::id::DeviceId;
use outgate_core::identity::Actor;
use outgate_standin::{Authority, Validity};
use outgate_testbed::{PATIENCE, packages, run};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::chromium::Chromium;
use crate::client::WAYS;
use crate::devices::{command, events};
use crate::running::{Running, config};

/// The hub, beside places where pages of two other origins come from: what is asked without TLS is
/// of another origin than what is asked with it.
const CONFIG: &str = "
[[listen]]
address = '127.0.0.1:0'
[[listen]]
address = '127.0.0.1:0'
tls = false
[[listen]]
address = '127.0.0.1:0'
tls = false
[[signalr.hubs]]
name = 'pos'
path = '/devices'
";

/// Microsoft's scripts for browsers, in their order.
const SCRIPTS: [&str; 2] = [
    "signalr/dist/browser/signalr.js",
    "signalr-protocol-msgpack/dist/browser/signalr-protocol-msgpack.js",
];

/// A hub for pages.
struct Served {
    running: Running,
    hub: SocketAddr,
    /// Where a page comes from that may ask.
    allowed: String,
    /// Where one comes from that may not.
    other: String,
}

impl Served {
    async fn new() -> Self {
        let running = Running::on(tempfile::tempdir().unwrap(), CONFIG).await;
        running.furnish().await;
        let [hub, allowed, other] = running.hub.listening() else {
            panic!("it listens elsewhere");
        };
        let page = |address: SocketAddr| format!("http://localhost:{}", address.port());
        let (hub, allowed, other) = (hub.address, page(allowed.address), page(other.address));
        let text = format!("{CONFIG}[browsers]\norigins = ['{allowed}']\n");
        let config = config(running.folder.path(), &text);
        running.hub.reload(config).unwrap();
        Self {
            running,
            hub,
            allowed,
            other,
        }
    }

    /// A page of that origin with Microsoft's client.
    async fn page(origin: &str) -> Chromium {
        Self::in_browser(Chromium::new().await, origin).await
    }

    async fn in_browser(mut page: Chromium, origin: &str) -> Chromium {
        page.go(&format!("{origin}/healthz")).await;
        let modules = packages().unwrap().join("node/node_modules/@microsoft");
        for script in SCRIPTS {
            let text = std::fs::read_to_string(modules.join(script)).unwrap();
            page.run(&format!("{text}\n;0")).await;
        }
        let ours = include_str!("browser.js");
        // Declarations of a script hold for those that are run after it.
        page.run(&format!("{ours}\n;0")).await;
        page
    }

    /// What a page finds over one of the ways.
    async fn talk(
        &self,
        page: &mut Chromium,
        token: &str,
        (transport, protocol): (&str, &str),
        options: Value,
    ) -> Value {
        let url = format!("https://localhost:{}/devices", self.hub.port());
        let arguments = json!([url, token, transport, protocol, options]);
        let script = format!("talk(...{arguments})");
        // Pings keep a page busy that waits for what never comes.
        let found = tokio::time::timeout(PATIENCE, page.run(&script)).await;
        found.unwrap_or_else(|_| panic!("nothing comes of {arguments}"))
    }

    fn kept(&self, what: &str) -> bool {
        let text = self.running.hub.state().metrics.text();
        text.contains(&format!("outgate_kept_from_pages_total{{what=\"{what}\"}}"))
    }
}

/// What a device finds that was sent a command and told what it is wanted to be.
fn all_of_it() -> Value {
    let vat = json!({"vat": 25});
    json!({"sold": null, "twin": vat, "desired": vat, "printed": "receipt"})
}

impl Served {
    /// Has a device something to find.
    async fn await_device(&self, device: &DeviceId) {
        let (twins, hub) = (&self.running.core().twins, Actor::hub());
        let desired = twins.desire(&hub, device, json!({"vat": 25}), None);
        desired.await.unwrap();
        command(&self.running, device, "print", "\"receipt\"").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_an_allowed_origin_is_a_device_over_every_transport_in_both_protocols() {
    let served = Served::new().await;
    let mut page = Served::page(&served.allowed).await;
    for (at, way) in WAYS.into_iter().enumerate() {
        let name = format!("till-{at}");
        let token = served.running.device(&name).await;
        let id: DeviceId = name.parse().unwrap();
        served.await_device(&id).await;
        let found = served.talk(&mut page, &token, way, json!({})).await;
        assert_eq!(found, all_of_it(), "{way:?}");
        let sold = ("sale/closed".to_owned(), json!([{"cents": 250}, "åäö"]));
        assert_eq!(events(&served.running, &id).await, [sold], "{way:?}");
    }
    assert!(!served.kept("preflight") && !served.kept("request"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_any_other_origin_is_refused_over_every_transport() {
    let served = Served::new().await;
    let mut page = Served::page(&served.other).await;
    let token = served.running.device("till").await;
    for way in WAYS {
        let found = served.talk(&mut page, &token, way, json!({})).await;
        assert!(found["refused"].is_string(), "{way:?} {found}");
    }
    assert!(served.kept("preflight"));
    let id: DeviceId = "till".parse().unwrap();
    assert!(events(&served.running, &id).await.is_empty());
    assert_eq!(served.running.core().sessions.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_of_a_browser_proves_nothing_of_a_page_that_may_not_ask() {
    let served = Served::new().await;
    let _token = served.running.device("till").await;
    let id: DeviceId = "till".parse().unwrap();
    let at_once = json!({"skipNegotiation": true});
    let mut ways = WAYS.map(|way| (way, json!({}))).to_vec();
    ways.push((WAYS[0], at_once));
    let browser = Chromium::at_home(certified(&served).await).await;
    let mut page = Served::in_browser(browser, &served.other).await;
    for (way, options) in &ways {
        let found = served.talk(&mut page, "", *way, options.clone()).await;
        assert!(found["refused"].is_string(), "{way:?} {found}");
    }
    assert!(served.kept("certificate"), "the browser has shown it");
    assert_eq!(served.running.core().sessions.count(), 0);
    // The same browser, with a page that may ask.
    let mut page = Served::in_browser(page, &served.allowed).await;
    for (way, options) in &ways {
        served.await_device(&id).await;
        let found = served.talk(&mut page, "", *way, options.clone()).await;
        assert_eq!(found, all_of_it(), "{way:?}");
    }
}

/// The home of somebody whose browser has a certificate of the device `till`, and shows it to
/// whoever asks for one.
async fn certified(served: &Served) -> TempDir {
    let now = SystemTime::now();
    let identity = Authority::new(now).unwrap();
    let identity = identity.issue_client("till", Validity::around(now));
    let identity = identity.unwrap();
    let thumbprint = digest(&SHA256, &identity.chain()[0]);
    let thumbprint = thumbprint.as_ref().try_into().unwrap();
    let (hub, till) = (Actor::hub(), "till".parse().unwrap());
    let known = &served.running.core().identity;
    let known = known.add_thumbprint(&hub, &till, thumbprint);
    known.await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    std::fs::create_dir_all(at(".pki/nssdb")).unwrap();
    std::fs::create_dir_all(at("chromium/Default")).unwrap();
    let always = json!({"pattern": "*", "filter": {}}).to_string();
    let settings = json!({"profile": {"managed_auto_select_certificate_for_urls": [always]}});
    std::fs::write(at("chromium/Default/Preferences"), settings.to_string()).unwrap();
    std::fs::write(at("till.pem"), identity.chain_pem()).unwrap();
    std::fs::write(at("till.key"), identity.key_pem()).unwrap();
    for line in [
        "openssl pkcs12 -export -name till -in till.pem -inkey till.key -out till.p12 -passout pass:",
        "certutil -d sql:.pki/nssdb -N --empty-password",
        "pk12util -d sql:.pki/nssdb -i till.p12 -W ",
    ] {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap());
        // Libraries that other peers bring along are not those that these were built with.
        command
            .args(words)
            .current_dir(home.path())
            .env_remove("LD_LIBRARY_PATH");
        let (how, said) = run(&mut command).await.unwrap();
        assert!(how.success(), "{line}: {said}");
    }
    home
}
