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
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::{Site, azure, files};

/// All of them, but those of [`OVER_WEBSOCKET`].
pub(crate) const NAMES: [&str; 11] = [
    "mqtt",
    "mqtt over a websocket",
    "signalr",
    "polling",
    "download",
    "look-up",
    "azure",
    "azure over https",
    "provisioning",
    "upload by address",
    "download by address",
];

/// A terminal has one connection in Azure's words: the newest. So this one has a day of its own.
pub(crate) const OVER_WEBSOCKET: [&str; 1] = ["azure over a websocket"];

/// Those that take a name and a key for a password, or a token that the key has signed.
pub(crate) const BY_KEY: [&str; 7] = [
    "mqtt",
    "mqtt over a websocket",
    "polling",
    "azure",
    "azure over https",
    "azure over a websocket",
    "provisioning",
];

/// How many bytes the terminal is sent, which no buffers on the way hold.
pub(crate) const LARGE: usize = 32 << 20;

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
    pub(crate) async fn open(site: &Site, names: &[&'static str]) -> Self {
        let mut open = Vec::new();
        for &name in names {
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
        "mqtt" => mqtt(site, by_token(site, "over-tls"), None).await,
        "mqtt over a websocket" => mqtt(site, by_token(site, "over-wss"), Some("/mqtt")).await,
        "signalr" => signalr(site).await,
        "polling" => polling(site).await,
        "download" => download(site).await,
        "look-up" => look_up(site).await,
        "azure" => azure::messages(site, None).await,
        "azure over a websocket" => azure::messages(site, Some("/$iothub/websocket")).await,
        "azure over https" => azure::https(site).await,
        "provisioning" => azure::provisioning(site).await,
        "upload by address" => files::upload(site).await,
        "download by address" => files::download(site).await,
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

/// Who comes in by MQTT, and by what.
pub(crate) struct Login<'a> {
    pub(crate) client: &'a str,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
}

fn by_token<'a>(site: &'a Site, client: &'a str) -> Login<'a> {
    Login {
        client,
        user: "T7",
        password: &site.token,
    }
}

/// MQTT over TLS, or over the WebSocket at a path.
pub(crate) async fn mqtt(
    site: &Site,
    login: Login<'_>,
    path: Option<&str>,
) -> Option<JoinHandle<()>> {
    let port = site.running.hub.listening()[0].address.port();
    let config = ClientConfig::builder()
        .with_root_certificates(roots(site))
        .with_no_client_auth();
    let tls = TlsConfiguration::Rustls(Arc::new(config));
    let (host, transport) = match path {
        Some(path) => {
            let host = format!("wss://localhost:{port}{path}");
            (host, Transport::wss_with_config(tls))
        }
        None => ("localhost".to_owned(), Transport::tls_with_config(tls)),
    };
    let mut options = MqttOptions::new(login.client, host, port);
    options.set_transport(transport);
    options.set_credentials(login.user, login.password);
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
    until_requests_are(site, "http", 0).await;
    let poll = tokio::spawn(ask(50).send());
    until_requests_are(site, "http", 1).await;
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

/// Waits until that many requests of a kind are being answered.
pub(crate) async fn until_requests_are(site: &Site, via: &str, count: usize) {
    let requests = || {
        let present = site.running.core().sessions.present(&Selector::All);
        present.iter().filter(|one| one.via == via).count()
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
    let token = &site.token;
    let request = format!(
        "GET /assets/{digest}/{name} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    taken_in_part(site, request, "401").await
}

/// An answer of [`LARGE`] bytes of which the terminal has taken the beginning only; none when it is
/// told that status.
pub(crate) async fn taken_in_part(
    site: &Site,
    request: String,
    refused: &str,
) -> Option<JoinHandle<()>> {
    let address = site.running.hub.listening()[1].address;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVED_AHEAD).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).await.unwrap();
    if !begun.starts_with(b"HTTP/1.1 200") {
        assert!(begun.ends_with(refused.as_bytes()), "{begun:?}");
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

/// A request of whose body half has been sent, and which is being answered when this returns.
pub(crate) async fn half_sent(site: &Site, head: String, via: &str) -> JoinHandle<()> {
    let address = site.running.hub.listening()[1].address;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let half = "half";
    let request = format!("{head}content-length: {}\r\n\r\n{half}", 2 * half.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    until_requests_are(site, via, 1).await;
    tokio::spawn(async move {
        let mut answer = Vec::new();
        // Broken off with or without a word.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "it is taken");
    })
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
