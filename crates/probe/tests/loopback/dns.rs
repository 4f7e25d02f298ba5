//! Resolvers as what is probed: over UDP and TCP, good and bad.

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, RecordType,
        rdata::{A, SRV},
    },
};
use outgate_probe::{
    Ask, Finding, Host, Outcome, PathConfig, PhaseName, ResolverChoice, Transport, Trouble,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

use crate::{
    asks::{PATIENCE, ask, config_to, run},
    resolver::{Resolver, Say},
    server::Server,
};

async fn asked(say: fn(&str, RecordType) -> Say, question: Option<&str>) -> Finding {
    let resolver = Resolver::start(say).await;
    let ask = Ask {
        question: question.map(str::to_owned),
        ..ask("dns")
    };
    run(&ask, config_to(resolver.address)).await
}

#[tokio::test]
async fn an_answer_passes_and_its_records_are_evidence() {
    let say = |_: &str, _| {
        Say::Chain(
            vec!["edge.example."],
            RData::A(A(std::net::Ipv4Addr::new(192, 0, 2, 7))),
        )
    };
    let finding = asked(say, Some("api.example")).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let dns = finding.attempts[0].dns.clone().unwrap();
    assert_eq!(
        (dns.question.as_str(), dns.record_type.as_str()),
        ("api.example.", "A")
    );
    assert_eq!(
        (dns.rcode.as_str(), dns.recursion_available, dns.sent),
        ("NOERROR", true, 1)
    );
    let data: Vec<_> = dns
        .answers
        .iter()
        .map(|it| (it.record_type.as_str(), it.data.as_str()))
        .collect();
    assert_eq!(data, [("CNAME", "edge.example."), ("A", "192.0.2.7")]);
}

#[tokio::test]
async fn without_a_name_the_root_is_asked_for() {
    let resolver = Resolver::start(|_, _| Say::Records(Vec::new())).await;
    let finding = run(&ask("dns"), config_to(resolver.address)).await;
    assert_eq!(finding.outcome, Outcome::Pass);
    assert_eq!(resolver.asked(), [(".".to_owned(), RecordType::NS)]);
}

#[tokio::test]
async fn a_name_that_does_not_exist_proves_the_lane_too() {
    let finding = asked(|_, _| Say::Code(ResponseCode::NXDomain), Some("no.example")).await;
    assert_eq!(finding.outcome, Outcome::Pass);
    assert_eq!(finding.attempts[0].dns.clone().unwrap().rcode, "NXDOMAIN");
}

#[tokio::test]
async fn a_resolver_that_refuses_or_fails_does_not() {
    for (code, name) in [
        (ResponseCode::Refused, "REFUSED"),
        (ResponseCode::ServFail, "SERVFAIL"),
    ] {
        let say = match code {
            ResponseCode::Refused => |_: &str, _| Say::Code(ResponseCode::Refused),
            _ => |_: &str, _| Say::Code(ResponseCode::ServFail),
        };
        let finding = asked(say, None).await;
        let trouble = Trouble::ResolverRefused {
            rcode: name.to_owned(),
        };
        assert_eq!(
            (finding.outcome, finding.trouble),
            (Outcome::Fail, Some(trouble))
        );
    }
}

#[tokio::test]
async fn silence_is_a_time_out_after_two_questions() {
    let resolver = Resolver::start(|_, _| Say::Nothing).await;
    let finding = run(&ask("dns"), config_to(resolver.address)).await;
    let trouble = Trouble::TimedOut {
        phase: PhaseName::Exchange,
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(trouble))
    );
    assert_eq!(resolver.asked().len(), 2);
}

#[tokio::test]
async fn the_systems_resolvers_are_those_of_the_path() {
    let resolver = Resolver::start(|_, _| Say::Records(Vec::new())).await;
    let config = PathConfig {
        resolver: ResolverChoice::at(resolver.address),
        timeout: PATIENCE,
        ..PathConfig::default()
    };
    let finding = run(
        &Ask {
            host: Host::SystemResolvers,
            ..ask("dns")
        },
        config,
    )
    .await;
    assert_eq!(finding.outcome, Outcome::Pass);
    assert_eq!(finding.attempts[0].port, Some(resolver.address.port()));
    assert_eq!(resolver.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_with_another_number_is_not_taken() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut buffer = [0; 600];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let mut answer = buffer[..length].to_vec();
            answer[0] ^= 0xff;
            answer[2] |= 0x80;
            socket.send_to(&answer, from).await.unwrap();
            socket.send_to(b"rubbish", from).await.unwrap();
        }
    });
    let finding = run(&ask("dns"), config_to(address)).await;
    task.abort();
    assert_eq!(finding.outcome, Outcome::Fail);
    let malformed = matches!(finding.trouble, Some(Trouble::Malformed { .. }));
    assert!(malformed, "{:?}", finding.trouble);
}

