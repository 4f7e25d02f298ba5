//! Replaces the addresses of the customer's own network by names, so that a report can be sent on.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use outgate_probe::{Attempt, SipEvidence};
use serde_json::Value as Json;

use super::Report;

/// Replaces addresses that mean something only inside one network (RFC 6890: private, shared,
/// link-local, loopback), and those as which the network is seen from outside, by `address-1`,
/// `address-2` and so on. The same address always gets the same name. Public addresses of servers
/// stay: they are what the manifest and the public name servers say anyway.
#[derive(Debug, Default)]
pub struct Mask {
    names: BTreeMap<IpAddr, usize>,
    also: Vec<IpAddr>,
    /// Whether every address is replaced.
    every: bool,
}

impl Mask {
    /// A mask for a report, which hides too what its probes learnt of this machine's own addresses:
    /// those it set out from, and those as which servers saw it.
    pub fn of(report: &Report) -> Self {
        let probes = report.lanes.iter().flat_map(|lane| &lane.probes);
        let attempts = probes.flat_map(|probe| &probe.finding.attempts);
        Self::hiding(attempts.flat_map(own_addresses).collect())
    }

    /// A mask that hides these addresses too.
    fn hiding(also: Vec<IpAddr>) -> Self {
        Self {
            names: BTreeMap::new(),
            also: also.into_iter().map(plain).collect(),
            every: false,
        }
    }

    /// The text with names in place of addresses.
    pub fn text(&mut self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(may_be_address) {
            let (before, from) = rest.split_at(start);
            let end = from
                .find(|letter| !may_be_address(letter))
                .unwrap_or(from.len());
            let (word, after) = from.split_at(end);
            masked.push_str(before);
            self.word(word, &mut masked);
            rest = after;
        }
        masked.push_str(rest);
        masked
    }

