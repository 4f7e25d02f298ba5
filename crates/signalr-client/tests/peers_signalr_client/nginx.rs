//! Behind nginx: as it comes, as its makers say, and impatient.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use outgate_signalr_client::connect::Direct;
use outgate_signalr_client::{Client, Policy, Protocol, State, Token, Transport};
use outgate_standin::{Authority, Validity};
use outgate_testbed::{Program, free, nginx};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

use crate::hub::{Stage, exercise, transport};

/// How WebSockets get through (nginx's own documentation, "WebSocket proxying").
const UPGRADE: &str = "proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;";
/// What a server says of buffers is of no interest, as to nginx before 2010 and to many others.
const BUFFERS: &str = "proxy_ignore_headers X-Accel-Buffering;";

pub(crate) struct Nginx {
    _program: Program,
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    /// In front of a hub, with lines of the test's own for its location and for its server.
    pub(crate) async fn start(hub: SocketAddr, location: &str, server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free().unwrap();
        let ssl = if server.is_empty() { "" } else { "ssl" };
        let http = format!(
            "server {{
                listen {address} {ssl}; {server}
                location / {{ proxy_pass http://{hub}; {location} }}
            }}"
        );
        let mut command = nginx(folder.path(), &http).unwrap();
        let program = Program::start(&mut command, folder.path(), address).await;
        Self {
            _program: program.unwrap(),
            address,
            _folder: folder,
        }
    }
}

fn failed(client: &Client) -> Vec<Transport> {
    let memory = client.memory();
    let failed = memory.failed(std::time::Instant::now());
    failed.map(|(transport, _)| transport).collect()
}

#[tokio::test]
async fn as_it_comes_nginx_leaves_events_where_the_hub_says_that_they_are_not_to_be_kept() {
    let mut stage = Stage::new().await;
    let nginx = Nginx::start(stage.address, "", "").await;
    let client = stage.client_at(nginx.address).build().unwrap();
    client.start().await.unwrap();
    assert_eq!(transport(&client), Transport::ServerSentEvents);
    exercise(&mut stage, &client).await;
    let builder = stage.client_at(nginx.address);
    let packed = builder.protocol(Protocol::MessagePack).build().unwrap();
    packed.start().await.unwrap();
    assert_eq!(transport(&packed), Transport::LongPolling);
}

#[tokio::test]
async fn polling_is_reached_where_nginx_strips_the_upgrade_and_keeps_events() {
    let mut stage = Stage::new().await;
    let nginx = Nginx::start(stage.address, BUFFERS, "").await;
    let builder = stage.client_at(nginx.address).retry(Policy::default());
    let client = builder.patience(Duration::from_secs(1)).build().unwrap();
    client.start().await.unwrap();
    assert_eq!(transport(&client), Transport::LongPolling);
    let others = [Transport::WebSockets, Transport::ServerSentEvents];
    assert_eq!(failed(&client), others);
    exercise(&mut stage, &client).await;
    // It comes back over polls at once.
    let mut states = client.state();
    for connection in stage.hub.connections() {
        connection.close(None, true);
    }
    let state = states.wait_for(|it| matches!(it, State::Reconnecting { .. }));
    drop(state.await.unwrap());
    drop(states.wait_for(State::is_connected).await.unwrap());
    assert_eq!(transport(&client), Transport::LongPolling);
}

#[tokio::test]
async fn with_the_upgrade_let_through_there_is_a_websocket_also_over_tls() {
    let authority = Authority::new(SystemTime::now()).unwrap();
    let names = ["localhost".to_owned()];
    let identity = authority.issue(&names, Validity::around(SystemTime::now()));
    let identity = identity.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let certificate = write("certificate.pem", identity.chain_pem().to_owned());
    let key = write("key.pem", identity.key_pem());
    let server = format!("ssl_certificate {certificate}; ssl_certificate_key {key};");
    let mut stage = Stage::new().await;
    let nginx = Nginx::start(stage.address, UPGRADE, &server).await;
    let url = format!("https://localhost:{}/hub", nginx.address.port());
    let builder = || Client::builder(&url).token(Token::new("user-ada".to_owned()));
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let direct = Direct::with_tls(Arc::new(config));
    let client = builder().connect(direct).build().unwrap();
    client.start().await.unwrap();
    assert_eq!(transport(&client), Transport::WebSockets);
    exercise(&mut stage, &client).await;
    // The platform does not know the authority.
    let cause = builder().build().unwrap().start().await.unwrap_err();
    let cause = format!("{cause}: {}", std::error::Error::source(&cause).unwrap());
    assert!(cause.contains("certificate"), "{cause}");
}

#[tokio::test]
async fn a_poll_that_nginx_cuts_loses_nothing() {
    let stage = Stage::new().await;
    let location = format!("{BUFFERS} proxy_read_timeout 1s;");
    let nginx = Nginx::start(stage.address, &location, "").await;
    let builder = stage.client_at(nginx.address);
    let client = builder
        .transports(&[Transport::LongPolling])
        .build()
        .unwrap();
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    client.on("Tick", move |(number,): (u32,)| {
        heard.send(number).unwrap();
        std::future::ready(())
    });
    client.start().await.unwrap();
    for number in 0..5 {
        // Longer than nginx waits for the hub.
        tokio::time::sleep(Duration::from_millis(700 * u64::from(number))).await;
        let clients = stage.hub.clients();
        assert_eq!(clients.all().send("Tick", (number,)).unwrap(), 1);
        assert_eq!(hears.recv().await, Some(number));
    }
    assert!(client.state().borrow().is_connected());
}

#[tokio::test]
async fn a_websocket_that_nginx_cuts_when_idle_is_held_by_pings_or_given_up() {
    let stage = Stage::new().await;
    let location = format!("{UPGRADE} proxy_read_timeout 2s;");
    let nginx = Nginx::start(stage.address, &location, "").await;
    let builder = stage.client_at(nginx.address).retry(Policy::default());
    let client = builder.keep_alive(Duration::from_millis(200));
    let client = client.build().unwrap();
    client.start().await.unwrap();
    let first = stage.hub.connections().remove(0).id().to_owned();
    // The quiet time that nginx does not bear.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(stage.hub.connections().remove(0).id(), first);
    client.stop().await;
    // Without pings in time it is cut twice, and then polls, which nobody holds against it.
    let builder = stage.client_at(nginx.address).retry(Policy::default());
    let ways = [Transport::WebSockets, Transport::LongPolling];
    let client = builder.transports(&ways).build().unwrap();
    client.start().await.unwrap();
    let mut states = client.state();
    let polls = states.wait_for(|state| {
        matches!(state, State::Connected { transport, .. } if *transport == Transport::LongPolling)
    });
    drop(polls.await.unwrap());
    assert_eq!(failed(&client), [Transport::WebSockets]);
}
