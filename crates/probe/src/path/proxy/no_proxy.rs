//! Hosts to which no proxy leads, in curl's meaning of `NO_PROXY`.

use std::net::IpAddr;

use crate::ask::Host;

/// The longest list that is read, in bytes; what is longer is cut.
const TEXT_MAX: usize = 65_536;
/// Longest entry that can fit an address, in bytes; so in curl.
const ADDRESS_MAX: usize = 127;

/// A list of names, addresses and networks, separated by commas or blanks. A name stands for
/// itself and all below it, with or without a dot in front; `*` alone for every host; an address
/// may have a prefix length. There are no ports and no other wildcards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy(String);

impl NoProxy {
    /// Reads a list; every text is one.
    pub fn new(text: &str) -> Self {
        let mut end = text.len().min(TEXT_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text[..end].to_owned())
    }

    /// Whether a host is reached without a proxy.
    pub fn covers(&self, host: &Host) -> bool {
        if self.0 == "*" {
            return true;
        }
        let mut entries = self
            .0
            .split([',', ' ', '\t'])
            .filter(|entry| !entry.is_empty());
        match host {
            Host::Address(address) => entries.any(|entry| covers_address(entry, *address)),
            Host::Name(name) => entries.any(|entry| covers_name(entry, name)),
            Host::SystemResolvers | Host::TimeServers | Host::Role(_) => false,
        }
    }
}

fn covers_name(entry: &str, name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let entry = entry.strip_suffix('.').unwrap_or(entry);
    let entry = entry.strip_prefix('.').unwrap_or(entry);
    let rest = name.strip_suffix(&entry.to_ascii_lowercase());
    !entry.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn covers_address(entry: &str, address: IpAddr) -> bool {
    if entry.len() > ADDRESS_MAX {
        return false;
    }
    let (network, length) = match entry.split_once('/') {
        Some((network, length)) => (network, length.parse().ok()),
        None => (entry, Some(0)),
    };
    match (network.parse(), address, length) {
        (Ok(IpAddr::V4(network)), IpAddr::V4(address), Some(length @ 0..=32)) => same(
            network.to_bits().into(),
            address.to_bits().into(),
            32,
            length,
        ),
        (Ok(IpAddr::V6(network)), IpAddr::V6(address), Some(length @ 0..=128)) => {
            same(network.to_bits(), address.to_bits(), 128, length)
        }
        (Ok(_), _, _) | (Err(_), _, _) => false,
    }
}

/// Whether the first bits of two addresses are the same. A length of 0 means all of them: so in
/// curl, also where it is written.
fn same(network: u128, address: u128, bits: u32, length: u32) -> bool {
    let shift = if length == 0 { 0 } else { bits - length };
    // Shifting by the whole width is shifting everything out.
    let first = |value: u128| value.checked_shr(shift).unwrap_or(0);
    first(network) == first(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(list: &str, host: &str) -> bool {
        let host = host
            .parse()
            .map_or_else(|_| Host::Name(host.to_owned()), Host::Address);
        NoProxy::new(list).covers(&host)
    }

    #[test]
    fn a_name_stands_for_itself_and_all_below_it() {
        for list in [
            "example.com",
            ".example.com",
            "a,EXAMPLE.com. b",
            "a example.com",
        ] {
            for host in ["example.com", "www.Example.com", "example.com."] {
                assert!(covers(list, host), "{list} {host}");
            }
            assert!(!covers(list, "badexample.com"), "{list}");
        }
        assert!(!covers("www.example.com", "example.com"));
        assert!(!covers("*.example.com", "www.example.com"));
        assert!(!covers("example.com:443", "example.com"));
        assert!(!covers(".", "example.com"));
    }

    #[test]
    fn a_star_counts_only_alone() {
        assert!(covers("*", "example.com"));
        assert!(covers("*", "192.0.2.1"));
        assert!(!covers("*,x", "example.com"));
        assert!(!covers("", "example.com"));
    }

    #[test]
    fn addresses_may_have_a_prefix_length() {
        for (list, host, expected) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.10", false),
            ("192.0.2.0/24", "192.0.2.200", true),
            ("192.0.2.0/24", "192.0.3.1", false),
            ("192.0.2.1/32", "192.0.2.1", true),
            ("192.0.2.0/33", "192.0.2.0", false),
            ("0.0.0.0/0", "192.0.2.1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1", "::1", true),
            ("[::1]", "::1", false),
            ("192.0.2.0/24", "name.example", false),
        ] {
            assert_eq!(covers(list, host), expected, "{list} {host}");
        }
    }
}
