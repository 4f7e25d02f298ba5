//! A customer's network in namespaces of its own: the device, a router with the firewall, the rest
//! of the site, and an internet that answers at every address and port.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub(crate) mod dnsmasq;
pub(crate) mod probe;
pub(crate) mod site;

/// The port behind which everything is answered.
const ANSWERING: u16 = 9;

/// How long an answering thread waits for a datagram before it looks around.
const TURN: Duration = Duration::from_millis(20);

/// The part of the network that something stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    Device,
    /// The site's other networks: all of 10.0.0.0/8 and fd00::/8 but the device's own.
    Site,
    /// Every other address.
    Internet,
}

/// The device's addresses.
pub(crate) const DEVICE: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(10, 7, 0, 2),
    Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 2),
);

/// The whole network; it is taken down when it is dropped.
pub(crate) struct Network {
    prefix: String,
    stop: Arc<AtomicBool>,
    answering: Vec<JoinHandle<()>>,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Network {
    /// Builds the network. Its namespaces have names that no other test has.
    pub(crate) fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let network = Self {
            prefix: format!("outgate-{}-{number}", std::process::id()),
            stop: Arc::default(),
            answering: Vec::new(),
        };
        network.build()
    }

    fn build(mut self) -> Self {
        for end in ["router", "device", "site", "internet"] {
            run(&["ip", "netns", "add", &self.name(end)]);
            self.ip(end, "link set lo up");
        }
        for setting in [
            "ipv4/ip_forward=1",
            "ipv6/conf/all/forwarding=1",
            // Every refusal is answered, so that nothing has to be waited for.
            "ipv4/icmp_ratelimit=0",
            "ipv4/icmp_msgs_per_sec=100000",
            "ipv4/icmp_msgs_burst=100000",
            "ipv6/icmp/ratelimit=0",
        ] {
            self.set("router", setting);
        }
        self.link(
            "device",
            ["10.7.0.1/24", "fd07::1/64"],
            ["10.7.0.2/24", "fd07::2/64"],
        );
        self.link(
            "site",
            ["10.7.1.1/24", "fd07:1::1/64"],
            ["10.7.1.2/24", "fd07:1::2/64"],
        );
        self.link(
            "internet",
            ["100.64.0.1/24", "2001:db8:ffff::1/64"],
            ["100.64.0.2/24", "2001:db8:ffff::2/64"],
        );
        self.ip("router", "route add 10.0.0.0/8 via 10.7.1.2");
        self.ip("router", "route add fd00::/8 via fd07:1::2");
        self.ip("router", "route add default via 100.64.0.2");
        self.ip("router", "route add default via 2001:db8:ffff::2");
        self.ip("device", "route add default via 10.7.0.1");
        self.ip("device", "route add default via fd07::1");
        for to in [
            "10.7.0.0/24 via 10.7.1.1",
            "default via 10.7.1.1",
            "fd07::/64 via fd07:1::1",
            "default via fd07:1::1",
        ] {
            self.ip("site", &format!("route add {to}"));
        }
        for to in ["10.0.0.0/8 via 100.64.0.1", "fd00::/8 via 2001:db8:ffff::1"] {
            self.ip("internet", &format!("route add {to}"));
        }
        self.has_every_address("site", ["10.0.0.0/8", "fd00::/8"]);
        self.has_every_address("internet", ["default", "default"]);
        for part in [Part::Device, Part::Site, Part::Internet] {
            self.answer(part);
        }
        self
    }

    fn name(&self, end: &str) -> String {
        format!("{}-{end}", self.prefix)
    }

    fn ip(&self, end: &str, words: &str) {
        let name = self.name(end);
        let family = if words.contains("::") { "-6" } else { "-4" };
        let mut all = vec!["ip", "-n", &name, family];
        all.extend(words.split(' '));
        run(&all);
    }

    /// Changes a kernel setting below `net`, as `ipv4/ip_forward=1`.
    fn set(&self, end: &str, setting: &str) {
        let (key, value) = setting.split_once('=').expect("a setting");
        let written = self.inside(end, || {
            std::fs::write(format!("/proc/sys/net/{key}"), value)
        });
        written.unwrap_or_else(|error| panic!("{setting}: {error}"));
    }

    /// A cable between the router and one end.
    fn link(&self, end: &str, router: [&str; 2], other: [&str; 2]) {
        let (here, there) = (self.name("router"), self.name(end));
        run(&[
            "ip", "-n", &here, "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns",
            &there,
        ]);
        for (side, device, addresses) in [("router", end, router), (end, "eth0", other)] {
            self.ip(side, &format!("link set {device} up"));
            for address in addresses {
                let quick = if address.contains(':') { " nodad" } else { "" };
                self.ip(side, &format!("addr add {address} dev {device}{quick}"));
            }
        }
    }

