//! Whether a stream came back well enough to be understood.

use std::time::Duration;

use super::STREAM_PACE;
use crate::evidence::{RtpEvidence, RtpStream, Trouble};

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

/// One in so many ports may stay without an answer on a way that loses packets.
const MISSED: u16 = 20;

/// Whether it is the loss that a stream shows which left ports without an answer: few of them, and
/// each by itself, as no filter is set up.
pub(super) fn explains(evidence: &RtpEvidence) -> bool {
    let missed = evidence.asked.saturating_sub(evidence.answered);
    let loses = |stream: &RtpStream| stream.received < stream.sent && judge(stream).is_some();
    evidence.stream.as_ref().is_some_and(loses)
        && missed <= evidence.asked / MISSED
        && evidence.blocked.iter().all(|span| span.first == span.last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::PortSpan;

    fn sweep(received: u16, answered: u16, blocked: &[(u16, u16)]) -> RtpEvidence {
        let spans = blocked.iter();
        RtpEvidence {
            first: 12_000,
            last: 12_099,
            asked: 100,
            step: 1,
            answered,
            blocked: spans
                .map(|(first, last)| PortSpan {
                    first: *first,
                    last: *last,
                })
                .collect(),
            stream: Some(stream(received, 0, 0)),
        }
    }

    #[test]
    fn single_ports_are_put_down_to_loss_only_where_there_is_some() {
        assert!(explains(&sweep(
            40,
            98,
            &[(12_003, 12_003), (12_050, 12_050)]
        )));
        assert!(!explains(&sweep(
            50,
            98,
            &[(12_003, 12_003), (12_050, 12_050)]
        )));
        assert!(!explains(&sweep(40, 96, &[(12_003, 12_006)])));
        let many: Vec<_> = (0..6)
            .map(|at| (12_000 + 2 * at, 12_000 + 2 * at))
            .collect();
        assert!(!explains(&sweep(40, 94, &many)));
    }

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
