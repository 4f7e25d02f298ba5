//! The real dnsmasq on the router: it asks another one, as it would ask its provider's server, and
//! fills the sets of the firewall from the answers.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use super::{Network, Scratch};

/// How long an answer may take; it comes at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the server that is asked listens.
const ABOVE: u16 = 5300;

/// Two servers; they end when this is dropped.
pub(crate) struct Servers {
    children: Vec<Child>,
    _configuration: Scratch,
}

impl Servers {
    /// Starts them on the router, with these lines and with the addresses of names.
    pub(crate) fn start(network: &Network, lines: &str, names: &[(&str, [IpAddr; 2])]) -> Self {
        let records: Vec<String> = names
            .iter()
            .map(|(name, [v4, v6])| format!("--host-record={name},{v4},{v6}"))
            .collect();
        let mut above = vec![
            "--conf-file=/dev/null".to_owned(),
            format!("--port={ABOVE}"),
        ];
        above.push("--no-resolv".to_owned());
        above.extend(records);
        let configuration = Scratch::new(lines);
        let asking = vec![
            format!("--conf-file={}", configuration.path()),
            "--port=53".to_owned(),
            "--no-resolv".to_owned(),
            format!("--server=127.0.0.1#{ABOVE}"),
        ];
        let mut servers = Self {
            children: Vec::new(),
            _configuration: configuration,
        };
        for words in [above, asking] {
            servers.run(&network.router(), &words);
        }
        servers
    }

    /// Starts one, and waits until it says that it is there.
    fn run(&mut self, namespace: &str, words: &[String]) {
        let mut child = Command::new("ip")
            .args([
                "netns",
                "exec",
                namespace,
                "dnsmasq",
                "--keep-in-foreground",
            ])
            .args([
                "--log-facility=-",
                "--no-hosts",
                "--user=root",
                "--pid-file=",
            ])
            .args(["--listen-address=127.0.0.1", "--bind-interfaces"])
            .args(words)
            .stderr(Stdio::piped())
            .spawn()
            .expect("dnsmasq");
        let told = BufReader::new(child.stderr.take().expect("its log"));
        self.children.push(child);
        let mut lines = told.lines().map(|line| line.expect("text"));
        let started = lines.any(|line| line.contains(": started, version "));
        assert!(started, "dnsmasq {words:?} did not start");
        // It goes on writing; nobody may be gone at the other end.
        std::thread::spawn(move || lines.for_each(drop));
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What dnsmasq says of a configuration.
pub(crate) fn test(lines: &str) -> Output {
    let configuration = Scratch::new(lines);
    Command::new("dnsmasq")
        .args(["--test", &format!("--conf-file={}", configuration.path())])
        .output()
        .expect("dnsmasq")
}

impl Network {
    /// Asks the router for both kinds of addresses of a name, which has to have some.
    pub(crate) fn look_up(&self, name: &str) {
        for kind in [1, 28] {
            let answers = self.on_router(|| ask(name, kind));
            assert_eq!(answers, 1, "{name}, type {kind}");
        }
    }
}

/// Asks a question of this type (RFC 1035, section 4.1) and returns the number of answers.
fn ask(name: &str, kind: u8) -> u16 {
    let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, kind, 0, 1]);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
    socket.send_to(&query, server).unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).unwrap();
    assert!(length > query.len() && answer[..2] == query[..2]);
    u16::from_be_bytes([answer[6], answer[7]])
}
