//! How often one device may do what.

use outgate_core::Limits;

use super::{ConfigError, file, within};

/// How often one device may do what, a second and on average, 1 to 1,000,000 each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRates {
    /// Events.
    pub events: u32,
    /// Messages to other devices.
    pub messages: u32,
    /// Reports of its twin.
    pub reports: u32,
    /// Subscriptions, new or renewed.
    pub subscriptions: u32,
    /// Log records.
    pub logs: u32,
}

impl DeviceRates {
    /// Fills in the defaults and checks the ranges.
    pub(super) fn new(file: &file::Limits) -> Result<Self, ConfigError> {
        let usual = Limits::default();
        let rate = |key, given, default| within(key, given, default, 1..=1_000_000);
        Ok(Self {
            events: rate(
                "limits.events-a-second",
                file.events_a_second,
                usual.events_a_second,
            )?,
            messages: rate(
                "limits.messages-a-second",
                file.messages_a_second,
                usual.messages_a_second,
            )?,
            reports: rate(
                "limits.reports-a-second",
                file.reports_a_second,
                usual.reports_a_second,
            )?,
            subscriptions: rate(
                "limits.subscriptions-a-second",
                file.subscriptions_a_second,
                usual.subscriptions_a_second,
            )?,
            logs: rate(
                "limits.logs-a-second",
                file.logs_a_second,
                usual.logs_a_second,
            )?,
        })
    }
}
