//! Named sets of addresses: one for each name, party, DHCP option and service tag, and family.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ipnet::IpNet;

use super::text::{self, identifier};

/// The longest base of a set's name, to which a suffix for the family is added. The kernel takes
/// 255 bytes (`NFT_NAME_MAXLEN`); this is less, so that a line for dnsmasq has room for several.
const MAX_BASE: usize = 60;

/// The longest line for dnsmasq, in bytes. With its line break it is what dnsmasq reads at a time
/// from its configuration (`MAXDNAME` less one); the rest of a longer one it takes for a new line.
const MAX_LINE: usize = 1023;

/// What stands before a line for dnsmasq at the end of a workaround, without the line's `nftset`.
pub(super) const LINE: &str = ": nftset=";

/// The most elements that one line of a set holds.
const PER_LINE: usize = 6;

/// All sets of a file, in the order of their first use.
#[derive(Debug, Default)]
pub(super) struct Sets {
    all: Vec<Set>,
    taken: BTreeSet<String>,
    /// Addresses stand in the rules themselves.
    inline: bool,
}

/// What stands in a set: fixed elements, or those that a name server fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Elements {
    Given(Vec<IpNet>),
    /// Empty at first; with the domain whose addresses belong in it, and whether those of all
    /// names below it do.
    Filled {
        domain: String,
        below: bool,
    },
}

/// A line by which dnsmasq fills sets. Of all lines that fit a name it heeds the one with the
/// longest domain alone, and of several with the same domain one alone; so there is one line a
/// domain, and it has the sets of the wildcards above too.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) domain: String,
    text: String,
    sets: Vec<Operands>,
    /// Sets that the line should fill and has no room for.
    no_room: Vec<Operands>,
}

impl Line {
    /// The line, as it stands in the configuration.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn fills(&self, set: &Operands) -> bool {
        self.sets.contains(set)
    }

    pub(super) fn should_fill(&self, set: &Operands) -> bool {
        self.no_room.contains(set)
    }
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

impl Operands {
    /// Networks as they are, in braces where there are several.
    fn anonymous(networks: &[IpNet]) -> Self {
        let family = |v4: bool| {
            let ours = networks.iter().filter(|one| of_family(one, v4));
            let shown: Vec<String> = ours.map(|one| text::network(*one)).collect();
            match shown.as_slice() {
                [] => None,
                [single] => Some(single.clone()),
                several => Some(format!("{{ {} }}", several.join(", "))),
            }
        };
        Self {
            v4: family(true),
            v6: family(false),
        }
    }
}

impl Sets {
    /// No sets at all: addresses stand in the rules themselves.
    pub(super) fn inline() -> Self {
        Self {
            inline: true,
            ..Self::default()
        }
    }

    /// Whether a set may be empty at first, and be filled later.
    pub(super) fn can_be_filled(&self) -> bool {
        !self.inline
    }

    /// The operands of the set with this label, which is added when it is new. `kind` starts its
    /// name and keeps sets of different kinds apart.
    pub(super) fn operands(&mut self, kind: &str, label: &str, elements: &Elements) -> Operands {
        if let (true, Elements::Given(networks)) = (self.inline, elements) {
            return Operands::anonymous(networks);
        }
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
    pub(super) fn dnsmasq(&self, table: &str) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for domain in self.all.iter().filter_map(Set::domain) {
            if !lines.iter().any(|line| line.domain == domain) {
                lines.push(self.line(domain, table));
            }
        }
        lines
    }

    fn line(&self, domain: &str, table: &str) -> Line {
        let mut wanted: Vec<&Set> = self.all.iter().filter(|set| set.takes(domain)).collect();
        // The domain's own sets first, then those of the wildcards above, the nearest first.
        wanted.sort_by_key(|set| std::cmp::Reverse(set.domain().map(str::len)));
        let mut line = Line {
            domain: domain.to_owned(),
            text: format!("nftset=/{domain}/"),
            sets: Vec::new(),
            no_room: Vec::new(),
        };
        for set in wanted {
            let comma = if line.sets.is_empty() { "" } else { "," };
            let base = &set.base;
            let part = format!("{comma}4#inet#{table}#{base}_v4,6#inet#{table}#{base}_v6");
            if line.text.len() + part.len() <= MAX_LINE {
                line.text.push_str(&part);
                line.sets.push(set.operands());
            } else {
                line.no_room.push(set.operands());
            }
        }
        line
    }
}

impl Set {
    /// The domain by which it is filled.
    fn domain(&self) -> Option<&str> {
        match &self.elements {
            Elements::Given(_) => None,
            Elements::Filled { domain, .. } => Some(domain),
        }
    }

    /// Whether the addresses of this domain belong in it, when it is filled.
    fn takes(&self, name: &str) -> bool {
        let Elements::Filled { domain, below } = &self.elements else {
            return false;
        };
        let above = name.strip_suffix(domain.as_str());
        name == domain || (*below && above.is_some_and(|above| above.ends_with('.')))
    }

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
            Elements::Filled { .. } => true,
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
            Elements::Filled { .. } => {
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
