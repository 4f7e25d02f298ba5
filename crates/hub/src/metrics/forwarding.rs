//! What is counted of logs that are sent on.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Metrics, Outcome};

/// What is counted of logs that are sent on.
#[derive(Debug, Default)]
pub(super) struct Counted {
    records: Family<Outcome, Counter>,
    attempts: Family<Outcome, Counter>,
    behind: Gauge,
}

impl Counted {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "log_records_forwarded",
            "Log records sent on by what became of them",
            self.records.clone(),
        );
        to.register(
            "log_forwarding_attempts",
            "Requests to the collector of logs by what came of them",
            self.attempts.clone(),
        );
        to.register(
            "log_forwarding_behind",
            "Log records that have not been sent on",
            self.behind.clone(),
        );
    }
}

impl Metrics {
    /// A request by which logs are sent on: `taken`, `unwanted`, `away`.
    pub(crate) fn logs_tried(&self, outcome: &'static str) {
        let attempts = &self.0.forwarding.attempts;
        attempts.get_or_create(&Outcome { outcome }).inc();
    }

    /// What became of log records that were to be sent on: `taken`, `rejected`, or `lost`, because
    /// they were cleared away before.
    pub(crate) fn logs_forwarded(&self, outcome: &'static str, records: u64) {
        let forwarded = &self.0.forwarding.records;
        forwarded
            .get_or_create(&Outcome { outcome })
            .inc_by(records);
    }

    /// How many log records have not been sent on.
    pub(crate) fn logs_behind(&self, records: u64) {
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        self.0.forwarding.behind.set(records);
    }
}
