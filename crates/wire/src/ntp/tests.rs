//! Both ends of an exchange, and every answer that must not be believed.

use proptest::prelude::*;

use super::*;

const COOKIE: u64 = 0xfeed_beef_0123_4567;

fn unix(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn exchange(
    state: &ServerState,
    change: impl FnOnce(&mut [u8; PACKET_LEN]),
) -> Result<Reply, ReplyError> {
    let request = Request::new(COOKIE);
    let question = Question::read(&request.encode()).unwrap();
    let mut datagram = question.answer(state, unix(1_800_000_000), unix(1_800_000_000));
    change(&mut datagram);
    request.read_reply(&datagram)
}

#[test]
fn a_request_is_the_packet_rfc_4330_section_5_describes() {
    let bytes = Request::new(COOKIE).encode();
    assert_eq!(bytes[0], 0x23, "leap 0, version 4, mode 3");
    assert_eq!(bytes[1..40], [0; 39]);
    assert_eq!(bytes[40..], COOKIE.to_be_bytes());
}

#[test]
fn a_cookie_is_never_zero() {
    assert_eq!(Request::new(0).encode()[47], 1);
}

#[test]
fn offset_and_delay_follow_rfc_5905_section_8() {
    let request = Request::new(COOKIE);
    let question = Question::read(&request.encode()).unwrap();
    // 100 ms there, 20 ms of work, 60 ms back; the server's clock is 5 s ahead.
    let sent_at = unix(1_800_000_000);
    let received_at = sent_at + Duration::from_millis(5_100);
    let answered_at = received_at + Duration::from_millis(20);
    let datagram = question.answer(&ServerState::default(), received_at, answered_at);
    let reading = request
        .read_reply(&datagram)
        .unwrap()
        .reading(sent_at, Duration::from_millis(180));
    assert_eq!(
        reading,
        Reading {
            offset_nanos: 5_020_000_000,
            delay_nanos: 160_000_000
        }
    );
}

#[test]
fn an_offset_across_the_era_turn_is_small() {
    let request = Request::new(COOKIE);
    let question = Question::read(&request.encode()).unwrap();
    let turn = unix(2_085_978_496);
    let datagram = question.answer(&ServerState::default(), turn, turn);
    let reading = request
        .read_reply(&datagram)
        .unwrap()
        .reading(turn - Duration::from_secs(1), Duration::ZERO);
    assert_eq!(reading.offset_nanos, 1_000_000_000);
}

#[test]
fn a_clock_that_starts_in_1970_is_read_as_behind() {
    let reply = exchange(&ServerState::default(), |_| {}).unwrap();
    let reading = reply.reading(unix(0), Duration::ZERO);
    assert_eq!(reading.offset_nanos, 1_800_000_000_000_000_000);
}

#[test]
fn a_kiss_is_named_by_its_code() {
    let kiss = ServerState::kiss(KissCode::new(*b"RATE"));
    let error = exchange(&kiss, |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the NTP server refused with kiss code RATE"
    );
}

#[test]
fn a_kiss_with_unprintable_letters_is_shown_safely() {
    assert_eq!(KissCode::new([0x1b, b'A', 0xff, 0]).to_string(), "?A?");
}

#[test]
fn an_unsynchronised_server_is_not_believed() {
    let error = exchange(&ServerState::unsynchronised(), |_| {}).unwrap_err();
    assert_eq!(error, ReplyError::Unsynchronised { stratum: 16 });
    let leap_only = ServerState {
        leap: Leap::Unsynchronised,
        ..ServerState::default()
    };
    let error = exchange(&leap_only, |_| {}).unwrap_err();
    assert_eq!(error, ReplyError::Unsynchronised { stratum: 2 });
}

#[test]
fn an_answer_to_another_question_is_refused_before_its_kiss_is_read() {
    let kiss = ServerState::kiss(KissCode::new(*b"DENY"));
    let error = exchange(&kiss, |bytes| bytes[24] ^= 1).unwrap_err();
    assert_eq!(error, ReplyError::WrongOrigin);
}

#[test]
fn other_modes_and_versions_are_refused() {
    let error = exchange(&ServerState::default(), |bytes| bytes[0] = 0x25).unwrap_err();
    assert_eq!(error, ReplyError::WrongMode { mode: 5 });
    let error = exchange(&ServerState::default(), |bytes| bytes[0] = 0x2c).unwrap_err();
    assert_eq!(error, ReplyError::WrongVersion { version: 5 });
    assert_eq!(
        Question::read(&[0x24; 48]),
        Err(QuestionError::WrongMode { mode: 4 })
    );
    assert_eq!(
        Question::read(&[0x03; 48]),
        Err(QuestionError::WrongVersion { version: 0 })
    );
}

#[test]
fn an_answer_without_a_time_is_refused() {
    let error = exchange(&ServerState::default(), |bytes| bytes[40..].fill(0)).unwrap_err();
    assert_eq!(error, ReplyError::NoTime);
}

#[test]
fn a_server_answers_in_the_version_it_was_asked_in() {
    let mut bytes = Request::new(COOKIE).encode();
    bytes[0] = 0x1b;
    let answer = Question::read(&bytes).unwrap().answer(
        &ServerState::default(),
        unix(1_800_000_000),
        unix(1_800_000_000),
    );
    assert_eq!(answer[0], 0x1c, "leap 0, version 3, mode 4");
}

proptest! {
    #[test]
    fn no_datagram_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), cookie: u64) {
        let _ = Question::read(&bytes);
        if let Ok(reply) = Request::new(cookie).read_reply(&bytes) {
            reply.reading(unix(0), Duration::MAX);
        }
    }

    #[test]
    fn any_accepted_times_give_a_reading(
        times: [u8; 16],
        sent in 0_u64..=1 << 40,
        took in 0_u64..=1 << 40,
    ) {
        if let Ok(reply) = exchange(&ServerState::default(), |bytes| bytes[32..].copy_from_slice(&times)) {
            reply.reading(unix(sent), Duration::from_secs(took));
        }
    }
}
