//! SIP servers that answer, echo, refuse, talk nonsense, or stay silent, and gateways that rewrite.

use std::net::SocketAddr;

use outgate_probe::{Finding, Outcome, PhaseName, SipEvidence, Transport, Trouble, Unit};
use outgate_wire::sip::{Head, echo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    task::JoinHandle,
};

use crate::{
    asks::{ask, config_to, run},
    server::{Server, flood, read_head},
};

/// Asks a UDP server that does this with each message.
async fn asked(script: fn(&str, SocketAddr) -> Vec<Vec<u8>>) -> Finding {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let server: JoinHandle<()> = tokio::spawn(async move {
        let mut buffer = [0; 2000];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            for answer in script(text, from) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    let finding = run(&ask("sip"), config_to(address)).await;
    server.abort();
    finding
}

/// An answer that repeats what it must.
fn answer(question: &str, status: &str) -> Vec<u8> {
    let head = Head::read(question.as_bytes()).unwrap().unwrap();
    let repeated = |name: &str| format!("{name}: {}\r\n", head.field(name).unwrap());
    let mut answer = format!("SIP/2.0 {status}\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        answer.push_str(&repeated(name));
    }
    answer.push_str("Server: somebody\r\nContent-Length: 0\r\n\r\n");
    answer.into_bytes()
}

fn sip(finding: &Finding) -> &SipEvidence {
    finding.attempts[0].sip.as_ref().unwrap()
}

fn ended(finding: &Finding) -> (Outcome, Option<Trouble>) {
    (finding.outcome, finding.trouble.clone())
}

#[tokio::test]
async fn any_final_answer_shows_that_a_server_is_there() {
    for status in [
        "200 OK",
        "401 Unauthorized",
        "404 Not Found",
        "405 Method Not Allowed",
    ] {
        let finding = match status {
            "200 OK" => asked(|text, _| vec![answer(text, "200 OK")]).await,
            "401 Unauthorized" => asked(|text, _| vec![answer(text, "401 Unauthorized")]).await,
            "404 Not Found" => asked(|text, _| vec![answer(text, "404 Not Found")]).await,
            _ => asked(|text, _| vec![answer(text, "405 Method Not Allowed")]).await,
        };
        assert_eq!(ended(&finding), (Outcome::Pass, None), "{status}");
        let sip = sip(&finding);
        assert_eq!(format!("{} {}", sip.status, sip.reason), status);
        assert_eq!(sip.server.as_deref(), Some("somebody"));
        assert!(!sip.echoed);
    }
}

#[tokio::test]
async fn a_server_that_is_out_of_order_is_warned_of() {
    let finding = asked(|text, _| vec![answer(text, "503 Service Unavailable")]).await;
    let trouble = Trouble::SipStatus { status: 503 };
    assert_eq!(ended(&finding), (Outcome::Warn, Some(trouble)));
}

#[tokio::test]
async fn a_provisional_answer_is_not_the_answer() {
    let finding = asked(|text, _| vec![answer(text, "100 Trying"), answer(text, "200 OK")]).await;
    assert_eq!(ended(&finding), (Outcome::Pass, None));
    let finding = asked(|text, _| vec![answer(text, "100 Trying")]).await;
    let phase = PhaseName::Exchange;
    let trouble = Trouble::TimedOut { phase };
    assert_eq!(ended(&finding), (Outcome::Fail, Some(trouble)));
}

#[tokio::test]
async fn an_echo_shows_that_everything_arrived_as_it_was_sent() {
    let finding = asked(|text, from| vec![echo(text.as_bytes(), from).unwrap()]).await;
    assert_eq!(ended(&finding), (Outcome::Pass, None));
    let sip = sip(&finding);
    assert!(sip.echoed);
    assert_eq!(sip.rewritten, []);
    let received = SocketAddr::new(sip.received.unwrap(), sip.received_port.unwrap());
    assert_eq!(Some(received), sip.local);
}

#[tokio::test]
async fn what_a_gateway_rewrites_in_the_body_is_told_by_an_echo() {
    let finding = asked(|text, from| {
        let rewritten = text.replace("c=IN IP4 127.0.0.1", "c=IN IP4 198.51.100.1");
        vec![echo(rewritten.as_bytes(), from).unwrap()]
    })
    .await;
    assert_eq!(finding.outcome, Outcome::Warn);
    let trouble = Trouble::SipRewritten {
        lines: 1,
        sent: "c=IN IP4 127.0.0.1".to_owned(),
        arrived: "c=IN IP4 198.51.100.1".to_owned(),
    };
    assert_eq!(finding.trouble, Some(trouble));
}

#[tokio::test]
async fn what_any_server_repeats_otherwise_than_it_was_sent_is_told() {
    let finding = asked(|text, _| {
        let rewritten = text.replace("Call-ID: ", "Call-ID: x");
        vec![answer(&rewritten, "200 OK")]
    })
    .await;
    assert_eq!(finding.outcome, Outcome::Warn);
    let lines = &sip(&finding).rewritten;
    assert_eq!(lines.len(), 1);
    assert!(lines[0].sent.as_ref().unwrap().starts_with("Call-ID: "));
    assert!(lines[0].arrived.as_ref().unwrap().starts_with("Call-ID: x"));
}

#[tokio::test]
async fn what_answers_another_question_is_not_taken() {
    let finding = asked(|text, _| {
        let other = text
            .replace("Call-ID: ", "Call-ID: x")
            .replace("branch=z9hG4bK", "branch=z9hG4bKx");
        vec![answer(&other, "200 OK"), answer(text, "486 Busy Here")]
    })
    .await;
    assert_eq!(ended(&finding), (Outcome::Pass, None));
    assert_eq!(sip(&finding).status, 486);
}

#[tokio::test]
async fn nonsense_is_malformed_and_silence_is_silence() {
    for nonsense in [
        asked(|_, _| vec![b"HTTP/1.1 200 OK\r\n\r\n".to_vec()]).await,
        {
            asked(|text, _| {
                let cut = answer(text, "200 OK");
                vec![cut[..cut.len() - 10].to_vec()]
            })
            .await
        },
    ] {
        let malformed = matches!(nonsense.trouble, Some(Trouble::Malformed { .. }));
        assert!(malformed, "{:?}", nonsense.trouble);
    }
    let finding = asked(|_, _| Vec::new()).await;
    let phase = PhaseName::Exchange;
    assert_eq!(finding.trouble, Some(Trouble::TimedOut { phase }));
}

/// Asks a TCP server.
async fn over_tcp(server: &Server) -> Finding {
    let mut ask = ask("sip");
    ask.transport = Transport::Tcp;
    run(&ask, config_to(server.address)).await
}

async fn echo_on(mut stream: TcpStream) {
    let from = stream.peer_addr().unwrap();
    loop {
        let head = read_head(&mut stream).await;
        let Ok(Some(known)) = Head::read(head.as_bytes()) else {
            return;
        };
        let length = known.content_length().unwrap().unwrap();
        let mut message = head.into_bytes();
        let start = message.len();
        message.resize(start + length, 0);
        stream.read_exact(&mut message[start..]).await.unwrap();
        for piece in echo(&message, from).unwrap().chunks(100) {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
        }
    }
}

#[tokio::test]
async fn over_tcp_an_answer_in_pieces_is_read() {
    let server = Server::start(echo_on).await;
    let finding = over_tcp(&server).await;
    assert_eq!(ended(&finding), (Outcome::Pass, None));
    assert!(sip(&finding).echoed);
}

#[tokio::test]
async fn over_tcp_too_much_nothing_and_a_hang_up_are_told_apart() {
    let endless_head = Server::start(|mut stream| async move {
        stream.write_all(b"SIP/2.0 200 OK\r\n").await.unwrap();
        flood(&mut stream, b"s: x\r\n").await;
    })
    .await;
    let what = "a head of SIP with more than 8192 bytes or 128 fields".to_owned();
    let trouble = Trouble::Malformed { what };
    assert_eq!(over_tcp(&endless_head).await.trouble, Some(trouble));
    let long_body = Server::start(|mut stream| async move {
        stream
            .write_all(b"SIP/2.0 200 OK\r\nl: 1000000\r\n\r\n")
            .await
            .unwrap();
        flood(&mut stream, b"x").await;
    })
    .await;
    let (bound, unit) = (8192, Unit::MessageBytes);
    let trouble = Trouble::TooMuch { bound, unit };
    assert_eq!(over_tcp(&long_body).await.trouble, Some(trouble));
    let others = Server::start(|mut stream| async move {
        flood(&mut stream, b"SIP/2.0 100 Trying\r\nl: 0\r\n\r\n").await;
    })
    .await;
    let bound = 65536;
    let trouble = Trouble::TooMuch { bound, unit };
    assert_eq!(over_tcp(&others).await.trouble, Some(trouble));
    let phase = PhaseName::Exchange;
    let silent = Server::start(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    assert_eq!(
        over_tcp(&silent).await.trouble,
        Some(Trouble::TimedOut { phase })
    );
    let gone = Server::start(|mut stream| async move {
        let _ = read_head(&mut stream).await;
    })
    .await;
    assert_eq!(
        over_tcp(&gone).await.trouble,
        Some(Trouble::Closed { phase })
    );
}
