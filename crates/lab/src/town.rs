//! Several sites with devices in them, each behind a router of its own, and the vendor's servers on
//! the internet between them:
//!
//! ```text
//!  hosts ── bridge ── router (nftables, NAT) ──┐
//!                                              ├── internet (the vendor)
//!  hosts ── bridge ── router (nftables, NAT) ──┘
//! ```
//!
//! The routers let out what devices need that speak outbound only, HTTPS, DNS, NTP and pings, and let
//! nothing in. IPv4, and IPv6 within a site by its link-local addresses.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::process::Command;

use crate::enter::Inside;
use crate::network::{add_namespaces, ip, join, load_rules, set};
use crate::site::{PROXIES, SiteError};

/// The most sites of a town, and the most hosts of a site.
const MAX: usize = 100;

/// The namespace of the vendor's servers.
const INTERNET: &str = "internet";

/// Where the vendor's servers listen (RFC 5737).
const VENDOR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// What a site's router does: nothing comes in, and out goes what an outbound-only device needs. What
/// is bridged within the site may come by here too, and is left alone.
const RULES: &str = "table inet town {
	chain forward {
		type filter hook forward priority 0;
		ct state established,related accept
		iifname \"wan\" drop
		oifname \"wan\" tcp dport 443 accept
		oifname \"wan\" udp dport { 53, 123 } accept
		oifname \"wan\" icmp type echo-request accept
		oifname \"wan\" drop
	}
	chain from {
		type nat hook postrouting priority 100;
		oifname \"wan\" masquerade
	}
}
";

/// A site that is to be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plot<'a> {
    /// Its name: letters and digits, at most eight.
    pub name: &'a str,
    /// The machines in its network, named likewise.
    pub hosts: &'a [&'a str],
}

/// Sites and the internet between them. They end with the process.
#[derive(Debug)]
pub struct Town {
    sites: Vec<(String, Vec<String>)>,
}

