//! Whose traffic the file judges, and what of it escapes judgement.

use ipnet::IpNet;

use super::ends::{self, End};
use super::sets::{Operands, Sets};
use crate::rules::{Entry, Expression, RulesRequest, WHOLE_FILE};

/// The party that is the product itself.
const DEVICE: &str = "device";

/// Which traffic the file judges.
#[derive(Debug)]
pub(super) enum Scope {
    /// All that the machine forwards: it is not known which of it is the product's.
    Everything,
    /// What comes from these parties or goes to them.
    Parties(Vec<Judged>),
}

/// A party whose traffic is judged.
#[derive(Debug)]
pub(super) struct Judged {
    party: String,
    /// None where its addresses are not known, so that its traffic passes after all.
    networks: Vec<IpNet>,
    pub(super) operands: Operands,
}

impl Scope {
    pub(super) fn new(request: &RulesRequest<'_>, sets: &mut Sets) -> Self {
        if ends::party_networks(request, DEVICE).is_none() {
            return Self::Everything;
        }
        let others = request.judged.iter().map(String::as_str);
        let others = others.filter(|party| *party != DEVICE);
        let judged = std::iter::once(DEVICE).chain(others).map(|party| {
            let networks = ends::party_networks(request, party).unwrap_or_default();
            let operands = match ends::party_end(party, networks.clone(), sets) {
                End::These { operands, .. } => operands,
                End::Any(_) | End::NoRule(_) => Operands { v4: None, v6: None },
            };
            Judged {
                party: party.to_owned(),
                networks,
                operands,
            }
        });
        Self::Parties(judged.collect())
    }

    /// Whether traffic with these ends is judged; ends that are not known are not.
    pub(super) fn judges(&self, ends: [&[IpNet]; 2]) -> bool {
        let Self::Parties(judged) = self else {
            return true;
        };
        let mut networks = judged.iter().flat_map(|party| &party.networks);
        let meets = |b: &IpNet| {
            let mut known = ends.iter().flat_map(|end| end.iter());
            known.any(|a| a.contains(b) || b.contains(a))
        };
        networks.any(meets)
    }

    /// What the file says of it at its head.
    pub(super) fn says(&self) -> &'static [&'static str] {
        match self {
            Self::Everything => &[
                "Judges ALL that this machine forwards, for the product's address is not known:",
                "what is not declared here is refused, whosever it is. With --address device=ADDRESS",
                "only the product's own traffic is judged.",
            ],
            Self::Parties(_) => {
                &["Judges what comes from the product or goes to it; other traffic is left alone."]
            }
        }
    }

    /// The traffic of judged parties that passes all the same, as entries of the whole file.
    pub(super) fn gaps(&self) -> Vec<Entry> {
        match self {
            Self::Everything => Vec::new(),
            Self::Parties(judged) => judged.iter().filter_map(Judged::gap).collect(),
        }
    }
}

impl Judged {
    fn gap(&self) -> Option<Entry> {
        let unknown = match (&self.operands.v4, &self.operands.v6) {
            (Some(_), Some(_)) => return None,
            (None, Some(_)) => " IPv4",
            (Some(_), None) => " IPv6",
            (None, None) => "",
        };
        let party = &self.party;
        Some(Entry {
            flow: WHOLE_FILE.to_owned(),
            lane: format!("all{unknown} traffic of {party}"),
            expression: Expression::Wider,
            reason: Some(format!(
                "no{unknown} address of `{party}` was given, so its{unknown} traffic is not judged \
                 and all of it passes"
            )),
            workaround: Some(format!(
                "--address {party}=ADDRESS,… with every{unknown} address it has; it does not matter \
                 where it has none"
            )),
        })
    }
}
