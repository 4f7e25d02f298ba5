//! Outgate: wire.