impl Town {
    /// Builds all networks; nobody serves in them yet.
    ///
    /// # Errors
    /// A program fails, a name is none, or there are too many sites or hosts.
    pub fn build(inside: &Inside, plots: &[Plot<'_>]) -> Result<Self, SiteError> {
        if !can_be(plots) {
            return Err(SiteError::NoSuchTown);
        }
        let sites = plots.iter().map(|plot| {
            let hosts = plot.hosts.iter().map(|host| (*host).to_owned());
            (plot.name.to_owned(), hosts.collect())
        });
        let town = Self {
            sites: sites.collect(),
        };
        town.make(inside)?;
        Ok(town)
    }

    fn make(&self, inside: &Inside) -> Result<(), SiteError> {
        add_namespaces(&[INTERNET])?;
        let mut internet = format!("link set lo up\naddr add {VENDOR}/32 dev lo\n");
        for (at, (site, hosts)) in self.sites.iter().enumerate() {
            let spaces: Vec<String> = hosts.iter().map(|host| space(site, host)).collect();
            let router = space(site, "router");
            let mut names: Vec<&str> = spaces.iter().map(String::as_str).collect();
            names.push(&router);
            add_namespaces(&names)?;
            set(&router, "ipv4/ip_forward", "1")?;
            ip(Some(&router), &cables(site, at, &spaces))?;
            for (number, name) in spaces.iter().enumerate() {
                ip(Some(name), &host(at, number))?;
            }
            load_rules(inside, &router, RULES)?;
            let [near, far] = line(at);
            let _ = writeln!(
                internet,
                "link set {site} up\naddr add {far}/30 dev {site}\nroute add {near}/32 dev {site}"
            );
        }
        ip(Some(INTERNET), &internet)
    }

    /// Where the vendor's servers listen.
    #[must_use]
    pub fn vendor(&self) -> Ipv4Addr {
        VENDOR
    }

    /// The address of a host, if there is such a one.
    #[must_use]
    pub fn address(&self, site: &str, host: &str) -> Option<Ipv4Addr> {
        let at = self.sites.iter().position(|(name, _)| name == site)?;
        let (_, hosts) = self.sites.get(at)?;
        let number = hosts.iter().position(|name| name == host)?;
        Some(address(at, number))
    }

    /// A command in the place of a host.
    pub fn run(&self, site: &str, host: &str, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", space(site, host)));
        command.arg("--").arg(program);
        // The proxies of the machine around are not those of its labs.
        for variable in PROXIES {
            command.env_remove(variable);
            command.env_remove(variable.to_ascii_uppercase());
        }
        command
    }

    /// Moves this thread, and those that it starts from now on, to the vendor's servers.
    ///
    /// # Errors
    /// The system does not let it.
    pub fn join_vendor(&self) -> Result<(), SiteError> {
        join(INTERNET)
    }

    /// Moves this thread, and those that it starts from now on, to the place of a host.
    ///
    /// # Errors
    /// There is no such host, or the system does not let it.
    pub fn join_host(&self, site: &str, host: &str) -> Result<(), SiteError> {
        join(&space(site, host))
    }

    /// Pulls or plugs in the cable between a site and the internet.
    ///
    /// # Errors
    /// A program fails.
    pub fn connect(&self, site: &str, connected: bool) -> Result<(), SiteError> {
        let (state, router) = (state(connected), space(site, "router"));
        let mut lines = format!("link set wan {state}\n");
        if connected {
            // A cable that was pulled has taken its routes with it.
            let at = self.sites.iter().position(|(name, _)| name == site);
            let [_, far] = line(at.unwrap_or_default());
            let _ = writeln!(lines, "route add 0.0.0.0/0 via {far}");
        }
        ip(Some(&router), &lines)
    }

    /// Cuts the network of a site into parts: hosts of different parts do not hear each other, nor do
    /// they see that anything has changed. The router is heard by all. One part makes it whole again.
    ///
    /// # Errors
    /// A program fails.
    pub fn cut(&self, inside: &Inside, site: &str, parts: &[Vec<&str>]) -> Result<(), SiteError> {
        load_rules(inside, &space(site, "router"), &cuts(parts))
    }

    /// Pulls or plugs in the cable of a host, at the site's switch: the host sees its link go.
    ///
    /// # Errors
    /// A program fails.
    pub fn plug(&self, site: &str, host: &str, plugged: bool) -> Result<(), SiteError> {
        let line = format!("link set {} {}\n", port(host), state(plugged));
        ip(Some(&space(site, "router")), &line)
    }
}

/// Whether the names and numbers fit into those of links and addresses, and none comes twice.
fn can_be(plots: &[Plot<'_>]) -> bool {
    let fit = |names: &[&str]| {
        let is_name = |name: &&str| {
            (1..=8).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let distinct: BTreeSet<&&str> = names.iter().collect();
        names.len() <= MAX && names.iter().all(is_name) && distinct.len() == names.len()
    };
    let sites: Vec<&str> = plots.iter().map(|plot| plot.name).collect();
    fit(&sites) && plots.iter().all(|plot| fit(plot.hosts))
}

/// Rules that replace those before them, all at once: each part speaks with none but its own.
fn cuts(parts: &[Vec<&str>]) -> String {
    let mut rules = String::from(
        "table bridge parts {\n}\ndelete table bridge parts\n\
         table bridge parts {\n\tchain forward {\n\
         \t\ttype filter hook forward priority 0;\n",
    );
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let ports: Vec<String> = part.iter().map(|host| port(host)).collect();
        let ports = ports.join("\", \"");
        let _ = writeln!(
            rules,
            "\t\tiifname {{ \"{ports}\" }} oifname != {{ \"{ports}\" }} drop"
        );
    }
    rules.push_str("\t}\n}\n");
    rules
}

fn state(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

/// The namespace of a host.
fn space(site: &str, host: &str) -> String {
    format!("{site}-{host}")
}

/// The switch's end of a host's cable: names of links have 15 bytes at the most.
fn port(host: &str) -> String {
    format!("to-{host}")
}

/// Both ends of the line of a site: the router's and the provider's (RFC 6598).
fn line(site: usize) -> [Ipv4Addr; 2] {
    let third = number(site);
    [
        Ipv4Addr::new(100, 64, third, 2),
        Ipv4Addr::new(100, 64, third, 1),
    ]
}

/// A host's address.
fn address(site: usize, host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 20, number(site), number(host).saturating_add(10))
}

/// The router's in its own network.
fn gateway(site: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 20, number(site), 1)
}

/// `MAX` keeps it in the range.
fn number(at: usize) -> u8 {
    u8::try_from(at).unwrap_or(u8::MAX)
}

/// The router: a switch for the hosts, and the line to the provider.
fn cables(site: &str, at: usize, spaces: &[String]) -> String {
    let mut lines = String::from("link set lo up\nlink add lan type bridge\n");
    for name in spaces {
        let host = name.split_once('-').map_or(name.as_str(), |(_, host)| host);
        let port = port(host);
        let _ = writeln!(
            lines,
            "link add {port} type veth peer name eth0 netns {name}\n\
             link set {port} master lan up"
        );
    }
    let ([near, far], gateway) = (line(at), gateway(at));
    let _ = writeln!(
        lines,
        "link set lan up\naddr add {gateway}/24 dev lan\n\
         link add wan type veth peer name {site} netns {INTERNET}\nlink set wan up\n\
         addr add {near}/30 dev wan\nroute add 0.0.0.0/0 via {far}"
    );
    lines
}

fn host(site: usize, number: usize) -> String {
    format!(
        "link set lo up\nlink set eth0 up\naddr add {}/24 dev eth0\nroute add 0.0.0.0/0 via {}\n",
        address(site, number),
        gateway(site)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_site_hear_none_but_their_own() {
        let rules = cuts(&[vec!["till1", "till2"], Vec::new(), vec!["till3"]]);
        let first =
            r#"iifname { "to-till1", "to-till2" } oifname != { "to-till1", "to-till2" } drop"#;
        assert!(rules.contains(first), "{rules}");
        let last = r#"iifname { "to-till3" } oifname != { "to-till3" } drop"#;
        assert!(rules.contains(last), "{rules}");
        assert_eq!(rules.matches("iifname").count(), 2);
    }

    #[test]
    fn a_town_has_names_that_links_can_have_and_none_of_them_twice() {
        let plot = |name, hosts| Plot { name, hosts };
        assert!(can_be(&[
            plot("factory", &["cube", "laptop"]),
            plot("shop", &["till1"])
        ]));
        for wrong in [
            plot("", &["cube"]),
            plot("a factory", &["cube"]),
            plot("factory", &["far-too-long-for-a-link"]),
            plot("factory", &["cube", "cube"]),
        ] {
            assert!(!can_be(&[wrong]), "{wrong:?}");
        }
        assert!(!can_be(&[
            plot("shop", &["till1"]),
            plot("shop", &["till2"])
        ]));
    }
}
