//! How often each device may do one thing.

use super::{Rate, Rates};
use crate::clock::Clock;
use crate::happening::{Happening, Hook};
use crate::id::DeviceId;
use crate::refusal::Refusal;
use crate::sessions::Pass;

/// How often each device may do one thing. Who comes too soon is told of.
#[derive(Debug)]
pub(crate) struct Turns {
    /// What is done, in the plural.
    what: &'static str,
    rates: Rates<DeviceId>,
    hook: Hook,
}

impl Turns {
    pub(crate) fn new(what: &'static str, rate: Rate, clock: Clock, hook: Hook) -> Self {
        Self {
            what,
            rates: Rates::new(rate, clock),
            hook,
        }
    }

    /// Goes on with another rate.
    pub(crate) fn set(&self, rate: Rate) {
        self.rates.set(rate);
    }

    /// Lets the device of `pass` do it once. Who is no device is not held up.
    ///
    /// # Errors
    /// [`Refusal::Limited`].
    pub(crate) fn take(&self, pass: &Pass) -> Result<(), Refusal> {
        self.taken(pass, Rates::take)
    }

    /// As [`Turns::take`], also when it is too soon: what comes after waits for that much longer.
    ///
    /// # Errors
    /// [`Refusal::Limited`] when nobody may do it ever.
    pub(crate) fn take_ahead(&self, pass: &Pass) -> Result<(), Refusal> {
        self.taken(pass, Rates::take_ahead)
    }

    fn taken(
        &self,
        pass: &Pass,
        take: fn(&Rates<DeviceId>, &DeviceId) -> Result<(), std::time::Duration>,
    ) -> Result<(), Refusal> {
        let Ok(device) = pass.device() else {
            return Ok(());
        };
        take(&self.rates, device).map_err(|retry_after| {
            let what = self.what;
            self.hook.tell(&Happening::Limited { what });
            Refusal::Limited { what, retry_after }
        })
    }
}