    /// Takes all addresses of these prefixes for its own that no better route leads away from.
    fn has_every_address(&self, end: &str, prefixes: [&str; 2]) {
        for (family, prefix) in [("-4", prefixes[0]), ("-6", prefixes[1])] {
            run(&[
                "ip",
                "-n",
                &self.name(end),
                family,
                "route",
                "add",
                "local",
                prefix,
                "dev",
                "lo",
                "table",
                "main",
                "metric",
                "1",
            ]);
        }
        self.set(end, "ipv4/ip_nonlocal_bind=1");
        self.set(end, "ipv6/ip_nonlocal_bind=1");
    }

    /// Answers at every port, over TCP by taking the connection and over UDP by an echo.
    fn answer(&mut self, part: Part) {
        let rules = format!(
            "table inet answering {{\n chain everything {{\n type nat hook prerouting priority dstnat;\n \
             meta l4proto {{ tcp, udp }} redirect to :{ANSWERING}\n }}\n}}\n"
        );
        let end = end_of(part);
        let file = Scratch::new(&rules);
        run(&[
            "ip",
            "netns",
            "exec",
            &self.name(end),
            "nft",
            "-f",
            &file.path(),
        ]);
        let stop = Arc::clone(&self.stop);
        let (ready, is_ready) = std::sync::mpsc::channel();
        let name = self.name(end);
        self.answering.push(std::thread::spawn(move || {
            enter(&name);
            let (tcp, udp) = answering();
            ready.send(()).expect("the test waits");
            while !stop.load(Ordering::Relaxed) {
                turn(&tcp, &udp);
            }
        }));
        is_ready.recv().expect("an answering thread");
    }

    /// Loads rules into the router, in place of all that were there.
    pub(crate) fn load(&self, rules: &str) {
        self.forget();
        let loaded = self.nft(rules, &[]);
        assert!(
            loaded.status.success(),
            "{}",
            String::from_utf8_lossy(&loaded.stderr)
        );
    }

    /// Takes all rules out of the router.
    pub(crate) fn forget(&self) {
        run(&[
            "ip",
            "netns",
            "exec",
            &self.name("router"),
            "nft",
            "flush",
            "ruleset",
        ]);
    }

    /// Hands rules to `nft -f`, with more arguments before.
    pub(crate) fn nft(&self, rules: &str, arguments: &[&str]) -> Output {
        let file = Scratch::new(rules);
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name("router"), "nft"])
            .args(arguments);
        command.args(["-f", &file.path()]).output().expect("nft")
    }

    /// What the router has loaded.
    pub(crate) fn listed(&self) -> String {
        let listed = run(&[
            "ip",
            "netns",
            "exec",
            &self.name("router"),
            "nft",
            "list",
            "ruleset",
        ]);
        String::from_utf8(listed.stdout).expect("text")
    }

    /// Runs something on the router.
    pub(crate) fn on_router<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.inside("router", act)
    }

    /// The name of the router's namespace.
    pub(crate) fn router(&self) -> String {
        self.name("router")
    }

    /// Runs something in one part of the network.
    pub(crate) fn within<T: Send>(&self, part: Part, act: impl FnOnce() -> T + Send) -> T {
        self.inside(end_of(part), act)
    }

    fn inside<T: Send>(&self, end: &str, act: impl FnOnce() -> T + Send) -> T {
        let name = self.name(end);
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || {
                enter(&name);
                act()
            });
            inside.join().expect("a thread in a namespace")
        })
    }

    /// The name of the namespace of one part.
    pub(crate) fn namespace(&self, part: Part) -> String {
        self.name(end_of(part))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.answering.drain(..) {
            let _ = thread.join();
        }
        for end in ["device", "site", "internet", "router"] {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.name(end)])
                .output();
        }
    }
}

fn end_of(part: Part) -> &'static str {
    match part {
        Part::Device => "device",
        Part::Site => "site",
        Part::Internet => "internet",
    }
}

/// Moves this thread into a namespace; what it opens from now on belongs there.
fn enter(name: &str) {
    let namespace = File::open(format!("/run/netns/{name}")).expect("a namespace");
    let network = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), network).expect("root");
}

/// Sockets for both families: Linux gives those of IPv6 the datagrams of IPv4 too.
fn answering() -> (TcpListener, UdpSocket) {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, ANSWERING));
    let (tcp, udp) = (TcpListener::bind(any), UdpSocket::bind(any));
    let (tcp, udp) = (tcp.expect("a listener"), udp.expect("a socket"));
    tcp.set_nonblocking(true).expect("a listener");
    udp.set_read_timeout(Some(TURN)).expect("a socket");
    (tcp, udp)
}

fn turn(tcp: &TcpListener, udp: &UdpSocket) {
    let mut datagram = [0; 64];
    if let Ok((length, from)) = udp.recv_from(&mut datagram) {
        let _ = udp.send_to(&datagram[..length], from);
    }
    while let Err(error) = tcp.accept().map(drop) {
        if error.kind() == ErrorKind::WouldBlock {
            break;
        }
    }
}

/// A file that is there as long as this value.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(text: &str) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rules-{}-{number}.nft", std::process::id());
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, text).expect("a file for rules");
        Self(path)
    }

    fn path(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn run(words: &[&str]) -> Output {
    let (program, arguments) = words.split_first().expect("a program");
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("a program to start");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {told}", words.join(" "));
    output
}
