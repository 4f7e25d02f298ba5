//! Anybody can send a datagram to the port from which we asked for the time.

use std::time::{Duration, SystemTime};

use outgate_wire::ntp::{PACKET_LEN, Question, Request, ServerState};

/// The cookie of the question that is being answered; inputs that carry it at byte 24 get past
/// the check of the origin.
const COOKIE: u64 = 0x0123_4567_89ab_cdef;

/// Later than any NTP era we may meet: the year 2514.
const FAR_FUTURE: Duration = Duration::from_secs(4 * (1 << 32));

/// Reads `data` as the answer to a question, then as a question to answer.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, a reply made from too few bytes or
/// without the cookie, or a reply of our own whose origin is not the question's cookie.
pub fn ntp_reply(data: &[u8]) {
    if let Ok(reply) = Request::new(COOKIE).read_reply(data) {
        assert!(
            data.len() >= PACKET_LEN,
            "{} bytes make a reply",
            data.len()
        );
        assert_eq!(
            data[24..32],
            COOKIE.to_be_bytes(),
            "a reply without the cookie"
        );
        for sent_at in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + FAR_FUTURE] {
            let _ = reply.reading(sent_at, Duration::from_millis(3));
            let _ = reply.reading(sent_at, Duration::MAX);
        }
    }
    if let Ok(question) = Question::read(data) {
        let now = SystemTime::UNIX_EPOCH + FAR_FUTURE;
        let answer = question.answer(&ServerState::default(), now, now);
        assert_eq!(
            answer[24..32],
            data[40..48],
            "the origin is not what was asked with"
        );
    }
}
