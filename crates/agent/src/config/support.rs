//! Remote support: who allows it, and to what it may lead.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;

use super::ConfigError;
use super::file::wrong;
use crate::link::support::PORTS_MAX;

/// The most services.
const MAX_SERVICES: usize = 32;

/// The most bytes of a service's name.
const MAX_NAME: usize = 64;

/// The most parts of the shell's command.
const MAX_COMMAND: usize = 16;

/// Remote support, where a device has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// Who allows a session.
    pub allow: Allow,
    /// The services to which one may lead, each an address of loopback.
    pub services: BTreeMap<String, SocketAddr>,
    /// The program of the shell and its arguments, where one may lead to a shell.
    pub shell: Option<Vec<String>>,
    /// The ports of the hub that are tried, in their order, in place of the product's.
    pub ports: Option<Vec<u16>>,
    /// The flow of the product's manifest that declares them.
    pub flow: Option<String>,
}

/// Who allows a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allow {
    /// Whoever is at the device, each time.
    #[default]
    Ask,
    /// This configuration: whatever it names is allowed at once.
    Always,
}

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default)]
    allow: Allow,
    #[serde(default)]
    services: BTreeMap<String, SocketAddr>,
    shell: Option<Vec<String>>,
    ports: Option<Vec<u16>>,
    flow: Option<String>,
}

impl Written {
    pub(super) fn checked(self) -> Result<Support, ConfigError> {
        let is_name = |name: &String| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(fits)
        };
        if self.services.len() > MAX_SERVICES || !self.services.keys().all(is_name) {
            let right = "at most 32 services, each named by 1 to 64 of A-Z a-z 0-9 - _ .";
            return wrong("support.services", right);
        }
        let on_loopback = |address: &SocketAddr| address.ip().is_loopback() && address.port() > 0;
        if !self.services.values().all(on_loopback) {
            return wrong(
                "support.services",
                "addresses of loopback, as 127.0.0.1:8080",
            );
        }
        if let Some(command) = &self.shell {
            let program = command
                .first()
                .is_some_and(|it| Path::new(it).is_absolute());
            if !program || command.len() > MAX_COMMAND {
                return wrong(
                    "support.shell",
                    "a program's absolute path and its arguments",
                );
            }
        }
        if self.services.is_empty() && self.shell.is_none() {
            return wrong("support", "given with services or a shell, or not at all");
        }
        let ports = 1..=PORTS_MAX;
        if let Some(given) = &self.ports
            && (!ports.contains(&given.len()) || given.contains(&0))
        {
            return wrong(
                "support.ports",
                "1 to 16 ports, in the order in which they are tried",
            );
        }
        if self.ports.is_some() && self.flow.is_some() {
            return wrong("support.flow", "without support.ports");
        }
        Ok(Support {
            allow: self.allow,
            services: self.services,
            shell: self.shell,
            ports: self.ports,
            flow: self.flow,
        })
    }
}
