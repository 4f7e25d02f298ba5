//! The configuration as it is written: unknown keys are refused.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::clock::WrittenClock;
use super::names::WrittenNames;
use super::page::WrittenPage;
use super::ping::WrittenPing;
use super::ssh::{self, WrittenSsh};
use super::{Config, ConfigError, DEFAULT_DATA, Local, Product, Proof, Proxy, Queue};
use super::{assets, files, neighbours, support};

const MEBIBYTE: u64 = 1024 * 1024;
const HOUR: u64 = 3_600;

/// What is kept unless something else is said: 256 MiB.
const QUEUE_MEBIBYTES: u64 = 256;
/// How long unless something else is said: 30 days.
const QUEUE_HOURS: u64 = 30 * 24;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct File {
    hub: String,
    authority: Option<PathBuf>,
    token_file: Option<PathBuf>,
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    data: Option<PathBuf>,
    product: Option<WrittenProduct>,
    #[serde(default)]
    proxy: WrittenProxy,
    #[serde(default)]
    queue: WrittenQueue,
    #[serde(default)]
    local: WrittenLocal,
    #[serde(default)]
    clock: WrittenClock,
    #[serde(default)]
    page: WrittenPage,
    #[serde(default)]
    names: WrittenNames,
    #[serde(default)]
    ping: WrittenPing,
    neighbours: Option<neighbours::Written>,
    ssh: Option<WrittenSsh>,
    #[serde(default)]
    assets: assets::Written,
    #[serde(default)]
    files: files::Written,
    support: Option<support::Written>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenProduct {
    profile: String,
    version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct WrittenProxy {
    url: Option<String>,
    script: Option<String>,
    login_file: Option<PathBuf>,
    no_proxy: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct WrittenQueue {
    mebibytes: Option<u64>,
    keep_hours: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct WrittenLocal {
    socket: Option<PathBuf>,
    listen: Option<SocketAddr>,
}

impl File {
    /// Fills in the defaults and checks the ranges.
    pub(super) fn checked(self) -> Result<Config, ConfigError> {
        if !is_address(&self.hub) {
            return wrong("hub", "one like https://hub.example:8443");
        }
        let proof = Proof::checked(self.token_file, self.certificate_file, self.key_file)?;
        Ok(Config {
            ssh: ssh::checked(self.ssh, self.data.as_deref())?,
            hub: self.hub,
            authority: self.authority,
            proof,
            proxy: self.proxy.checked()?,
            data: self.data.unwrap_or_else(|| DEFAULT_DATA.into()),
            product: self.product.map(|product| Product {
                profile: product.profile,
                version: product.version,
            }),
            queue: self.queue.checked()?,
            local: self.local.checked()?,
            clock: self.clock.checked()?,
            page: self.page.checked()?,
            names: self.names.checked()?,
            ping: self.ping.checked(),
            assets: self.assets.checked()?,
            files: self.files.checked()?,
            support: self.support.map(support::Written::checked).transpose()?,
            neighbours: self
                .neighbours
                .map(neighbours::Written::checked)
                .transpose()?,
        })
    }
}

impl WrittenProxy {
    fn checked(self) -> Result<Proxy, ConfigError> {
        if self.script.is_some() && (self.url.is_some() || self.login_file.is_some()) {
            return wrong(
                "proxy.script",
                "without proxy.url and proxy.login-file, or they without it",
            );
        }
        Ok(Proxy {
            url: self.url,
            script: self.script,
            login_file: self.login_file,
            no_proxy: self.no_proxy,
        })
    }
}

impl WrittenQueue {
    fn checked(self) -> Result<Queue, ConfigError> {
        let mebibytes = self.mebibytes.unwrap_or(QUEUE_MEBIBYTES);
        let hours = self.keep_hours.unwrap_or(QUEUE_HOURS);
        Ok(Queue {
            bytes: within("queue.mebibytes", mebibytes, 1..=64 * 1024)? * MEBIBYTE,
            keep: Duration::from_secs(within("queue.keep-hours", hours, 1..=366 * 24)? * HOUR),
        })
    }
}

impl WrittenLocal {
    fn checked(self) -> Result<Local, ConfigError> {
        match self.listen {
            Some(address) if !address.ip().is_loopback() => {
                wrong("local.listen", "an address of loopback, as 127.0.0.1:8472")
            }
            Some(_) | None => Ok(Local {
                socket: self.socket,
                listen: self.listen,
            }),
        }
    }
}

/// Whether it is an address that a device may go to: over TLS, or on this machine.
fn is_address(text: &str) -> bool {
    if text.contains(['?', '#', '@']) {
        return false;
    }
    let here = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let rest = |start: &str| text.strip_prefix(start);
    match rest("https://") {
        Some(host) => !host.is_empty() && !host.starts_with('/'),
        None => here
            .into_iter()
            .filter_map(rest)
            .any(|after| after.is_empty() || after.starts_with(':') || after.starts_with('/')),
    }
}

pub(super) fn within(
    key: &'static str,
    given: u64,
    range: RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    if range.contains(&given) {
        return Ok(given);
    }
    wrong(key, &format!("{} to {}", range.start(), range.end()))
}

pub(super) fn wrong<T>(key: &'static str, right: &str) -> Result<T, ConfigError> {
    Err(ConfigError::Value {
        key,
        right: right.to_owned(),
    })
}