async fn read_question(stream: &mut TcpStream) -> Message {
    let length = stream.read_u16().await.unwrap();
    let mut question = vec![0; length.into()];
    stream.read_exact(&mut question).await.unwrap();
    Message::from_vec(&question).unwrap()
}

#[tokio::test]
async fn a_resolver_answers_over_tcp() {
    let server = Server::start(|mut stream| async move {
        let answer = read_question(&mut stream)
            .await
            .into_response()
            .to_vec()
            .unwrap();
        stream
            .write_u16(u16::try_from(answer.len()).unwrap())
            .await
            .unwrap();
        stream.write_all(&answer).await.unwrap();
    })
    .await;
    let ask = Ask {
        transport: Transport::Tcp,
        ..ask("dns")
    };
    let finding = run(&ask, config_to(server.address)).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
}

#[tokio::test]
async fn a_resolver_that_breaks_off_or_talks_rubbish_over_tcp_fails() {
    let ask = Ask {
        transport: Transport::Tcp,
        ..ask("dns")
    };
    let closing = Server::start(|mut stream| async move {
        read_question(&mut stream).await;
    })
    .await;
    let finding = run(&ask, config_to(closing.address)).await;
    assert_eq!(
        finding.trouble,
        Some(Trouble::Closed {
            phase: PhaseName::Exchange
        })
    );
    let rubbish = Server::start(|mut stream| async move {
        read_question(&mut stream).await;
        stream.write_all(&[0, 4, 1, 2, 3, 4]).await.unwrap();
    })
    .await;
    let finding = run(&ask, config_to(rubbish.address)).await;
    let malformed = matches!(finding.trouble, Some(Trouble::Malformed { .. }));
    assert!(malformed, "{:?}", finding.trouble);
}

/// Asks for a service a name server that makes its answer from the bytes of the question.
async fn service_from(forge: fn(&[u8]) -> Vec<u8>) -> Finding {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            socket
                .send_to(&forge(&buffer[..length]), from)
                .await
                .unwrap();
        }
    });
    let ask = Ask {
        question: Some("_sip._udp.example".to_owned()),
        ..ask("dns")
    };
    let finding = run(&ask, config_to(address)).await;
    task.abort();
    finding
}

/// The head of an answer to this question with so many records, and the question.
fn head(question: &[u8], records: u8) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[2] |= 0x80;
    answer[7] = records;
    answer
}

#[tokio::test]
async fn a_service_whose_target_points_at_itself_is_no_answer() {
    let finding = service_from(|question| {
        let mut answer = head(question, 1);
        let here = u8::try_from(answer.len()).unwrap();
        // Owner: the question's name. SRV, IN, 60 s, 8 bytes; then a pointer to the pointer.
        answer.extend([
            0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 8, 0, 1, 0, 1, 0x13, 0xc4,
        ]);
        answer.extend([0xc0, here + 18]);
        answer
    })
    .await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let malformed = matches!(finding.trouble, Some(Trouble::Malformed { .. }));
    assert!(malformed, "{:?}", finding.trouble);
}

#[tokio::test]
async fn of_more_servers_than_the_bound_the_first_are_asked_for_and_no_more() {
    let resolver = Resolver::start(|_, record_type| match record_type {
        RecordType::SRV => Say::Records(
            (0..60)
                .rev()
                .map(|at| {
                    let target = Name::from_ascii(format!("s{at}.example.")).unwrap();
                    RData::SRV(SRV::new(at, 0, 5060, target))
                })
                .collect(),
        ),
        RecordType::A => Say::Records(vec![RData::A(A(std::net::Ipv4Addr::LOCALHOST))]),
        _ => Say::Records(Vec::new()),
    })
    .await;
    let ask = Ask {
        question: Some("_sip._udp.example".to_owned()),
        ..ask("dns")
    };
    let finding = run(&ask, config_to(resolver.address)).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let dns = finding.attempts[0].dns.clone().unwrap();
    let targets: Vec<_> = dns.services.iter().map(|it| it.target.as_str()).collect();
    assert_eq!(targets[..2], ["s0.example.", "s1.example."]);
    assert_eq!(targets.len(), 8);
    assert_eq!(resolver.asked().len(), 1 + 2 * 8);
}
