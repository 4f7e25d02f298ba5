//! RTP against reflectors, echoes, and those who are neither.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use outgate_probe::{Ask, Finding, Host, Outcome, PathConfig, RtpEvidence, Source, Trouble};
use outgate_wire::rtp::{Packet, reflect};
use tokio::{net::UdpSocket, task::JoinHandle};

use crate::asks::{ask, nowhere, run};

/// What is done with a packet that came to this port.
type Script = fn(u16, IpAddr, &[u8]) -> Option<Vec<u8>>;

/// Servers on neighbouring ports.
struct Range {
    first: u16,
    tasks: Vec<JoinHandle<()>>,
}

impl Range {
    const PORTS: u16 = 12;

    async fn start(script: Script) -> Self {
        let sockets = sockets().await;
        let first = sockets[0].local_addr().unwrap().port();
        let serve = |socket: UdpSocket| {
            tokio::spawn(async move {
                let mut buffer = [0; 2000];
                let port = socket.local_addr().unwrap().port();
                loop {
                    let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                    if let Some(answer) = script(port - first, from.ip(), &buffer[..length]) {
                        socket.send_to(&answer, from).await.unwrap();
                    }
                }
            })
        };
        let tasks = sockets.into_iter().map(serve).collect();
        Self { first, tasks }
    }

    async fn asked_by_probe(&self) -> Finding {
        self.asked_from(Source::Any).await
    }

    async fn asked_from(&self, source: Source) -> Finding {
        let last = self.first + Self::PORTS - 1;
        let ask = Ask {
            host: Host::Address(Ipv4Addr::LOCALHOST.into()),
            port: Some(self.first),
            last_port: Some(last),
            ..ask("rtp")
        };
        let config = PathConfig {
            resolver: nowhere(),
            timeout: std::time::Duration::from_secs(6),
            source,
            ..PathConfig::default()
        };
        run(&ask, config).await
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Sockets on neighbouring ports that are all free.
async fn sockets() -> Vec<UdpSocket> {
    loop {
        let first = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let mut sockets = vec![first];
        for next in 1..Range::PORTS {
            let Some(port) = port.checked_add(next) else {
                break;
            };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let Ok(socket) = UdpSocket::bind(address).await else {
                break;
            };
            sockets.push(socket);
        }
        if sockets.len() == usize::from(Range::PORTS) {
            return sockets;
        }
    }
}

fn rtp(finding: &Finding) -> &RtpEvidence {
    finding.attempts[0].rtp.as_ref().unwrap()
}

#[tokio::test]
async fn every_port_of_a_reflector_passes_and_the_stream_comes_back() {
    let range = Range::start(|_, _, packet| reflect(packet)).await;
    let finding = range.asked_by_probe().await;
    assert_eq!((finding.outcome, &finding.trouble), (Outcome::Pass, &None));
    let rtp = rtp(&finding);
    assert_eq!((rtp.asked, rtp.answered), (Range::PORTS, Range::PORTS));
    assert_eq!((rtp.blocked.as_slice(), rtp.step), (&[][..], 1));
    let stream = rtp.stream.clone().unwrap();
    assert_eq!((stream.sent, stream.received, stream.late), (50, 50, 0));
}

#[tokio::test]
async fn every_packet_sets_out_from_the_chosen_address() {
    const CHOSEN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let range = Range::start(|_, from, packet| (from == CHOSEN).then(|| packet.to_vec())).await;
    let finding = range.asked_from(Source::Address(CHOSEN)).await;
    assert_eq!((finding.outcome, &finding.trouble), (Outcome::Pass, &None));
    let rtp = rtp(&finding);
    assert_eq!((rtp.asked, rtp.answered), (Range::PORTS, Range::PORTS));
    assert_eq!(rtp.stream.clone().unwrap().received, 50);
}

#[tokio::test]
async fn a_part_that_does_not_pass_is_named() {
    let range =
        Range::start(|port, _, packet| (!(4..8).contains(&port)).then(|| packet.to_vec())).await;
    let finding = range.asked_by_probe().await;
    let blocked = format!("{}-{}", range.first + 4, range.first + 7);
    let trouble = Trouble::RtpBlocked {
        blocked,
        answered: 8,
        asked: 12,
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(trouble))
    );
}

#[tokio::test]
async fn what_is_lost_of_the_stream_is_counted_and_warned_of() {
    let range = Range::start(|_, _, packet| {
        // Of the stream, whose packets are longer, every fifth.
        let sequence = Packet::read(packet).unwrap().sequence;
        (packet.len() < 100 || !sequence.is_multiple_of(5)).then(|| packet.to_vec())
    })
    .await;
    let finding = range.asked_by_probe().await;
    assert_eq!(finding.outcome, Outcome::Warn);
    let lost = matches!(
        finding.trouble,
        Some(Trouble::SpeechPoor {
            lost: 10,
            sent: 50,
            ..
        })
    );
    assert!(lost, "{:?}", finding.trouble);
    let stream = rtp(&finding).stream.clone().unwrap();
    assert_eq!((stream.sent, stream.received), (50, 40));
}

#[tokio::test]
async fn where_nobody_echoes_nothing_is_said_and_no_sweep_is_sent() {
    let silent = Range::start(|_, _, _| None).await;
    let finding = silent.asked_by_probe().await;
    let trouble = Some(Trouble::NobodyEchoes { closed: false });
    assert_eq!(
        (finding.outcome, &finding.trouble),
        (Outcome::NotRun, &trouble)
    );
    let asked = finding.attempts[0].rtp.as_ref().unwrap();
    assert!(
        asked.answered == 0 && asked.asked < Range::PORTS,
        "{asked:?}"
    );
    let nonsense = Range::start(|_, _, _| Some(b"nonsense".to_vec())).await;
    let finding = nonsense.asked_by_probe().await;
    assert_eq!(
        (finding.outcome, &finding.trouble),
        (Outcome::NotRun, &trouble)
    );
}

#[tokio::test]
async fn who_answers_with_packets_that_are_not_ours_is_no_reflector() {
    let range = Range::start(|_, _, packet| {
        let mut other = packet.to_vec();
        // Another source.
        other[8] ^= 1;
        Some(other)
    })
    .await;
    let finding = range.asked_by_probe().await;
    assert_eq!(
        finding.trouble,
        Some(Trouble::NobodyEchoes { closed: false })
    );
}

#[tokio::test]
async fn closed_ports_are_those_of_a_server_without_a_call() {
    let range = Range::start(|_, _, _| None).await;
    range.tasks.iter().for_each(JoinHandle::abort);
    let finding = range.asked_by_probe().await;
    let trouble = Some(Trouble::NobodyEchoes { closed: true });
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::NotRun, trouble)
    );
}
