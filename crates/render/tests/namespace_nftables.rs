//! The nftables file at work: loaded into a router of a private network, judged by real packets.
//! Needs root, `ip`, `nft`, `ping` and `dnsmasq`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and these tests build networks"
)]

use std::collections::{BTreeMap, BTreeSet};

use outgate_manifest::{Lane, Manifest, Selection, Target};
use outgate_render::rules::addresses::Addresses;
use outgate_render::rules::{Expression, Rules, RulesRequest, target};

use crate::network::Network;
use crate::network::probe::Packet;
use crate::network::site::Site;

mod filling;
mod network;
mod shipped;

/// The fewest undeclared packets that a manifest is tried with.
const UNDECLARED: usize = 50;

/// A manifest with its lanes, addresses and rules.
struct Case {
    manifest: Manifest,
    lanes: Vec<Lane>,
    site: Site,
    rules: Rules,
}

impl Case {
    fn new(manifest: Manifest, selection: &Selection) -> Self {
        let lanes = manifest.lanes(selection).unwrap();
        let site = Site::new(&manifest, &lanes);
        let mut addresses = Addresses::default();
        for (word, networks) in site.given() {
            // Wildcards are left to the name server; names with stand-ins are opened by those.
            if !word.starts_with('*') && !has_stand_ins(&lanes, word) {
                addresses.add(word, networks).unwrap();
            }
        }
        // Everything of the site is the product's here, so that every undeclared packet counts.
        let judged: BTreeSet<String> = manifest.parties().ids().map(str::to_owned).collect();
        let request = RulesRequest {
            manifest: &manifest,
            selection,
            lanes: &lanes,
            addresses: &addresses,
            judged: &judged,
            language: "en",
        };
        let rules = target("nftables").unwrap().render(&request);
        Self {
            manifest,
            lanes,
            site,
            rules,
        }
    }

    /// The lanes that a router has a part in, and that the rules can say or be taught to say.
    fn open(&self) -> impl Iterator<Item = &Lane> {
        let entries = self.lanes.iter().zip(&self.rules.ledger);
        let open = entries.filter(|(lane, entry)| {
            entry.expression != Expression::NotNeeded
                && !matches!(lane.to, Target::Multicast(_))
                && !has_stand_ins(&self.lanes, &lane.to.value())
        });
        open.map(|(lane, _)| lane)
    }

    fn declared(&self) -> Vec<Packet> {
        let packets: BTreeSet<Packet> = self
            .open()
            .flat_map(|lane| self.site.packets(lane))
            .collect();
        packets.into_iter().collect()
    }

    /// Fills the sets of wildcards, as dnsmasq would when names below them are looked up.
    fn filling(&self) -> String {
        let mut lines = String::new();
        for (lane, entry) in self.lanes.iter().zip(&self.rules.ledger) {
            if let (Target::Wildcard(_), Some(workaround)) = (&lane.to, &entry.workaround) {
                let [v4, v6] = self.site.of(&lane.to.value());
                let (_, sets) = workaround.split_once(": nftset=").unwrap();
                for set in sets.rsplit('/').next().unwrap().split(',') {
                    let words: Vec<&str> = set.split('#').collect();
                    let (table, set) = (words[2], words[3]);
                    let address = if words[0] == "4" { v4 } else { v6 };
                    lines.push_str(&format!("add element inet {table} {set} {{ {address} }}\n"));
                }
            }
        }
        lines
    }

    /// The file and what fills its sets.
    fn filled(&self, rules: &str) -> String {
        format!("{rules}{}", self.filling())
    }
}

fn has_stand_ins(lanes: &[Lane], word: &str) -> bool {
    lanes
        .iter()
        .any(|lane| lane.alternative_to.as_deref() == Some(word))
}

fn refused(answered: &BTreeMap<Packet, bool>) -> Vec<&Packet> {
    answered
        .iter()
        .filter(|(_, answered)| !**answered)
        .map(|(packet, _)| packet)
        .collect()
}

#[test]
fn declared_packets_pass_and_others_do_not() {
    let network = Network::new();
    for manifest in shipped::all() {
        let case = Case::new(manifest, &Selection::default());
        let product = &case.manifest.product().id;
        let (declared, undeclared) = (case.declared(), case.site.undeclared(&case.lanes));
        assert!(
            undeclared.len() >= UNDECLARED,
            "{product}: {}",
            undeclared.len()
        );

        // Without rules all of them are answered: what is refused later, the rules refuse.
        network.forget();
        let all: Vec<Packet> = declared.iter().chain(&undeclared).copied().collect();
        assert_eq!(
            refused(&network.send(&all)),
            Vec::<&Packet>::new(),
            "{product} without rules"
        );

        let checked = network.nft(&case.rules.text, &["-c"]);
        assert!(
            checked.status.success(),
            "{product}: {}",
            String::from_utf8_lossy(&checked.stderr)
        );
        network.load(&case.filled(&case.rules.text));
        let again = network.nft(&case.filled(&case.rules.text), &[]);
        assert!(again.status.success(), "{product}, a second time");

        assert_eq!(
            refused(&network.send(&declared)),
            Vec::<&Packet>::new(),
            "{product}"
        );
        assert_every_rule_was_used(&network.listed(), &case);
        let mut answered = network.send(&undeclared);
        answered.retain(|_, answered| *answered);
        assert!(
            answered.is_empty(),
            "{product} lets through {:?}",
            answered.keys()
        );
    }
}

