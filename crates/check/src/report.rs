//! The result of a check, in the stable form that programs read.

mod html;
mod junit;
mod mask;
mod metrics;

use std::time::{Duration, SystemTime};

use outgate_manifest::document::product::Need;
use outgate_manifest::view::{LaneView, SCHEMA};
use outgate_probe::{Ask, Finding, Outcome, Path, Sent, Trouble};
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;

use crate::cause::{Cause, CauseKind, Owner};
use crate::firewall::CauseRules;
use crate::judge::{Judged, flow_outcome};
use crate::plan::{Plan, Subject};
use crate::words::Language;

pub use html::html;
pub use junit::junit;
pub use mask::{Mask, tell_texts};
pub use metrics::metrics;

/// What was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Heading {
    /// The product's id.
    pub product: String,
    /// The product version, or `newest`.
    pub version: String,
    /// The party in whose place the check was run.
    pub from: String,
    /// The network namespace that the check was run in; null where that is the caller's own.
    pub netns: Option<String>,
    /// The user that the check was run as; null where that is the caller.
    pub user: Option<String>,
    /// The language of causes and what to do about them.
    pub language: Language,
}

/// The result of a check.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Report {
    /// Version of the JSON form.
    pub schema: u32,
    /// What was checked.
    #[serde(flatten)]
    pub heading: Heading,
    /// The result in one word.
    pub verdict: Verdict,
    /// When it was started, by this machine's clock.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub started: OffsetDateTime,
    /// How long it took, in microseconds.
    pub took_micros: u64,
    /// How many lanes ended in which way.
    pub counts: Counts,
    /// Why lanes did not work; the cause of most lanes first.
    pub causes: Vec<CauseView>,
    /// Every lane, in the order of the manifest.
    pub lanes: Vec<LaneReport>,
}

impl Report {
    /// The JSON Schema (2020-12) of a report's JSON form, at version [`SCHEMA`].
    pub fn json_schema() -> serde_json::Value {
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
        let mut schema = settings.into_generator().into_root_schema_for::<Self>();
        schema.insert("title".into(), "Outgate check report".into());
        schema.into()
    }
}

/// The result of a check in one word. It also decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything works.
    Pass,
    /// Everything required works, but something else does not, or not in the best way.
    Warn,
    /// Nothing required failed, but something required was not exercised.
    Incomplete,
    /// Something required does not work.
    Fail,
}

impl Verdict {
    /// The exit code of a command that ends with this verdict.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Warn => 4,
            Self::Incomplete => 5,
            Self::Fail => 3,
        }
    }

    /// The verdict on several checks together.
    pub fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        let weight = |verdict: &Self| match verdict {
            Self::Pass => 0,
            Self::Warn => 1,
            Self::Incomplete => 2,
            Self::Fail => 3,
        };
        all.into_iter().max_by_key(weight).unwrap_or(Self::Pass)
    }
}

/// How many lanes ended in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Counts {
    /// They worked.
    pub pass: usize,
    /// They worked in part.
    pub warn: usize,
    /// They did not work.
    pub fail: usize,
    /// They make no sense here.
    pub not_applicable: usize,
    /// They were not exercised.
    pub not_run: usize,
}

/// Why lanes did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CauseView {
    /// What kind of thing is wrong.
    pub kind: CauseKind,
    /// What it is about: a name, a port, an issuer; empty where there is only one.
    pub subject: String,
    /// Whose it is to mend.
    pub owner: Owner,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub act: String,
    /// The lanes that it takes down, by their place in `lanes`, from 0.
    pub lanes: Vec<usize>,
    /// What lets these lanes through; null where no firewall was named, and where no rule mends it.
    pub rules: Option<CauseRules>,
}

/// A lane and how it ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LaneReport {
    /// The lane.
    pub lane: LaneView,
    /// How it ended.
    pub outcome: Outcome,
    /// How long its probes took, in microseconds; 0 when there were none.
    pub took_micros: u64,
    /// The raw reason for anything but a pass.
    pub trouble: Option<Trouble>,
    /// What a reader should know, in a sentence.
    pub reason: Option<String>,
    /// Its causes, by their place in `causes`, from 0.
    pub causes: Vec<usize>,
    /// Flows that it needs first and that failed.
    pub blocked_by: Vec<String>,
    /// What was asked and found.
    pub probes: Vec<ProbeReport>,
}

/// What was asked and found.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProbeReport {
    /// Whom it asked.
    pub host: String,
    /// On which port; null for ICMP.
    pub port: Option<u16>,
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
}

