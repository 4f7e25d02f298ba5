//! Addresses for everything that a manifest names, and what its lanes let through: a judgement of
//! single packets that knows nothing of firewalls.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use outgate_manifest::document::product::Reach;
use outgate_manifest::{Lane, Manifest, Target, Transport};

use super::probe::Packet;
use super::{DEVICE, Part};

/// The addresses of one manifest's parties, names and other destinations.
pub(crate) struct Site {
    known: BTreeMap<String, [IpAddr; 2]>,
    parts: BTreeMap<String, Part>,
}

impl Site {
    pub(crate) fn new(manifest: &Manifest, lanes: &[Lane]) -> Self {
        let mut site = Self {
            known: BTreeMap::new(),
            parts: BTreeMap::new(),
        };
        for (id, party) in manifest.parties().iter() {
            let part = match party.at {
                _ if id.as_str() == "device" => Part::Device,
                Reach::Site => Part::Site,
                Reach::Internet => Part::Internet,
            };
            site.settle(id.as_str(), part);
        }
        for lane in lanes {
            if !matches!(
                lane.to,
                Target::Address(_) | Target::Network(_) | Target::Multicast(_)
            ) {
                site.settle(&lane.to.value(), Part::Internet);
            }
        }
        site
    }

    fn settle(&mut self, word: &str, part: Part) {
        if self.known.contains_key(word) {
            return;
        }
        let number = u8::try_from(self.known.len() + 1).expect("few words");
        let last = u16::from(number);
        let addresses: [IpAddr; 2] = match part {
            Part::Device => [DEVICE.0.into(), DEVICE.1.into()],
            Part::Site => [
                Ipv4Addr::new(10, 7, 2, number).into(),
                Ipv6Addr::new(0xfd07, 2, 0, 0, 0, 0, 0, last).into(),
            ],
            Part::Internet => [
                Ipv4Addr::new(198, 18, 1, number).into(),
                Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, last).into(),
            ],
        };
        self.known.insert(word.to_owned(), addresses);
        self.parts.insert(word.to_owned(), part);
    }

    /// The words with their addresses, as an administrator gives them.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&str, [IpNet; 2])> {
        self.known
            .iter()
            .map(|(word, addresses)| (word.as_str(), addresses.map(IpNet::from)))
    }

    /// The addresses of a word, IPv4 before IPv6.
    pub(crate) fn of(&self, word: &str) -> [IpAddr; 2] {
        self.known[word]
    }

    /// The networks that a lane goes to; none where no router forwards it.
    fn networks(&self, lane: &Lane) -> Vec<IpNet> {
        match &lane.to {
            Target::Multicast(_) => Vec::new(),
            Target::Address(address) => {
                Vec::from_iter(routed(*address).then(|| IpNet::from(*address)))
            }
            Target::Network(network) => vec![*network],
            Target::Name(_)
            | Target::Wildcard(_)
            | Target::Party(_)
            | Target::Dhcp(_)
            | Target::ServiceTag(_) => self.of(&lane.to.value()).map(IpNet::from).into(),
        }
    }

    /// The packets that show that a lane is open: each family, and of a range the first, a middle
    /// and the last port.
    pub(crate) fn packets(&self, lane: &Lane) -> Vec<Packet> {
        let from = lane.from.as_str();
        let mut packets = Vec::new();
        for network in self.networks(lane) {
            let to = network.hosts().last().unwrap_or(network.addr());
            let from_address = self.of(from)[usize::from(to.is_ipv6())];
            for port in ports(lane) {
                packets.push(Packet {
                    part: self.parts[from],
                    from: from_address,
                    to,
                    transport: lane.transport,
                    port,
                });
            }
        }
        // A lane with a rate is tried once: a second packet at the same time would be too many.
        packets.truncate(if lane.rate.is_some() { 1 } else { usize::MAX });
        packets
    }

    /// Whether one of the lanes lets a packet through.
    pub(crate) fn allows<'a>(
        &self,
        mut lanes: impl Iterator<Item = &'a Lane>,
        packet: &Packet,
    ) -> bool {
        lanes.any(|lane| {
            self.of(lane.from.as_str()).contains(&packet.from)
                && self
                    .networks(lane)
                    .iter()
                    .any(|network| network.contains(&packet.to))
                && lane.transport == packet.transport
                && lane
                    .ports
                    .is_none_or(|ports| (ports.low()..=ports.high()).contains(&packet.port))
        })
    }

    /// Packets near to the declared ones that no lane lets through: other ports, transports,
    /// addresses, and the way back.
    pub(crate) fn undeclared(&self, lanes: &[Lane]) -> Vec<Packet> {
        let mut near = Vec::new();
        for packet in lanes.iter().flat_map(|lane| self.packets(lane)) {
            let ports = [
                packet.port.wrapping_sub(1),
                packet.port.wrapping_add(1),
                443,
                53,
                23,
            ];
            let ports = ports
                .into_iter()
                .filter(|port| *port != 0 && packet.transport != Transport::Icmp);
            near.extend(ports.map(|port| Packet { port, ..packet }));
            near.extend(other_transports(&packet));
            let elsewhere: [IpAddr; 2] = match packet.part {
                Part::Internet => [
                    Ipv4Addr::new(10, 9, 9, 9).into(),
                    Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 9).into(),
                ],
                Part::Device | Part::Site => [
                    Ipv4Addr::new(198, 19, 9, 9).into(),
                    Ipv6Addr::new(0x2001, 0xdb8, 0x99, 0, 0, 0, 0, 9).into(),
                ],
            };
            near.push(Packet {
                to: elsewhere[usize::from(packet.to.is_ipv6())],
                ..packet
            });
            near.extend(self.back(&packet));
        }
        near.retain(|packet| !self.allows(lanes.iter(), packet) && self.crosses(packet));
        near.sort();
        near.dedup();
        near
    }

    /// Whether the product is one end and the router is between.
    fn crosses(&self, packet: &Packet) -> bool {
        let judged = |address| {
            self.known
                .iter()
                .any(|(word, known)| self.parts[word] != Part::Internet && known.contains(address))
        };
        part_of(packet.from) != part_of(packet.to) && (judged(&packet.from) || judged(&packet.to))
    }

    fn back(&self, packet: &Packet) -> Option<Packet> {
        let part = part_of(packet.to);
        (part != packet.part).then_some(Packet {
            part,
            from: packet.to,
            to: packet.from,
            ..*packet
        })
    }
}

