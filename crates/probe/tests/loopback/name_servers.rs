//! Several name servers, of which some are dead, hostile or hard to reach.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{
        RData, RecordType,
        rdata::{A, AAAA},
    },
};
use outgate_probe::{
    FamilyAnswer, Finding, NameServer, Outcome, Path, PathConfig, ResolverChoice, Source, Trouble,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    task::JoinHandle,
};

use crate::{
    asks::{PATIENCE, ask, run_on},
    resolver::{Resolver, Say},
};

fn here(_: &str, record_type: RecordType) -> Say {
    match record_type {
        RecordType::A => Say::Records(vec![RData::A(A(Ipv4Addr::LOCALHOST))]),
        _ => Say::Records(Vec::new()),
    }
}

fn nothing(_: &str, _: RecordType) -> Say {
    Say::Nothing
}

fn truncated(_: &str, _: RecordType) -> Say {
    Say::Truncated
}

/// Probes a port that is open under a name that these servers are asked for.
async fn resolved_by(servers: Vec<SocketAddr>) -> Finding {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut tcp = ask("tcp");
    tcp.port = Some(listener.local_addr().unwrap().port());
    run_on(&tcp, &Path::new(config_by(servers)).unwrap()).await
}

fn config_by(servers: Vec<SocketAddr>) -> PathConfig {
    PathConfig {
        resolver: ResolverChoice::At(servers),
        timeout: PATIENCE,
        ..PathConfig::default()
    }
}

fn ipv4(finding: &Finding) -> &FamilyAnswer {
    &finding.resolution.as_ref().unwrap().ipv4
}

/// A port at which nobody listens.
async fn closed() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.local_addr().unwrap()
}

#[tokio::test]
async fn a_silent_first_name_server_costs_a_wait_and_is_warned_of() {
    let silent = Resolver::start(nothing).await;
    let good = Resolver::start(here).await;
    let finding = resolved_by(vec![silent.address, good.address]).await;
    let server = NameServer::At(silent.address);
    assert_eq!(finding.outcome, Outcome::Warn);
    let trouble = Trouble::NameServerSilent {
        server: server.clone(),
    };
    assert_eq!(finding.trouble, Some(trouble));
    let asked = &ipv4(&finding).asked;
    let told: Vec<_> = asked.iter().map(|one| (&one.server, &one.rcode)).collect();
    let good = NameServer::At(good.address);
    assert_eq!(
        told,
        [(&server, &None), (&good, &Some("NOERROR".to_owned()))]
    );
    assert!(ipv4(&finding).took < PATIENCE, "{:?}", ipv4(&finding));
    // What is lost is sent again before the next is asked.
    let of_a = |(_, record_type): &(String, RecordType)| *record_type == RecordType::A;
    assert!(silent.asked().iter().filter(|it| of_a(it)).count() >= 2);
}

