//! The report for Prometheus.

use std::fmt;
use std::sync::atomic::AtomicU64;

use outgate_probe::Outcome;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::{LaneReport, Report};

const MICROS_PER_SECOND: f64 = 1_000_000.0;

/// Seconds, and times.
type Seconds = Gauge<f64, AtomicU64>;

/// What sets one lane apart from all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lane {
    product: String,
    flow: String,
    to: String,
    transport: String,
    /// First and last port; empty where there are none.
    ports: String,
    protocol: String,
    need: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneOutcome {
    product: String,
    flow: String,
    to: String,
    transport: String,
    ports: String,
    protocol: String,
    need: String,
    outcome: String,
    /// The kinds of its causes, or else of its trouble; empty for a pass.
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabels {
    product: String,
    kind: String,
    owner: String,
    subject: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Product {
    product: String,
}

/// The last report in the text format of OpenMetrics 1.0: for each lane whether it works, how it
/// ended and why, and how long it took; for each cause how many lanes it takes down. Lanes are as
/// many as the manifest has, and causes fewer.
///
/// # Errors
///
/// Never in practice: writing to memory does not fail.
pub fn metrics(report: &Report) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("outgate_check");
    lanes(report, &mut registry);
    let product = Product {
        product: report.heading.product.clone(),
    };
    let causes = Family::<CauseLabels, Gauge>::default();
    registry.register(
        "cause_lanes",
        "Lanes that a cause takes down",
        causes.clone(),
    );
    for cause in &report.causes {
        let labels = CauseLabels {
            product: product.product.clone(),
            kind: cause.kind.to_string(),
            owner: word(&cause.owner),
            subject: cause.subject.clone(),
        };
        let count = i64::try_from(cause.lanes.len()).unwrap_or(i64::MAX);
        causes.get_or_create(&labels).set(count);
    }
    let verdict = Family::<Product, Gauge>::default();
    registry.register(
        "verdict",
        "Exit code of the check: 0 pass, 3 fail, 4 warn, 5 incomplete",
        verdict.clone(),
    );
    verdict
        .get_or_create(&product)
        .set(report.verdict.exit_code().into());
    let took = Family::<Product, Seconds>::default();
    registry.register_with_unit(
        "duration",
        "How long the check took",
        Unit::Seconds,
        took.clone(),
    );
    took.get_or_create(&product)
        .set(seconds(report.took_micros));
    let started = Family::<Product, Seconds>::default();
    registry.register_with_unit(
        "started_timestamp",
        "When the check was started, since 1970",
        Unit::Seconds,
        started.clone(),
    );
    #[expect(clippy::cast_precision_loss, reason = "exact until the year 287396")]
    let since_epoch = report.started.unix_timestamp() as f64;
    started.get_or_create(&product).set(since_epoch);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn lanes(report: &Report, registry: &mut Registry) {
    let up = Family::<Lane, Gauge>::default();
    let outcomes = Family::<LaneOutcome, Gauge>::default();
    let took = Family::<Lane, Seconds>::default();
    registry.register(
        "lane_up",
        "1 if the lane works, also with a warning",
        up.clone(),
    );
    registry.register(
        "lane_outcome",
        "1 for the way in which the lane ended, and why",
        outcomes.clone(),
    );
    registry.register_with_unit(
        "lane_duration",
        "How long the lane's probes took",
        Unit::Seconds,
        took.clone(),
    );
    for lane in &report.lanes {
        let labels = labels(report, lane);
        let ran = match lane.outcome {
            Outcome::Pass | Outcome::Warn => Some(1),
            Outcome::Fail => Some(0),
            // Not run is never to be read as up or down.
            Outcome::NotApplicable | Outcome::NotRun => None,
        };
        if let Some(works) = ran {
            up.get_or_create(&labels).set(works);
            took.get_or_create(&labels).set(seconds(lane.took_micros));
        }
        outcomes
            .get_or_create(&outcome(report, lane, labels))
            .set(1);
    }
}

fn labels(report: &Report, lane: &LaneReport) -> Lane {
    Lane {
        product: report.heading.product.clone(),
        flow: lane.lane.flow.clone(),
        to: lane.lane.to.value.clone(),
        transport: lane.lane.transport.to_string(),
        ports: lane.lane.port_words(),
        protocol: lane.lane.protocol.to_owned(),
        need: word(&lane.lane.need),
    }
}

fn outcome(report: &Report, lane: &LaneReport, labels: Lane) -> LaneOutcome {
    let causes = lane.causes.iter().filter_map(|at| report.causes.get(*at));
    let kinds: Vec<String> = causes.map(|cause| cause.kind.to_string()).collect();
    let reason = match &lane.trouble {
        Some(trouble) if kinds.is_empty() => kind(trouble),
        _ => kinds.join(","),
    };
    let Lane {
        product,
        flow,
        to,
        transport,
        ports,
        protocol,
        need,
    } = labels;
    LaneOutcome {
        product,
        flow,
        to,
        transport,
        ports,
        protocol,
        need,
        outcome: word(&lane.outcome),
        reason,
    }
}

/// The word that JSON has for it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}

/// The kind of a trouble, without what goes with it.
fn kind(trouble: &outgate_probe::Trouble) -> String {
    let value = serde_json::to_value(trouble).unwrap_or_default();
    value["kind"].as_str().unwrap_or_default().to_owned()
}

fn seconds(micros: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact for 285 years")]
    let micros = micros as f64;
    micros / MICROS_PER_SECOND
}
