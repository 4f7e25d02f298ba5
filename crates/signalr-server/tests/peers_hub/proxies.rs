//! Microsoft's client behind everything that stands between clients and hubs, with everything that
//! it can do.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use outgate_signalr_server::Transport;
use outgate_testbed::{Program, free, nginx, squid};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::hub::{Stage, by_token};
use crate::microsoft::{WAYS, answers, calls, groups, run, streams};
use crate::nginx::UPGRADE;
use crate::relay::Relay;
use crate::stateful::stateful;

/// How long those wait that cut what is quiet: twelve times as long as the hub is, so that a machine
/// on which everything is late cuts nothing, and longer than Node keeps connections open that it does
/// not use, so that none is used just when it is cut. The client is quiet for longer.
const PATIENT_SECONDS: u32 = 12;

/// What stands between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    /// nginx that ends TLS.
    Tls,
    /// nginx as it comes: it strips the upgrade, and keeps what it may.
    AsItComes,
    /// nginx that keeps event streams too, whatever their server says.
    Keeping,
    /// nginx that cuts what is quiet for [`PATIENT_SECONDS`].
    Impatient,
    /// squid, which is asked by CONNECT. socat asks it, for the client knows no proxy.
    Squid,
    /// squid that cuts what is quiet for [`PATIENT_SECONDS`].
    ImpatientSquid,
}

use Between::{AsItComes, Impatient, ImpatientSquid, Keeping, Nothing, Squid, Tls};

impl Between {
    /// Whether the transport works there.
    fn passes(self, transport: Transport) -> bool {
        match self {
            Self::AsItComes => transport != Transport::WebSockets,
            Self::Keeping => transport == Transport::LongPolling,
            Self::Nothing | Self::Tls | Self::Impatient | Self::Squid | Self::ImpatientSquid => {
                true
            }
        }
    }

    fn is_impatient(self) -> bool {
        matches!(self, Self::Impatient | Self::ImpatientSquid)
    }
}

/// The programs of a way, and where it begins.
struct Way {
    url: String,
    /// What the client has to trust beside the rest.
    authority: Option<String>,
    _programs: Vec<Program>,
    _folder: TempDir,
}

impl Way {
    async fn to(hub: SocketAddr, between: Between) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut url = format!("http://{hub}/hub");
        let mut authority = None;
        let mut programs = Vec::new();
        let directives = match between {
            Nothing | Squid | ImpatientSquid => None,
            Tls => Some(UPGRADE.to_owned()),
            AsItComes => Some(String::new()),
            Keeping => Some("proxy_ignore_headers X-Accel-Buffering;".to_owned()),
            Impatient => Some(format!("{UPGRADE} proxy_read_timeout {PATIENT_SECONDS}s;")),
        };
        if let Some(directives) = directives {
            let address = free().unwrap();
            let mut listen = format!("listen {address}");
            url = format!("http://{address}/hub");
            if between == Tls {
                let certificate = certificate(folder.path());
                listen += &format!(
                    " ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate}"
                );
                url = format!("https://localhost:{}/hub", address.port());
                authority = Some(certificate);
            }
            let server = format!(
                "server {{ {listen}; location / {{ proxy_pass http://{hub}; {directives} }} }}"
            );
            let mut command = nginx(folder.path(), &server).unwrap();
            let program = Program::start(&mut command, folder.path(), address);
            programs.push(program.await.unwrap());
        }
        if matches!(between, Squid | ImpatientSquid) {
            let near = tunnel(hub, between, folder.path(), &mut programs).await;
            url = format!("http://{near}/hub");
        }
        Self {
            url,
            authority,
            _programs: programs,
            _folder: folder,
        }
    }
}

