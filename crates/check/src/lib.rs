//! Outgate: check.
