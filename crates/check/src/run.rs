//! Exercising the lanes of a plan: all at once, up to a limit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use outgate_manifest::Id;
use outgate_probe::{Outcome, Path};
use tokio::time::Instant;

use crate::judge::{Judged, excuse_alternatives, flow_outcome};
use crate::plan::{Plan, PlannedLane, Subject};
use crate::report::{Heading, Report};
use crate::{cause, clock, speech};

/// How many lanes are exercised at once unless the caller says otherwise: more than any product
/// that ships has for one party, so that a site where nobody answers takes no longer than its
/// slowest lane.
pub const MAX_CONCURRENT: u16 = 128;

/// What happens while a check runs, for whoever shows its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A lane is being exercised.
    Started {
        /// Its place in the plan.
        lane: usize,
    },
    /// A lane is done.
    Finished {
        /// Its place in the plan.
        lane: usize,
        /// How it ended, before all evidence is joined.
        outcome: Outcome,
    },
}

/// Exercises all lanes of a plan and joins what was found.
///
/// At most `concurrent` lanes are exercised at a time. What a lane needs first starts before it,
/// and is not waited for: it is exercised however that ends, so waiting would only add up the
/// time-outs of a site where nobody answers. A lane says so if what it needs first failed.
pub async fn run(
    plan: Plan,
    heading: Heading,
    path: &Path,
    concurrent: u16,
    mut on_event: impl FnMut(Event),
) -> Report {
    let started = (path.now(), Instant::now());
    let mut course = Course::new(plan, usize::from(concurrent.max(1)));
    loop {
        while let Some((at, planned)) = course.next() {
            on_event(Event::Started { lane: at });
            course.running.push(exercise(at, planned, path));
        }
        let Some((at, judged)) = course.running.next().await else {
            break;
        };
        let outcome = course.finish(at, judged);
        on_event(Event::Finished { lane: at, outcome });
    }
    conclude(course.into_lanes(), heading, started.0, started.1.elapsed())
}

async fn ask_all(planned: PlannedLane, path: &Path) -> Judged {
    let PlannedLane { lane, subject } = planned;
    match subject {
        Subject::NotRun(why) => Judged::not_run(lane, why),
        Subject::Probe { probe, asks } => {
            let findings = join_all(asks.iter().map(|ask| probe.run(ask, path))).await;
            Judged::new(lane, asks.into_iter().zip(findings).collect())
        }
    }
}

fn exercise(at: usize, planned: PlannedLane, path: &Path) -> BoxFuture<'_, (usize, Judged)> {
    Box::pin(async move { (at, ask_all(planned, path).await) })
}

/// The lanes that wait, that are being exercised, and that are done.
struct Course<'a> {
    waiting: BTreeMap<usize, PlannedLane>,
    running: FuturesUnordered<BoxFuture<'a, (usize, Judged)>>,
    done: BTreeMap<usize, Judged>,
    /// How many lanes of a flow have not started yet.
    unstarted: BTreeMap<Id, usize>,
    concurrent: usize,
}

impl Course<'_> {
    fn new(plan: Plan, concurrent: usize) -> Self {
        let mut unstarted = BTreeMap::new();
        for planned in &plan.lanes {
            *unstarted.entry(planned.lane.flow.clone()).or_insert(0) += 1;
        }
        Self {
            waiting: plan.lanes.into_iter().enumerate().collect(),
            running: FuturesUnordered::new(),
            done: BTreeMap::new(),
            unstarted,
            concurrent,
        }
    }

    /// A lane that may start now: the first whose needs have started, of which there always is one
    /// in a manifest, for flows that need each other are refused when it is read.
    fn next(&mut self) -> Option<(usize, PlannedLane)> {
        if self.running.len() >= self.concurrent {
            return None;
        }
        let ready = |planned: &PlannedLane| {
            planned
                .lane
                .after
                .iter()
                .all(|flow| self.unstarted.get(flow).is_none_or(|left| *left == 0))
        };
        let first_ready = self.waiting.iter().find(|(_, planned)| ready(planned));
        let at = *first_ready.or_else(|| self.waiting.iter().next())?.0;
        let planned = self.waiting.remove(&at)?;
        if let Some(left) = self.unstarted.get_mut(&planned.lane.flow) {
            *left -= 1;
        }
        Some((at, planned))
    }

    fn finish(&mut self, at: usize, judged: Judged) -> Outcome {
        let outcome = judged.outcome;
        self.done.insert(at, judged);
        outcome
    }

    /// All lanes, in the order of the plan.
    fn into_lanes(self) -> Vec<Judged> {
        self.done.into_values().collect()
    }
}

/// Joins the evidence of all lanes.
pub(crate) fn conclude(
    mut lanes: Vec<Judged>,
    heading: Heading,
    now: SystemTime,
    took: Duration,
) -> Report {
    let clock = clock::settle(&mut lanes, now);
    speech::settle(&mut lanes);
    excuse_alternatives(&mut lanes);
    let failed = failed_flows(&lanes);
    for judged in &mut lanes {
        let first = judged
            .lane
            .after
            .iter()
            .filter(|flow| failed.contains(*flow))
            .cloned();
        judged.hold_back(first.collect());
    }
    let causes = cause::join(&lanes, clock, now, heading.language);
    Report::new(heading, lanes, causes, now, took)
}

fn failed_flows(lanes: &[Judged]) -> BTreeSet<Id> {
    let flows: BTreeSet<&Id> = lanes.iter().map(|judged| &judged.lane.flow).collect();
    let failed = flows.into_iter().filter(|flow| {
        let own: Vec<&Judged> = lanes.iter().filter(|one| one.lane.flow == **flow).collect();
        flow_outcome(&own) == Outcome::Fail
    });
    failed.cloned().collect()
}
