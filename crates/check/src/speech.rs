//! Ranges of ports for speech of which nothing came back: whether the way is to blame for it, or
//! nobody there sends packets back.

use std::collections::BTreeSet;
use std::net::IpAddr;

use outgate_probe::{Attempt, Outcome, PortSpan, Trouble};

use crate::judge::Judged;

/// Calls a range blocked of which nothing came back, not even that its ports are closed, where the
/// machine is known to send packets back: it echoes SIP, as only who is set up for checks does, or
/// it sends back what comes to another range.
pub(crate) fn settle(lanes: &mut [Judged]) {
    let machines: BTreeSet<IpAddr> = lanes
        .iter()
        .flat_map(|judged| &judged.probes)
        .flat_map(|(_, finding)| &finding.attempts)
        .filter(|attempt| sends_back(attempt))
        .map(|attempt| attempt.address)
        .collect();
    for judged in lanes {
        let mut blocked = None;
        for (_, finding) in &mut judged.probes {
            if finding.outcome != Outcome::NotRun {
                continue;
            }
            let attempts = finding.attempts.iter();
            let mut known = attempts.filter(|attempt| machines.contains(&attempt.address));
            let silent = known.find_map(all_blocked);
            if let Some(trouble) = silent {
                finding.outcome = Outcome::Fail;
                finding.trouble = Some(trouble.clone());
                blocked = blocked.or(Some(trouble));
            }
        }
        if blocked.is_some() {
            judged.outcome = Outcome::Fail;
            judged.trouble = blocked;
        }
    }
}

fn sends_back(attempt: &Attempt) -> bool {
    let echoes = attempt.sip.as_ref().is_some_and(|sip| sip.echoed);
    let reflects = attempt.rtp.as_ref().is_some_and(|rtp| rtp.answered > 0);
    echoes || reflects
}

/// What is to be said of an attempt at a range in which nothing came back.
fn all_blocked(attempt: &Attempt) -> Option<Trouble> {
    let rtp = attempt.rtp.as_ref()?;
    let nothing = matches!(
        attempt.trouble,
        Some(Trouble::NobodyEchoes { closed: false })
    );
    let (first, last) = (rtp.first, rtp.last);
    nothing.then(|| Trouble::RtpBlocked {
        blocked: PortSpan { first, last }.to_string(),
        answered: rtp.answered,
        asked: rtp.asked,
    })
}
