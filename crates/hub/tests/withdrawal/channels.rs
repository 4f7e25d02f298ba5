//! Every channel that a terminal may have open, each with somebody who waits for its end.

use std::sync::Arc;

use http::StatusCode;
use outgate_core::assets::NewAsset;
use outgate_core::identity::Actor;
use outgate_core::sessions::Selector;
use outgate_signalr_client::connect::Direct;
use outgate_signalr_client::{Client, Policy, State, Token, Transport as By};
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, TlsConfiguration, Transport};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

use crate::Site;

/// All of them.
pub(crate) const NAMES: [&str; 6] = [
    "mqtt",
    "mqtt over a websocket",
    "signalr",
    "polling",
    "download",
    "look-up",
];

/// Those that take a name and a key for a password.
pub(crate) const BY_KEY: [&str; 3] = ["mqtt", "mqtt over a websocket", "polling"];

/// How many bytes the terminal is sent, which no buffers on the way hold.
const LARGE: usize = 32 << 20;

/// How many bytes the terminal's socket takes before they are read. Systems let it grow to more
/// than what is sent, unless it is told.
const RECEIVED_AHEAD: u32 = 64 << 10;

/// Something that is open.
pub(crate) struct Channel {
    pub(crate) name: &'static str,
    /// Ends with it.
    pub(crate) ended: JoinHandle<()>,
}

/// All that is open.
pub(crate) struct Channels {
    pub(crate) open: Vec<Channel>,
}

impl Channels {
    /// Opens each, and has it in use when this returns.
    pub(crate) async fn open(site: &Site) -> Self {
        let mut open = Vec::new();
        for name in NAMES {
            let ended = opened(site, name).await;
            let ended = ended.unwrap_or_else(|| panic!("{name} is not let in"));
            open.push(Channel { name, ended });
        }
        Self { open }
    }
}

/// Whether the terminal is let in by a channel now.
pub(crate) async fn holds(site: &Site, name: &str) -> bool {
    match opened(site, name).await {
        Some(channel) => {
            channel.abort();
            true
        }
        None => false,
    }
}

/// Opens a channel; none when it is refused. What is given ends with it.
async fn opened(site: &Site, name: &str) -> Option<JoinHandle<()>> {
    match name {
        "mqtt" => mqtt(site, false).await,
        "mqtt over a websocket" => mqtt(site, true).await,
        "signalr" => signalr(site).await,
        "polling" => polling(site).await,
        "download" => download(site).await,
        "look-up" => look_up(site).await,
        other => panic!("{other}"),
    }
}

