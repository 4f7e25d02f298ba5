//! How this machine is set up to find names: `resolv.conf` and the hosts file.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6},
    time::Duration,
};

use resolv_conf::{Config, ScopedIp};

/// Where the name servers are listed.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where names are listed that need no name server.
const HOSTS: &str = "/etc/hosts";
/// Most bytes that are read of either.
const FILE_MAX: u64 = 1 << 20;
/// Most name servers that are used, as in the C library.
const SERVERS_MAX: usize = 3;
/// Most domains that are searched, as in the C library.
const SEARCH_MAX: usize = 6;
/// The port that they listen on (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

/// How to find names.
#[derive(Debug, Default)]
pub(super) struct Setup {
    /// In turn.
    pub(super) servers: Vec<SocketAddr>,
    /// Domains that a name without a dot may be meant in.
    pub(super) search: Vec<String>,
    /// How long a server has to answer.
    pub(super) timeout: Duration,
    /// Whether longer answers over UDP are offered to be taken.
    pub(super) edns: bool,
    /// Whether all is asked over TCP.
    pub(super) over_tcp: bool,
    pub(super) hosts: Hosts,
    /// Whether nobody named a server, so that this machine itself is asked, as the C library does
    /// (resolv.conf(5)).
    pub(super) unnamed: bool,
}

impl Setup {
    /// Reads it. A machine may be without both files.
    pub(super) fn of_system() -> Result<Self, String> {
        let text = match read(RESOLV_CONF) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            text => text.map_err(|error| format!("{RESOLV_CONF}: {error}"))?,
        };
        let hosts = read(HOSTS).unwrap_or_default();
        Ok(Self::parse(&text, &hosts))
    }

    fn parse(resolv_conf: &[u8], hosts: &[u8]) -> Self {
        // Lines that nobody understands are left out, as the C library leaves them out.
        let (config, _) = Config::parse_with_errors(resolv_conf);
        let servers = config.nameservers.iter().filter_map(address);
        let mut servers: Vec<_> = servers.take(SERVERS_MAX).collect();
        let unnamed = servers.is_empty();
        if unnamed {
            servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT)));
        }
        let search = config.get_last_search_or_domain();
        let search = search.filter(|domain| *domain != "--").cloned();
        Self {
            servers,
            search: search.take(SEARCH_MAX).collect(),
            timeout: Duration::from_secs(config.timeout.max(1).into()),
            edns: config.edns0,
            over_tcp: config.use_vc,
            hosts: Hosts::parse(&String::from_utf8_lossy(hosts)),
            unnamed,
        }
    }
}

/// Addresses by name, in lower case and without the dot at its end.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    /// All addresses of a name in the order of the file; `None` if it does not have the name.
    pub(super) fn addresses(&self, name: &str) -> Option<&[IpAddr]> {
        self.0.get(name).map(Vec::as_slice)
    }

    fn parse(text: &str) -> Self {
        let mut hosts = HashMap::<String, Vec<IpAddr>>::new();
        for line in text.lines() {
            let line = line.split_once('#').map_or(line, |(before, _)| before);
            let mut words = line.split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
                continue;
            };
            for name in words {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                hosts.entry(name).or_default().push(address);
            }
        }
        Self(hosts)
    }
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `None`: an address on an interface that this machine does not have.
fn address(ip: &ScopedIp) -> Option<SocketAddr> {
    Some(match ip {
        ScopedIp::V4(ip) => SocketAddr::from((*ip, DNS_PORT)),
        ScopedIp::V6(ip, None) => SocketAddr::from((*ip, DNS_PORT)),
        ScopedIp::V6(ip, Some(scope)) => {
            let index = scope
                .parse()
                .ok()
                .or_else(|| nix::net::if_::if_nametoindex(scope.as_str()).ok())?;
            SocketAddrV6::new(*ip, DNS_PORT, 0, index).into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_c_library_would_ask_is_asked() {
        let setup = Setup::parse(
            b"# from DHCP\nsearch example.test lan\nnameserver 192.0.2.1\nnameserver fe80::1%7\n\
              nameserver 2001:db8::1\nnameserver 192.0.2.4\nnonsense\n\
              options timeout:2 edns0 use-vc\n",
            b"",
        );
        let servers: Vec<_> = setup.servers.iter().map(ToString::to_string).collect();
        assert_eq!(
            servers,
            ["192.0.2.1:53", "[fe80::1%7]:53", "[2001:db8::1]:53"]
        );
        assert_eq!(setup.search, ["example.test", "lan"]);
        assert_eq!(setup.timeout, Duration::from_secs(2));
        assert!(setup.edns && setup.over_tcp && !setup.unnamed);
    }

    #[test]
    fn a_machine_that_is_told_of_no_name_server_asks_itself() {
        for text in ["", "search lan\n", "nameserver of-mine\n"] {
            let setup = Setup::parse(text.as_bytes(), b"");
            let itself = SocketAddr::from(([127, 0, 0, 1], 53));
            assert_eq!(
                (setup.unnamed, setup.servers),
                (true, vec![itself]),
                "{text}"
            );
        }
    }

    #[test]
    fn hosts_are_read_as_they_are_written() {
        let hosts = Hosts::parse(
            "127.0.0.1 localhost\n::1 localhost # both\n192.0.2.9\tBox.Example.  box\nno 1\n#\n",
        );
        let both: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(hosts.addresses("localhost"), Some(&both[..]));
        for name in ["box.example", "box"] {
            let found = hosts.addresses(name).map(<[IpAddr]>::len);
            assert_eq!(found, Some(1), "{name}");
        }
        assert_eq!(hosts.addresses("1"), None);
    }
}
