//! What is counted, for Prometheus.
//!
//! Names follow the conventions of Prometheus: the prefix `outgate`, base units, `_total` at the
//! end of what only grows. Labels come from short fixed lists and from the configuration, never
//! from a peer: so no peer can make them grow.

use std::sync::Arc;
use std::time::Duration;

use outgate_core::happening::Happening;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

mod forwarding;
mod live;
mod registered;
mod signalr;

pub(crate) use signalr::Asked;

/// What is counted. Cheap to copy; all copies count together.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    registry: Registry,
    connections: Family<Connection, Gauge>,
    connections_opened: Family<Connection, Counter>,
    connections_refused: Family<Reason, Counter>,
    handshakes: Family<Handshake, Counter>,
    sessions: Family<Dialect, Gauge>,
    sessions_opened: Family<Dialect, Counter>,
    logins_refused: Family<Dialect, Counter>,
    kept_from_pages: Family<Kept, Counter>,
    events: Family<Dialect, Counter>,
    event_bytes: Counter,
    events_refused: Family<Reason, Counter>,
    event_seconds: Histogram,
    logs: Counter,
    log_bytes: Counter,
    logs_refused: Family<Reason, Counter>,
    commands: Family<Outcome, Counter>,
    schedules: Family<Outcome, Counter>,
    calls: Family<Outcome, Counter>,
    call_seconds: Histogram,
    messages: Family<Message, Counter>,
    /// Of `messages`, by quality of service.
    messages_in: [Counter; 3],
    messages_out: [Counter; 3],
    messages_dropped: Family<Reason, Counter>,
    limited: Family<Limited, Counter>,
    commit_writes: Histogram,
    commit_seconds: Histogram,
    requests: Family<Request, Counter>,
    request_seconds: Family<Route, Histogram, Seconds>,
    webhook_attempts: Family<Outcome, Counter>,
    webhook_seconds: Histogram,
    webhook_events: Counter,
    webhook_set_aside: Counter,
    webhook_behind: Family<Webhook, Gauge>,
    echoes: Family<Echoed, Counter>,
    pushes: Family<Outcome, Counter>,
    pushes_again: Counter,
    signalr: signalr::Counted,
    forwarding: forwarding::Counted,
    live: live::Counted,
}

/// Something live that is counted as long as this is kept.
#[derive(Debug)]
#[must_use]
pub struct Live(Gauge);

