//! What goes on beside connections: clearing away, pushing events to webhooks, letting schedules
//! come, reminding devices that are away.

use std::time::Duration;

use outgate_core::Core;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::State;
use crate::webhooks::{self, Timer};
use crate::{push, schedules};

/// How often what is past its time is cleared away.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Starts what goes on until the hub goes down.
pub(super) fn start(state: &State, settings: webhooks::Settings) -> JoinSet<()> {
    let mut upkeep = JoinSet::new();
    upkeep.spawn(tidy(state.core.clone(), state.draining.clone()));
    let (core, metrics) = (state.core.clone(), state.metrics.clone());
    let draining = state.draining.clone();
    upkeep.spawn(async move {
        if let Err(error) = webhooks::run(core, metrics, settings, draining).await {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "nothing is sent to webhooks");
        }
    });
    let (core, timer) = (state.core.clone(), Timer::default());
    upkeep.spawn(schedules::run(core, timer, state.draining.clone()));
    if let Some(reminders) = state.config.load().reminders().cloned() {
        let (core, push) = (state.core.clone(), state.push.clone());
        let (timer, draining) = (Timer::default(), state.draining.clone());
        upkeep.spawn(push::remind(core, push, reminders, timer, draining));
    }
    upkeep
}

async fn tidy(core: Core, draining: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(TIDY_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let down = crate::http::begun(draining);
    tokio::pin!(down);
    loop {
        tokio::select! {
            _ = every.tick() => {
                if let Err(error) = core.tidy().await {
                    tracing::warn!(%error, "what is past its time could not be cleared away");
                }
            }
            () = down.as_mut() => break,
        }
    }
}
