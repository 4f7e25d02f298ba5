//! Anybody on the local network can ask by LLMNR, and answer what is asked.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use outgate_wire::llmnr::{Claim, Label, Link, READ_MAX, Reaction, Responder};

/// The number of the question that the corpus answers.
const ID: u16 = 0x0102;
/// How a question for the name goes on behind its header.
const NAME: &[u8] = b"\x04cube\0";

/// Takes `data` as a question and as an answer, before the name is known to be ours and after.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, an answer for a name that is somebody
/// else's, or one that is longer than its bound or answers another question.
pub fn llmnr_message(data: &[u8]) {
    let Ok(name) = Label::new("cube") else {
        return;
    };
    let link = Link {
        addresses: vec![(IpAddr::from([10, 77, 0, 2]), 24)],
        elsewhere: Vec::new(),
    };
    let from = IpAddr::from([10, 77, 0, 9]);
    let mut now = Instant::now();
    let mut responder = Responder::new(name);
    responder.ask(ID, now);
    // As many as are asked, and what comes after them.
    for _ in 0..8 {
        let _ = responder.poll_question(now);
        check(data, responder.handle_question(data, from, &link, now));
        responder.handle_answer(data, from, &link, now);
        if let Claim::Taken(by) = responder.claim() {
            assert_eq!(by, from, "taken by somebody who said nothing");
            let silence = responder.handle_question(data, from, &link, now);
            assert_eq!(silence, Reaction::Silence, "an answer for another's name");
        }
        now += Duration::from_secs(1);
    }
}

fn check(question: &[u8], reaction: Reaction) {
    let Reaction::Answer(answer) = reaction else {
        return;
    };
    assert!(answer.len() <= READ_MAX, "longer than the bound");
    assert_eq!(answer.get(..2), question.get(..2), "of another question");
    let asked = question.get(12..18).unwrap_or_default();
    assert!(asked.eq_ignore_ascii_case(NAME), "of another name");
}