#[tokio::test]
async fn a_silent_second_name_server_is_not_even_asked() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let good = Resolver::start(here).await;
    let servers = vec![good.address, silent.local_addr().unwrap()];
    let finding = resolved_by(servers).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    // On a loopback a datagram lies there as soon as it is sent.
    let nothing = silent.recv(&mut [0; 1500]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_name_server_that_is_not_there_or_cannot_help_costs_no_wait() {
    let refuses = Resolver::start(|_, _| Say::Code(ResponseCode::Refused)).await;
    let good = Resolver::start(here).await;
    let finding = resolved_by(vec![closed().await, refuses.address, good.address]).await;
    assert_eq!((finding.outcome, &finding.trouble), (Outcome::Pass, &None));
    let told: Vec<_> = ipv4(&finding)
        .asked
        .iter()
        .map(|one| (one.rcode.as_deref(), one.trouble.clone()))
        .collect();
    let expected = [
        (None, Some(Trouble::Refused)),
        (Some("REFUSED"), None),
        (Some("NOERROR"), None),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn that_a_name_does_not_exist_is_not_asked_of_the_next() {
    let first = Resolver::start(|_, _| Say::Code(ResponseCode::NXDomain)).await;
    let second = Resolver::start(here).await;
    let finding = resolved_by(vec![first.address, second.address]).await;
    assert_eq!(finding.trouble, Some(Trouble::NameNotFound));
    assert_eq!(second.asked(), []);
}

#[tokio::test]
async fn a_name_server_is_asked_over_ipv6_as_well() {
    let resolver = Resolver::start_at("[::1]:0", here).await;
    let finding = resolved_by(vec![resolver.address]).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
}

#[tokio::test]
async fn questions_over_udp_and_tcp_set_out_from_the_chosen_address() {
    let chosen = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(address).await.unwrap();
    let config = PathConfig {
        source: Source::Address(chosen),
        ..config_by(vec![address])
    };
    let path = Path::new(config).unwrap();
    let probing = async { run_on(&ask("tcp"), &path).await };
    let over_udp = async {
        let mut buffer = [0; 1500];
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let mut truncated = right(&buffer[..length]);
        truncated[2] |= 2;
        socket.send_to(&truncated, from).await.unwrap();
        from.ip()
    };
    let over_tcp = async { listener.accept().await.unwrap().1.ip() };
    let (_, from_udp, from_tcp) = tokio::join!(probing, over_udp, over_tcp);
    assert_eq!([from_udp, from_tcp], [chosen; 2]);
}

#[tokio::test]
async fn an_answer_that_is_too_long_for_udp_is_fetched_over_tcp() {
    let resolver = Resolver::start_both(truncated, here).await;
    let finding = resolved_by(vec![resolver.address]).await;
    assert_eq!((finding.outcome, &finding.trouble), (Outcome::Pass, &None));
    assert!(ipv4(&finding).asked[0].over_tcp);
}

#[tokio::test]
async fn without_tcp_a_long_answer_is_lost_and_that_is_said() {
    let resolver = Resolver::start(truncated).await;
    let finding = resolved_by(vec![resolver.address]).await;
    let why = Box::new(Trouble::Refused);
    assert_eq!(finding.outcome, Outcome::Fail);
    assert_eq!(finding.trouble, Some(Trouble::LargeAnswersLost { why }));
    let silent = Resolver::start_both(truncated, nothing).await;
    let finding = resolved_by(vec![silent.address]).await;
    let lost = matches!(finding.trouble, Some(Trouble::LargeAnswersLost { .. }));
    assert!(lost, "{:?}", finding.trouble);
}

#[tokio::test]
async fn a_name_server_that_answers_over_tcp_alone_is_told_from_a_dead_one() {
    let resolver = Resolver::start_both(nothing, here).await;
    let finding = resolved_by(vec![resolver.address]).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    assert_eq!(finding.trouble, Some(Trouble::ResolverOverTcpOnly));
}

#[tokio::test]
async fn broken_signatures_are_told_from_a_name_server_that_fails() {
    let resolver =
        Resolver::start(|_, _| Say::Unsigned(vec![RData::A(A(Ipv4Addr::LOCALHOST))])).await;
    let finding = resolved_by(vec![resolver.address]).await;
    assert_eq!(finding.trouble, Some(Trouble::SignaturesBroken));
}

/// From the bytes of the right answer to those that are sent.
type Forge = fn(Vec<u8>) -> Vec<Vec<u8>>;

/// A name server that makes its answers from the bytes of the right one.
struct Hostile {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Hostile {
    async fn start(forge: Forge) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                for forged in forge(right(&buffer[..length])) {
                    // The asker may have heard enough and be gone.
                    let _ = socket.send_to(&forged, from).await;
                }
            }
        });
        Self { address, task }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The right answer: no records.
fn right(question: &[u8]) -> Vec<u8> {
    let question = Message::from_vec(question).unwrap();
    question.into_response().to_vec().unwrap()
}

#[tokio::test]
async fn what_is_no_answer_to_the_question_does_not_count() {
    let other_name = |mut bytes: Vec<u8>| {
        bytes[13] ^= 1;
        vec![bytes]
    };
    let forgeries: [Forge; 5] = [
        |_| vec![b"nonsense".to_vec()],
        |_| vec![Vec::new(), vec![0xff; 1400]],
        |mut bytes| {
            bytes[0] ^= 0xff;
            vec![bytes]
        },
        other_name,
        // Not an answer, but the question itself.
        |mut bytes| {
            bytes[2] &= 0x7f;
            vec![bytes]
        },
    ];
    for (at, forge) in forgeries.into_iter().enumerate() {
        let hostile = Hostile::start(forge).await;
        let finding = resolved_by(vec![hostile.address]).await;
        assert_eq!(finding.outcome, Outcome::Fail, "{at}");
        let broken = matches!(finding.trouble, Some(Trouble::ResolverBroken { .. }));
        assert!(broken, "{at}: {:?}", finding.trouble);
    }
}

#[tokio::test]
async fn a_flood_of_forgeries_ends_the_wait_for_that_name_server() {
    let hostile = Hostile::start(|mut bytes| {
        bytes[0] ^= 0xff;
        vec![bytes; 300]
    })
    .await;
    let finding = resolved_by(vec![hostile.address]).await;
    let what = "more datagrams than are read".to_owned();
    let broken = Some(Trouble::ResolverBroken { what });
    assert_eq!(
        (finding.outcome, &finding.trouble),
        (Outcome::Fail, &broken)
    );
    let good = Resolver::start(here).await;
    let finding = resolved_by(vec![hostile.address, good.address]).await;
    assert_eq!(finding.outcome, Outcome::Pass, "{finding:?}");
}

#[tokio::test]
async fn an_answer_from_another_port_does_not_count() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            other
                .send_to(&right(&buffer[..length]), from)
                .await
                .unwrap();
        }
    });
    let finding = resolved_by(vec![address]).await;
    task.abort();
    assert_eq!(finding.trouble, Some(Trouble::ResolverSilent));
}