impl Report {
    pub(crate) fn new(
        heading: Heading,
        lanes: Vec<Judged>,
        causes: Vec<Cause>,
        started: SystemTime,
        took: Duration,
    ) -> Self {
        let verdict = verdict(&lanes);
        let mut counts = Counts::default();
        for judged in &lanes {
            *match judged.outcome {
                Outcome::Pass => &mut counts.pass,
                Outcome::Warn => &mut counts.warn,
                Outcome::Fail => &mut counts.fail,
                Outcome::NotApplicable => &mut counts.not_applicable,
                Outcome::NotRun => &mut counts.not_run,
            } += 1;
        }
        let lanes = lanes
            .into_iter()
            .enumerate()
            .map(|(at, one)| LaneReport::new(one, at, &causes));
        Self {
            schema: SCHEMA,
            heading,
            verdict,
            started: started.into(),
            took_micros: micros(took),
            counts,
            lanes: lanes.collect(),
            causes: causes.into_iter().map(CauseView::from).collect(),
        }
    }
}

/// Flows count, not lanes: one rung of a ladder is enough.
fn verdict(lanes: &[Judged]) -> Verdict {
    let mut flows: Vec<(&str, Need, Vec<&Judged>)> = Vec::new();
    for judged in lanes {
        let id = judged.lane.flow.as_str();
        match flows.iter_mut().find(|(known, ..)| *known == id) {
            Some((.., own)) => own.push(judged),
            None => flows.push((id, judged.lane.need, vec![judged])),
        }
    }
    Verdict::worst(flows.into_iter().map(|(_, need, own)| {
        let required = need == Need::Required;
        match flow_outcome(&own) {
            Outcome::Pass | Outcome::NotApplicable => Verdict::Pass,
            Outcome::Fail if required => Verdict::Fail,
            Outcome::NotRun if required => Verdict::Incomplete,
            Outcome::NotRun => Verdict::Pass,
            Outcome::Fail | Outcome::Warn => Verdict::Warn,
        }
    }))
}

impl From<Cause> for CauseView {
    fn from(cause: Cause) -> Self {
        let Cause {
            kind,
            subject,
            owner,
            what,
            act,
            lanes,
        } = cause;
        Self {
            kind,
            subject,
            owner,
            what,
            act,
            lanes,
            rules: None,
        }
    }
}

impl LaneReport {
    fn new(judged: Judged, at: usize, causes: &[Cause]) -> Self {
        let took = judged.probes.iter().map(|(_, finding)| finding.took).max();
        let own = causes
            .iter()
            .enumerate()
            .filter(|(_, cause)| cause.lanes.contains(&at));
        let reason = judged
            .reason
            .or_else(|| judged.trouble.as_ref().map(ToString::to_string));
        Self {
            lane: LaneView::from(&judged.lane),
            outcome: judged.outcome,
            took_micros: micros(took.unwrap_or_default()),
            trouble: judged.trouble,
            reason,
            causes: own.map(|(place, _)| place).collect(),
            blocked_by: judged.blocked_by.iter().map(ToString::to_string).collect(),
            probes: judged.probes.into_iter().map(ProbeReport::from).collect(),
        }
    }
}

impl From<(Ask, Finding)> for ProbeReport {
    fn from((ask, finding): (Ask, Finding)) -> Self {
        Self {
            host: ask.host.to_string(),
            port: ask.port,
            finding,
        }
    }
}

/// A time as JSON has it, to the second.
fn rfc3339(time: OffsetDateTime) -> String {
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_else(|_| whole.to_string())
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// What a check would send.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlanView {
    /// Version of the JSON form.
    pub schema: u32,
    /// What would be checked.
    #[serde(flatten)]
    pub heading: Heading,
    /// Every lane, in the order of the manifest.
    pub lanes: Vec<PlannedView>,
}

/// What a check would send on one lane.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlannedView {
    /// The lane.
    pub lane: LaneView,
    /// Why nothing would be sent; null where something would be.
    pub not_run: Option<String>,
    /// What would be sent.
    pub probes: Vec<PlannedProbe>,
}

/// What one probe would send.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlannedProbe {
    /// Whom it would ask.
    pub host: String,
    /// On which port; null for ICMP.
    pub port: Option<u16>,
    /// What it would send to each address of the host, at the most.
    pub sends: Vec<Sent>,
}

impl PlanView {
    /// The view of a plan, carried out on this path.
    pub fn new(plan: &Plan, heading: Heading, path: &Path) -> Self {
        let lanes = plan.lanes.iter().map(|planned| {
            let lane = LaneView::from(&planned.lane);
            match &planned.subject {
                Subject::NotRun(why) => PlannedView {
                    lane,
                    not_run: Some(why.clone()),
                    probes: Vec::new(),
                },
                Subject::Probe { probe, asks } => {
                    let probes = asks.iter().map(|ask| PlannedProbe {
                        host: ask.host.to_string(),
                        port: ask.port,
                        sends: [probe.sends(ask), path.sends(ask)].concat(),
                    });
                    PlannedView {
                        lane,
                        not_run: None,
                        probes: probes.collect(),
                    }
                }
            }
        });
        Self {
            schema: SCHEMA,
            heading,
            lanes: lanes.collect(),
        }
    }
}
