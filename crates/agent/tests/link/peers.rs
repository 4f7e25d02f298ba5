//! Through other people's proxies: squid, nginx and mitmproxy.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use outgate_agent::link::beat::Bounds;
use outgate_agent::link::driver::{Plan, start};
use outgate_agent::status::{LinkState, RungState};
use outgate_probe::{ProxyChoice, Proxying, Roots};
use outgate_signalr_client::Transport;
use outgate_testbed::{MITMPROXY_CA, Program, free, mitmdump, nginx, squid};
use outgate_wire::agent::PATH;
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

/// A hub that speaks TLS, by a certificate of its own authority.
const SECURE: &str = "[[listen]]\naddress = '127.0.0.1:0'\n";

/// mitmproxy, which opens TLS.
struct Inspector {
    program: Program,
    address: SocketAddr,
    folder: TempDir,
}

impl Inspector {
    /// One that believes the hub's certificate, since its users have no say in that.
    async fn start(options: &[&str], script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free().unwrap();
        let program = Self::run(&folder, address, options, script).await;
        Self {
            program,
            address,
            folder,
        }
    }

    async fn run(folder: &TempDir, address: SocketAddr, options: &[&str], script: &str) -> Program {
        let mut command = mitmdump(folder.path(), address, script).unwrap();
        command.arg("--ssl-insecure").args(options);
        let program = Program::start(&mut command, folder.path(), address).await;
        program.unwrap()
    }

    /// It dies with everything that goes through it, and comes back.
    async fn killed_and_started_anew(self, dead: impl Future<Output = ()>) -> Self {
        let Self {
            program,
            address,
            folder,
        } = self;
        drop(program);
        dead.await;
        let program = Self::run(&folder, address, &[], "").await;
        Self {
            program,
            address,
            folder,
        }
    }

    /// The plan of a link through it that trusts the hub's authority, and with `ours` mitmproxy's.
    fn plan(&self, stage: &Stage, ours: bool) -> Plan {
        let mut plan = stage.plan(stage.address());
        plan.hub = format!("https://localhost:{}{PATH}", stage.address().port());
        plan.way.proxying = through(&format!("http://{}", self.address));
        // It is slow, and slower on a busy machine: what is late is not what it swallows.
        plan.settings.answer = Duration::from_secs(20);
        plan.settings.silence = Bounds::default();
        let mut pem = fs::read(stage.running.hub.own_authority().unwrap()).unwrap();
        if ours {
            pem.extend(fs::read(self.folder.path().join(MITMPROXY_CA)).unwrap());
        }
        plan.way.roots = Roots::mozilla().give_pem(&pem).unwrap();
        plan
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transport_goes_through_a_mitmproxy_that_is_trusted_and_wants_a_login() {
    let stage = Stage::with(SECURE).await;
    let proxy = Inspector::start(&["--proxyauth", "alice:wonderland"], STREAMS).await;
    let login = format!("http://alice:wonderland@{}", proxy.address);
    for only in Transport::ALL {
        let mut plan = proxy.plan(&stage, true);
        plan.settings.transports = vec![only];
        plan.way.proxying = through(&login);
        let link = start(plan).unwrap();
        exercise(&client(&mut link.current()).await).await;
        link.stop().await;
    }
    let link = start(proxy.plan(&stage, true)).unwrap();
    stage.is_told("proxy-login").await;
    link.stop().await;
    // What it is told to leave alone goes through as it is, and nobody needs to trust it.
    let text = ["--ignore-hosts", "localhost"];
    let proxy = Inspector::start(&text, "").await;
    let link = start(proxy.plan(&stage, false)).unwrap();
    exercise(&client(&mut link.current()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mitmproxy_that_nobody_trusts_is_named_as_who_inspects() {
    let stage = Stage::with(SECURE).await;
    let proxy = Inspector::start(&[], "").await;
    let _link = start(proxy.plan(&stage, false)).unwrap();
    let text = stage.is_told("tls-inspected").await;
    assert!(text.contains("mitmproxy inspects TLS"), "{text}");
}

/// Has events go on as they come, and not when the last one has.
const STREAMS: &str = r#"
def responseheaders(flow):
    kind = flow.response.headers.get("content-type", "")
    flow.response.stream = kind.startswith("text/event-stream")
"#;

/// Lets WebSockets open, and nothing through them.
const SWALLOWS: &str = r"
def websocket_message(flow):
    flow.websocket.messages[-1].drop()
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_mitmproxy_that_spoils_websockets_or_events_too_the_link_climbs_down() {
    use RungState::{Failed, InUse, Untried};
    let stage = Stage::with(SECURE).await;
    for (script, expected) in [
        ([SWALLOWS, STREAMS].concat(), [Failed, InUse, Untried]),
        // By itself it hands an answer on when all of it is there, which events never are.
        (SWALLOWS.to_owned(), [Failed, Failed, InUse]),
    ] {
        let proxy = Inspector::start(&[], &script).await;
        let mut plan = proxy.plan(&stage, true);
        // The second network is another one.
        plan.memory = None;
        let link = start(plan).unwrap();
        exercise(&client(&mut link.current()).await).await;
        assert_eq!(rungs(&stage.is(LinkState::Connected).await), expected);
        link.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mitmproxy_that_dies_with_the_connection_is_gone_through_again() {
    let stage = Stage::with(SECURE).await;
    let proxy = Inspector::start(&[], "").await;
    let link = start(proxy.plan(&stage, true)).unwrap();
    let mut current = link.current();
    exercise(&client(&mut current).await).await;
    let dead = async {
        let status = stage.is(LinkState::Waiting).await;
        assert!(!status.troubles.is_empty());
        assert!(link.current().borrow().is_none());
    };
    let _proxy = proxy.killed_and_started_anew(dead).await;
    stage.is(LinkState::Connected).await;
    exercise(&client(&mut current).await).await;
}
