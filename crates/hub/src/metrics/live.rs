//! What is counted of look-ups.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;

/// What is counted of look-ups.
#[derive(Debug)]
pub(super) struct Counted {
    lookups: Family<Lookup, Counter>,
    seconds: Family<Target, Histogram, Fine>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lookup {
    target: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Target {
    target: String,
}

/// Makes the histogram of a new label: from 0.25 ms to 65 s, each bound twice the one before, so
/// that a p99 is right within a factor of two.
#[derive(Clone, Copy, Debug)]
struct Fine;

impl MetricConstructor<Histogram> for Fine {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(0.00025, 2.0, 19))
    }
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            lookups: Family::default(),
            seconds: Family::new_with_constructor(Fine),
        }
    }
}

impl Counted {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "live_lookups",
            "Look-ups by what came of them",
            self.lookups.clone(),
        );
        to.register_with_unit(
            "live_lookup",
            "From a look-up until its answer",
            Unit::Seconds,
            self.seconds.clone(),
        );
    }
}

impl Metrics {
    /// A look-up at `target`, which is named by the configuration.
    pub(crate) fn looked_up(&self, target: &str, outcome: &'static str, took: Duration) {
        let counted = &self.0.live;
        let target = target.to_owned();
        let seconds = counted.seconds.get_or_create(&Target {
            target: target.clone(),
        });
        seconds.observe(took.as_secs_f64());
        let lookup = Lookup { target, outcome };
        counted.lookups.get_or_create(&lookup).inc();
    }
}
