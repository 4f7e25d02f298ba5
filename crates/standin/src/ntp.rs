//! An NTP server whose clock may be wrong.

use std::{sync::Arc, time::SystemTime};

use tokio::net::UdpSocket;

use outgate_wire::ntp::{DATAGRAM_MAX, KissCode, Question, ServerState, Timestamp};

use crate::{Clock, listen};

/// Where the origin timestamp stands in a packet (RFC 5905 §7.3).
const ORIGIN: std::ops::Range<usize> = 24..32;

/// What an NTP stand-in does wrong, apart from its clock being off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NtpFault {
    /// Nothing.
    #[default]
    None,
    /// Hears and does not answer.
    Silent,
    /// Says that its own clock was never set (stratum 16).
    Unsynchronised,
    /// Refuses with a kiss code such as `*b"RATE"` or `*b"DENY"` (RFC 5905 §7.4).
    Kiss([u8; 4]),
    /// Answers another question than was asked, as someone off the path would.
    WrongOrigin,
}

/// Answers until dropped. `offset` is added to the clock.
pub(crate) async fn serve(
    socket: UdpSocket,
    clock: Arc<dyn Clock>,
    offset: time::Duration,
    fault: NtpFault,
) {
    let mut heard = [0; DATAGRAM_MAX];
    loop {
        let (length, peer) = listen::receive(&socket, &mut heard).await;
        let received_at = clock.now() + offset;
        if let Some(answer) = answer(&heard[..length], fault, received_at) {
            // A lost answer is the asker's to notice: UDP promises nothing.
            let _sent = socket.send_to(&answer, peer).await;
        }
    }
}

fn answer(datagram: &[u8], fault: NtpFault, now: SystemTime) -> Option<Vec<u8>> {
    let question = Question::read(datagram).ok()?;
    let state = match fault {
        NtpFault::Silent => return None,
        NtpFault::None | NtpFault::WrongOrigin => ServerState::default(),
        NtpFault::Unsynchronised => ServerState::unsynchronised(),
        NtpFault::Kiss(code) => ServerState::kiss(KissCode::new(code)),
    };
    let mut answer = question.answer(&state, now, now).to_vec();
    if fault == NtpFault::WrongOrigin {
        let other = Timestamp::from_system_time(now).to_bits().to_be_bytes();
        answer[ORIGIN].copy_from_slice(&other);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use outgate_wire::ntp::{ReplyError, Request};

    use super::*;

    fn ask(fault: NtpFault) -> Option<Result<i64, ReplyError>> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let request = Request::new(0xfeed_beef);
        let datagram = answer(&request.encode(), fault, now)?;
        let reply = request.read_reply(&datagram);
        Some(reply.map(|reply| reply.reading(now, Duration::ZERO).offset_nanos))
    }

    #[test]
    fn each_fault_is_what_a_client_takes_it_for() {
        assert_eq!(ask(NtpFault::None), Some(Ok(0)));
        assert_eq!(ask(NtpFault::Silent), None);
        assert_eq!(
            ask(NtpFault::Unsynchronised),
            Some(Err(ReplyError::Unsynchronised { stratum: 16 }))
        );
        assert_eq!(
            ask(NtpFault::Kiss(*b"RATE")),
            Some(Err(ReplyError::Kiss {
                code: KissCode::new(*b"RATE")
            }))
        );
        assert_eq!(
            ask(NtpFault::WrongOrigin),
            Some(Err(ReplyError::WrongOrigin))
        );
    }

    #[test]
    fn what_is_no_question_gets_no_answer() {
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(answer(b"", NtpFault::None, now), None);
        assert_eq!(answer(&[0xff; 48], NtpFault::None, now), None);
        // A server's answer must not be answered: two servers would talk for ever.
        let question = Question::read(&Request::new(1).encode()).unwrap();
        let reply = question.answer(&ServerState::default(), now, now);
        assert_eq!(answer(&reply, NtpFault::None, now), None);
    }
}
