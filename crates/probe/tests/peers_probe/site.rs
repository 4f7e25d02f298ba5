//! A customer's site, made by a test in network namespaces of its own: a device, a router with
//! nftables, and servers on a public network. When the test ends, however it does, all of it goes:
//! the test runs as the first process of a PID namespace, and takes the others with it.

use std::{
    fs::File,
    future::Future,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    os::fd::AsFd,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use outgate_probe::{Ask, Finding, Host, PathConfig};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;
use tokio::net::UdpSocket;

use crate::asks::{nowhere, run};

/// Set in the child that has namespaces of its own.
const INSIDE: &str = "OUTGATE_TEST_OWN_SITE";
/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);
/// Time between two looks at whether it has.
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// The device's address.
pub(crate) const DEVICE: &str = "10.77.0.2";
/// The router's public address.
pub(crate) const ROUTER: &str = "198.51.100.1";
/// The servers' addresses.
pub(crate) const SERVERS: [&str; 2] = ["198.51.100.10", "198.51.100.11"];
/// The first server's address over IPv6, which nobody translates on the way.
pub(crate) const SERVER_6: &str = "2001:db8:51::10";

/// Runs the test of this name (`module::name`) again in namespaces of its own, and `work` there.
pub(crate) fn on_own_site<F: Future<Output = ()>>(name: &str, work: impl FnOnce(Site) -> F) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(work(Site::build()));
    }
    let output = Command::new("unshare")
        .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{errors}"
    );
}

/// The site: the test stands where the device does.
pub(crate) struct Site {
    router: Child,
    public: Child,
    servers: Vec<Child>,
    directory: TempDir,
}

impl Site {
    fn build() -> Self {
        let router = namespace();
        let public = namespace();
        let (in_router, in_public) = (router.id(), public.id());
        shell(
            std::process::id(),
            &format!(
                "ip link set lo up
                 ip link add lan type veth peer name lan netns {in_router}
                 ip addr add {DEVICE}/24 dev lan
                 ip addr add 2001:db8:77::2/64 dev lan nodad
                 ip link set lan up"
            ),
        );
        shell(
            in_router,
            &format!(
                "ip link set lo up
                 ip link add wan type veth peer name wan netns {in_public}
                 ip addr add 10.77.0.1/24 dev lan
                 ip addr add {ROUTER}/24 dev wan
                 ip addr add 2001:db8:77::1/64 dev lan nodad
                 ip addr add 2001:db8:51::1/64 dev wan nodad
                 ip link set lan up
                 ip link set wan up
                 echo 1 > /proc/sys/net/ipv4/ip_forward
                 echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"
            ),
        );
        let [first, second] = SERVERS;
        shell(
            in_public,
            &format!(
                "ip link set lo up
                 ip addr add {first}/24 dev wan
                 ip addr add {second}/24 dev wan
                 ip addr add {SERVER_6}/64 dev wan nodad
                 ip link set wan up
                 ip route add 10.77.0.0/24 via {ROUTER}
                 ip route add 2001:db8:77::/64 via 2001:db8:51::1"
            ),
        );
        shell(
            std::process::id(),
            "ip route add default via 10.77.0.1
             ip route add default via 2001:db8:77::1",
        );
        Self {
            router,
            public,
            servers: Vec::new(),
            directory: TempDir::new().unwrap(),
        }
    }

    /// Gives the router these rules in place of those it had.
    pub(crate) fn route_by(&self, rules: &str) {
        nft(self.router.id(), rules);
    }

    /// Gives the servers' machine these rules in place of those it had.
    pub(crate) fn serve_by(&self, rules: &str) {
        nft(self.public.id(), rules);
    }

    /// Has the servers send each segment of TCP in a packet of its own, as on a cable.
    pub(crate) fn one_segment_a_packet(&self) {
        shell(self.public.id(), "ip link set dev wan gso_max_segs 1");
    }

    /// A socket on the public network.
    pub(crate) fn bind_udp(&self, address: SocketAddr) -> UdpSocket {
        let namespace = File::open(format!("/proc/{}/ns/net", self.public.id())).unwrap();
        // A socket stays where it was made, and the thread that made it is gone then.
        let bind = move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind).unwrap();
            let socket = std::net::UdpSocket::bind(address).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let socket = std::thread::spawn(bind).join().unwrap();
        UdpSocket::from_std(socket).unwrap()
    }

    /// A folder that is gone with the site.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Starts a server on the public network, and waits until it is `ready`.
    pub(crate) fn serve(&mut self, program: &str, arguments: &[&str], ready: impl Fn() -> bool) {
        let log = self.folder().join(format!("{program}.log"));
        let file = File::create(&log).unwrap();
        let mut child = within(self.public.id())
            .arg(program)
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let give_up = Instant::now() + START;
        while !ready() {
            let ended = child.try_wait().unwrap();
            let text = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(
                ended.is_none() && Instant::now() < give_up,
                "{program} {ended:?}: {}",
                text()
            );
            std::thread::sleep(BETWEEN_TRIES);
        }
        self.servers.push(child);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let all = self.servers.iter_mut();
        for child in all.chain([&mut self.router, &mut self.public]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs the ask against this place, with time enough to wait for what does not come.
pub(crate) async fn probe(mut ask: Ask, server: SocketAddr) -> Finding {
    ask.host = Host::Address(server.ip());
    ask.port = Some(server.port());
    let timeout = Duration::from_secs(12);
    let config = PathConfig {
        resolver: nowhere(),
        timeout,
        ..PathConfig::default()
    };
    run(&ask, config).await
}

/// A process that keeps a network namespace.
fn namespace() -> Child {
    let mut child = Command::new("unshare")
        .args(["--net", "sh", "-c", "echo ready; exec sleep infinity"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = child.stdout.as_mut().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

/// A command in the network namespace of a process.
fn within(process: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &process.to_string(), "--net"]);
    command
}

fn shell(process: u32, script: &str) {
    let status = within(process)
        .args(["sh", "-ec", script])
        .status()
        .unwrap();
    assert!(status.success(), "{script}");
}

fn nft(process: u32, rules: &str) {
    let mut child = within(process)
        .args(["nft", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    write!(input, "flush ruleset\n{rules}").unwrap();
    drop(input);
    assert!(child.wait().unwrap().success(), "{rules}");
}
