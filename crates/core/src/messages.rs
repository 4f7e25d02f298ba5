//! Messages between devices: what a broker keeps over a restart.

/// The tables of this part.
pub(crate) const SCHEMA: &str = "";