/// Whether a TLS handshake came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shaken {
    /// Anew.
    Full,
    /// By a session from before (RFC 8446, section 2.2).
    Resumed,
    /// It failed.
    Failed,
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the hub.
    In,
    /// From the hub.
    Out,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Connection {
    listener: String,
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kept {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Echoed {
    service: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limited {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Handshake {
    outcome: &'static str,
    version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dialect {
    dialect: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Message {
    direction: &'static str,
    qos: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Webhook {
    webhook: String,
}

/// Makes the histogram of a new label: of seconds.
#[derive(Clone, Copy, Debug)]
struct Seconds;

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Counted::registered()))
    }
}

impl Metrics {
    /// All that is counted, as OpenMetrics text (version 1.0.0), which Prometheus reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }

    /// A connection that has come through the door at `listener` (as it is configured) and speaks
    /// `protocol`.
    pub fn connection(&self, listener: &str, protocol: &'static str) -> Live {
        let labels = Connection {
            listener: listener.to_owned(),
            protocol,
        };
        self.0.connections_opened.get_or_create(&labels).inc();
        Live::new(self.0.connections.get_or_create_owned(&labels))
    }

    /// A connection turned away before its handshake: `limit`, `source-limit`, …
    pub fn connection_refused(&self, reason: &'static str) {
        self.0
            .connections_refused
            .get_or_create(&Reason { reason })
            .inc();
    }

    /// A TLS handshake; `version` is that agreed on, empty when it did not come to that.
    pub fn handshake(&self, shaken: Shaken, version: &'static str) {
        let outcome = match shaken {
            Shaken::Full => "full",
            Shaken::Resumed => "resumed",
            Shaken::Failed => "failed",
        };
        self.0
            .handshakes
            .get_or_create(&Handshake { outcome, version })
            .inc();
    }

    /// A session opened over `dialect`.
    pub fn session(&self, dialect: &'static str) -> Live {
        let labels = Dialect { dialect };
        self.0.sessions_opened.get_or_create(&labels).inc();
        Live::new(self.0.sessions.get_or_create_owned(&labels))
    }

    /// Somebody whose credential was not accepted over `dialect`.
    pub fn login_refused(&self, dialect: &'static str) {
        self.0
            .logins_refused
            .get_or_create(&Dialect { dialect })
            .inc();
    }

    /// A page of an origin that is not configured was kept from something: `preflight`, `request`
    /// or `certificate`.
    pub(crate) fn kept_from_page(&self, what: &'static str) {
        self.0.kept_from_pages.get_or_create(&Kept { what }).inc();
    }

    /// Counts what happened in the core.
    pub fn happened(&self, happening: &Happening) {
        match happening {
            Happening::Committed { writes, took } => self.commit(*writes, *took),
            Happening::EventKept { via, bytes, took } => self.event(via, *bytes, *took),
            Happening::EventRefused { why } => {
                let refused = &self.0.events_refused;
                refused.get_or_create(&Reason { reason: why }).inc();
            }
            Happening::LogsKept { records, bytes } => {
                let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
                self.0.logs.inc_by(number(*records));
                self.0.log_bytes.inc_by(number(*bytes));
            }
            Happening::LogsRefused { why } => {
                let refused = &self.0.logs_refused;
                refused.get_or_create(&Reason { reason: why }).inc();
            }
            Happening::Limited { what } => {
                self.0.limited.get_or_create(&Limited { what }).inc();
            }
            Happening::Commands { count, became } => {
                let count = u64::try_from(*count).unwrap_or(u64::MAX);
                let became = Outcome { outcome: became };
                self.0.commands.get_or_create(&became).inc_by(count);
            }
            Happening::ScheduleCame { how } => {
                let how = Outcome { outcome: how };
                self.0.schedules.get_or_create(&how).inc();
            }
            Happening::Called { how, took } => {
                self.0.calls.get_or_create(&Outcome { outcome: how }).inc();
                self.0.call_seconds.observe(took.as_secs_f64());
            }
            // The core may tell of more than is counted.
            _ => {}
        }
    }

    fn event(&self, dialect: &'static str, bytes: usize, took: Duration) {
        self.0.events.get_or_create(&Dialect { dialect }).inc();
        self.0
            .event_bytes
            .inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.0.event_seconds.observe(took.as_secs_f64());
    }

    /// A message between devices, at a quality of service (0 to 2).
    pub fn message(&self, direction: Direction, qos: u8) {
        let counts = match direction {
            Direction::In => &self.0.messages_in,
            Direction::Out => &self.0.messages_out,
        };
        if let Some(count) = counts.get(usize::from(qos)) {
            count.inc();
        }
    }

    /// A message not delivered: `slow`, `queue-full`, `too-large`, `expired`, …
    pub fn message_dropped(&self, reason: &'static str) {
        self.0
            .messages_dropped
            .get_or_create(&Reason { reason })
            .inc();
    }

    fn commit(&self, writes: usize, took: Duration) {
        self.0
            .commit_writes
            .observe(f64::from(u32::try_from(writes).unwrap_or(u32::MAX)));
        self.0.commit_seconds.observe(took.as_secs_f64());
    }

    /// An HTTP request answered; `route` is the template that matched, never the path asked for.
    pub fn request(&self, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        self.0
            .request_seconds
            .get_or_create(&Route {
                route: route.clone(),
            })
            .observe(took.as_secs_f64());
        self.0
            .requests
            .get_or_create(&Request { route, status })
            .inc();
    }

    /// A webhook tried: `delivered`, `rejected`, `unreachable`, `gone`.
    pub fn webhook_tried(&self, outcome: &'static str, took: Duration) {
        self.0
            .webhook_attempts
            .get_or_create(&Outcome { outcome })
            .inc();
        self.0.webhook_seconds.observe(took.as_secs_f64());
    }

    /// Events delivered by a webhook.
    pub fn webhook_delivered(&self, events: u64) {
        self.0.webhook_events.inc_by(events);
    }

    /// A question to the echo of `service`, answered or, for it came too often, not.
    pub fn echoed(&self, service: &'static str, answered: bool) {
        let outcome = if answered { "answered" } else { "limited" };
        self.0
            .echoes
            .get_or_create(&Echoed { service, outcome })
            .inc();
    }

    /// A message handed over to reach a device, or not: `sent`, `gone`, `failed`.
    pub fn pushed(&self, outcome: &'static str) {
        self.0.pushes.get_or_create(&Outcome { outcome }).inc();
    }

    /// A message that is to be handed over once more.
    pub fn push_tried_again(&self) {
        self.0.pushes_again.inc();
    }

    /// A message of a webhook set aside.
    pub fn webhook_set_aside(&self) {
        self.0.webhook_set_aside.inc();
    }

    /// How many places the webhook of that name is behind the newest event. Webhooks are made by
    /// administrators and are bounded in number.
    pub fn webhook_behind(&self, webhook: &str, places: u64) {
        let webhook = webhook.to_owned();
        self.0
            .webhook_behind
            .get_or_create(&Webhook { webhook })
            .set(i64::try_from(places).unwrap_or(i64::MAX));
    }

    /// Forgets a webhook that is no more.
    pub fn webhook_removed(&self, webhook: &str) {
        let webhook = webhook.to_owned();
        self.0.webhook_behind.remove(&Webhook { webhook });
    }
}

impl Live {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        seconds()
    }
}

/// From 0.1 ms to 26 s, each bound four times the one before.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 4.0, 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_live_is_counted_until_it_is_dropped() {
        let metrics = Metrics::default();
        let live = metrics.connection("[::]:8443", "mqtt");
        let line = |count: u8| {
            format!(r#"outgate_connections{{listener="[::]:8443",protocol="mqtt"}} {count}"#)
        };
        assert!(metrics.text().contains(&line(1)), "{}", metrics.text());
        drop(live);
        assert!(metrics.text().contains(&line(0)), "{}", metrics.text());
    }

    #[test]
    fn copies_count_together() {
        let metrics = Metrics::default();
        let copy = metrics.clone();
        metrics.event("mqtt", 10, Duration::from_millis(3));
        copy.event("mqtt", 5, Duration::from_millis(3));
        let text = metrics.text();
        assert!(
            text.contains(r#"outgate_events_total{dialect="mqtt"} 2"#),
            "{text}"
        );
        assert!(text.contains("outgate_event_bytes_total 15"), "{text}");
    }

    #[test]
    fn a_removed_webhook_is_no_longer_told_of() {
        let metrics = Metrics::default();
        metrics.webhook_behind("wh-1", 7);
        assert!(metrics.text().contains(r#"{webhook="wh-1"} 7"#));
        metrics.webhook_removed("wh-1");
        assert!(!metrics.text().contains("wh-1"));
    }
}
