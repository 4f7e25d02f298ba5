//! The configuration file as it is written: TOML, every key optional, unknown ones refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) data: Option<PathBuf>,
    pub(super) server_reference: Option<String>,
    pub(super) listen: Vec<Listen>,
    pub(super) tls: Tls,
    pub(super) limits: Limits,
    pub(super) events: Events,
    pub(super) browsers: super::browsers::Written,
    pub(super) mqtt: Mqtt,
    pub(super) logs: Logs,
    pub(super) device_logs: super::device_logs::Written,
    pub(super) files: super::files::Written,
    pub(super) metrics: Metrics,
    pub(super) traces: Traces,
    pub(super) webhooks: Webhooks,
    pub(super) echo: super::echo::Written,
    pub(super) signalr: super::signalr::Written,
    pub(super) firebase: super::firebase::Written,
    pub(super) live: super::live::Written,
    pub(super) push: super::push::Written,
    pub(super) azure: super::azure::Written,
    pub(super) aws: super::aws::Written,
}

/// One listener.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) address: SocketAddr,
    #[serde(default)]
    pub(super) carries: Carries,
    #[serde(default = "yes")]
    pub(super) tls: bool,
    #[serde(default)]
    pub(super) proxy_protocol_from: Vec<IpNet>,
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carries {
    /// Everything, told apart by ALPN and first bytes.
    #[default]
    All,
    /// MQTT only.
    Mqtt,
}

/// Where the server's certificate comes from.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) names: Vec<String>,
    pub(super) acme: Option<Acme>,
}

/// A certificate authority that speaks ACME (RFC 8555).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Acme {
    /// The address of its directory.
    pub directory: String,
    /// Where it may write to: `mailto:…`.
    #[serde(default)]
    pub contact: Vec<String>,
    /// Whether its terms of service are agreed to; nothing is asked for otherwise.
    #[serde(default)]
    pub terms_agreed: bool,
    /// What its own server is trusted by, in PEM, when that is not a public authority.
    #[serde(default)]
    pub authority: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) connections: Option<u32>,
    pub(super) connections_a_source: Option<u32>,
    pub(super) events_a_second: Option<u32>,
    pub(super) messages_a_second: Option<u32>,
    pub(super) reports_a_second: Option<u32>,
    pub(super) subscriptions_a_second: Option<u32>,
    pub(super) logs_a_second: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Events {
    pub(super) keep_days: Option<u32>,
    pub(super) keep_mebibytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Mqtt {
    pub(super) policies: BTreeMap<String, Policy>,
    pub(super) limits: super::mqtt::Written,
}

/// What devices of a policy may say and hear: filters with `{device}` and `{site}` in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// Where they may publish.
    pub publish: Vec<String>,
    /// What they may subscribe to.
    pub subscribe: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Logs {
    pub(super) format: LogFormat,
    pub(super) filter: Option<String>,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Traces {
    pub(super) endpoint: Option<String>,
    pub(super) share: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Metrics {
    pub(super) open_to: Option<Vec<IpNet>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Webhooks {
    pub(super) plain_http_to: Vec<IpNet>,
    pub(super) authority: Option<PathBuf>,
}

fn yes() -> bool {
    true
}
