//! Which network this machine is on, by its own tables.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::memory::Network;

/// Where Linux tells its routes (proc(5)).
const ROUTES: &str = "/proc/net/route";
/// And what its neighbours' hardware is called.
const NEIGHBOURS: &str = "/proc/net/arp";
/// A route that is up (`RTF_UP`) and leads through a gateway (`RTF_GATEWAY`).
const UP_THROUGH_GATEWAY: u32 = 0x3;

/// The network that this machine is on now, where it goes out through `proxy`. Nothing is sent. A
/// machine without such tables, or without a gateway of IPv4, is on the network of its proxy alone.
#[must_use]
pub fn here(proxy: Option<&str>) -> Network {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    of(&read(ROUTES), &read(NEIGHBOURS), proxy)
}

fn of(routes: &str, neighbours: &str, proxy: Option<&str>) -> Network {
    let gateway = gateway(routes);
    let hardware = gateway.and_then(|gateway| hardware(neighbours, gateway));
    Network::behind(gateway.map(IpAddr::V4), hardware, proxy)
}

/// The gateway of the default route that is preferred.
fn gateway(routes: &str) -> Option<Ipv4Addr> {
    let routes = routes.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, destination, gateway, flags, _, _, metric, mask, ..] = fields.as_slice() else {
            return None;
        };
        let hex = |text: &str| u32::from_str_radix(text, 16).ok();
        let is_default = hex(destination)? == 0 && hex(mask)? == 0;
        let leads = hex(flags)? & UP_THROUGH_GATEWAY == UP_THROUGH_GATEWAY;
        // The kernel writes the address as a number of this machine's.
        let gateway = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
        (is_default && leads && !gateway.is_unspecified())
            .then_some((metric.parse::<u32>().ok()?, gateway))
    });
    routes.min().map(|(_, gateway)| gateway)
}

/// What the hardware of a neighbour is called, if it has said so.
fn hardware(neighbours: &str, address: Ipv4Addr) -> Option<[u8; 6]> {
    let line = neighbours.lines().skip(1).find(|line| {
        let first = line.split_whitespace().next();
        first.and_then(|first| first.parse().ok()) == Some(address)
    })?;
    let mut bytes = [0; 6];
    let mut parts = line.split_whitespace().nth(3)?.split(':');
    for byte in &mut bytes {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    // All zeros: it was asked and has not answered yet.
    (bytes != [0; 6] && parts.next().is_none()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
";
    const NEIGHBOURS: &str = "\
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.9         0x1         0x2         02:00:00:00:00:09     *        eth0
10.0.0.1         0x1         0x2         02:00:5e:10:00:01     *        eth0
";

    #[test]
    fn a_network_is_known_by_the_gateway_that_is_preferred_and_its_hardware() {
        let network = of(ROUTES, NEIGHBOURS, Some("http://proxy:3128"));
        let wanted = "10.0.0.1 02:00:5e:10:00:01 http://proxy:3128";
        assert_eq!(network.to_string(), wanted);
    }

    #[test]
    fn a_gateway_that_has_not_said_its_name_yet_is_known_by_its_address() {
        let silent = NEIGHBOURS.replace("02:00:5e:10:00:01", "00:00:00:00:00:00");
        assert_eq!(of(ROUTES, &silent, None).to_string(), "10.0.0.1");
        assert_eq!(of(ROUTES, "", None).to_string(), "10.0.0.1");
    }

    #[test]
    fn tables_that_are_not_there_or_are_something_else_make_no_network() {
        for routes in [
            "",
            "x",
            "\nx\n",
            "\n\u{e5} 0 0 3 0 0 0 0\n",
            "\neth0 0 zz 3 0 0 0 0\n",
        ] {
            assert_eq!(
                of(routes, NEIGHBOURS, None).to_string(),
                "direct",
                "{routes}"
            );
        }
    }
}
