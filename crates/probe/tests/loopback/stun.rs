//! STUN servers that are honest, mistaken, rude, deaf, or send us elsewhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use outgate_probe::{Finding, NatBehaviour, Outcome, PhaseName, StunEvidence, Transport, Trouble};
use outgate_wire::stun::{Answer, Change, ErrorCode, Message, TransactionId, write_answer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UdpSocket,
    task::JoinHandle,
};

use crate::{
    asks::{ask, config_to, run},
    server::Server,
};

/// What a server does with a request that came to the end of this number from this place.
type Script = fn(&Ends, usize, &Message, SocketAddr) -> Option<(usize, Vec<u8>)>;

/// The four ends of a server with two addresses and two ports: both its own, the other port, the
/// other address, both other.
#[derive(Clone, Copy)]
struct Ends([SocketAddr; 4]);

impl Ends {
    fn other(&self) -> SocketAddr {
        self.0[3]
    }

    /// The end that a request wants to hear from.
    fn wanted(at: usize, message: &Message) -> usize {
        at ^ (usize::from(message.change.address) << 1 | usize::from(message.change.port))
    }
}

struct StunServer {
    ends: Ends,
    tasks: Vec<JoinHandle<()>>,
}

impl StunServer {
    async fn start(script: Script) -> Self {
        let sockets = sockets().await;
        let ends = Ends(std::array::from_fn(|at| sockets[at].local_addr().unwrap()));
        let sockets: &'static [UdpSocket; 4] = Box::leak(Box::new(sockets));
        let serve = |at: usize| {
            tokio::spawn(async move {
                let mut buffer = [0; 2000];
                loop {
                    let (length, from) = sockets[at].recv_from(&mut buffer).await.unwrap();
                    let message = Message::read(&buffer[..length]).unwrap();
                    if let Some((by, answer)) = script(&ends, at, &message, from) {
                        sockets[by].send_to(&answer, from).await.unwrap();
                    }
                }
            })
        };
        let tasks = (0..4).map(serve).collect();
        Self { ends, tasks }
    }

    async fn asked_by_probe(&self) -> Finding {
        run(&ask("stun"), config_to(self.ends.0[0])).await
    }
}

impl Drop for StunServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Sockets on 127.0.0.1 and 127.0.0.2, on two ports that are free on both.
async fn sockets() -> [UdpSocket; 4] {
    let bind = |last, port| UdpSocket::bind((Ipv4Addr::new(127, 0, 0, last), port));
    loop {
        let first = bind(1, 0).await.unwrap();
        let second = bind(1, 0).await.unwrap();
        let ports = [&first, &second].map(|socket| socket.local_addr().unwrap().port());
        if let (Ok(third), Ok(fourth)) = (bind(2, ports[0]).await, bind(2, ports[1]).await) {
            return [first, second, third, fourth];
        }
    }
}

fn success(id: TransactionId, reflexive: SocketAddr, other: Option<SocketAddr>) -> Vec<u8> {
    let answer = Answer::Success {
        reflexive,
        response_origin: None,
        other_address: other,
    };
    write_answer(id, &answer)
}

fn honest(ends: &Ends, at: usize, message: &Message, from: SocketAddr) -> Option<(usize, Vec<u8>)> {
    let answer = success(message.id, from, Some(ends.other()));
    Some((Ends::wanted(at, message), answer))
}

fn stun(finding: &Finding) -> &StunEvidence {
    finding.attempts[0].stun.as_ref().unwrap()
}

#[tokio::test]
async fn without_a_nat_there_is_none_and_everything_comes_through() {
    let server = StunServer::start(honest).await;
    let finding = server.asked_by_probe().await;
    assert_eq!((finding.outcome, &finding.trouble), (Outcome::Pass, &None));
    let stun = stun(&finding);
    assert_eq!(stun.local, Some(stun.reflexive));
    assert_eq!(stun.translated, Some(false));
    assert_eq!(stun.mapping, NatBehaviour::EndpointIndependent);
    assert_eq!(stun.filtering, NatBehaviour::EndpointIndependent);
    assert_eq!(stun.not_known, None);
}

/// The probe passes and knows neither mapping nor filtering, for this reason.
async fn assert_tells_no_behaviour(server: &StunServer, why: &str) {
    let finding = server.asked_by_probe().await;
    assert_eq!((finding.outcome, &finding.trouble), (Outcome::Pass, &None));
    let stun = stun(&finding);
    assert_eq!(stun.mapping, NatBehaviour::NotKnown);
    assert_eq!(stun.filtering, NatBehaviour::NotKnown);
    assert_eq!(stun.not_known.as_deref(), Some(why));
}

#[tokio::test]
async fn a_server_with_one_address_tells_no_behaviour() {
    let server =
        StunServer::start(|_, at, message, from| Some((at, success(message.id, from, None)))).await;
    assert_tells_no_behaviour(&server, "the server has no other address").await;
}

