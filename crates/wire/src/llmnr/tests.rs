#![cfg(test)]

use proptest::prelude::*;

use super::*;

const CUBE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 9));
const LOWER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));

#[expect(clippy::disallowed_methods, reason = "there is no other first moment")]
fn some_time() -> Instant {
    Instant::now()
}

fn link() -> Link {
    let v6 = "fe80::2".parse().unwrap();
    Link {
        addresses: vec![(CUBE, 24), (v6, 64)],
        elsewhere: vec!["10.88.0.2".parse().unwrap()],
    }
}

/// As systemd-resolved and Windows ask: one question, nothing else.
fn asked(id: u16, flags: u8, name: &str, kind: u8) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([flags, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, kind, 0, 1]);
    bytes
}

/// A responder whose name nobody else has.
fn held(now: Instant) -> (Responder, Instant) {
    let mut responder = Responder::new(Label::new("cube").unwrap());
    responder.ask(7, now);
    let mut at = now;
    let mut questions = 0;
    while responder.claim() != Claim::Held {
        questions += u8::from(responder.poll_question(at).is_some());
        at = responder.poll_timeout().unwrap_or(at);
    }
    assert_eq!(questions, ASKED_TIMES);
    (responder, at)
}

fn answered(reaction: Reaction) -> Vec<u8> {
    match reaction {
        Reaction::Answer(bytes) => bytes,
        Reaction::Silence | Reaction::Doubt => panic!("{reaction:?}"),
    }
}

#[test]
fn the_own_name_is_answered_in_whatever_letters_it_is_asked_for() {
    let (mut responder, now) = held(some_time());
    let question = asked(0x1234, 0, "Cube", 1);
    let answer = answered(responder.handle_question(&question, OTHER, &link(), now));
    let mut wanted = vec![0x12, 0x34, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0];
    wanted.extend([4, b'C', b'u', b'b', b'e', 0, 0, 1, 0, 1]);
    wanted.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 77, 0, 2]);
    assert_eq!(answer, wanted);
}

#[test]
fn both_families_are_told_to_who_asks_for_anything_and_neither_for_what_is_not_there() {
    let (mut responder, now) = held(some_time());
    let mut count = |kind| {
        let question = asked(1, 0, "cube", kind);
        let answer = answered(responder.handle_question(&question, OTHER, &link(), now));
        answer[7]
    };
    // A, AAAA, ANY, MX.
    assert_eq!([1, 28, 255, 15].map(&mut count), [1, 1, 2, 0]);
}

#[test]
fn there_is_silence_for_what_is_not_meant_for_us() {
    let (mut responder, now) = held(some_time());
    let good = asked(1, 0, "cube", 1);
    let mut changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        responder.handle_question(&bytes, OTHER, &link(), now)
    };
    // An answer, another operation, two questions, answers, authorities, another class.
    for (at, to) in [(2, 0x80), (2, 0x08), (5, 2), (7, 1), (9, 1), (21, 3)] {
        assert_eq!(changed(at, to), Reaction::Silence, "{at}");
    }
    // What other programs add behind the question is nothing to us.
    assert!(matches!(changed(11, 1), Reaction::Answer(_)));
    for name in ["cub", "cubes", "cube.local", "x.cube", "tube"] {
        let question = asked(1, 0, name, 1);
        let reaction = responder.handle_question(&question, OTHER, &link(), now);
        assert_eq!(reaction, Reaction::Silence, "{name}");
    }
}

#[test]
fn only_neighbours_are_answered() {
    let (mut responder, now) = held(some_time());
    let question = asked(1, 0, "cube", 1);
    for (from, is_near) in [
        ("10.77.0.200", true),
        ("fe80::9", true),
        ("10.77.1.1", false),
        ("192.0.2.1", false),
        ("2001:db8::1", false),
        // The machine itself, whose own questions come back to it.
        ("10.77.0.2", false),
        ("10.88.0.2", false),
    ] {
        let from = from.parse().unwrap();
        let reaction = responder.handle_question(&question, from, &link(), now);
        let answered = matches!(reaction, Reaction::Answer(_));
        assert_eq!(answered, is_near, "{from}");
    }
}

#[test]
fn before_the_name_is_known_to_be_ours_an_answer_says_so() {
    let now = some_time();
    let mut responder = Responder::new(Label::new("cube").unwrap());
    responder.ask(7, now);
    let sent = responder.poll_question(now).unwrap();
    assert_eq!(sent, asked(7, 0, "cube", 255));
    assert_eq!(responder.poll_question(now), None);
    let question = asked(1, 0, "cube", 1);
    let answer = answered(responder.handle_question(&question, OTHER, &link(), now));
    assert_eq!(answer[2], 0x81);
}

