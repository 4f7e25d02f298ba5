//! Progress of a check, on a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use outgate_check::{Event, Plan};
use outgate_probe::Outcome;

/// How often the line is drawn at the most.
const TICK: Duration = Duration::from_millis(100);

/// A line that shows how far a check is: drawn on standard error if that is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    lanes: Vec<String>,
    running: Vec<usize>,
    failed: usize,
}

impl Progress {
    /// Nothing has started yet. The line stands among those of `all`.
    pub(crate) fn new(plan: &Plan, all: &MultiProgress) -> Self {
        let total = u64::try_from(plan.lanes.len()).unwrap_or(u64::MAX);
        let bar = all.add(ProgressBar::new(total));
        let style = ProgressStyle::with_template("{spinner} {pos}/{len} lanes {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(TICK);
        let lanes = plan
            .lanes
            .iter()
            .map(|planned| format!("{} {}", planned.lane.flow, planned.lane.to.value()));
        Self {
            bar,
            lanes: lanes.collect(),
            running: Vec::new(),
            failed: 0,
        }
    }

    /// Takes one event of the check.
    pub(crate) fn on_event(&mut self, event: Event) {
        match event {
            Event::Started { lane } => self.running.push(lane),
            Event::Finished { lane, outcome } => {
                self.running.retain(|one| *one != lane);
                self.failed += usize::from(outcome == Outcome::Fail);
                self.bar.inc(1);
            }
        }
        let oldest = self.running.first().and_then(|lane| self.lanes.get(*lane));
        let failed = match self.failed {
            0 => String::new(),
            failed => format!("{failed} failed, "),
        };
        let waiting = oldest.map_or_else(String::new, |lane| format!("waiting for {lane}"));
        self.bar.set_message(format!("{failed}{waiting}"));
    }

    /// Takes the line away.
    pub(crate) fn end(self) {
        self.bar.finish_and_clear();
    }
}
