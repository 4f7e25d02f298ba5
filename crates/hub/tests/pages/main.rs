//! Pages of other origins, as browsers ask for them, against a whole hub over TLS. What a browser
//! itself makes of it is in `signalr_peers`.

#![cfg(test)]

#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use outgate_core::identity::Actor;
use outgate_standin::{Authority, Identity, Validity};
use ring::digest::{SHA256, digest};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::task::spawn_blocking;

use self::running::{Running, config};

/// What must come comes within this.
const SOON: Duration = Duration::from_secs(30);

const CONFIG: &str = "
[[listen]]
address = '127.0.0.1:0'
[[signalr.hubs]]
name = 'pos'
path = '/devices'
[firebase]
namespaces = ['pos']
[browsers]
origins = ['https://till.example']
";

const OURS: &str = "origin: https://till.example\r\n";
const STRANGE: &str = "origin: https://other.example\r\n";
const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-protocol: mqtt\r\n";

/// Everything that there is for devices, one of each kind.
const ROUTES: [(&str, &str); 11] = [
    ("POST", "/devices/negotiate"),
    ("POST", "/client/negotiate?hub=pos"),
    ("GET", "/devices"),
    ("GET", "/mqtt"),
    ("GET", "/sites/s.json"),
    ("GET", "/assets"),
    ("GET", "/device/twin"),
    ("POST", "/v1/logs"),
    ("PUT", "/push/registrations"),
    ("POST", "/live/fleet"),
    ("GET", "/live/flow/a"),
];

/// A browser with the certificate of the device `till`, and that device's token.
struct Browser {
    running: Running,
    identity: Identity,
    token: String,
}

/// An answer: its status, and its head in small letters.
struct Answer {
    status: u16,
    head: String,
}

impl Answer {
    fn says(&self, line: &str) -> bool {
        self.head.split("\r\n").any(|its| its == line)
    }

    /// Whether the page gets to see it.
    fn is_shown(&self) -> bool {
        self.says("access-control-allow-origin: https://till.example")
            && self.says("access-control-allow-credentials: true")
    }
}

impl Browser {
    async fn new() -> Self {
        let running = Running::on(tempfile::tempdir().unwrap(), CONFIG).await;
        running.furnish().await;
        let token = running.device("till").await;
        let now = SystemTime::now();
        let identity = Authority::new(now).unwrap();
        let identity = identity
            .issue_client("till", Validity::around(now))
            .unwrap();
        let thumbprint = digest(&SHA256, &identity.chain()[0]);
        let thumbprint = thumbprint.as_ref().try_into().unwrap();
        let (hub, till) = (Actor::hub(), "till".parse().unwrap());
        let known = running
            .core()
            .identity
            .add_thumbprint(&hub, &till, thumbprint);
        known.await.unwrap();
        Self {
            running,
            identity,
            token,
        }
    }

    /// Asks, showing the certificate, over a connection of its own.
    async fn asks(&self, (method, path): (&str, &str), headers: &str) -> Answer {
        let address = self.running.hub.listening()[0].address;
        let host = format!("localhost:{}", address.port());
        let close = if headers.contains("upgrade") {
            ""
        } else {
            "connection: close\r\ncontent-length: 0\r\n"
        };
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{close}{headers}\r\n");
        let ca = std::fs::read(self.running.folder.path().join("tls/ca.pem")).unwrap();
        let (chain, key) = (self.identity.chain().to_vec(), self.identity.key_pem());
        let asked = move || {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(&ca) {
                roots.add(certificate.unwrap()).unwrap();
            }
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_client_auth_cert(chain, key)
                .unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let client = ClientConnection::new(Arc::new(config), name).unwrap();
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(SOON)).unwrap();
            let mut stream = StreamOwned::new(client, stream);
            stream.write_all(request.as_bytes()).unwrap();
            head(&mut stream)
        };
        spawn_blocking(asked).await.unwrap()
    }

    /// How often pages were kept from something.
    fn kept(&self, what: &str) -> usize {
        let text = self.running.hub.state().metrics.text();
        let name = format!("outgate_kept_from_pages_total{{what=\"{what}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |number| number.parse().unwrap())
    }

    /// Has the hub take up other origins.
    fn origins(&self, origins: &str) {
        let text = CONFIG.replace("'https://till.example'", origins);
        let config = config(self.running.folder.path(), &text);
        self.running.hub.reload(config).unwrap();
    }
}

