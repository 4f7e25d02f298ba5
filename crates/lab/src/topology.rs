//! Who stands where: the addresses of every site in the lab, from the ranges for documentation
//! (RFC 5737, RFC 3849) and from the shared one (RFC 6598).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The device.
pub(crate) const DEVICE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 10, 0, 10)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, 0, 0x10)),
];
/// Another machine on the same network.
pub(crate) const NEIGHBOUR: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 10, 0, 20)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, 0, 0x20)),
];
/// The machine with the name server and the proxy.
pub(crate) const SERVICES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 10, 0, 53)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, 0, 0x53)),
];
/// The router towards the site.
pub(crate) const ROUTER: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 10, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, 0, 1)),
];
/// The router towards the internet.
pub(crate) const WAN: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 64, 0, 2)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 2)),
];
/// The internet's end of the line.
pub(crate) const PROVIDER: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 64, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1)),
];

/// All servers of the internet.
pub(crate) const SERVERS: [&str; 2] = ["203.0.113.0/24", "2001:db8:113::/64"];
/// The site's network, as the internet sees that of IPv6; that of IPv4 is hidden behind NAT.
pub(crate) const SITE_V6: &str = "2001:db8:10::/64";

/// The most names that a lab has servers for: what the range for IPv4 holds.
pub(crate) const MAX_NAMES: usize = 250;

/// The proxy's port.
pub(crate) const PROXY_PORT: u16 = 3128;
/// Where the router takes connections to inspect their TLS: this and the port that was meant.
pub(crate) const INSPECTION_PORTS: u16 = 20_000;
/// Where RTP comes back from, below all ports that it may use.
pub(crate) const REFLECTOR_PORT: u16 = 900;
/// What the neighbour on the site is called there.
pub(crate) const NEIGHBOUR_LABEL: &str = "neighbour";
/// Whom mDNS (RFC 6762 §3) and LLMNR (RFC 4795 §2) ask.
pub(crate) const GROUPS: [(&str, u16); 4] = [
    ("224.0.0.251", 5353),
    ("ff02::fb", 5353),
    ("224.0.0.252", 5355),
    ("ff02::1:3", 5355),
];
/// An address of a provider's network at which nobody is.
pub(crate) const NOBODY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 64, 0, 99)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x99)),
];
/// A name server in the internet from which nothing comes back.
pub(crate) const SILENT_NAME_SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 253);
/// A name server in the internet that is asked over HTTPS.
pub(crate) const NAME_SERVER_OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 252);
/// Where the router's captive portal is.
pub(crate) const PORTAL_PORT: u16 = 8_880;

/// The addresses of the internet's server number `at`, from 0.
pub(crate) fn server(at: usize) -> [IpAddr; 2] {
    let number = u8::try_from(at + 1).unwrap_or(u8::MAX);
    [
        Ipv4Addr::new(203, 0, 113, number).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, number.into()).into(),
    ]
}

/// The text of `resolv.conf` for the device.
pub(crate) fn resolver_configuration() -> String {
    format!("nameserver {}\n", SERVICES[0])
}

/// The same where the first of two name servers is silent.
pub(crate) fn resolver_configuration_with_a_silent_server() -> String {
    let rest = resolver_configuration();
    format!("options timeout:1\nnameserver {SILENT_NAME_SERVER}\n{rest}")
}

/// The same where nobody names a name server.
pub(crate) const NO_RESOLVER_CONFIGURATION: &str = "# nobody\n";
