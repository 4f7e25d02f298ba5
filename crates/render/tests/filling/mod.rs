//! Sets that the real dnsmasq fills, by the lines that the file has for it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use outgate_manifest::{Empty, Selection, Transport, parse};
use outgate_render::rules::addresses::Addresses;
use outgate_render::rules::{RulesRequest, target};

use crate::network::dnsmasq::{self, Servers};
use crate::network::probe::Packet;
use crate::network::{DEVICE, Network, Part};
use crate::shipped::all;

/// What the head of a file gives to dnsmasq.
fn lines_for_dnsmasq(rules: &str) -> String {
    let lines = rules.lines().filter_map(|line| line.strip_prefix("#   "));
    let lines = lines.filter(|line| line.starts_with("nftset="));
    lines.map(|line| format!("{line}\n")).collect()
}

/// A wildcard, a name below it with a port of its own, and a name below that one.
const NAMES: &str = "
manifest: 1
product: { id: names, name: Names, vendor: Maker }
source: { document: x, language: en }
parties: { device: { at: site, name: { en: box } } }
flows:
  all: { from: device, to: \"*.example.com\", speaks: https, need: required, why: { en: x } }
  api: { from: device, to: api.example.com, speaks: { http: 8080 }, need: required, why: { en: x } }
  shell: { from: device, to: v1.api.example.com, speaks: ssh, need: required, why: { en: x } }
";

/// Each name with the ports that are open once it was looked up. The domain of the wildcard is
/// none of the names below it, but dnsmasq knows no difference.
const LOOKED_UP: [(&str, &[u16]); 5] = [
    ("example.com", &[443]),
    ("www.example.com", &[443]),
    ("api.example.com", &[443, 8080]),
    ("v1.api.example.com", &[443, 22]),
    ("www.example.net", &[]),
];

/// The addresses of the name of this number.
fn addresses_of(number: u8) -> [IpAddr; 2] {
    let v4 = Ipv4Addr::new(198, 18, 9, number);
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, number.into());
    [v4.into(), v6.into()]
}

/// From the device to all ports that the manifest names somewhere.
fn packets(device: [IpAddr; 2], to: [IpAddr; 2]) -> Vec<Packet> {
    let ends = device.into_iter().zip(to);
    let packets = ends.flat_map(|(from, to)| {
        [22, 443, 8080].map(|port| Packet {
            part: Part::Device,
            from,
            to,
            transport: Transport::Tcp,
            port,
        })
    });
    packets.collect()
}

#[test]
fn dnsmasq_fills_the_sets_of_a_name_and_of_the_wildcards_above_it() {
    let network = Network::new();
    let manifest = parse("names.yaml", NAMES, &Empty).unwrap();
    let selection = Selection::default();
    let lanes = manifest.lanes(&selection).unwrap();
    let device = [IpAddr::from(DEVICE.0), DEVICE.1.into()];
    let mut addresses = Addresses::default();
    addresses.add("device", device.map(Into::into)).unwrap();
    let request = RulesRequest {
        manifest: &manifest,
        selection: &selection,
        lanes: &lanes,
        addresses: &addresses,
        judged: &BTreeSet::new(),
        language: "en",
    };
    let rules = target("nftables").unwrap().render(&request).text;
    network.load(&rules);

    let (mut tried, mut open) = (Vec::new(), BTreeSet::new());
    for (number, (_, ports)) in (1..).zip(LOOKED_UP) {
        for packet in packets(device, addresses_of(number)) {
            tried.push(packet);
            open.extend(ports.contains(&packet.port).then_some(packet));
        }
    }
    let answered = |packets: &[Packet]| -> BTreeSet<Packet> {
        let answered = network.send(packets).into_iter();
        answered
            .filter_map(|(packet, answered)| answered.then_some(packet))
            .collect()
    };
    assert_eq!(
        answered(&tried),
        BTreeSet::new(),
        "before anything was looked up"
    );
    let known: Vec<(&str, [IpAddr; 2])> = (1..)
        .zip(LOOKED_UP)
        .map(|(number, (name, _))| (name, addresses_of(number)))
        .collect();
    let _servers = Servers::start(&network, &lines_for_dnsmasq(&rules), &known);
    for (name, _) in &known {
        network.look_up(name);
    }
    assert_eq!(answered(&tried), open);
}

#[test]
fn dnsmasq_reads_the_lines_of_every_file_and_none_that_is_longer_than_they_may_be() {
    for manifest in all() {
        let selection = Selection::default();
        let lanes = manifest.lanes(&selection).unwrap();
        let request = RulesRequest {
            manifest: &manifest,
            selection: &selection,
            lanes: &lanes,
            addresses: &Addresses::default(),
            judged: &BTreeSet::new(),
            language: "en",
        };
        let rules = target("nftables").unwrap().render(&request).text;
        let lines = lines_for_dnsmasq(&rules);
        assert!(dnsmasq::test(&lines).status.success(), "{lines}");
    }
    for (length, read) in [(1024, true), (1025, false)] {
        let line = format!("nftset=/a.example/4#inet#t#{}", "x".repeat(length - 27));
        assert_eq!(line.len(), length);
        let tested = dnsmasq::test(&format!("{line}\n"));
        assert_eq!(tested.status.success(), read, "{length}");
    }
}
