//! A step of what a demo plays, and what came of it.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use serde::{Deserialize, Serialize};

/// How long a step may take, on a machine that is busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// It went as it should.
    Pass,
    /// It did not.
    Fail,
}

/// A step, and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Step {
    /// Its name.
    pub(super) step: String,
    /// What is done.
    pub(super) what: String,
    /// What came of it.
    pub(super) outcome: Outcome,
    /// How long it took, in microseconds.
    pub(super) took_micros: u64,
    /// What was seen; why it failed, if it did.
    pub(super) seen: String,
}

/// Does a step, and notes what came of it.
pub(super) async fn step(
    step: &str,
    what: &str,
    doing: impl Future<Output = anyhow::Result<String>>,
) -> Step {
    within(PATIENCE, step, what, doing).await
}

/// Does a step that may take longer than others.
pub(super) async fn within(
    patience: Duration,
    step: &str,
    what: &str,
    doing: impl Future<Output = anyhow::Result<String>>,
) -> Step {
    let since = Instant::now();
    let done = tokio::time::timeout(patience, doing).await;
    let done = done.unwrap_or_else(|_| Err(anyhow!("nothing came of it within {patience:?}")));
    let (outcome, seen) = match done {
        Ok(seen) => (Outcome::Pass, seen),
        Err(error) => (Outcome::Fail, format!("{error:#}")),
    };
    Step {
        step: step.to_owned(),
        what: what.to_owned(),
        outcome,
        took_micros: u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX),
        seen,
    }
}

impl Step {
    /// Whether it went as it should.
    pub(super) fn passed(&self) -> bool {
        self.outcome == Outcome::Pass
    }
}
