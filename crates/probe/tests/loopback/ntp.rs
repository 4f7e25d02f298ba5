//! Time servers that are right, wrong, rude, deaf and forgetful.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use outgate_probe::{Finding, Outcome, PathConfig, PhaseName, Trouble};
use outgate_wire::ntp::{KissCode, Question, ServerState};
use tokio::{net::UdpSocket, task::JoinHandle};

use crate::asks::{ask, config_to, run};

struct TimeServer {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl TimeServer {
    /// `answers` makes the datagrams for the question of this number, counted from one.
    async fn start(answers: impl Fn(u64, &Question) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        let count = asked.clone();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1024];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                let question = Question::read(&buffer[..length]).unwrap();
                for answer in answers(number, &question) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    async fn asked_by_probe(&self) -> Finding {
        run(&ask("ntp"), config_to(self.address)).await
    }
}

impl Drop for TimeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn right(question: &Question) -> Vec<u8> {
    let now = SystemTime::now();
    question.answer(&ServerState::default(), now, now).to_vec()
}

#[tokio::test]
async fn a_clock_that_is_right_passes() {
    let server = TimeServer::start(|_, question| vec![right(question)]).await;
    let finding = server.asked_by_probe().await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let ntp = finding.attempts[0].ntp.clone().unwrap();
    assert!(ntp.offset_millis.abs() < 1000, "{}", ntp.offset_millis);
    assert!(ntp.delay_micros >= 0, "{}", ntp.delay_micros);
    assert_eq!((ntp.stratum, ntp.sent), (2, 1));
}

#[tokio::test]
async fn a_local_clock_a_day_behind_is_named_with_its_offset() {
    let server = TimeServer::start(|_, question| vec![right(question)]).await;
    let day = Duration::from_secs(86_400);
    let config = PathConfig {
        clock: Arc::new(move || SystemTime::now() - day),
        ..config_to(server.address)
    };
    let finding = run(&ask("ntp"), config).await;
    assert_eq!(finding.outcome, Outcome::Warn);
    let Some(Trouble::ClockOff { offset_millis }) = finding.trouble else {
        panic!("clock")
    };
    assert!((offset_millis - 86_400_000).abs() < 1000, "{offset_millis}");
}

#[tokio::test]
async fn a_server_that_sends_us_away_or_has_no_time_fails() {
    for (state, trouble) in [
        (
            ServerState::kiss(KissCode::new(*b"DENY")),
            Trouble::NtpKiss {
                code: "DENY".to_owned(),
            },
        ),
        (
            ServerState::unsynchronised(),
            Trouble::NtpUnsynchronised { stratum: 16 },
        ),
    ] {
        let server = TimeServer::start(move |_, question| {
            let now = SystemTime::now();
            vec![question.answer(&state, now, now).to_vec()]
        })
        .await;
        let finding = server.asked_by_probe().await;
        assert_eq!(
            (finding.outcome, finding.trouble),
            (Outcome::Fail, Some(trouble))
        );
    }
}

#[tokio::test]
async fn a_lost_question_is_asked_once_more() {
    let server = TimeServer::start(|number, question| {
        if number == 1 {
            Vec::new()
        } else {
            vec![right(question)]
        }
    })
    .await;
    let finding = server.asked_by_probe().await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let ntp = finding.attempts[0].ntp.clone().unwrap();
    assert_eq!(ntp.sent, 2);
    assert!(ntp.offset_millis.abs() < 500, "{}", ntp.offset_millis);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_asked_twice_and_not_more() {
    let server = TimeServer::start(|_, _| Vec::new()).await;
    let finding = server.asked_by_probe().await;
    let trouble = Trouble::TimedOut {
        phase: PhaseName::Exchange,
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(trouble))
    );
    assert_eq!(server.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn forged_and_broken_answers_do_not_hide_the_right_one() {
    let server = TimeServer::start(|_, question| {
        let mut forged = right(question);
        forged[24] ^= 1;
        vec![b"rubbish".to_vec(), forged, vec![0; 1000], right(question)]
    })
    .await;
    let finding = server.asked_by_probe().await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
}

#[tokio::test]
async fn a_server_that_only_sends_rubbish_is_malformed() {
    let server = TimeServer::start(|_, _| vec![b"rubbish".to_vec()]).await;
    let finding = server.asked_by_probe().await;
    let malformed = matches!(finding.trouble, Some(Trouble::Malformed { .. }));
    assert!(malformed, "{:?}", finding.trouble);
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let finding = run(&ask("ntp"), config_to(address)).await;
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(Trouble::Refused))
    );
}
