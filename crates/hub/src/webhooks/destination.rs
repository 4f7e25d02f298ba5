//! Where may be sent to.
//!
//! Webhooks are made by administrators who see all sites, so that their back ends may well be on a
//! private network. But addresses that mean this very machine or its link lead to services that
//! trust whoever is near (also those that tell a machine in a cloud its secrets), and only by
//! configuration may a webhook reach them. Names are looked up here, at each connection, so that
//! what is looked at is what is connected to; redirections are never followed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Which addresses may be sent to.
#[derive(Clone, Debug)]
pub(super) struct Destinations {
    trusted: Arc<[IpNet]>,
    carrier: Carrier,
}

/// What is below HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// TLS.
    Tls,
    /// Nothing: only where the network is trusted.
    Plain,
}

/// Why a name was not connected to.
#[derive(Debug, thiserror::Error)]
#[error("the host's addresses may not be sent to")]
pub(crate) struct NotPermitted;

impl Destinations {
    pub(super) fn new(trusted: &[IpNet], carrier: Carrier) -> Self {
        Self {
            trusted: trusted.into(),
            carrier,
        }
    }

    /// Whether `address` may be sent to.
    pub(super) fn permit(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let trusted = self.trusted.iter().any(|net| net.contains(&address));
        match self.carrier {
            Carrier::Plain => trusted,
            Carrier::Tls => trusted || !is_near(address),
        }
    }
}

impl Resolve for Destinations {
    fn resolve(&self, name: Name) -> Resolving {
        let destinations = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<SocketAddr> = found
                .filter(|address| destinations.permit(address.ip()))
                .collect();
            if permitted.is_empty() {
                return Err(NotPermitted.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// Whether an address means this machine, its link, or nobody in particular.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            // All of 0.0.0.0/8 means this host on this network (RFC 6890).
            address.octets()[0] == 0
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
        }
        IpAddr::V6(address) => {
            address.is_unspecified()
                || address.is_loopback()
                || address.is_unicast_link_local()
                || address.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_its_link_are_not_sent_to_unless_trusted() {
        let tls = Destinations::new(&["127.0.0.1/32".parse().unwrap()], Carrier::Tls);
        for (address, permitted) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.2", false),
            ("::ffff:127.0.0.2", false),
            ("::1", false),
            ("0.0.0.0", false),
            ("169.254.169.254", false),
            ("::ffff:169.254.169.254", false),
            ("fe80::1", false),
            ("224.0.0.1", false),
            ("ff02::1", false),
            ("10.0.0.7", true),
            ("192.0.2.1", true),
            ("2001:db8::1", true),
        ] {
            assert_eq!(tls.permit(address.parse().unwrap()), permitted, "{address}");
        }
    }

    #[test]
    fn without_tls_only_trusted_networks_are_sent_to() {
        let plain = Destinations::new(&["10.0.0.0/8".parse().unwrap()], Carrier::Plain);
        assert!(plain.permit("10.1.2.3".parse().unwrap()));
        assert!(plain.permit("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!plain.permit("192.0.2.1".parse().unwrap()));
        assert!(!plain.permit("127.0.0.1".parse().unwrap()));
    }
}
