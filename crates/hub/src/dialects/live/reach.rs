//! Where an API's addresses may be.
//!
//! Names are looked up here, at each connection, so that what is looked at is what is connected
//! to: a name that leads elsewhere today than yesterday leads nowhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Where an API's addresses may be.
#[derive(Clone, Debug)]
pub(crate) struct Reach(Arc<[IpNet]>);

/// Why a name was not connected to.
#[derive(Debug, thiserror::Error)]
#[error("the API's addresses are not where they may be")]
struct Elsewhere;

impl Reach {
    /// In these networks; anywhere public when there is none.
    pub(crate) fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// Whether `address` may be connected to.
    pub(crate) fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if self.0.is_empty() {
            return is_public(address);
        }
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<SocketAddr> = found
                .filter(|address| reach.permits(address.ip()))
                .collect();
            if permitted.is_empty() {
                return Err(Elsewhere.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the Internet's, and of nobody's own network (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let special = match first {
        // This network, and what is reserved, with the broadcast address.
        0 | 240..=255 => true,
        // Shared address space (RFC 6598).
        100 => (64..128).contains(&second),
        // Protocol assignments.
        192 => second == 0 && third == 0,
        // Benchmarks (RFC 2544).
        198 => second == 18 || second == 19,
        _ => false,
    };
    !special
        && !address.is_private()
        && !address.is_loopback()
        && !address.is_link_local()
        && !address.is_multicast()
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let words = address.segments();
    match words {
        // NAT64 (RFC 6052), and 6to4 (RFC 3056): an IPv4 address is within.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(joined(high, low)),
        [0x2002, high, low, ..] => is_public_v4(joined(high, low)),
        // Global unicast is all of 2000::/3, in which 2001::/23 is for protocols.
        [0x2001, second, ..] => second >= 0x200,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_networks_only_public_addresses_may_be_connected_to() {
        let anywhere = Reach::new(&[]);
        for (address, permitted) in [
            ("192.0.2.1", true),
            ("20.50.2.3", true),
            ("2a01:111::1", true),
            ("10.0.0.1", false),
            ("172.16.0.1", false),
            ("192.168.0.1", false),
            ("100.64.0.1", false),
            ("127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("169.254.169.254", false),
            ("0.0.0.0", false),
            ("192.0.0.8", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::7f00:1", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("ff02::1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::a00:1", false),
            ("64:ff9b::1432:203", true),
            ("2002:7f00:1::", false),
            ("2001::1", false),
        ] {
            assert_eq!(
                anywhere.permits(address.parse().unwrap()),
                permitted,
                "{address}"
            );
        }
    }

    #[test]
    fn with_networks_only_they_may_be_connected_to() {
        let near = Reach::new(&["127.0.0.1/32".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for (address, permitted) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("fd00::7", true),
            ("127.0.0.2", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(
                near.permits(address.parse().unwrap()),
                permitted,
                "{address}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_leads_nowhere() {
        let found = Reach::new(&[]).resolve("localhost".parse().unwrap()).await;
        let error = found.err().unwrap();
        assert_eq!(error.to_string(), Elsewhere.to_string());
        let near = Reach::new(&["127.0.0.0/8".parse().unwrap()]);
        let found = near.resolve("localhost".parse().unwrap()).await.unwrap();
        assert!(found.map(|address| address.ip()).all(|ip| ip.is_loopback()));
    }
}