/// The head of what comes.
fn head(from: &mut impl std::io::Read) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        from.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_an_allowed_origin_may_ask_and_is_shown_what_it_is_answered() {
    let browser = Browser::new().await;
    for (method, path) in ROUTES {
        let wants = "access-control-request-headers: \
            authorization,x-requested-with,x-signalr-user-agent\r\n";
        let preflight = format!("{OURS}access-control-request-method: {method}\r\n{wants}");
        let may = browser.asks(("OPTIONS", path), &preflight).await;
        assert_eq!(may.status, 204, "{path}");
        assert!(may.is_shown() && may.says("vary: origin"), "{}", may.head);
        for line in [
            "access-control-allow-methods: ",
            "access-control-allow-headers: ",
        ] {
            assert!(may.head.contains(line), "{}", may.head);
        }
        assert!(may.head.contains("x-signalr-user-agent"), "{}", may.head);
        let answer = browser.asks((method, path), OURS).await;
        assert!(answer.is_shown(), "{path} {}", answer.head);
        assert_ne!(answer.status, 403, "{path}");
    }
    let (twin, negotiate) = (("GET", "/device/twin"), ("POST", "/devices/negotiate"));
    assert_eq!(browser.asks(twin, OURS).await.status, 200);
    assert_eq!(browser.asks(negotiate, OURS).await.status, 200);
    let upgrade = format!("{OURS}{UPGRADE}");
    assert_eq!(
        browser.asks(("GET", "/devices"), &upgrade).await.status,
        101
    );
    assert_eq!(browser.kept("request") + browser.kept("preflight"), 0);
    assert_eq!(browser.kept("certificate"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_any_other_origin_is_refused_whatever_its_browser_shows() {
    let browser = Browser::new().await;
    for (method, path) in ROUTES {
        let preflight = format!("{STRANGE}access-control-request-method: {method}\r\n");
        for (asked, headers) in [
            ("OPTIONS", preflight.as_str()),
            (method, STRANGE),
            (method, "origin: null\r\n"),
            (method, "origin: http://till.example\r\n"),
            (method, "origin: https://till.example.other.example\r\n"),
            // A picture or a link of a page, which says no origin.
            (method, "sec-fetch-site: cross-site\r\n"),
            (method, "sec-fetch-site: same-site\r\n"),
        ] {
            let answer = browser.asks((asked, path), headers).await;
            assert_eq!(answer.status, 403, "{asked} {path} {headers}");
            assert!(!answer.head.contains("access-control"), "{}", answer.head);
        }
    }
    assert_eq!(browser.kept("preflight"), ROUTES.len());
    assert_eq!(browser.kept("request"), 6 * ROUTES.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_of_a_strange_page_has_no_certificate_and_is_let_in_by_a_token_alone() {
    let browser = Browser::new().await;
    let (plain, strange) = (UPGRADE.to_owned(), format!("{STRANGE}{UPGRADE}"));
    let path = "/devices".to_owned();
    let with_token = format!("/devices?access_token={}", browser.token);
    for (path, headers, status) in [
        (&path, &plain, 101),
        (&path, &strange, 401),
        (&with_token, &strange, 101),
    ] {
        let answer = browser.asks(("GET", path), headers).await;
        assert_eq!(answer.status, status, "{path} {headers}");
    }
    assert_eq!(browser.kept("certificate"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_and_pages_of_the_hubs_own_are_asked_nothing_about_origins() {
    let browser = Browser::new().await;
    let port = browser.running.hub.listening()[0].address.port();
    let own = format!("origin: https://localhost:{port}\r\nsec-fetch-site: same-origin\r\n");
    for headers in ["", own.as_str(), "sec-fetch-site: none\r\n"] {
        let answer = browser.asks(("GET", "/device/twin"), headers).await;
        assert_eq!(answer.status, 200, "{headers}");
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
    }
    let plain = format!("origin: http://localhost:{port}\r\n");
    let answer = browser.asks(("GET", "/device/twin"), &plain).await;
    assert_eq!(
        answer.status, 403,
        "a page that came without TLS is another's"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn origins_may_change_while_the_hub_runs_and_the_api_has_none() {
    let browser = Browser::new().await;
    let twin = ("GET", "/device/twin");
    browser.origins("'https://other.example'");
    assert_eq!(browser.asks(twin, OURS).await.status, 403);
    let answer = browser.asks(twin, STRANGE).await;
    assert!(answer.says("access-control-allow-origin: https://other.example"));
    for path in [
        "/api/devices",
        "/console/login",
        "/metrics",
        "/healthz",
        "/whoami",
    ] {
        let answer = browser.asks(("GET", path), STRANGE).await;
        assert!(
            !answer.head.contains("access-control"),
            "{path} {}",
            answer.head
        );
    }
}