#[tokio::test]
async fn a_server_whose_other_address_is_dead_tells_no_behaviour() {
    let server = StunServer::start(|ends, at, message, from| {
        let alive = at < 2 && message.change == Change::default();
        alive.then(|| (at, success(message.id, from, Some(ends.other()))))
    })
    .await;
    assert_tells_no_behaviour(&server, "the server's other address does not answer").await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_from_where_it_is_asked_to_tells_no_filtering() {
    let server = StunServer::start(|ends, at, message, from| {
        Some((at, success(message.id, from, Some(ends.other()))))
    })
    .await;
    let finding = server.asked_by_probe().await;
    let stun = stun(&finding);
    assert_eq!(stun.mapping, NatBehaviour::EndpointIndependent);
    assert_eq!(stun.filtering, NatBehaviour::NotKnown);
    assert_eq!(
        stun.not_known.as_deref(),
        Some("the server does not answer from where it is asked to")
    );
}

#[tokio::test]
async fn who_is_seen_as_another_by_each_end_is_warned() {
    let server = StunServer::start(|ends, at, message, from| {
        let port = from.port() ^ u16::try_from(at).unwrap();
        let seen = SocketAddr::new(IpAddr::from([198, 51, 100, 1]), port);
        let answer = success(message.id, seen, Some(ends.other()));
        Some((Ends::wanted(at, message), answer))
    })
    .await;
    let finding = server.asked_by_probe().await;
    let mapping = NatBehaviour::AddressAndPortDependent;
    let trouble = Trouble::NatVaries { mapping };
    assert_eq!(
        (finding.outcome, &finding.trouble),
        (Outcome::Warn, &Some(trouble))
    );
    assert_eq!(stun(&finding).translated, Some(true));
}

#[tokio::test]
async fn a_server_that_names_somebody_elses_address_sends_us_nowhere() {
    let server = StunServer::start(|_, at, message, from| {
        let elsewhere = SocketAddr::from(([224, 0, 0, 251], 5353));
        Some((at, success(message.id, from, Some(elsewhere))))
    })
    .await;
    let finding = server.asked_by_probe().await;
    assert_eq!(
        stun(&finding).not_known.as_deref(),
        Some("the server's other address is no host's")
    );
}

#[tokio::test]
async fn a_refusal_is_told_with_its_code() {
    let server = StunServer::start(|_, at, message, _| {
        let error = ErrorCode {
            code: 401,
            reason: "Unauthenticated".to_owned(),
        };
        let unknown = Vec::new();
        Some((
            at,
            write_answer(message.id, &Answer::Error { error, unknown }),
        ))
    })
    .await;
    let finding = server.asked_by_probe().await;
    let trouble = Trouble::StunRefused {
        code: 401,
        reason: "Unauthenticated".to_owned(),
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(trouble))
    );
}

#[tokio::test]
async fn an_answer_to_another_question_is_none() {
    let server = StunServer::start(|_, at, message, from| {
        let mut id = message.id;
        id.0[11] ^= 1;
        Some((at, success(id, from, None)))
    })
    .await;
    let finding = server.asked_by_probe().await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let malformed = matches!(finding.trouble, Some(Trouble::Malformed { .. }));
    assert!(malformed, "{:?}", finding.trouble);
}

#[tokio::test]
async fn rubbish_is_malformed_and_silence_is_silence() {
    let rubbish = StunServer::start(|_, at, _, _| Some((at, b"rubbish".to_vec()))).await;
    let finding = rubbish.asked_by_probe().await;
    let malformed = matches!(finding.trouble, Some(Trouble::Malformed { .. }));
    assert!(malformed, "{:?}", finding.trouble);
    let deaf = StunServer::start(|_, _, _, _| None).await;
    let trouble = Trouble::TimedOut {
        phase: PhaseName::Exchange,
    };
    assert_eq!(deaf.asked_by_probe().await.trouble, Some(trouble));
}

/// Asks a TCP server.
async fn over_tcp(server: &Server) -> Finding {
    let mut ask = ask("stun");
    ask.transport = Transport::Tcp;
    run(&ask, config_to(server.address)).await
}

#[tokio::test]
async fn over_tcp_an_answer_in_pieces_is_read() {
    let server = Server::start(|mut stream| async move {
        let mut request = [0; 20];
        stream.read_exact(&mut request).await.unwrap();
        let id = Message::read(&request).unwrap().id;
        let answer = success(id, stream.peer_addr().unwrap(), None);
        for piece in answer.chunks(7) {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await;
    let finding = over_tcp(&server).await;
    assert_eq!((finding.outcome, &finding.trouble), (Outcome::Pass, &None));
    assert_eq!(stun(&finding).translated, Some(false));
}

#[tokio::test]
async fn over_tcp_too_much_nonsense_nothing_and_a_hang_up_are_told_apart() {
    let too_long = Server::start(|mut stream| async move {
        let head = [1, 1, 0xff, 0xfc, 0x21, 0x12, 0xa4, 0x42];
        stream.write_all(&head).await.unwrap();
        crate::server::flood(&mut stream, &[0; 1000]).await;
    })
    .await;
    let what = "a STUN message of 65552 bytes, 1280 are read".to_owned();
    let trouble = Trouble::Malformed { what };
    assert_eq!(over_tcp(&too_long).await.trouble, Some(trouble));
    let nonsense = Server::start(|mut stream| async move {
        stream
            .write_all(b"220 mail.example ESMTP ready\r\n")
            .await
            .unwrap();
        crate::server::flood(&mut stream, b"x").await;
    })
    .await;
    let what = "the answer is not STUN".to_owned();
    let trouble = Trouble::Malformed { what };
    assert_eq!(over_tcp(&nonsense).await.trouble, Some(trouble));
    let silent = Server::start(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let phase = PhaseName::Exchange;
    let trouble = Trouble::TimedOut { phase };
    assert_eq!(over_tcp(&silent).await.trouble, Some(trouble));
    let gone = Server::start(|mut stream| async move {
        stream.read_exact(&mut [0; 20]).await.unwrap();
    })
    .await;
    let trouble = Trouble::Closed { phase };
    assert_eq!(over_tcp(&gone).await.trouble, Some(trouble));
}
