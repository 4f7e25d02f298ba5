//! What is counted, for Prometheus.

/// What is counted.
#[derive(Debug, Default)]
pub struct Metrics {}
