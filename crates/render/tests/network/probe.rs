//! Single packets and what becomes of them, by real sockets.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use outgate_manifest::Transport;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Network, Part};

/// How long an answer or refusal may take; either comes at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many packets are on their way at a time.
const AT_ONCE: usize = 128;

/// The source port of the last conversation. None is used twice, for the router remembers.
static SOURCE: AtomicU16 = AtomicU16::new(1024);

/// The first packet of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Packet {
    pub(crate) part: Part,
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    pub(crate) transport: Transport,
    /// 0 for ICMP.
    pub(crate) port: u16,
}

impl Network {
    /// Sends each packet from its part of the network; true for those that were answered.
    pub(crate) fn send(&self, packets: &[Packet]) -> BTreeMap<Packet, bool> {
        let mut answered = BTreeMap::new();
        for part in [Part::Device, Part::Site, Part::Internet] {
            let ours: Vec<Packet> = packets
                .iter()
                .copied()
                .filter(|one| one.part == part)
                .collect();
            let namespace = self.namespace(part);
            let found = self.within(part, || many_at_once(&ours, &namespace));
            answered.extend(found);
        }
        answered
    }
}

/// Linux gives up a connection over IPv6 only at the second refusal, a second after the first;
/// so they wait side by side. Threads are born into the namespace of the one that starts them.
fn many_at_once(packets: &[Packet], namespace: &str) -> Vec<(Packet, bool)> {
    let share = packets.len().div_ceil(AT_ONCE).max(1);
    std::thread::scope(|scope| {
        let send = |share: &[Packet]| -> Vec<(Packet, bool)> {
            share
                .iter()
                .map(|one| (*one, one.is_answered(namespace)))
                .collect()
        };
        let shares: Vec<_> = packets
            .chunks(share)
            .map(|share| scope.spawn(move || send(share)))
            .collect();
        shares
            .into_iter()
            .flat_map(|share| share.join().expect("a sending thread"))
            .collect()
    })
}

impl Packet {
    fn is_answered(&self, namespace: &str) -> bool {
        match self.transport {
            Transport::Tcp => self.tcp(),
            Transport::Udp => self.udp(),
            Transport::Icmp => self.ping(namespace),
        }
    }

    fn tcp(&self) -> bool {
        let socket = Socket::new(
            Domain::for_address(self.target()),
            Type::STREAM,
            Some(Protocol::TCP),
        )
        .unwrap();
        socket.bind(&SockAddr::from(self.source())).unwrap();
        // A reset at the end leaves nothing behind.
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        socket
            .connect_timeout(&SockAddr::from(self.target()), PATIENCE)
            .is_ok()
    }

    fn udp(&self) -> bool {
        let socket = UdpSocket::bind(self.source()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(self.target()).unwrap();
        let mut answer = [0; 8];
        socket.send(b"outgate").is_ok() && matches!(socket.recv(&mut answer), Ok(7))
    }

    fn ping(&self, namespace: &str) -> bool {
        let (from, to) = (self.from.to_string(), self.to.to_string());
        let mut command = Command::new("ip");
        command.args([
            "netns", "exec", namespace, "ping", "-n", "-c1", "-W5", "-I", &from, &to,
        ]);
        command.output().expect("ping").status.success()
    }

    fn target(&self) -> SocketAddr {
        SocketAddr::new(self.to, self.port)
    }

    fn source(&self) -> SocketAddr {
        let port = SOURCE.fetch_add(1, Ordering::Relaxed);
        assert!(port < u16::MAX, "all source ports are used up");
        SocketAddr::new(self.from, port.saturating_add(1))
    }
}
