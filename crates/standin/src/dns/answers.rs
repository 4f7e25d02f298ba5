//! Names and what they stand for.

use std::{collections::HashMap, net::IpAddr};

use hickory_proto::{
    ProtoError,
    op::{Message, Query, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{CNAME, NS, SOA},
    },
};

/// Seconds that a client may remember an answer.
const TTL: u32 = 5;

/// Aliases that are followed for one question.
const MAX_ALIASES: usize = 8;

/// What a DNS stand-in knows.
///
/// `*.x` stands for every name below `x` that is not told otherwise (RFC 4592). Every name that it
/// was not told does not exist. The root has a name server, for those who only ask whether anyone
/// is there.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    exact: HashMap<Name, Vec<RData>>,
    /// By the name above the `*`.
    wildcard: HashMap<Name, Vec<RData>>,
}

impl Answers {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an address to a name.
    ///
    /// # Errors
    /// `name` is not a DNS name.
    pub fn address(mut self, name: &str, address: IpAddr) -> Result<Self, BadName> {
        let data = match address {
            IpAddr::V4(address) => RData::A(address.into()),
            IpAddr::V6(address) => RData::AAAA(address.into()),
        };
        self.records(name)?.push(data);
        Ok(self)
    }

    /// Makes a name an alias (CNAME) of `target`. Whatever else the name has is then out of reach.
    ///
    /// # Errors
    /// `name` or `target` is not a DNS name.
    pub fn alias(mut self, name: &str, target: &str) -> Result<Self, BadName> {
        let target = parse(target)?;
        self.records(name)?.insert(0, RData::CNAME(CNAME(target)));
        Ok(self)
    }

    fn records(&mut self, name: &str) -> Result<&mut Vec<RData>, BadName> {
        let records = match name.strip_prefix("*.") {
            Some(above) => self.wildcard.entry(parse(above)?),
            None => self.exact.entry(parse(name)?),
        };
        Ok(records.or_default())
    }

    /// Puts records or the reason for their absence into an answer.
    pub(super) fn fill(&self, query: &Query, answer: &mut Message) {
        if query.name().is_root() && query.query_type() == RecordType::NS {
            answer.add_answer(Record::from_rdata(
                Name::root(),
                TTL,
                RData::NS(NS(server())),
            ));
            return;
        }
        let mut name = query.name().clone();
        for _ in 0..=MAX_ALIASES {
            let Some(records) = self.find(&name) else {
                answer.metadata.response_code = ResponseCode::NXDomain;
                break;
            };
            if query.query_type() != RecordType::CNAME
                && let Some(RData::CNAME(CNAME(target))) = records.first()
            {
                let alias = RData::CNAME(CNAME(target.clone()));
                answer.add_answer(Record::from_rdata(name, TTL, alias));
                name = target.clone();
                continue;
            }
            let wanted = records
                .iter()
                .filter(|data| data.record_type() == query.query_type());
            let mut found = false;
            for data in wanted {
                answer.add_answer(Record::from_rdata(name.clone(), TTL, data.clone()));
                found = true;
            }
            if found {
                return;
            }
            break;
        }
        // Nothing of this type, or no such name (RFC 2308 §2).
        answer.add_authority(start_of_authority());
    }

    /// The records of a name, by the nearest `*` above it if need be. A name that exists between
    /// them stops the search (RFC 4592 §3.3.1).
    fn find(&self, name: &Name) -> Option<&[RData]> {
        if let Some(records) = self.exact.get(name) {
            return Some(records);
        }
        if self.exists(name) {
            return Some(&[]);
        }
        let mut above = name.clone();
        while !above.is_root() {
            above = above.base_name();
            if let Some(records) = self.wildcard.get(&above) {
                return Some(records);
            }
            if self.exists(&above) {
                return None;
            }
        }
        None
    }

    /// Whether a name has records or names below it (RFC 8020 §2).
    fn exists(&self, name: &Name) -> bool {
        let mut known = self.exact.keys().chain(self.wildcard.keys());
        known.any(|known| name.zone_of(known))
    }
}

/// A text is not a DNS name.
#[derive(Debug, thiserror::Error)]
#[error("{name:?} is not a DNS name")]
pub struct BadName {
    name: String,
    source: ProtoError,
}

/// What goes with every denial, so that a resolver knows how long to remember it (RFC 2308 §3).
pub(super) fn start_of_authority() -> Record {
    let [refresh, retry, expire] = [3600, 600, 86400];
    let soa = SOA::new(server(), server(), 1, refresh, retry, expire, TTL);
    Record::from_rdata(Name::root(), TTL, RData::SOA(soa))
}

/// A name that nobody has (RFC 2606): `standin.invalid`.
fn server() -> Name {
    Name::from_labels([&b"standin"[..], b"invalid"]).unwrap_or_default()
}

fn parse(text: &str) -> Result<Name, BadName> {
    let mut name = Name::from_ascii(text).map_err(|source| BadName {
        name: text.to_owned(),
        source,
    })?;
    name.set_fqdn(true);
    Ok(name)
}
