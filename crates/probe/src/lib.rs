//! Outgate: probe.
