#![cfg(test)]

use proptest::prelude::*;

use super::*;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn what_was_not_acknowledged_is_sent_again_from_its_number() {
    let mut sent = Sent::new(100);
    for text in ["a", "b", "c"] {
        sent.keep(bytes(text));
    }
    assert_eq!(sent.poll_again(), None);
    sent.handle_ack(1);
    assert_eq!(sent.handle_resumed(), 2);
    assert_eq!(sent.poll_again(), Some(bytes("b")));
    // What is acknowledged while it is sent again is not left out of the count.
    sent.handle_ack(2);
    assert_eq!(sent.poll_again(), Some(bytes("c")));
    assert_eq!(sent.poll_again(), None);
    sent.handle_ack(3);
    assert_eq!((sent.handle_resumed(), sent.poll_again()), (4, None));
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_changes_nothing() {
    let mut sent = Sent::new(100);
    sent.keep(bytes("a"));
    sent.handle_ack(u64::MAX);
    sent.keep(bytes("b"));
    sent.handle_ack(1);
    assert_eq!(sent.handle_resumed(), 2);
}

#[test]
fn sending_stops_when_too_much_is_unacknowledged() {
    let mut sent = Sent::new(3);
    sent.keep(bytes("ab"));
    assert!(!sent.is_full());
    sent.keep(bytes("cd"));
    assert!(sent.is_full());
    sent.handle_ack(1);
    assert!(!sent.is_full());
    assert_eq!(sent.bytes(), 2);
}

#[test]
fn nothing_counts_between_a_new_transport_and_its_sequence() {
    let now = Duration::ZERO;
    let mut received = Received::new();
    assert!(received.handle_message(true, 1, now));
    received.handle_resumed();
    assert!(!received.handle_message(true, 1, now) && !received.handle_message(false, 1, now));
    assert_eq!(received.handle_sequence(1), Ok(()));
    assert!(
        !received.handle_message(true, 1, now),
        "number 1 came before"
    );
    assert!(received.handle_message(true, 1, now), "number 2 did not");
    let gap = Gap { sent: 3, come: 2 };
    assert_eq!(received.handle_sequence(4), Err(gap));
}

#[test]
fn what_came_is_acknowledged_once_and_a_second_later() {
    let now = Duration::ZERO;
    let mut received = Received::new();
    received.handle_message(false, 1, now);
    assert_eq!(received.poll_timeout(), None);
    received.handle_message(true, 1, now);
    received.handle_message(true, 1, now + ACK_DELAY / 2);
    assert_eq!(received.poll_timeout(), Some(now + ACK_DELAY));
    assert_eq!(received.poll_ack(now + ACK_DELAY / 2), None);
    assert_eq!(received.poll_ack(now + ACK_DELAY), Some(2));
    assert_eq!(received.poll_ack(now + ACK_DELAY), None);
}

#[test]
fn much_that_came_is_acknowledged_at_once() {
    let now = Duration::ZERO;
    let mut received = Received::new();
    received.handle_message(true, ACK_BYTES - 1, now);
    // What does not count is kept by nobody.
    received.handle_message(false, ACK_BYTES, now);
    assert_eq!(received.poll_ack(now), None);
    received.handle_message(true, 1, now);
    assert_eq!(received.poll_timeout(), Some(now));
    assert_eq!(received.poll_ack(now), Some(2));
    received.handle_message(true, 1, now);
    assert_eq!(received.poll_timeout(), Some(now + ACK_DELAY));
}

/// What happens on the way from one end to the other.
#[derive(Debug, Clone)]
enum Step {
    Send,
    /// The oldest message under way comes.
    Arrive,
    /// So much time that an acknowledgement is due, and it comes.
    Acknowledge,
    /// Everything under way is lost, and a new transport stands.
    Break,
}

proptest! {
    #[test]
    fn everything_comes_once_and_in_order_however_often_the_transport_breaks(
        steps in prop::collection::vec(
            prop_oneof![
                3 => Just(Step::Send),
                3 => Just(Step::Arrive),
                1 => Just(Step::Acknowledge),
                1 => Just(Step::Break),
            ],
            0..80,
        ),
    ) {
        let mut now = Duration::ZERO;
        let (mut sent, mut received) = (Sent::new(usize::MAX), Received::new());
        let mut way: VecDeque<Bytes> = VecDeque::new();
        let (mut made, mut come) = (0_u32, Vec::new());
        // In the end all that is under way comes.
        let steps = steps.into_iter().chain([Step::Break]).chain(vec![Step::Arrive; 80]);
        for step in steps {
            match step {
                Step::Send => {
                    made += 1;
                    let message = Bytes::from(made.to_string());
                    sent.keep(message.clone());
                    way.push_back(message);
                }
                Step::Arrive => {
                    let message = way.pop_front();
                    if let Some(message) = message && received.handle_message(true, 1, now) {
                        come.push(String::from_utf8(message.to_vec()).unwrap());
                    }
                }
                Step::Acknowledge => {
                    now += ACK_DELAY;
                    if let Some(number) = received.poll_ack(now) {
                        sent.handle_ack(number);
                    }
                }
                Step::Break => {
                    way.clear();
                    received.handle_resumed();
                    prop_assert_eq!(received.handle_sequence(sent.handle_resumed()), Ok(()));
                    way.extend(std::iter::from_fn(|| sent.poll_again()));
                }
            }
        }
        let all: Vec<String> = (1..=made).map(|number| number.to_string()).collect();
        prop_assert_eq!(come, all);
    }
}
