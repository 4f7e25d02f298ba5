//! Every probe before servers that say nothing, nonsense, too much, or all too slowly: over TCP,
//! inside TLS and over UDP, by IPv4 and IPv6. It ends, it has read no more than it should, and it
//! takes none of this for an answer. What a single probe makes of each is tested beside it; which
//! probe is tested against whom is listed in `docs/probes.md`.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use hickory_proto::{
    op::ResponseCode,
    rr::{
        RData, RecordType,
        rdata::{A, AAAA},
    },
};
use outgate_probe::{
    Ask, Elsewhere, Finding, Host, Outcome, PathConfig, ResolverChoice, Roots, Transport, Trouble,
    Unit, protocols,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    asks::{ask, config_to, run},
    resolver::{Resolver, Say},
    secure,
};

/// Those that speak over TCP.
pub(crate) const TCP: [&str; 21] = [
    "dns",
    "http",
    "https",
    "ldap",
    "ldaps",
    "long-polling",
    "mqtt",
    "mqtt-wss",
    "mqtts",
    "server-sent-events",
    "signalr",
    "sip",
    "sips",
    "ssh",
    "stun",
    "stuns",
    "tcp",
    "tls",
    "ws",
    "wss",
    "xmpp",
];

/// Those that speak inside TLS from the beginning; `tls` itself says nothing there.
pub(crate) const INSIDE_TLS: [&str; 10] = [
    "https",
    "ldaps",
    "long-polling",
    "mqtt-wss",
    "mqtts",
    "server-sent-events",
    "signalr",
    "sips",
    "stuns",
    "wss",
];

/// Those that speak over UDP.
pub(crate) const UDP: [&str; 5] = ["dns", "ntp", "rtp", "sip", "stun"];

/// Those that speak to whoever is on the local network, or to a machine and no server: their own
/// tests (`multicast`, `icmp`) have what can be hostile there.
pub(crate) const OTHERS: [&str; 4] = ["dhcp", "icmp-echo", "llmnr", "mdns"];

const FAMILIES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// How long a probe waits; it may do so for several parts of its exercise in turn.
const WAITS: Duration = Duration::from_secs(1);
/// How long a poll may be held: not answered by then is what long polling is, so it must be longer
/// than any of these servers takes to say something.
const HOLDS: Duration = Duration::from_secs(10);
/// After which a probe is taken never to end: many times what any may take.
const NEVER: Duration = Duration::from_secs(60);
/// The same before a server that says too much: all reach their bound long before, and whoever has
/// none reads on until then.
const WAITS_FOR_MUCH: Duration = Duration::from_secs(20);
/// Bytes at most that a probe reads on one connection: more than any one's bound.
const READ_AT_MOST: usize = 2 << 20;
/// The server's own buffer, which shall not hide how much is read, in bytes.
const BUFFER: usize = 64 << 10;
/// Between two bytes or datagrams of a slow server.
const SLOWLY: Duration = Duration::from_millis(50);
/// How often an unending server sends the same.
const ENDLESS: usize = usize::MAX;
/// Datagrams with which an unending server answers each one.
const DATAGRAMS: usize = 3000;

/// Bytes at most that a server gets rid of on one connection: what the probe reads, and what the
/// kernel takes in for it in the meantime, which is far more where a machine is busy. Less than goes
/// over a loopback while a probe waits.
fn gone_at_most() -> usize {
    let sizes = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_rmem").unwrap();
    let largest: usize = sizes
        .split_whitespace()
        .next_back()
        .unwrap()
        .parse()
        .unwrap();
    READ_AT_MOST + largest + 2 * BUFFER
}

/// What a server says: this first, then this over and over, so often.
#[derive(Clone, Copy, Debug)]
struct Manner {
    first: &'static [u8],
    then: &'static [u8],
    times: usize,
    slowly: bool,
}

const NOTHING: Manner = Manner {
    first: b"",
    then: b"",
    times: 0,
    slowly: false,
};

