//! From what the probes of a lane found to the lane's outcome.

use std::collections::{BTreeMap, BTreeSet};

use outgate_manifest::{Id, Lane, Target};
use outgate_probe::{Ask, Finding, Outcome, Trouble};

/// A lane after its probes.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) lane: Lane,
    pub(crate) probes: Vec<(Ask, Finding)>,
    pub(crate) outcome: Outcome,
    pub(crate) trouble: Option<Trouble>,
    /// Whose clock is wrong, where the lane's time server differs from this machine's clock.
    pub(crate) clock: Option<ClockVerdict>,
    /// What a reader should know beside the trouble, or in its place.
    pub(crate) reason: Option<String>,
    /// Flows that this one needs first and that failed.
    pub(crate) blocked_by: Vec<Id>,
}

/// Which of two clocks that differ is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockVerdict {
    /// This machine's.
    Ours,
    /// The time server's.
    Theirs,
    /// Nobody tells.
    Open,
}

impl Judged {
    pub(crate) fn not_run(lane: Lane, why: String) -> Self {
        Self {
            lane,
            probes: Vec::new(),
            outcome: Outcome::NotRun,
            trouble: None,
            clock: None,
            reason: Some(why),
            blocked_by: Vec::new(),
        }
    }

    /// Joins the findings: the worst counts, and its trouble is the lane's.
    pub(crate) fn new(lane: Lane, probes: Vec<(Ask, Finding)>) -> Self {
        let worst = probes
            .iter()
            .map(|(_, finding)| finding)
            .max_by_key(|f| weight(f.outcome));
        let outcome = worst.map_or(Outcome::NotRun, |finding| finding.outcome);
        let trouble = worst.and_then(|finding| finding.trouble.clone());
        let mut judged = Self {
            lane,
            probes,
            outcome,
            trouble,
            clock: None,
            reason: None,
            blocked_by: Vec::new(),
        };
        if judged.outcome == Outcome::Pass && judged.lane.protocol.is_unspecified() {
            judged.reason =
                Some("the port opens; the document does not say what is spoken here".into());
        }
        judged.with_expected_certificate_request()
    }

    /// A server that asks for a certificate, as the manifest says it does, was reached: a probe
    /// has no certificate and can come no further.
    fn with_expected_certificate_request(mut self) -> Self {
        let mutual = self.lane.tls.as_ref().is_some_and(|tls| tls.mutual);
        if mutual && self.trouble == Some(Trouble::ClientCertificateWanted) {
            self.outcome = Outcome::Pass;
            self.trouble = None;
            self.reason = Some("the server asks for the device's certificate, as it should".into());
        }
        self
    }

    /// Says that a flow which this one needs first has failed.
    pub(crate) fn hold_back(&mut self, failed: Vec<Id>) {
        if failed.is_empty() {
            return;
        }
        if self.outcome == Outcome::Pass {
            self.outcome = Outcome::Warn;
            let names: Vec<&str> = failed.iter().map(Id::as_str).collect();
            self.reason = Some(format!(
                "works by itself, but needs {} first, which failed",
                names.join(", ")
            ));
        }
        self.blocked_by = failed;
    }

    pub(crate) fn passed(&self) -> bool {
        matches!(self.outcome, Outcome::Pass | Outcome::Warn)
    }
}

/// Which of several outcomes a lane takes on.
fn weight(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::NotApplicable => 0,
        Outcome::Pass => 1,
        Outcome::Warn => 2,
        Outcome::NotRun => 3,
        Outcome::Fail => 4,
    }
}

/// The outcome of a flow. All of its destinations must be reached; of the ways to one of them
/// (rungs of a ladder, addresses in place of a name) one is enough.
pub(crate) fn flow_outcome(lanes: &[&Judged]) -> Outcome {
    let moves = moves_with_its_rungs(lanes);
    let mut ways: BTreeMap<(&Id, String), Vec<&Judged>> = BTreeMap::new();
    for judged in lanes {
        let lane = &judged.lane;
        let name = lane
            .alternative_to
            .clone()
            .unwrap_or_else(|| lane.to.value());
        let destination = if moves { String::new() } else { name };
        ways.entry((&lane.from, destination))
            .or_default()
            .push(judged);
    }
    worst(ways.values().map(|ways| outcome_of_ways(ways)))
}

/// Whether the rungs of a ladder go to different destinations, so that reaching any is enough.
fn moves_with_its_rungs(lanes: &[&Judged]) -> bool {
    let mut rungs: BTreeMap<usize, BTreeSet<&Target>> = BTreeMap::new();
    for judged in lanes {
        rungs
            .entry(step(judged))
            .or_default()
            .insert(&judged.lane.to);
    }
    let mut destinations = rungs.values();
    let first = destinations.next();
    destinations.any(|others| Some(others) != first)
}

fn outcome_of_ways(lanes: &[&Judged]) -> Outcome {
    let choice =
        |judged: &&Judged| judged.lane.ladder.is_some() || judged.lane.alternative_to.is_some();
    if !lanes.iter().any(choice) {
        return worst(lanes.iter().map(|judged| judged.outcome));
    }
    let passed: Vec<&&Judged> = lanes.iter().filter(|judged| judged.passed()).collect();
    match passed.iter().map(|judged| step(judged)).min() {
        Some(1) => worst(
            passed
                .iter()
                .filter(|one| step(one) == 1)
                .map(|one| one.outcome),
        ),
        // It works, but not in the way that is best.
        Some(_) => Outcome::Warn,
        None => worst(lanes.iter().map(|judged| judged.outcome)),
    }
}

fn step(judged: &Judged) -> usize {
    judged.lane.ladder.as_ref().map_or(1, |rung| rung.step)
}

fn worst(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    outcomes
        .max_by_key(|one| weight(*one))
        .unwrap_or(Outcome::NotRun)
}
