//! The hub's configuration: a TOML file, its defaults, and what the command line overrides.

use std::path::PathBuf;

/// A configuration, complete and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything lies.
    pub data: PathBuf,
}
