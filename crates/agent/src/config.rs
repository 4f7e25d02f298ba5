//! What the agent is told: one file, in TOML.

mod assets;
mod clock;
mod file;
mod files;
mod names;
mod neighbours;
mod page;
mod ping;
mod proof;
mod ssh;
mod support;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use self::assets::Assets;
pub use self::clock::{Clock, MAX_SERVERS};
use self::file::File;
pub use self::files::Files;
pub use self::names::Names;
pub use self::neighbours::Neighbours;
pub use self::page::Page;
pub use self::ping::Ping;
pub use self::proof::Proof;
pub use self::ssh::{Certificates, Ssh};
pub use self::support::{Allow, Support};

/// The most bytes of a configuration file.
pub const MAX_FILE: usize = 64 * 1024;

/// Where everything lies unless something else is said.
pub const DEFAULT_DATA: &str = "/var/lib/outgate-agent";

/// A configuration, complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The hub, as `https://hub.example:8443`.
    pub hub: String,
    /// Who vouches for the hub, in PEM, when that is not the machine's own store.
    pub authority: Option<PathBuf>,
    /// What the device proves itself by at the hub.
    pub proof: Proof,
    /// Which proxy the way to the hub goes through.
    pub proxy: Proxy,
    /// The folder in which everything lies that must outlive the agent.
    pub data: PathBuf,
    /// The product that the device is, for the check from here and for the local pages.
    pub product: Option<Product>,
    /// How much is kept on disk for a hub that is away.
    pub queue: Queue,
    /// Where the vendor's own software finds the agent.
    pub local: Local,
    /// Who is asked what time it is.
    pub clock: Clock,
    /// The page on site.
    pub page: Page,
    /// Under which names the device is found on its networks.
    pub names: Names,
    /// How often the device answers pings.
    pub ping: Ping,
    /// How the device is among the others of its site, if it is one of several.
    pub neighbours: Option<Neighbours>,
    /// The SSH switch, where the device has one.
    pub ssh: Option<Ssh>,
    /// How much is kept of the files that the device should hold.
    pub assets: Assets,
    /// Remote support, where the device has it.
    pub support: Option<Support>,
    /// Which files it fetches and sends by itself when the hub asks.
    pub files: Files,
}

/// Which proxy the way to the hub goes through, in the words of `outgate check`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// `none`, `env`, or the proxy's URL; the environment's when nothing is said.
    pub url: Option<String>,
    /// A proxy script: a file, a URL, `wpad` or `dhcp`.
    pub script: Option<String>,
    /// A file with `USER:PASSWORD`.
    pub login_file: Option<PathBuf>,
    /// What is reached without a proxy, in place of the environment's `no_proxy`.
    pub no_proxy: Option<String>,
}

/// The product that a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// A built-in profile's name, or the path of a manifest.
    pub profile: String,
    /// The version that is installed, if the manifest's flows depend on it.
    pub version: Option<String>,
}

impl std::fmt::Display for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{} {version}", self.profile),
            None => f.write_str(&self.profile),
        }
    }
}

/// How much is kept on disk for a hub that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The most bytes, 1 MiB to 64 GiB.
    pub bytes: u64,
    /// How long anything is kept, 1 hour to 366 days.
    pub keep: Duration,
}

/// Where the vendor's own software finds the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// A Unix socket, whose folder's permissions say who may use it.
    pub socket: Option<PathBuf>,
    /// An address of loopback, for what cannot use a Unix socket. Who asks there shows a token.
    pub listen: Option<SocketAddr>,
}

/// Why a configuration is none.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It is no TOML, or has a key that nobody knows.
    #[error("the configuration cannot be understood")]
    Text(#[from] toml::de::Error),
    /// A value is not one of those that it may be.
    #[error("{key} must be {right}")]
    Value {
        /// The key, with those that it stands under.
        key: &'static str,
        /// What would be right.
        right: String,
    },
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// What is wrong with the first key that is wrong.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str::<File>(text)?.checked()
    }
}
