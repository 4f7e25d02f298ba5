//! What the sites of a demo stand on.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::Context as _;
use outgate_lab::{EnterError, Town};

use super::Site;
use super::lines::Line;

/// The port of `https` URIs (RFC 9110 §4.2.2): the only one of TCP that the routers let out.
const HTTPS: u16 = 443;

/// Where the sites are.
pub(super) enum Ground {
    /// In network namespaces.
    Town(Town),
    /// On loopback, each with a line of its own to the hub.
    Loopback {
        lines: BTreeMap<String, Line>,
        because: String,
    },
}

impl Ground {
    /// On loopback, for want of something better.
    pub(super) fn on_loopback(sites: &[Site], because: &EnterError) -> Self {
        let line = |site: &Site| (site.plot.name.to_owned(), Line::new());
        Self::Loopback {
            lines: sites.iter().map(line).collect(),
            because: because.to_string(),
        }
    }

    /// What it is, in words.
    pub(super) fn told(&self) -> &'static str {
        match self {
            Self::Town(_) => "network namespaces",
            Self::Loopback { .. } => "loopback",
        }
    }

    /// Why it is not the better one.
    pub(super) fn because(&self) -> Option<String> {
        match self {
            Self::Town(_) => None,
            Self::Loopback { because, .. } => Some(because.clone()),
        }
    }

    /// Where the hub listens.
    pub(super) fn listen(&self) -> SocketAddr {
        match self {
            Self::Town(town) => SocketAddr::from((town.vendor(), HTTPS)),
            Self::Loopback { .. } => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }

    /// Moves this thread to the vendor, where that is another place.
    pub(super) fn join_vendor(&self) -> anyhow::Result<()> {
        if let Self::Town(town) = self {
            town.join_vendor()?;
        }
        Ok(())
    }

    /// Moves this thread to a host, where that is another place.
    pub(super) fn join_host(&self, site: &str, host: &str) -> anyhow::Result<()> {
        if let Self::Town(town) = self {
            town.join_host(site, host)?;
        }
        Ok(())
    }

    /// Where the devices of a site find the hub.
    pub(super) async fn way(&self, site: &str, hub: SocketAddr) -> anyhow::Result<SocketAddr> {
        match self {
            Self::Town(_) => Ok(hub),
            Self::Loopback { lines, .. } => {
                let line = lines.get(site).context("there is no such site")?;
                Ok(line.to(hub).await?)
            }
        }
    }

    /// This program, in a host's place.
    pub(super) fn program(&self, site: &str, host: &str) -> anyhow::Result<Command> {
        let own = std::env::current_exe().context("failed to find this program")?;
        Ok(match self {
            Self::Town(town) => town.run(site, host, own),
            Self::Loopback { .. } => Command::new(own),
        })
    }

    /// The address of a host, where it has one of its own.
    pub(super) fn address(&self, site: &str, host: &str) -> Option<Ipv4Addr> {
        match self {
            Self::Town(town) => town.address(site, host),
            Self::Loopback { .. } => None,
        }
    }

    /// Pulls or plugs in a host's cable, where there are cables.
    pub(super) fn plug(&self, site: &str, host: &str, plugged: bool) -> anyhow::Result<()> {
        if let Self::Town(town) = self {
            town.plug(site, host, plugged)?;
        }
        Ok(())
    }

    /// Cuts a site off from the internet, or connects it again.
    pub(super) fn connect(&self, site: &str, connected: bool) -> anyhow::Result<()> {
        match self {
            Self::Town(town) => town.connect(site, connected)?,
            Self::Loopback { lines, .. } => {
                let line = lines.get(site).context("there is no such site")?;
                line.connect(connected);
            }
        }
        Ok(())
    }
}
