//! Whether a stream came back well enough to be understood.

use std::time::Duration;

use super::STREAM_PACE;
use crate::evidence::{RtpStream, Trouble};

/// Speech suffers where as much is lost, in per cent (ITU-T G.1010 table I.1: conversational voice,
/// less than 3 % packet loss).
const LOSS_PER_CENT: u32 = 3;
/// Speech suffers where the jitter is as much: what makers of telephones and of conferences ask a
/// network to stay below (Cisco and Microsoft Teams: 30 ms). The buffers of telephones even out
/// about twice that.
const JITTER: Duration = Duration::from_millis(30);

/// What is wrong with a stream, if anything. A machine that sends late itself makes a jitter of its
/// own, and nothing can be said of the network's.
pub(super) fn judge(stream: &RtpStream) -> Option<Trouble> {
    let lost = stream.sent.saturating_sub(stream.received);
    let loses = u32::from(lost) * 100 >= u32::from(stream.sent) * LOSS_PER_CENT && lost > 0;
    let shakes = stream.jitter >= JITTER && stream.own_delay <= STREAM_PACE;
    (loses || shakes).then(|| Trouble::SpeechPoor {
        lost,
        sent: stream.sent,
        jitter_micros: u64::try_from(stream.jitter.as_micros()).unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(received: u16, jitter: u64, own_delay: u64) -> RtpStream {
        RtpStream {
            port: 10_000,
            sent: 50,
            received,
            late: 0,
            jitter: Duration::from_millis(jitter),
            own_delay: Duration::from_millis(own_delay),
        }
    }

    #[test]
    fn one_lost_packet_of_a_second_and_a_little_jitter_are_good_enough() {
        for (received, jitter) in [(50, 0), (49, 0), (50, 29), (49, 29)] {
            assert_eq!(judge(&stream(received, jitter, 0)), None);
        }
    }

    #[test]
    fn more_loss_or_jitter_than_speech_bears_is_told_with_both() {
        for (received, jitter) in [(48, 0), (50, 30), (0, 0)] {
            let expected = Trouble::SpeechPoor {
                lost: 50 - received,
                sent: 50,
                jitter_micros: jitter * 1000,
            };
            assert_eq!(judge(&stream(received, jitter, 0)), Some(expected));
        }
    }

    #[test]
    fn a_machine_that_is_late_itself_says_nothing_of_jitter_and_still_counts_what_is_lost() {
        assert_eq!(judge(&stream(50, 90, 21)), None);
        assert!(judge(&stream(40, 90, 21)).is_some());
    }
}
