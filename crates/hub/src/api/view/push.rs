//! Push.

use serde::Serialize;
use utoipa::ToSchema;

use outgate_core::{Timestamp, registrations};

use crate::push::Outcome;

/// Where a device is reached by push. The token itself is not told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PushRegistration)]
pub(crate) struct Registration {
    /// What it is called here.
    #[schema(example = "ba7816bf8f01cfea")]
    id: String,
    /// Since when it is known.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

impl From<registrations::Registration> for Registration {
    fn from(registration: registrations::Registration) -> Self {
        Self {
            id: registration.name(),
            since: registration.since,
        }
    }
}

/// Where a device is reached by push, all of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PushRegistrationList)]
pub(crate) struct RegistrationList {
    /// The registrations, oldest first.
    items: Vec<Registration>,
}

impl From<Vec<registrations::Registration>> for RegistrationList {
    fn from(registrations: Vec<registrations::Registration>) -> Self {
        let items = registrations.into_iter().map(Registration::from);
        Self {
            items: items.collect(),
        }
    }
}

/// What came of a message to a device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pushed {
    /// To how many registrations it was sent.
    sent: usize,
    /// How many registrations are no more, and have been forgotten.
    gone: usize,
    /// Why it was not sent to the others, one each.
    failed: Vec<String>,
}

impl From<Vec<Outcome>> for Pushed {
    fn from(outcomes: Vec<Outcome>) -> Self {
        let mut pushed = Self {
            sent: 0,
            gone: 0,
            failed: Vec::new(),
        };
        for outcome in outcomes {
            match outcome {
                Outcome::Sent => pushed.sent += 1,
                Outcome::Gone => pushed.gone += 1,
                Outcome::Failed(why) | Outcome::Late(why) => pushed.failed.push(why),
            }
        }
        pushed
    }
}
