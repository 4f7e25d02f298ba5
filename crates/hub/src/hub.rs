//! All parts of a running hub.

use std::sync::Arc;

use outgate_core::Core;

use crate::metrics::Metrics;

/// What every part of the hub may need.
#[derive(Clone, Debug)]
pub struct State {
    /// The device model.
    pub core: Core,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// As it was configured.
    pub config: Arc<crate::config::Config>,
}

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    state: State,
}

impl Hub {
    /// What its parts share.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }
}
