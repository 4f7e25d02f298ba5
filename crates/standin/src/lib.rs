//! Outgate: standin.