fn ports(lane: &Lane) -> Vec<u16> {
    match (lane.transport, lane.ports) {
        (Transport::Icmp, _) => vec![0],
        (Transport::Tcp | Transport::Udp, None) => vec![1, 4444, 65535],
        (Transport::Tcp | Transport::Udp, Some(ports)) => {
            let middle = ports.low() + (ports.high() - ports.low()) / 2;
            let mut all = vec![ports.low(), middle, ports.high()];
            all.dedup();
            all
        }
    }
}

fn other_transports(packet: &Packet) -> Vec<Packet> {
    let as_other = |transport, port| Packet {
        transport,
        port,
        ..*packet
    };
    match packet.transport {
        Transport::Tcp => vec![as_other(Transport::Udp, packet.port)],
        Transport::Udp => vec![as_other(Transport::Tcp, packet.port)],
        Transport::Icmp => vec![as_other(Transport::Tcp, 7), as_other(Transport::Udp, 7)],
    }
}

fn part_of(address: IpAddr) -> Part {
    let site = match address {
        IpAddr::V4(v4) => v4.octets()[0] == 10,
        IpAddr::V6(v6) => v6.octets()[0] == 0xfd,
    };
    if address == DEVICE.0 || address == DEVICE.1 {
        Part::Device
    } else if site {
        Part::Site
    } else {
        Part::Internet
    }
}

fn routed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    }
}
