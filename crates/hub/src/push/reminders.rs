//! A push to each device that is away while commands wait for it, as far as that is configured.
//!
//! Which device, and when, the core says; a command is taken before anything of this is done.

use std::time::Duration;

use outgate_core::Core;
use outgate_core::reminders::{Due, Reminded, Reminder};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Message, Outcome, Push};
use crate::config::Reminders;
use crate::http::begun;
use crate::webhooks::{STORE_WAIT, Timer};

/// How long one push is tried; then it is its device's turn again later.
const DEADLINE: Duration = Duration::from_secs(300);

/// The most devices that are pushed to at a time. They share the ways to Google with the pushes
/// that somebody asks for, each in its turn.
const MAX_UNDER_WAY: usize = 16;

/// Under which name one push takes the place of the one before.
const COLLAPSE: &str = "outgate-commands";

/// What tells the application why it was woken: the name of a datum, and the datum.
const DATUM: (&str, &str) = ("outgate", "commands");

/// Pushes to whom the core says, until the hub goes down.
pub(crate) async fn run(
    core: Core,
    push: Push,
    settings: Reminders,
    timer: Timer,
    draining: watch::Receiver<bool>,
) {
    tokio::select! {
        () = remind(&core, &push, &settings, &timer) => {}
        // What is under way is begun again at the next start.
        () = begun(draining) => {}
    }
}

async fn remind(core: &Core, push: &Push, settings: &Reminders, timer: &Timer) {
    let reminders = &core.reminders;
    let mut changes = reminders.changes();
    let mut under_way = JoinSet::new();
    loop {
        // Noted before the store is asked, so that nothing falls in between.
        changes.borrow_and_update();
        let room = MAX_UNDER_WAY.saturating_sub(under_way.len());
        let due = if room == 0 {
            Ok(Due::default())
        } else {
            reminders.due(room).await
        };
        let next = match due {
            Ok(due) => {
                for reminder in due.reminders {
                    let (core, push, timer) = (core.clone(), push.clone(), timer.clone());
                    let message = message(settings, &reminder, &core);
                    under_way
                        .spawn(async move { one(&core, &push, &timer, &message, reminder).await });
                }
                due.next
            }
            Err(refusal) => {
                tracing::error!(error = %refusal, "reminders must wait");
                Some(STORE_WAIT)
            }
        };
        let next = async {
            match next {
                Some(next) => timer.wait(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = next => {}
            // An error means that there will be no more news.
            _ = changes.changed() => {}
            Some(_) = under_way.join_next() => {}
        }
    }
}

/// What is pushed: nothing of the commands themselves, which are nobody's business on the way.
fn message(settings: &Reminders, reminder: &Reminder, core: &Core) -> Message {
    Message {
        title: settings.title.clone(),
        body: settings.body.clone(),
        data: [(DATUM.0.to_owned(), DATUM.1.to_owned())].into(),
        urgent: settings.urgent,
        lasts: Some(reminder.until.since(core.clock.now()).min(super::MAX_LASTS)),
        collapse: Some(COLLAPSE.to_owned()),
    }
}

/// Pushes to each registration of one device, and notes how that ended: for as long as that is not
/// noted the device is reminded of nothing else.
async fn one(core: &Core, push: &Push, timer: &Timer, message: &Message, reminder: Reminder) {
    let Reminder { device, at, .. } = reminder;
    let outcomes = push.send(message, &at, DEADLINE).await;
    let is_late = outcomes.iter().any(|it| matches!(it, Outcome::Late(_)));
    if let Err(refusal) = super::forget_gone(core, &device, at, &outcomes).await {
        // They are found to be gone again by the next push.
        tracing::warn!(error = %refusal, "registrations that are gone are not forgotten");
    }
    loop {
        let how = if is_late {
            Reminded::Later
        } else {
            Reminded::Done
        };
        match core.reminders.ended(&device, how).await {
            Ok(()) => return,
            Err(refusal) => {
                tracing::error!(error = %refusal, "how a reminder ended is not noted yet");
                timer.wait(STORE_WAIT).await;
            }
        }
    }
}