/// Counters show which flows were used; every rule has its use.
fn assert_every_rule_was_used(listed: &str, case: &Case) {
    // Of what has a rate one packet was sent, so that only one family counts it; and multicast is
    // not sent here, for no router forwards it without a daemon.
    let partly = |lane: &&Lane| lane.rate.is_some() || matches!(lane.to, Target::Multicast(_));
    let partly: BTreeSet<String> = case
        .lanes
        .iter()
        .filter(partly)
        .map(|lane| format!("\"flow:{}\"", lane.flow))
        .collect();
    let rules = listed
        .lines()
        .filter(|line| line.contains("comment \"flow:"));
    let (unused, used): (Vec<&str>, Vec<&str>) = rules
        .filter(|line| !partly.iter().any(|flow| line.contains(flow)))
        .partition(|line| line.contains("counter packets 0 "));
    assert!(
        !used.is_empty() && unused.is_empty(),
        "{}: {unused:?}",
        case.manifest.name()
    );
}

#[test]
fn without_one_rule_exactly_its_lanes_are_refused() {
    let network = Network::new();
    let case = Case::new(shipped::every_kind(), &Selection::default());
    let declared = case.declared();
    let groups = groups(&case.rules.text);
    assert!(groups.len() >= 20, "{groups:?}");
    for (removed, without) in groups {
        let left = |lane: &&Lane| !removed.contains(&described(lane));
        let expected: Vec<&Packet> = declared
            .iter()
            .filter(|packet| !case.site.allows(case.open().filter(left), packet))
            .collect();
        network.load(&case.filled(&without));
        assert_eq!(
            refused(&network.send(&declared)),
            expected,
            "without {removed:?}"
        );
    }
}

/// For each rule, or pair of rules for both families: the lanes above it, and the file without it.
fn groups(rules: &str) -> Vec<(Vec<String>, String)> {
    let lines: Vec<&str> = rules.lines().collect();
    let start = lines
        .iter()
        .position(|line| line.contains("chain judged"))
        .unwrap();
    let mut groups = Vec::new();
    let mut at = start + 1;
    while let Some(line) = lines.get(at) {
        let is_lane = |at: usize| lines.get(at).is_some_and(|line| line.starts_with("\t\t# "));
        if !line.starts_with("\t\t# ") {
            break;
        }
        let first = at;
        while is_lane(at) {
            at += 1;
        }
        let lanes = lines[first..at]
            .iter()
            .map(|line| line.trim_start_matches(['\t', '#', ' ']).to_owned());
        while lines[at].contains("comment \"flow:") {
            at += 1;
        }
        let rest = lines[..first]
            .iter()
            .chain(&lines[at..])
            .copied()
            .collect::<Vec<_>>();
        groups.push((lanes.collect(), rest.join("\n") + "\n"));
    }
    groups
}

/// A lane as the file's comments show it.
fn described(lane: &Lane) -> String {
    let ports = lane
        .ports
        .map_or_else(String::new, |ports| format!(" {ports}"));
    let (flow, from, to) = (&lane.flow, &lane.from, lane.to.value());
    format!(
        "{flow}: {from} > {to} {}{ports} ({})",
        lane.transport, lane.protocol
    )
}

#[test]
fn pings_above_the_rate_are_dropped_although_they_are_one_conversation() {
    let network = Network::new();
    let case = Case::new(shipped::every_kind(), &Selection::default());
    network.load(&case.rules.text);
    let from = case.site.of("technician")[0].to_string();
    let to = case.site.of("device")[0].to_string();
    let namespace = network.namespace(network::Part::Site);
    let flood = std::process::Command::new("ip")
        .args([
            "netns", "exec", &namespace, "ping", "-n", "-q", "-c20", "-i0.01", "-W1", "-I", &from,
            &to,
        ])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&flood.stdout);
    let received: u32 = told
        .split(", ")
        .find_map(|part| part.strip_suffix(" received"))
        .and_then(|count| count.parse().ok())
        .expect("a count");
    // Twenty pings take a fifth of a second; on a slow machine a second one may get its turn.
    assert!((1..=5).contains(&received), "{told}");
    let dropped = network.listed();
    let dropped = dropped
        .lines()
        .find(|line| line.contains("rate:ping-in") && line.contains("ip saddr"));
    assert!(!dropped.unwrap().contains("packets 0 "), "{dropped:?}");
}

#[test]
fn when_the_device_is_not_known_the_whole_router_is_judged() {
    let network = Network::new();
    let manifest = shipped::every_kind();
    let selection = Selection::default();
    let lanes = manifest.lanes(&selection).unwrap();
    let site = Site::new(&manifest, &lanes);
    let mut addresses = Addresses::default();
    addresses
        .give("a.example.com", &site.of("a.example.com")[0].to_string())
        .unwrap();
    let judged = BTreeSet::new();
    let request = RulesRequest {
        manifest: &manifest,
        selection: &selection,
        lanes: &lanes,
        addresses: &addresses,
        judged: &judged,
        language: "en",
    };
    network.load(&target("nftables").unwrap().render(&request).text);
    let open = lanes
        .iter()
        .find(|lane| lane.to.value() == "a.example.com")
        .unwrap();
    let device = site.packets(open)[0];
    let other = Packet {
        part: network::Part::Site,
        from: site.of("directory")[0],
        ..device
    };
    let closed = Packet {
        port: device.port + 1,
        ..device
    };
    let closed_to_others = Packet {
        port: other.port + 1,
        ..other
    };
    let answered = network.send(&[device, other, closed, closed_to_others]);
    assert_eq!(
        refused(&answered),
        [&closed_to_others, &closed]
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
}
