//! From what the probes of a lane found to the lane's outcome.

use std::collections::{BTreeMap, BTreeSet};

use outgate_manifest::{Id, Lane, PortRange, Target, Transport};
use outgate_probe::{Ask, Attempt, Finding, Host, Outcome, Trouble};

/// The most DHCP servers that are told of in one line.
const MAX_SERVERS: usize = 4;

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
    pub(crate) fn new(lane: Lane, mut probes: Vec<(Ask, Finding)>) -> Self {
        let mutual = lane.tls.as_ref().is_some_and(|tls| tls.mutual);
        let mut reason = None;
        for (_, finding) in &mut probes {
            reason = reason.or(if mutual { judge_mutual(finding) } else { None });
        }
        let worst = probes
            .iter()
            .map(|(_, finding)| finding)
            .max_by_key(|f| weight(f.outcome));
        let outcome = worst.map_or(Outcome::NotRun, |finding| finding.outcome);
        let trouble = worst.and_then(|finding| finding.trouble.clone());
        if outcome == Outcome::Pass && lane.protocol.is_unspecified() {
            reason = Some("the port opens; the document does not say what is spoken here".into());
        }
        if outcome == Outcome::Pass && probes.iter().any(|(_, finding)| wants_login(finding)) {
            reason = Some("the server speaks MQTT and asks for a login, as it should".into());
        }
        if outcome == Outcome::Pass {
            reason = reason.or_else(|| probes.iter().find_map(|(_, finding)| sampled(finding)));
        }
        if outcome == Outcome::Pass && lane.protocol.is_vendors_own() {
            reason = Some("the port opens; what is spoken there is not published".into());
        }
        if outcome == Outcome::Pass {
            reason = reason.or_else(|| handed_out(&probes));
        }
        if let Some(Trouble::AddressUnknown { role }) = &trouble {
            let port = lane
                .ports
                .map_or_else(String::new, |ports| ports.low().to_string());
            reason = Some(format!(
                "where {role} is differs from site to site; say it with its setting (--set), or \
                 with --connect-to '{role}:{port}:ADDRESS:{port}'"
            ));
        }
        let asks_dhcp = probes.iter().any(|(ask, _)| ask.host == Host::TimeServers);
        if let (true, Outcome::NotRun, Some(trouble)) = (asks_dhcp, outcome, &trouble) {
            reason = Some(format!(
                "{trouble}; say where the time servers are with --connect-to \
                 'ntp-servers:123:ADDRESS:123'"
            ));
        }
        let blocked_by = Vec::new();
        Self {
            lane,
            probes,
            outcome,
            trouble,
            clock: None,
            reason,
            blocked_by,
        }
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

/// Judges a finding on a lane where both ends show certificates. A server that asks for one was
/// reached: a probe has none and can come no further. One that does not ask may be somebody else.
fn judge_mutual(finding: &mut Finding) -> Option<String> {
    if finding.trouble == Some(Trouble::ClientCertificateWanted) {
        finding.outcome = Outcome::Pass;
        finding.trouble = None;
        return Some("the server asks for the device's certificate, as it should".into());
    }
    let asked = |attempt: &Attempt| {
        attempt
            .tls
            .as_ref()
            .is_none_or(|tls| tls.client_certificate_asked)
    };
    if finding.outcome == Outcome::Pass && !finding.attempts.iter().all(asked) {
        finding.outcome = Outcome::Warn;
        return Some(
            "the server does not ask for the device's certificate, as it should: somebody else \
             may be answering"
                .into(),
        );
    }
    None
}

/// Whether an MQTT server asked who is there.
fn wants_login(finding: &Finding) -> bool {
    let answers = finding.attempts.iter().filter_map(|it| it.mqtt.as_ref());
    answers.into_iter().any(|answer| answer.login_wanted)
}

/// What DHCP hands out, for whoever wants to know what devices get here.
fn handed_out(probes: &[(Ask, Finding)]) -> Option<String> {
    let attempts = probes.iter().flat_map(|(_, finding)| &finding.attempts);
    let servers = attempts.filter_map(|it| it.dhcp.as_ref());
    let servers = servers.flat_map(|it| &it.servers).map(ToString::to_string);
    let told: Vec<String> = servers.take(MAX_SERVERS).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// That not all ports of a range were asked.
fn sampled(finding: &Finding) -> Option<String> {
    let mut ranges = finding.attempts.iter().filter_map(|it| it.rtp.as_ref());
    let rtp = ranges.find(|rtp| rtp.step > 1)?;
    Some(format!(
        "{} ports of {}-{} were asked, one in {}; all of them answered",
        rtp.asked, rtp.first, rtp.last, rtp.step
    ))
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

/// The outcome of a flow. All of its destinations must be reached; of the rungs of a ladder one
/// is enough. Places that a firewall may open instead of a name decide nothing: the product uses
/// the name.
pub(crate) fn flow_outcome(lanes: &[&Judged]) -> Outcome {
    let moves = moves_with_its_rungs(lanes);
    let mut ways: BTreeMap<(&Id, String), Vec<&Judged>> = BTreeMap::new();
    for judged in lanes
        .iter()
        .filter(|judged| judged.lane.alternative_to.is_none())
    {
        let lane = &judged.lane;
        let destination = if moves {
            String::new()
        } else {
            lane.to.value()
        };
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

/// The outcome of the ways to one destination: of the first rung that works, and a warning when
/// a better one was seen not to. What was not run says nothing about a rung.
fn outcome_of_ways(lanes: &[&Judged]) -> Outcome {
    let mut rungs: BTreeMap<usize, Vec<&Judged>> = BTreeMap::new();
    for judged in lanes {
        rungs.entry(step(judged)).or_default().push(judged);
    }
    let mut before = Outcome::Pass;
    for rung in rungs.values() {
        let outcome = outcome_of_rung(rung);
        match outcome {
            Outcome::Pass | Outcome::Warn if before == Outcome::Fail => return Outcome::Warn,
            Outcome::Pass | Outcome::Warn => return outcome,
            Outcome::Fail | Outcome::NotRun | Outcome::NotApplicable => {
                before = worst([before, outcome].into_iter());
            }
        }
    }
    before
}

/// The outcome of one rung: every port must work. Where a rung has a port over TCP and UDP, one
/// of the two is enough; a flow without a ladder needs both.
fn outcome_of_rung(lanes: &[&Judged]) -> Outcome {
    let mut ports: BTreeMap<_, Vec<&Judged>> = BTreeMap::new();
    for judged in lanes {
        ports.entry(judged.lane.ports).or_default().push(judged);
    }
    worst(ports.values().map(|transports| {
        let outcomes = || transports.iter().map(|judged| judged.outcome);
        let choice = transports.iter().any(|judged| judged.lane.ladder.is_some());
        if choice {
            outcomes().min_by_key(|one| weight(*one))
        } else {
            None
        }
        .unwrap_or_else(|| worst(outcomes()))
    }))
}

fn step(judged: &Judged) -> usize {
    judged.lane.ladder.as_ref().map_or(1, |rung| rung.step)
}

fn worst(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    outcomes
        .max_by_key(|one| weight(*one))
        .unwrap_or(Outcome::NotRun)
}

/// Places that a firewall may open instead of a name are not needed when the name works.
pub(crate) fn excuse_alternatives(lanes: &mut [Judged]) {
    let works: BTreeSet<_> = lanes
        .iter()
        .filter(|judged| judged.passed())
        .map(|judged| way(judged, judged.lane.to.value()))
        .collect();
    for judged in lanes
        .iter_mut()
        .filter(|judged| judged.outcome == Outcome::Fail)
    {
        if let Some(name) = judged.lane.alternative_to.clone()
            && works.contains(&way(judged, name.clone()))
        {
            judged.outcome = Outcome::NotApplicable;
            judged.trouble = None;
            judged.reason = Some(format!("{name} works, so this is not needed in its place"));
        }
    }
}

/// What a lane has in common with one that stands in for it.
fn way(judged: &Judged, destination: String) -> (Id, Id, String, Transport, Option<PortRange>) {
    let lane = &judged.lane;
    (
        lane.flow.clone(),
        lane.from.clone(),
        destination,
        lane.transport,
        lane.ports,
    )
}