const NONSENSE: [Manner; 4] = [
    saying(b"\x00\xff\x80\x7f\x16\x03\x09\xff\xff\x02\x00"),
    saying(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    saying(b"220 mail.example ESMTP\r\n\r\n"),
    saying(b"\r\n\r\n\r\n"),
];

/// A page that is longer than anybody reads, which is an answer all the same.
const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
/// The same in chunks as small as can be (RFC 9112 section 7.1).
const PAGE_IN_CHUNKS: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const CHUNKS: [[u8; 6]; 512] = [*b"1\r\n-\r\n"; 512];

const TOO_MUCH: [Manner; 5] = [
    unending(b"", &[0; 4096]),
    unending(b"", &[b'-'; 4096]),
    unending(b"HTTP/1.1 200 OK\r\n", b"Name: value\r\n"),
    unending(PAGE, &[b'-'; 4096]),
    unending(PAGE_IN_CHUNKS, CHUNKS.as_flattened()),
];

const TOO_SLOWLY: [Manner; 3] = [
    dripping(b"", b"\x01"),
    dripping(b"", b"-"),
    dripping(b"HTTP/1.1 200 OK\r\nName: ", b"-"),
];

const fn saying(first: &'static [u8]) -> Manner {
    Manner { first, ..NOTHING }
}

const fn unending(first: &'static [u8], then: &'static [u8]) -> Manner {
    Manner {
        first,
        then,
        times: ENDLESS,
        slowly: false,
    }
}

const fn dripping(first: &'static [u8], then: &'static [u8]) -> Manner {
    Manner {
        slowly: true,
        ..unending(first, then)
    }
}

impl Manner {
    fn is_page(self) -> bool {
        [PAGE, PAGE_IN_CHUNKS].contains(&self.first)
    }

    /// Behaves so until the other side has gone, and says how many bytes at most it got rid of on
    /// one connection. Whoever has nothing more to say hangs up, but for those who never said
    /// anything.
    async fn act(self, mut stream: impl AsyncRead + AsyncWrite + Unpin, most: Arc<AtomicUsize>) {
        if self.first.is_empty() && self.times == 0 {
            while matches!(stream.read(&mut [0; 4096]).await, Ok(1..)) {}
            return;
        }
        let _ = stream.read(&mut [0; 4096]).await;
        let mut written = 0;
        let words = std::iter::once(self.first).chain(std::iter::repeat_n(self.then, self.times));
        for word in words {
            if stream.write_all(word).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            written += word.len();
            most.fetch_max(written, Ordering::Relaxed);
            if self.slowly {
                sleep(SLOWLY).await;
            }
        }
        let _ = stream.shutdown().await;
    }

    async fn answer(self, socket: UdpSocket) {
        let mut heard = [0; 4096];
        while let Ok((_, from)) = socket.recv_from(&mut heard).await {
            let more = std::iter::repeat_n(self.then, self.times.min(DATAGRAMS));
            for word in std::iter::once(self.first).chain(more) {
                // What the other side has no room for is lost, as datagrams are.
                let _ = socket.send_to(word, from).await;
                if self.slowly {
                    sleep(SLOWLY).await;
                }
            }
        }
    }
}

/// A server that runs until it is dropped.
struct Server {
    address: SocketAddr,
    config: PathConfig,
    written: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    async fn tcp(manner: Manner, family: IpAddr) -> Self {
        let listener = TcpListener::bind((family, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = config_of(manner, address);
        let written = Arc::default();
        let task = tokio::spawn(accept(
            listener,
            Arc::clone(&written),
            move |stream, written| manner.act(stream, written),
        ));
        Self {
            address,
            config,
            written,
            task,
        }
    }

    async fn inside_tls(manner: Manner, family: IpAddr) -> Self {
        let (server, pem) = secure::identity();
        let acceptor = TlsAcceptor::from(server);
        let listener = TcpListener::bind((family, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = PathConfig {
            roots: Roots::mozilla().give_pem(pem.as_bytes()).unwrap(),
            ..config_of(manner, address)
        };
        let written = Arc::default();
        let task = tokio::spawn(accept(
            listener,
            Arc::clone(&written),
            move |stream, written| {
                let accepted = acceptor.accept(stream);
                async move {
                    if let Ok(stream) = accepted.await {
                        manner.act(stream, written).await;
                    }
                }
            },
        ));
        Self {
            address,
            config,
            written,
            task,
        }
    }

    async fn udp(manner: Manner, family: IpAddr) -> Self {
        let socket = UdpSocket::bind((family, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        // Whoever waits for an answer among these datagrams does so until the end.
        let config = PathConfig {
            timeout: WAITS,
            ..config_of(manner, address)
        };
        Self {
            address,
            config,
            written: Arc::default(),
            task: tokio::spawn(manner.answer(socket)),
        }
    }

    async fn asked(&self, ask: &Ask) -> Finding {
        run(ask, self.config.clone()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config_of(manner: Manner, address: SocketAddr) -> PathConfig {
    let much = manner.times == ENDLESS && !manner.slowly;
    PathConfig {
        timeout: if much { WAITS_FOR_MUCH } else { WAITS },
        ..config_to(address)
    }
}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    written: Arc<AtomicUsize>,
    act: impl Fn(TcpStream, Arc<AtomicUsize>) -> F,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        SockRef::from(&stream).set_send_buffer_size(BUFFER).unwrap();
        tokio::spawn(act(stream, Arc::clone(&written)));
    }
}

/// What carries a conversation with a hostile server.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Tcp,
    InsideTls,
    Udp,
}

impl Layer {
    const ALL: [Self; 3] = [Self::Tcp, Self::InsideTls, Self::Udp];

    fn protocols(self) -> &'static [&'static str] {
        match self {
            Self::Tcp => &TCP,
            Self::InsideTls => &INSIDE_TLS,
            Self::Udp => &UDP,
        }
    }

    async fn serve(self, manner: Manner, family: IpAddr) -> Server {
        match self {
            Self::Tcp => Server::tcp(manner, family).await,
            Self::InsideTls => Server::inside_tls(manner, family).await,
            Self::Udp => Server::udp(manner, family).await,
        }
    }

    /// What is wrong about one probe before one server; nothing, as it should be.
    async fn wrong(self, protocol: &str, manner: Manner, family: IpAddr) -> Option<String> {
        let server = self.serve(manner, family).await;
        let mut ask = ask(protocol);
        ask.hold = HOLDS;
        ask.transport = match self {
            Self::Tcp | Self::InsideTls => Transport::Tcp,
            Self::Udp => Transport::Udp,
        };
        let found = timeout(NEVER, server.asked(&ask)).await;
        let read = server.written.load(Ordering::Relaxed);
        let why = match found {
            Err(_) => "it does not end".to_owned(),
            Ok(_) if read > gone_at_most() => format!("it reads {read} bytes"),
            Ok(finding) => match (finding.outcome, protocol) {
                // That a port opens is all that is asked there.
                (Outcome::Pass, "tcp") | (Outcome::Warn | Outcome::Fail, _) => return None,
                (Outcome::Pass, "http" | "https") if manner.is_page() => return None,
                // Nobody has to send packets back.
                (Outcome::NotRun, "rtp") => return None,
                (outcome, _) => format!("{outcome:?}"),
            },
        };
        let manner = String::from_utf8_lossy(manner.first).into_owned();
        Some(format!("{protocol} {self:?} {family} {manner:?}: {why}"))
    }
}

/// Every probe of every layer and family, all at once, before servers of each of these manners in
/// turn.
async fn all_end_before(manners: &[Manner]) {
    let mut wrong = Vec::new();
    for manner in manners {
        let trials = Layer::ALL.into_iter().flat_map(|layer| {
            let protocols = layer.protocols().iter();
            protocols.flat_map(move |protocol| {
                FAMILIES.map(|family| layer.wrong(protocol, *manner, family))
            })
        });
        wrong.extend(join_all(trials).await.into_iter().flatten());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_probe_ends_before_a_server_that_says_nothing() {
    all_end_before(&[NOTHING]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_probe_ends_before_a_server_that_talks_nonsense() {
    all_end_before(&NONSENSE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_probe_ends_within_its_bound_before_a_server_that_says_too_much() {
    all_end_before(&TOO_MUCH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_probe_ends_before_a_server_that_says_it_too_slowly() {
    all_end_before(&TOO_SLOWLY).await;
}

/// What a name server outside of this manner says, asked for a second opinion: it is waited for no
/// longer than for a probe, and nothing that it says counts.
async fn second_opinion_of(manner: Manner, family: IpAddr) -> Elsewhere {
    let resolver = Resolver::start(|name, record_type| match (name, record_type) {
        ("api.example.", RecordType::A) => Say::Records(vec![RData::A(A(Ipv4Addr::LOCALHOST))]),
        ("api.example.", RecordType::AAAA) => {
            Say::Records(vec![RData::AAAA(AAAA(Ipv6Addr::LOCALHOST))])
        }
        _ => Say::Code(ResponseCode::NXDomain),
    })
    .await;
    let server = Server::inside_tls(manner, family).await;
    let url = format!("https://api.example:{}", server.address.port());
    let config = PathConfig {
        connect_to: Vec::new(),
        resolver: ResolverChoice::at(resolver.address),
        second_opinion: Some(url.parse().unwrap()),
        ..server.config.clone()
    };
    let mut ask = ask("tcp");
    ask.host = Host::Name("hidden.example".to_owned());
    ask.outside = true;
    let finding = timeout(NEVER, run(&ask, config)).await.unwrap();
    let read = server.written.load(Ordering::Relaxed);
    assert!(
        read <= gone_at_most(),
        "{manner:?} {family}: it reads {read} bytes"
    );
    assert_eq!(finding.trouble, Some(Trouble::NameNotFound), "{manner:?}");
    let elsewhere = finding.resolution.unwrap().elsewhere.unwrap();
    assert!(elsewhere.ipv4.trouble.is_some(), "{manner:?} {family}");
    assert!(elsewhere.ipv6.trouble.is_some(), "{manner:?} {family}");
    *elsewhere
}

/// A message that is longer than any.
const LONG_MESSAGE: Manner = unending(
    b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n\r\n",
    &[0; 4096],
);

/// A message that never comes to its end.
const SLOW_MESSAGE: Manner = dripping(
    b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: 600\r\n\r\n",
    b"\x00",
);

#[tokio::test(flavor = "multi_thread")]
async fn a_second_opinion_ends_before_hostile_servers() {
    let manners: [&[Manner]; 4] = [&[NOTHING, SLOW_MESSAGE], &NONSENSE, &TOO_MUCH, &TOO_SLOWLY];
    let manners = manners.into_iter().flatten();
    let trials = manners.flat_map(|it| FAMILIES.map(|family| second_opinion_of(*it, family)));
    join_all(trials).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_https_is_read_no_further_than_one_may_be_long() {
    let elsewhere = second_opinion_of(LONG_MESSAGE, FAMILIES[0]).await;
    let too_much = Trouble::TooMuch {
        bound: 65_535,
        unit: Unit::MessageBytes,
    };
    assert_eq!(elsewhere.ipv4.trouble, Some(too_much));
}

#[test]
fn no_probe_is_left_out() {
    let all: BTreeSet<&str> = protocols().collect();
    let here: BTreeSet<&str> = [&TCP[..], &UDP, &OTHERS].concat().into_iter().collect();
    assert_eq!(here, all);
    assert!(INSIDE_TLS.iter().all(|protocol| TCP.contains(protocol)));
}
