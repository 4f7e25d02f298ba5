//! Outgate: manifest.
