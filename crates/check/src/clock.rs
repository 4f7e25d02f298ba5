//! Whose clock is wrong: this machine's, or the time server's.

use std::cmp::Ordering;
use std::time::SystemTime;

use outgate_probe::{Outcome, Trouble};
use time::{Duration, OffsetDateTime};

use crate::judge::{ClockVerdict, Judged};

/// How far two clocks may be apart and still agree, in milliseconds. HTTP dates have whole
/// seconds, and answers take time.
const AGREE_MILLIS: u64 = 60_000;

/// What is known of this machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Nothing speaks against it.
    Unquestioned,
    /// A time server differs, and others agree with it.
    Off {
        /// Milliseconds to add to this machine's clock; positive when it is behind.
        offset_millis: i64,
    },
}

/// Judges time servers that differ from this machine's clock by what other servers show: the
/// dates that they send, and certificates that are out of their time by one clock but not by the
/// other. `now` is what this machine's clock says.
pub(crate) fn settle(lanes: &mut [Judged], now: SystemTime) -> Clock {
    let now = OffsetDateTime::from(now);
    let dates = dates(lanes);
    let troubles: Vec<Trouble> = lanes.iter().filter_map(|one| one.trouble.clone()).collect();
    let mut clock = Clock::Unquestioned;
    for judged in lanes.iter_mut() {
        let Some(Trouble::ClockOff { offset_millis }) = judged.trouble else {
            continue;
        };
        let agree = |with: i64| {
            dates
                .iter()
                .filter(|one| one.abs_diff(with) <= AGREE_MILLIS)
                .count()
        };
        let by_certificates = troubles
            .iter()
            .filter(|one| mends(one, now, offset_millis))
            .count();
        let (with_server, with_us) = (agree(offset_millis) + by_certificates, agree(0));
        let verdict = match with_server.cmp(&with_us) {
            Ordering::Greater => ClockVerdict::Ours,
            Ordering::Less => ClockVerdict::Theirs,
            Ordering::Equal => ClockVerdict::Open,
        };
        judged.clock = Some(verdict);
        judged.outcome = match verdict {
            ClockVerdict::Ours => {
                clock = Clock::Off { offset_millis };
                Outcome::Warn
            }
            ClockVerdict::Theirs | ClockVerdict::Open => Outcome::Fail,
        };
    }
    clock
}

/// How far this machine's clock is from the dates that servers sent, in milliseconds.
fn dates(lanes: &[Judged]) -> Vec<i64> {
    let findings = lanes
        .iter()
        .flat_map(|judged| &judged.probes)
        .map(|(_, finding)| finding);
    let dates = findings
        .flat_map(|finding| &finding.attempts)
        .filter_map(|attempt| attempt.http.as_ref().and_then(|http| http.date.as_ref()));
    dates.map(|date| date.offset_millis).collect()
}

/// Whether a certificate is out of its time, and would not be with a clock moved by the offset.
pub(crate) fn mends(trouble: &Trouble, now: OffsetDateTime, offset_millis: i64) -> bool {
    let Some(moved) = now.checked_add(Duration::milliseconds(offset_millis)) else {
        return false;
    };
    if let Trouble::CertificateNotYetValid { not_before, .. } = trouble {
        return moved >= *not_before;
    }
    if let Trouble::CertificateExpired { not_after, .. } = trouble {
        return moved <= *not_after;
    }
    false
}
