//! Through other people's proxies: squid and nginx.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use outgate_agent::link::driver::start;
use outgate_agent::status::{LinkState, RungState};
use outgate_probe::{ProxyChoice, Proxying};
use outgate_signalr_client::Transport;
use outgate_testbed::{Program, free, nginx, squid};
use tempfile::TempDir;

use crate::stage::{Stage, client, exercise, rungs};

struct Proxy {
    _program: Program,
    address: SocketAddr,
    _folder: TempDir,
}

/// squid, with lines of the test's own.
async fn squid_with(lines: &str) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    let address = free().unwrap();
    let users = folder.path().join("users");
    // openssl passwd -apr1 -salt outgate wonderland
    let hash = "$apr1$outgate$.7jEIFFdDCjq27Y88A8vA0";
    fs::write(&users, format!("alice:{hash}\n")).unwrap();
    fs::set_permissions(&users, Permissions::from_mode(0o644)).unwrap();
    let lines = lines.replace("{users}", &users.display().to_string());
    let lines = format!("http_port {address}\ndns_nameservers 127.0.0.1\n{lines}");
    let mut command = squid(folder.path(), &lines).unwrap();
    let program = Program::start(&mut command, folder.path(), address).await;
    Proxy {
        _program: program.unwrap(),
        address,
        _folder: folder,
    }
}

fn through(proxy: &str) -> Proxying {
    Proxying {
        choice: ProxyChoice::Always(proxy.parse().unwrap()),
        ..Proxying::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transport_goes_through_a_squid_that_wants_a_login() {
    let squid = squid_with(
        "auth_param basic program {usr}/lib/squid/basic_ncsa_auth {users}
        auth_param basic realm proxy
        acl known proxy_auth REQUIRED
        http_access allow known
        http_access deny all",
    )
    .await;
    let stage = Stage::new().await;
    for only in Transport::ALL {
        let mut plan = stage.plan(stage.address());
        plan.settings.transports = vec![only];
        plan.way.proxying = through(&format!("http://alice:wonderland@{}", squid.address));
        let link = start(plan).unwrap();
        exercise(&client(&mut link.current()).await).await;
        link.stop().await;
    }
    assert_eq!(stage.board.status().troubles.len(), 0);
    // Without the login it is the proxy that is named, and not the hub that refuses.
    let mut plan = stage.plan(stage.address());
    plan.way.proxying = through(&format!("http://{}", squid.address));
    let _link = start(plan).unwrap();
    let status = stage.is(LinkState::Waiting).await;
    let text = &status.troubles[0].text;
    assert!(text.contains("proxy") && text.contains("login"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_squid_that_cuts_what_is_quiet_for_four_seconds_is_learnt_and_outlasted() {
    // It counts whole seconds and looks at them once a second: it cuts after three to five.
    let squid = squid_with("read_timeout 4 seconds\nhttp_access allow all").await;
    let stage = Stage::new().await;
    let mut plan = stage.plan(stage.address());
    plan.settings.transports = vec![Transport::WebSockets];
    plan.settings.silence.first = Duration::from_secs(8);
    plan.way.proxying = through(&format!("http://{}", squid.address));
    let link = start(plan).unwrap();
    let short = |seconds: u64| (1..=3).contains(&seconds);
    stage
        .shown(|status| status.link.heartbeat_seconds.is_some_and(short))
        .await;
    let client = client(&mut link.current()).await;
    // A quiet time that squid would not bear.
    tokio::time::sleep(Duration::from_secs(8)).await;
    exercise(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_nginx_that_strips_the_upgrade_leaves_events() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (address, hub) = (free().unwrap(), stage.address());
    let http = format!("server {{ listen {address}; location / {{ proxy_pass http://{hub}; }} }}");
    let mut command = nginx(folder.path(), &http).unwrap();
    let program = Program::start(&mut command, folder.path(), address).await;
    let link = stage.link(address);
    exercise(&client(&mut link.current()).await).await;
    let lower = [RungState::Failed, RungState::InUse, RungState::Untried];
    assert_eq!(rungs(&stage.is(LinkState::Connected).await), lower);
    drop(program);
}