    /// Replaces addresses in every text of a JSON value.
    pub fn json(&mut self, value: &mut Json) {
        match value {
            Json::String(text) => *text = self.text(text),
            Json::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Json::Object(fields) => fields.values_mut().for_each(|field| self.json(field)),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    /// A word of letters that addresses are made of, with the points and colons of the sentence
    /// around it. An IPv6 address may begin and end in two colons of its own, so the longest that
    /// is an address counts. What is none as a whole may hold one behind a colon (`at:10.0.0.7`).
    fn word(&mut self, word: &str, masked: &mut String) {
        let separators = ['.', ':'];
        let mut from = word;
        loop {
            let mut bare = from;
            loop {
                if let Some(name) = self.address(bare) {
                    masked.push_str(word.strip_suffix(from).unwrap_or_default());
                    masked.push_str(&name);
                    masked.push_str(from.strip_prefix(bare).unwrap_or_default());
                    return;
                }
                let Some(shorter) = bare.strip_suffix(separators) else {
                    break;
                };
                bare = shorter;
            }
            let Some(shorter) = from.strip_prefix(separators) else {
                break;
            };
            from = shorter;
        }
        match word.split_once(':') {
            Some((before, after)) => {
                masked.push_str(before);
                masked.push(':');
                self.word(after, masked);
            }
            None => masked.push_str(word),
        }
    }

    /// What stands for an address, with or without a port; `None` for what is no address.
    fn address(&mut self, word: &str) -> Option<String> {
        if let Ok(address) = word.parse::<IpAddr>() {
            let address = embedded(address, word);
            return Some(self.name(address).unwrap_or_else(|| word.to_owned()));
        }
        let socket = word.parse::<SocketAddr>().ok()?;
        let name = self.name(socket.ip());
        Some(name.map_or_else(
            || word.to_owned(),
            |name| format!("{name}:{}", socket.port()),
        ))
    }

    fn name(&mut self, address: IpAddr) -> Option<String> {
        let address = plain(address);
        if !self.every && !is_local(address) && !self.also.contains(&address) {
            return None;
        }
        let next = self.names.len() + 1;
        let number = self.names.entry(address).or_insert(next);
        Some(format!("address-{number}"))
    }
}

/// This machine's addresses as an attempt shows them, here and from outside.
fn own_addresses(attempt: &Attempt) -> Vec<IpAddr> {
    let mut own = Vec::new();
    if let Some(stun) = &attempt.stun {
        own.push(stun.reflexive.ip());
        own.extend(stun.local.map(|local| local.ip()));
    }
    if let Some(whoami) = &attempt.whoami {
        own.extend(whoami.address);
        own.extend(whoami.added.iter().flat_map(|field| addresses(field)));
    }
    if let Some(sip) = &attempt.sip {
        own.extend(sip.received);
        own.extend(sip.local.map(|local| local.ip()));
        own.extend(written_in(sip));
    }
    own
}

/// The addresses that a gateway wrote into SIP in the place of this machine's.
fn written_in(sip: &SipEvidence) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in &sip.rewritten {
        let sent = addresses(line.sent.as_deref().unwrap_or_default());
        let arrived = addresses(line.arrived.as_deref().unwrap_or_default());
        found.extend(
            arrived
                .into_iter()
                .filter(|address| !sent.contains(address)),
        );
    }
    found
}

/// The addresses in a text, as [`Mask::text`] finds them.
fn addresses(text: &str) -> Vec<IpAddr> {
    let mut finding = Mask {
        every: true,
        ..Mask::default()
    };
    finding.text(text);
    finding.names.into_keys().collect()
}

/// The IPv4 address at the end of an IPv6 address that is written with one, as translators do
/// (RFC 6052).
fn embedded(address: IpAddr, word: &str) -> IpAddr {
    match address {
        IpAddr::V6(_) if word.contains('.') => {
            let tail = word.rsplit(':').next().unwrap_or_default();
            tail.parse().map_or(address, IpAddr::V4)
        }
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

/// An IPv4 address in the guise of IPv6 is the IPv4 address.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn may_be_address(letter: char) -> bool {
    letter.is_ascii_hexdigit() || matches!(letter, '.' | ':')
}

/// Whether an address means something only inside one network (RFC 6890).
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let shared = u32::from(address) >> 22 == u32::from(Ipv4Addr::new(100, 64, 0, 0)) >> 22;
            address.is_private() || address.is_link_local() || address.is_loopback() || shared
        }
        IpAddr::V6(address) => {
            address.is_unique_local()
                || address.is_unicast_link_local()
                || address == Ipv6Addr::LOCALHOST
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_of_the_network_get_names_and_others_stay() {
        let mut mask = Mask::hiding(vec!["203.0.113.9".parse().unwrap()]);
        let text = "10.0.0.7:443 and 198.51.100.1, then 10.0.0.8. [fe80::1]:53 fd00::: no. \
                    10.0.0.7; we are 203.0.113.9, ::ffff:10.0.0.8 100.64.1.1 at 10:24:40 host:10.0.0.7";
        assert_eq!(
            mask.text(text),
            "address-1:443 and 198.51.100.1, then address-2. [address-3]:53 address-4: no. \
             address-1; we are address-5, address-2 address-6 at 10:24:40 host:address-1"
        );
    }

    #[test]
    fn every_text_of_a_json_value_is_masked() {
        let mut value = json!({ "a": ["\u{1f}10.0.0.7", 5], "b": { "c": "10.0.0.7" } });
        Mask::default().json(&mut value);
        let expected = json!({ "a": ["\u{1f}address-1", 5], "b": { "c": "address-1" } });
        assert_eq!(value, expected);
    }

    proptest::proptest! {
        #[test]
        fn no_private_address_survives_in_whatever_text(
            before in "\\PC{0,12}[:= /(\"]", last in 0u8.., after in "[.:]?[^0-9a-fA-F.:]\\PC{0,12}"
        ) {
            let secret = format!("192.168.77.{last}");
            let text = format!("{before}{secret}{after}");
            let masked = Mask::default().text(&text);
            proptest::prop_assert!(!masked.contains(&secret), "{masked}");
        }
    }
}
