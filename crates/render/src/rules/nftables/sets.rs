//! Named sets of addresses: one for each name, party, DHCP option and service tag, and family.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ipnet::IpNet;

use super::text::{self, identifier};

/// The longest base of a set's name. The kernel takes 255 bytes (`NFT_NAME_MAXLEN`), and a suffix
/// for the family follows.
const MAX_BASE: usize = 200;

/// The most elements that one line of a set holds.
const PER_LINE: usize = 6;

/// All sets of a file, in the order of their first use.
#[derive(Debug, Default)]
pub(super) struct Sets {
    all: Vec<Set>,
    taken: BTreeSet<String>,
}

/// What stands in a set: fixed elements, or those that a name server fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Elements {
    Given(Vec<IpNet>),
    /// Empty at first; with the domain whose addresses belong in it.
    Filled(String),
}

#[derive(Debug)]
struct Set {
    label: String,
    base: String,
    elements: Elements,
}

/// What a rule matches one end of a lane with, by family; none where nothing can match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operands {
    pub(super) v4: Option<String>,
    pub(super) v6: Option<String>,
}

impl Operands {
    /// A single network as it is.
    pub(super) fn literal(network: IpNet) -> Self {
        let shown = text::network(network);
        match network {
            IpNet::V4(_) => Self {
                v4: Some(shown),
                v6: None,
            },
            IpNet::V6(_) => Self {
                v4: None,
                v6: Some(shown),
            },
        }
    }
}

impl Sets {
    /// The operands of the set with this label, which is added when it is new. `kind` starts its
    /// name and keeps sets of different kinds apart.
    pub(super) fn operands(&mut self, kind: &str, label: &str, elements: &Elements) -> Operands {
        let known = self
            .all
            .iter()
            .position(|set| set.label == label && set.base.starts_with(kind));
        let at = known.unwrap_or_else(|| {
            let base = identifier(kind, label, MAX_BASE, &mut self.taken);
            self.all.push(Set {
                label: label.to_owned(),
                base,
                elements: elements.clone(),
            });
            self.all.len() - 1
        });
        self.all
            .get(at)
            .map_or(Operands { v4: None, v6: None }, Set::operands)
    }

    /// The definitions.
    pub(super) fn write(&self, out: &mut String) {
        for set in &self.all {
            set.write(out);
        }
    }

    /// The lines by which dnsmasq fills the sets that are empty at first.
    pub(super) fn dnsmasq(&self, table: &str) -> Vec<String> {
        let line = |set: &Set| match &set.elements {
            Elements::Given(_) => None,
            Elements::Filled(domain) => Some(dnsmasq(domain, table, &set.base)),
        };
        self.all.iter().filter_map(line).collect()
    }

    /// The line by which dnsmasq fills the set with this label.
    pub(super) fn dnsmasq_of(&self, kind: &str, label: &str, table: &str) -> Option<String> {
        let found = self
            .all
            .iter()
            .find(|set| set.label == label && set.base.starts_with(kind))?;
        match &found.elements {
            Elements::Given(_) => None,
            Elements::Filled(domain) => Some(dnsmasq(domain, table, &found.base)),
        }
    }
}

fn dnsmasq(domain: &str, table: &str, base: &str) -> String {
    format!("nftset=/{domain}/4#inet#{table}#{base}_v4,6#inet#{table}#{base}_v6")
}

impl Set {
    fn operands(&self) -> Operands {
        let operand = |v4: bool| self.has(v4).then(|| format!("@{}", self.name(v4)));
        Operands {
            v4: operand(true),
            v6: operand(false),
        }
    }

    fn name(&self, v4: bool) -> String {
        format!("{}_{}", self.base, if v4 { "v4" } else { "v6" })
    }

    fn has(&self, v4: bool) -> bool {
        match &self.elements {
            Elements::Given(networks) => networks.iter().any(|one| of_family(one, v4)),
            Elements::Filled(_) => true,
        }
    }

    fn write(&self, out: &mut String) {
        for v4 in [true, false] {
            if self.has(v4) {
                self.write_family(v4, out);
            }
        }
    }

    fn write_family(&self, v4: bool, out: &mut String) {
        let kind = if v4 { "ipv4_addr" } else { "ipv6_addr" };
        let comment = text::quoted(&self.label);
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "\tset {} {{\n\t\ttype {kind}", self.name(v4));
        match &self.elements {
            Elements::Filled(_) => {
                let _ = writeln!(out, "\t\tcomment {comment}");
            }
            Elements::Given(networks) => {
                let ours = networks.iter().filter(|one| of_family(one, v4));
                let shown: Vec<String> = ours.map(|one| text::network(*one)).collect();
                let _ = writeln!(out, "\t\tflags interval\n\t\tcomment {comment}");
                let lines: Vec<String> =
                    shown.chunks(PER_LINE).map(|line| line.join(", ")).collect();
                let _ = writeln!(out, "\t\telements = {{ {} }}", lines.join(",\n\t\t\t"));
            }
        }
        out.push_str("\t}\n\n");
    }
}

fn of_family(network: &IpNet, v4: bool) -> bool {
    match network {
        IpNet::V4(_) => v4,
        IpNet::V6(_) => !v4,
    }
}
