//! Exercising the lanes of a plan: as many at once as is polite, in the order that flows demand.

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
use crate::{cause, clock};

/// How many lanes are exercised at once unless the caller says otherwise.
pub const MAX_CONCURRENT: u16 = 32;

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
/// A lane starts when all lanes of the flows in its `after` are done, however they ended, and
/// says so if one of them failed. At most `concurrent` lanes are exercised at a time.
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
    /// How many lanes of a flow are not done yet.
    open: BTreeMap<Id, usize>,
    concurrent: usize,
}

impl Course<'_> {
    fn new(plan: Plan, concurrent: usize) -> Self {
        let mut open = BTreeMap::new();
        for planned in &plan.lanes {
            *open.entry(planned.lane.flow.clone()).or_insert(0) += 1;
        }
        Self {
            waiting: plan.lanes.into_iter().enumerate().collect(),
            running: FuturesUnordered::new(),
            done: BTreeMap::new(),
            open,
            concurrent,
        }
    }

    /// A lane that may start now. A manifest in which flows wait for each other is refused when
    /// it is read, so something can always start until nothing waits.
    fn next(&mut self) -> Option<(usize, PlannedLane)> {
        if self.running.len() >= self.concurrent {
            return None;
        }
        let ready = |planned: &PlannedLane| {
            planned
                .lane
                .after
                .iter()
                .all(|flow| self.open.get(flow).is_none_or(|left| *left == 0))
        };
        let at = *self.waiting.iter().find(|(_, planned)| ready(planned))?.0;
        self.waiting.remove(&at).map(|planned| (at, planned))
    }

    fn finish(&mut self, at: usize, judged: Judged) -> Outcome {
        if let Some(left) = self.open.get_mut(&judged.lane.flow) {
            *left -= 1;
        }
        let outcome = judged.outcome;
        self.done.insert(at, judged);
        outcome
    }

    /// All lanes. What could never start was not run; it is not left out.
    fn into_lanes(mut self) -> Vec<Judged> {
        for (at, planned) in self.waiting {
            let why = "it waits for flows that wait for it".to_owned();
            self.done.insert(at, Judged::not_run(planned.lane, why));
        }
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