/// What trusts the hub.
pub(crate) fn roots(site: &Site) -> RootCertStore {
    let ca = std::fs::read(site.running.folder.path().join("tls/ca.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&ca) {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}

async fn mqtt(site: &Site, by_websocket: bool) -> Option<JoinHandle<()>> {
    let port = site.running.hub.listening()[0].address.port();
    let config = ClientConfig::builder()
        .with_root_certificates(roots(site))
        .with_no_client_auth();
    let tls = TlsConfiguration::Rustls(Arc::new(config));
    let (id, host, transport) = if by_websocket {
        let host = format!("wss://localhost:{port}/mqtt");
        ("over-wss", host, Transport::wss_with_config(tls))
    } else {
        (
            "over-tls",
            "localhost".to_owned(),
            Transport::tls_with_config(tls),
        )
    };
    let mut options = MqttOptions::new(id, host, port);
    options.set_transport(transport);
    options.set_credentials("T7", &site.token);
    let (client, mut events) = AsyncClient::new(options, 10);
    match events.poll().await {
        Ok(Event::Incoming(Incoming::ConnAck(_))) => {}
        Ok(other) => panic!("{other:?}"),
        Err(_) => return None,
    }
    Some(tokio::spawn(async move {
        until_it_ends(&mut events).await;
        drop(client);
    }))
}

async fn until_it_ends(events: &mut EventLoop) {
    while events.poll().await.is_ok() {}
}

async fn signalr(site: &Site) -> Option<JoinHandle<()>> {
    let client = Client::builder(&format!("{}/devices", site.terminal.hub))
        .connect(Direct::default())
        .token(Token::new(site.token.clone()))
        .transports(&[By::WebSockets])
        .retry(Policy::Never)
        .build()
        .unwrap();
    client.start().await.ok()?;
    Some(tokio::spawn(async move {
        let mut states = client.state();
        // An error means that the client is gone, and its connection with it.
        let _ = states.wait_for(State::is_over).await;
    }))
}

/// A poll for commands that waits, and is told that it may not when it is cut short.
async fn polling(site: &Site) -> Option<JoinHandle<()>> {
    let terminal = &site.terminal;
    let ask = |wait: u32| {
        let path = format!("{}/device/commands?wait={wait}", terminal.hub);
        terminal
            .client
            .get(path)
            .basic_auth("T7", Some(&site.token))
    };
    if ask(0).send().await.unwrap().status() != StatusCode::OK {
        return None;
    }
    // The one that was only asked whether it may is answered before it is over.
    until_requests_are(site, 0).await;
    let poll = tokio::spawn(ask(50).send());
    until_requests_are(site, 1).await;
    Some(tokio::spawn(async move {
        is_refused_or_broken_off(poll.await.unwrap());
    }))
}

/// What comes of a request that was under way: the connection may close before there is an answer.
fn is_refused_or_broken_off(answer: reqwest::Result<reqwest::Response>) {
    if let Ok(answer) = answer {
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
}

/// Waits until that many plain requests are being answered.
async fn until_requests_are(site: &Site, count: usize) {
    let requests = || {
        let present = site.running.core().sessions.present(&Selector::All);
        present.iter().filter(|one| one.via == "http").count()
    };
    while requests() != count {
        tokio::task::yield_now().await;
    }
}

/// An asset of which the terminal has taken the beginning only.
async fn download(site: &Site) -> Option<JoinHandle<()>> {
    let assets = &site.running.core().assets;
    let (hub, name) = (Actor::hub(), "large.bin");
    let new = NewAsset {
        name: name.parse().unwrap(),
        site: None,
        content_type: String::new(),
    };
    let incoming = assets.begin(&hub, &new).await.unwrap();
    let incoming = incoming.take(vec![7; LARGE].into()).await.unwrap();
    let whole = incoming.finish().await.unwrap();
    let digest = *whole.digest();
    assets.put(&hub, new, whole).await.unwrap();
    let address = site.running.hub.listening()[1].address;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVED_AHEAD).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let token = &site.token;
    let request = format!(
        "GET /assets/{digest}/{name} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut begun = vec![0; 1_024];
    stream.read_exact(&mut begun[..12]).await.unwrap();
    if !begun.starts_with(b"HTTP/1.1 200") {
        return None;
    }
    let (sessions, device) = (&site.running.core().sessions, "T7".parse().unwrap());
    let withdrawn = sessions.absence(&device);
    Some(tokio::spawn(async move {
        // Who reads at once has all of it before anybody is withdrawn.
        withdrawn.await;
        let mut rest = Vec::new();
        // Broken off with or without a word.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.len() < LARGE, "the whole of it has come");
    }))
}

/// A look-up that the vendor's API does not answer.
async fn look_up(site: &Site) -> Option<JoinHandle<()>> {
    let begun = site.terminal.show_fleet_key().await;
    let challenge: serde_json::Value = begun.json().await.unwrap();
    let challenge = challenge["challenge"].as_str().unwrap();
    let answer = site.terminal.show_own_key(challenge).await;
    if answer.status() != StatusCode::OK {
        return None;
    }
    let token: serde_json::Value = answer.json().await.unwrap();
    let token = token["token"].as_str().unwrap();
    let held = tokio::spawn(site.terminal.look_up(token, "flow/open/held").send());
    site.vendor.seen.held.notified().await;
    Some(tokio::spawn(async move {
        is_refused_or_broken_off(held.await.unwrap());
    }))
}