#[test]
fn a_name_that_somebody_else_has_is_left_to_them_and_asked_for_later() {
    let now = some_time();
    for (flags, from, taken) in [
        (0x80, OTHER, true),
        // Both ask at once: the lower address has it.
        (0x81, OTHER, false),
        (0x81, LOWER, true),
        // The machine's other address, and somebody from elsewhere, are nobody else.
        (0x80, "10.88.0.2".parse().unwrap(), false),
        (0x80, "192.0.2.1".parse().unwrap(), false),
    ] {
        let mut responder = Responder::new(Label::new("cube").unwrap());
        responder.ask(7, now);
        assert!(responder.poll_question(now).is_some());
        responder.handle_answer(&asked(8, flags, "cube", 255), from, &link(), now);
        assert_eq!(responder.claim(), Claim::Asking);
        responder.handle_answer(&asked(7, flags, "cube", 255), from, &link(), now);
        let claim = if taken {
            Claim::Taken(from)
        } else {
            Claim::Asking
        };
        assert_eq!(responder.claim(), claim, "{flags:x} {from}");
        if taken {
            let question = asked(1, 0, "cube", 1);
            let reaction = responder.handle_question(&question, OTHER, &link(), now);
            assert_eq!(reaction, Reaction::Silence);
            let later = responder.poll_timeout().unwrap();
            assert!(responder.is_due(later) && !responder.is_due(now));
            responder.ask(9, later);
            assert_eq!(responder.claim(), claim);
            while let Some(due) = responder.poll_timeout() {
                let _ = responder.poll_question(due);
            }
            assert_eq!(responder.claim(), Claim::Held, "whoever had it is gone");
        }
    }
}

#[test]
fn who_hears_two_answers_is_believed_so_far_that_it_is_asked_again() {
    let (mut responder, now) = held(some_time());
    let conflict = asked(1, 0x04, "cube", 1);
    let reaction = responder.handle_question(&conflict, OTHER, &link(), now);
    assert_eq!(reaction, Reaction::Doubt);
    let reaction = responder.handle_question(&conflict, OTHER, &link(), now);
    assert_eq!(reaction, Reaction::Silence);
    responder.ask(9, now);
    // It goes on answering for what it holds.
    let question = asked(1, 0, "cube", 1);
    let answer = answered(responder.handle_question(&question, OTHER, &link(), now));
    assert_eq!(answer[2], 0x80);
    assert!(responder.poll_question(now).is_some());
    // Of two that hold it the lower address keeps it.
    responder.handle_answer(&asked(9, 0x80, "cube", 255), OTHER, &link(), now);
    assert_eq!(responder.claim(), Claim::Held);
    responder.handle_answer(&asked(9, 0x80, "cube", 255), LOWER, &link(), now);
    assert_eq!(responder.claim(), Claim::Taken(LOWER));
}

#[test]
fn a_name_is_of_letters_digits_and_hyphens() {
    let long = "a".repeat(64);
    for bad in ["", "-a", "a-", "a.b", "a_b", "\u{e5}", &long] {
        assert_eq!(Label::new(bad), Err(NotALabel), "{bad}");
    }
    assert_eq!(Label::new(&long[1..]).unwrap().as_str(), &long[1..]);
}

proptest! {
    #[test]
    fn any_bytes_are_borne_and_only_questions_for_the_name_are_answered(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        kind: u8,
        id: u16,
        others in 0..40_u8,
    ) {
        let (mut responder, now) = held(some_time());
        let mut link = link();
        link.addresses.extend((0..others).map(|last| (IpAddr::from([10, 77, 0, last]), 24)));
        let from = IpAddr::from([10, 77, 0, 250]);
        let reaction = responder.handle_question(&bytes, from, &link, now);
        let names_us = bytes.get(12..18).is_some_and(|it| it.eq_ignore_ascii_case(b"\x04cube\0"));
        prop_assert!(names_us || reaction == Reaction::Silence);
        responder.handle_answer(&bytes, from, &link, now);
        let question = asked(id, 0, "cube", kind);
        let answer = answered(responder.handle_question(&question, from, &link, now));
        prop_assert!(answer.len() <= READ_MAX);
        prop_assert_eq!(&answer[..2], &id.to_be_bytes());
        prop_assert_eq!(&answer[12..question.len()], &question[12..]);
        // Each record is as long as it says, and the last ends with the message.
        let mut rest = &answer[question.len()..];
        for _ in 0..answer[7] {
            let length = usize::from(rest[11]);
            rest = &rest[12 + length..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn prefixes_of_any_length_are_compared(one: u32, two: u32, prefix: u8) {
        let link = Link {
            addresses: vec![(IpAddr::V4(one.into()), prefix)],
            elsewhere: Vec::new(),
        };
        let same = prefix == 0 || (one ^ two).leading_zeros() >= prefix.into();
        prop_assert_eq!(link.reaches(IpAddr::V4(two.into())), same);
    }
}
