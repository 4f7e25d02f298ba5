//! mDNS and LLMNR sent to one machine, which answers badly or not at all. Groups are in
//! `peers_probe`.

use hickory_proto::{
    op::{Message, MessageType},
    rr::{
        RData, Record,
        rdata::{A, PTR},
    },
};
use outgate_probe::{Finding, Host, Outcome, Transport, Trouble};
use tokio::{net::UdpSocket, task::JoinHandle};

use crate::asks::{ask, config_to, run};

type Script = fn(&Message) -> Vec<Vec<u8>>;

/// Sends what the script makes of each question, from the port that was asked and, with `other`,
/// from another one instead.
async fn responder(script: Script, other: bool) -> (std::net::SocketAddr, JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            // The highest bit of the class asks for an answer to the asker alone.
            buffer[length - 2] &= 0x7f;
            let question = Message::from_vec(&buffer[..length]).unwrap();
            for answer in script(&question) {
                let from_where = if other { &elsewhere } else { &socket };
                from_where.send_to(&answer, from).await.unwrap();
            }
        }
    });
    (address, task)
}

async fn asked(protocol: &str, name: Option<&str>, script: Script, other: bool) -> Finding {
    let (address, task) = responder(script, other).await;
    let mut ask = ask(protocol);
    ask.host = Host::Address("224.0.0.251".parse().unwrap());
    ask.transport = Transport::Udp;
    ask.question = name.map(str::to_owned);
    let finding = run(&ask, config_to(address)).await;
    task.abort();
    finding
}

/// The question turned into an answer with this record for its name.
fn answer(question: &Message, data: RData) -> Message {
    let mut answer = question.clone();
    answer.metadata.message_type = MessageType::Response;
    let name = question.queries[0].name().clone();
    answer.add_answer(Record::from_rdata(name, 30, data));
    answer
}

fn address(question: &Message) -> Message {
    answer(question, RData::A(A([10, 0, 0, 7].into())))
}

#[tokio::test]
async fn a_name_is_answered_and_services_are_listed() {
    let finding = asked(
        "mdns",
        Some("cube.local"),
        |it| vec![address(it).to_vec().unwrap()],
        false,
    );
    let finding = finding.await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let evidence = finding.attempts[0].multicast.clone().unwrap();
    assert_eq!(
        (evidence.question.as_str(), evidence.sent),
        ("cube.local.", 1)
    );
    assert_eq!(evidence.answers[0].records[0].data, "10.0.0.7");
    let script: Script = |question| {
        let service = question.queries[0].name().clone();
        vec![answer(question, RData::PTR(PTR(service))).to_vec().unwrap(); 2]
    };
    let finding = asked("mdns", None, script, false).await;
    assert_eq!(finding.outcome, Outcome::Pass);
    let evidence = finding.attempts[0].multicast.clone().unwrap();
    assert_eq!(evidence.question, "_services._dns-sd._udp.local.");
    assert_eq!(evidence.answers.len(), 2);
}

#[tokio::test]
async fn llmnr_asks_for_the_first_label_and_shows_a_conflict() {
    let script: Script = |question| {
        let mut answer = address(question);
        assert_eq!(question.queries[0].name().to_string(), "cube.");
        answer.metadata.authoritative = true;
        vec![answer.to_vec().unwrap()]
    };
    let finding = asked("llmnr", Some("cube.local"), script, false).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let evidence = finding.attempts[0].multicast.clone().unwrap();
    assert!(evidence.answers[0].conflict);
}

#[tokio::test]
async fn llmnr_without_a_name_is_not_run() {
    let finding = asked("llmnr", None, |_| Vec::new(), false).await;
    assert_eq!(finding.outcome, Outcome::NotRun);
}

#[tokio::test]
async fn what_is_no_answer_to_the_question_does_not_count() {
    let scripts: [(Script, bool); 6] = [
        (|_| Vec::new(), false),
        (
            |_| vec![b"rubbish".to_vec(), Vec::new(), vec![0xff; 9000]],
            false,
        ),
        // The question itself, sent back.
        (|question| vec![question.to_vec().unwrap()], false),
        // Another number.
        (
            |question| {
                let mut answer = address(question);
                answer.metadata.id ^= 1;
                vec![answer.to_vec().unwrap()]
            },
            false,
        ),
        // No record of the name.
        (
            |question| {
                let mut answer = address(question);
                answer.answers.clear();
                vec![answer.to_vec().unwrap()]
            },
            false,
        ),
        // Right, but from a port that was not asked.
        (|question| vec![address(question).to_vec().unwrap()], true),
    ];
    for (number, (script, other)) in scripts.into_iter().enumerate() {
        let finding = asked("mdns", Some("cube.local"), script, other).await;
        let nobody = Some(Trouble::NobodyAnswered);
        let found = (finding.outcome, finding.trouble);
        assert_eq!(found, (Outcome::Fail, nobody), "{number}");
        let evidence = finding.attempts[0].multicast.clone().unwrap();
        assert_eq!((evidence.answers.len(), evidence.sent), (0, 2), "{number}");
    }
}

#[tokio::test]
async fn more_answers_than_the_bound_are_not_kept() {
    let script: Script = |question| {
        let service = question.queries[0].name().clone();
        vec![answer(question, RData::PTR(PTR(service))).to_vec().unwrap(); 90]
    };
    let finding = asked("mdns", None, script, false).await;
    let evidence = finding.attempts[0].multicast.clone().unwrap();
    assert_eq!(evidence.answers.len(), 64);
}
