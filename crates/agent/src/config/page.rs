//! The page on site, as it is written and as it is checked.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

use super::ConfigError;
use super::file::wrong;

/// The flow of the manifest that leads to the diagnostics page unless something else is said.
const DIAGNOSTICS: &str = "diagnostics-page";
/// And the one that leads to the page of the connection.
const CONNECTOR: &str = "connector-page";

/// The most addresses that a page listens on, networks that may see it, names that it has.
const MAX_LISTED: usize = 16;

/// The page on site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The flow of the manifest that leads to the diagnostics page, or the beginning of the names of
    /// several, up to a hyphen.
    pub diagnostics: String,
    /// The one that leads to the page of the connection.
    pub connector: String,
    /// Where the diagnostics page is, in place of the manifest's ports; nowhere, when empty.
    pub listen: Option<Vec<SocketAddr>>,
    /// Where the page of the connection is, likewise.
    pub connector_listen: Option<Vec<SocketAddr>>,
    /// Networks from which the pages are seen beside those that the device is a part of.
    pub networks: Vec<IpNet>,
    /// Names of this device beside its own, by which people come.
    pub hosts: Vec<String>,
    /// The password for what changes anything, as `outgate agent password` writes it.
    pub password_file: Option<PathBuf>,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            diagnostics: DIAGNOSTICS.to_owned(),
            connector: CONNECTOR.to_owned(),
            listen: None,
            connector_listen: None,
            networks: Vec::new(),
            hosts: Vec::new(),
            password_file: None,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct WrittenPage {
    diagnostics: Option<String>,
    connector: Option<String>,
    listen: Option<Vec<SocketAddr>>,
    connector_listen: Option<Vec<SocketAddr>>,
    networks: Vec<IpNet>,
    hosts: Vec<String>,
    password_file: Option<PathBuf>,
}

impl WrittenPage {
    pub(super) fn checked(self) -> Result<Page, ConfigError> {
        let few = |count: usize| count <= MAX_LISTED;
        let or = |listen: &Option<Vec<SocketAddr>>| listen.as_ref().map_or(0, Vec::len);
        let right = "16 at most";
        if !few(or(&self.listen)) {
            return wrong("page.listen", right);
        }
        if !few(or(&self.connector_listen)) {
            return wrong("page.connector-listen", right);
        }
        if !few(self.networks.len()) {
            return wrong("page.networks", right);
        }
        if !few(self.hosts.len()) {
            return wrong("page.hosts", right);
        }
        if self
            .networks
            .iter()
            .any(|network| network.prefix_len() == 0)
        {
            return wrong(
                "page.networks",
                "networks of the site, and not the whole internet",
            );
        }
        Ok(Page {
            diagnostics: self.diagnostics.unwrap_or_else(|| DIAGNOSTICS.to_owned()),
            connector: self.connector.unwrap_or_else(|| CONNECTOR.to_owned()),
            listen: self.listen,
            connector_listen: self.connector_listen,
            networks: self.networks,
            hosts: self.hosts,
            password_file: self.password_file,
        })
    }
}
