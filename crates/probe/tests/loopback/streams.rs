//! Servers of events and of long polls, most of them bad.

use std::time::Duration;

use outgate_probe::{Ask, Outcome, PhaseName, Trouble, Unit};

use crate::{
    asks::ask,
    secure::{Secure, Secured, request, rest, say},
};

/// How far apart the servers here send their events.
const APART: Duration = Duration::from_millis(200);
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// Answers the first request, as every server does, and waits for the second.
async fn opened(stream: &mut Secured) {
    let first = request(stream).await;
    assert_eq!(first.as_deref(), Some("HEAD / HTTP/1.1"));
    let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n";
    say(stream, answer).await;
    assert_eq!(request(stream).await.as_deref(), Some("GET / HTTP/1.1"));
}

fn events() -> Ask {
    let mut ask = Ask {
        hold: Duration::from_millis(300),
        ..ask("server-sent-events")
    };
    ask.http.events_apart = Some(APART);
    ask
}

fn poll(hold: Duration) -> Ask {
    Ask {
        hold,
        ..ask("long-polling")
    }
}

#[tokio::test]
async fn events_that_come_as_they_are_sent_pass() {
    let server = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        say(&mut stream, HEAD).await;
        for at in 0..20 {
            say(&mut stream, &format!("data: {at}\n\n")).await;
            tokio::time::sleep(APART).await;
        }
    })
    .await;
    let finding = server.asked(&events()).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let seen = finding.attempts[0].events.clone().unwrap();
    assert!(
        seen.events >= 2 && seen.gap.unwrap() >= APART / 2,
        "{seen:?}"
    );
}

#[tokio::test]
async fn events_that_come_in_a_lump_or_not_at_all_are_buffered() {
    let lump = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        say(&mut stream, HEAD).await;
        tokio::time::sleep(2 * APART).await;
        say(&mut stream, "data: 0\n\ndata: 1\n\ndata: 2\n\n").await;
        rest(&mut stream).await;
    })
    .await;
    let nothing = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        say(&mut stream, HEAD).await;
        rest(&mut stream).await;
    })
    .await;
    // Not even the head comes.
    let kept = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        rest(&mut stream).await;
    })
    .await;
    for server in [lump, nothing, kept] {
        let finding = server.asked(&events()).await;
        let expected = (Outcome::Fail, Some(Trouble::StreamBuffered));
        assert_eq!((finding.outcome, finding.trouble), expected);
    }
}

#[tokio::test]
async fn a_quiet_stream_of_which_nothing_is_known_is_a_warning() {
    let server = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        say(&mut stream, HEAD).await;
        rest(&mut stream).await;
    })
    .await;
    let mut ask = events();
    ask.http.events_apart = None;
    let finding = server.asked(&ask).await;
    let expected = (Outcome::Warn, Some(Trouble::StreamQuiet));
    assert_eq!((finding.outcome, finding.trouble), expected);
}

#[tokio::test]
async fn a_page_a_cut_stream_and_an_endless_line_are_no_stream_of_events() {
    let page = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>",
        )
        .await;
        rest(&mut stream).await;
    })
    .await;
    let cut = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        say(&mut stream, &format!("{HEAD}: hello\n\n")).await;
    })
    .await;
    let endless = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        say(&mut stream, HEAD).await;
        for _ in 0..2000 {
            say(&mut stream, &format!("data: {}\n", "x".repeat(1000))).await;
        }
    })
    .await;
    let phase = PhaseName::Hold;
    let mut plain = events();
    plain.http.events_apart = None;
    let found = async |server: &Secure| server.asked(&plain).await.trouble;
    assert_eq!(found(&page).await, Some(Trouble::NotEventStream));
    assert_eq!(found(&cut).await, Some(Trouble::Closed { phase }));
    let malformed = found(&endless).await;
    assert!(
        matches!(malformed, Some(Trouble::Malformed { .. })),
        "{malformed:?}"
    );
}

#[tokio::test]
async fn a_poll_that_is_held_or_answered_passes() {
    let holds = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        rest(&mut stream).await;
    })
    .await;
    let answers = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        )
        .await;
        rest(&mut stream).await;
    })
    .await;
    for (server, status) in [(holds, None), (answers, Some(200))] {
        let finding = server.asked(&poll(Duration::from_millis(200))).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        assert_eq!(finding.attempts[0].poll.clone().unwrap().status, status);
    }
}

#[tokio::test]
async fn a_poll_that_is_cut_while_it_waits_says_after_how_long() {
    let gives_up = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
        say(
            &mut stream,
            "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
        rest(&mut stream).await;
    })
    .await;
    let hangs_up = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
    })
    .await;
    for (server, expected) in [(gives_up, Some(504)), (hangs_up, None)] {
        let finding = server.asked(&poll(Duration::from_secs(60))).await;
        assert_eq!(finding.outcome, Outcome::Fail);
        let Some(Trouble::PollCut {
            after_micros,
            status,
        }) = finding.trouble
        else {
            panic!("{:?}", finding.trouble);
        };
        assert_eq!(status, expected);
        assert!(after_micros >= 1_000_000);
    }
}

#[tokio::test]
async fn a_server_that_answers_nothing_at_all_holds_no_poll() {
    let server = Secure::start(|mut stream| async move { rest(&mut stream).await }).await;
    let finding = server.asked(&poll(Duration::from_millis(200))).await;
    let phase = PhaseName::FirstByte;
    let expected = (Outcome::Fail, Some(Trouble::TimedOut { phase }));
    assert_eq!((finding.outcome, finding.trouble), expected);
}

#[tokio::test]
async fn more_of_a_stream_than_is_read_is_too_much() {
    let server = Secure::start(|mut stream| async move {
        opened(&mut stream).await;
        say(&mut stream, HEAD).await;
        for _ in 0..3000 {
            say(&mut stream, &format!(": {}\n", "x".repeat(1000))).await;
        }
    })
    .await;
    let bound = 1 << 20;
    let unit = Unit::StreamBytes;
    let trouble = server.asked(&events()).await.trouble;
    // Nothing but comments came, so that where events are due they are missing all the same.
    assert_eq!(trouble, Some(Trouble::StreamBuffered));
    let mut plain = events();
    plain.http.events_apart = None;
    let trouble = server.asked(&plain).await.trouble;
    assert_eq!(trouble, Some(Trouble::TooMuch { bound, unit }));
}