/// Starts squid, and socat before it; gives where socat listens.
async fn tunnel(
    hub: SocketAddr,
    between: Between,
    folder: &Path,
    programs: &mut Vec<Program>,
) -> SocketAddr {
    let (proxy, near) = (free().unwrap(), free().unwrap());
    let patience = match between {
        ImpatientSquid => format!("read_timeout {PATIENT_SECONDS} seconds"),
        Nothing | Tls | AsItComes | Keeping | Impatient | Squid => String::new(),
    };
    let lines =
        format!("http_port {proxy}\n{patience}\nhttp_access allow CONNECT\nhttp_access deny all");
    let mut command = squid(folder, &lines).unwrap();
    programs.push(Program::start(&mut command, folder, proxy).await.unwrap());
    let mut socat = Command::new("socat");
    let (ip, port) = (near.ip(), near.port());
    socat.arg(format!("TCP-LISTEN:{port},bind={ip},fork,reuseaddr"));
    socat.arg(format!(
        "PROXY:{}:{hub},proxyport={}",
        proxy.ip(),
        proxy.port()
    ));
    programs.push(Program::start(&mut socat, folder, near).await.unwrap());
    near
}

/// A certificate that trusts itself, with its key, in one file.
fn certificate(folder: &Path) -> String {
    let file = folder.join("server.pem").display().to_string();
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]);
    openssl.args([
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-subj",
        "/CN=localhost",
    ]);
    openssl.args(["-addext", "subjectAltName=DNS:localhost"]);
    let made = openssl.args(["-keyout", &file, "-out", &file]).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{made:?}");
    file
}

/// Everything that the client can do over a way.
fn expected(transport: Transport, between: Between) -> Value {
    let mut expected = json!({
        "calls": calls(transport),
        "streams": streams(),
        "answers": answers(),
        "groups": groups(),
        "large": {"up": true, "down": 1_000_000},
    });
    if between.is_impatient() {
        expected["quiet"] = json!({"same": true});
    }
    if transport == Transport::WebSockets {
        expected["stateful"] = stateful();
    }
    expected
}

/// What the client finds between which and the hub something stands.
async fn check(between: Between, transport: Transport, protocol: &'static str) {
    let soon = Duration::from_secs(1);
    let stage = Stage::with(|builder| {
        let builder = builder.authenticate(by_token).stateful_reconnect(true);
        if between.is_impatient() {
            // Pings, and polls that end, before anybody cuts.
            builder.keep_alive(soon).poll_timeout(soon)
        } else if between.passes(transport) {
            builder
        } else {
            // It hears nothing and says nothing.
            builder.client_timeout(5 * soon)
        }
    })
    .await;
    let relay = Relay::to(stage.address).await;
    let way = Way::to(relay.address, between).await;
    let options = json!({
        "url": way.url,
        "transport": transport.as_str(),
        "protocol": protocol,
        "token": "user-ada",
        "cutter": relay.cutter.to_string(),
        "authority": way.authority,
    });
    let told = format!("{between:?} {transport:?} {protocol}");
    if !between.passes(transport) {
        let found = run("vain", options).await;
        assert!(found["error"].is_string(), "{told}: {found}");
        assert_ne!(found["error"], "no error", "{told}");
        return;
    }
    let expected = expected(transport, between);
    let parts: Vec<_> = expected.as_object().unwrap().keys().cloned().collect();
    let found = run(&parts.join(","), options).await;
    assert_eq!(found, expected, "{told}");
}

/// Each way with each transport in each protocol, and all that can be done there.
async fn check_all(between: Between) {
    let mut checks: JoinSet<()> = WAYS
        .into_iter()
        .map(|(transport, protocol)| check(between, transport, protocol))
        .collect();
    while let Some(checked) = checks.join_next().await {
        checked.unwrap();
    }
}

#[tokio::test]
async fn with_nothing_between_everything_works() {
    check_all(Nothing).await;
}

#[tokio::test]
async fn inside_tls_everything_works() {
    check_all(Tls).await;
}

#[tokio::test]
async fn behind_an_nginx_as_it_comes_events_and_polls_do_everything() {
    check_all(AsItComes).await;
}

#[tokio::test]
async fn behind_an_nginx_that_keeps_events_polls_do_everything() {
    check_all(Keeping).await;
}

#[tokio::test]
async fn behind_an_nginx_that_cuts_what_is_quiet_nothing_is_cut() {
    check_all(Impatient).await;
}

#[tokio::test]
async fn through_squid_everything_works() {
    check_all(Squid).await;
}

#[tokio::test]
async fn through_a_squid_that_cuts_what_is_quiet_nothing_is_cut() {
    check_all(ImpatientSquid).await;
}