#[tokio::test]
async fn aliases_in_a_circle_are_named_and_followed_no_further() {
    let resolver = Resolver::start(|_, record_type| {
        // At its end stands what was not asked for, so that the circle is all there is.
        let other = match record_type {
            RecordType::A => RData::AAAA(AAAA(Ipv6Addr::LOCALHOST)),
            _ => RData::A(A(Ipv4Addr::LOCALHOST)),
        };
        Say::Chain(vec!["other.example.", "api.example."], other)
    })
    .await;
    let finding = resolved_by(vec![resolver.address]).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    assert_eq!(finding.trouble, Some(Trouble::AliasesEndless));
    assert_eq!(ipv4(&finding).aliases.len(), 2);
    assert_eq!(resolver.asked().len(), 2, "once for each family");
}

#[tokio::test]
async fn a_length_over_tcp_that_lies_is_a_lost_answer() {
    for (length, sent) in [(u16::MAX, 20), (3, 20), (0, 0)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let socket = UdpSocket::bind(address).await.unwrap();
        let task = tokio::spawn(async move {
            let udp = async {
                let mut buffer = [0; 1500];
                loop {
                    let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                    let mut answer = right(&buffer[..length]);
                    answer[2] |= 2;
                    socket.send_to(&answer, from).await.unwrap();
                }
            };
            let tcp = async {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut question = vec![0; stream.read_u16().await.unwrap().into()];
                    stream.read_exact(&mut question).await.unwrap();
                    stream.write_u16(length).await.unwrap();
                    stream.write_all(&vec![0; sent]).await.unwrap();
                }
            };
            tokio::join!(udp, tcp);
        });
        let finding = resolved_by(vec![address]).await;
        task.abort();
        let lost = matches!(finding.trouble, Some(Trouble::LargeAnswersLost { .. }));
        assert!(lost, "{length}: {:?}", finding.trouble);
    }
}
