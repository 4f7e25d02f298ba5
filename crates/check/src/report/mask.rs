//! Replaces the addresses of the customer's own network by names, so that a report can be sent on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use outgate_probe::{Attempt, Host, Path, SipEvidence, Trouble};
use serde_json::Value as Json;

use super::Report;

/// Replaces addresses that mean something only inside one network (RFC 6890: private, shared,
/// link-local, loopback), those as which the network is seen from outside, and the customer's own
/// proxies, routers and DHCP servers, by `address-1`, `address-2` and so on; and the names of the
/// customer's proxies and domains by `name-1` and so on. The same always gets the same name. Public
/// addresses of other servers stay: they are what the manifest and the public name servers say
/// anyway.
#[derive(Debug, Default)]
pub struct Mask {
    addresses: BTreeMap<IpAddr, usize>,
    also: BTreeSet<IpAddr>,
    /// Whether every address is replaced.
    every: bool,
    /// The longest first, so that none is replaced in part.
    names: Vec<String>,
}

impl Mask {
    /// A mask for what is told of a check on this path.
    pub fn on(path: &Path) -> Self {
        let mut mask = Self::default();
        for host in path.own_hosts() {
            match host {
                Host::Address(address) => mask.hide(address),
                Host::Name(name) => mask.hide_name(&name),
                Host::SystemResolvers | Host::TimeServers | Host::Role(_) => {}
            }
        }
        mask
    }

    /// The same for a report, which hides too what its probes learnt of the network: the addresses
    /// they set out from, those as which servers saw them, and who hands out settings there.
    pub fn of(report: &Report, path: &Path) -> Self {
        let mut mask = Self::on(path);
        let probes = report.lanes.iter().flat_map(|lane| &lane.probes);
        for probe in probes.clone() {
            if let Some(Trouble::ProxyScript { what }) = &probe.finding.trouble {
                hosts_in(what).for_each(|host| mask.hide_name(host));
            }
        }
        for attempt in probes.flat_map(|probe| &probe.finding.attempts) {
            let own = own_addresses(attempt).into_iter();
            let local = path.local_address(attempt.address);
            own.chain(local).for_each(|address| mask.hide(address));
            let settings = attempt.dhcp.iter().flat_map(|dhcp| &dhcp.servers);
            for server in settings.map(|server| &server.settings) {
                let domains = server.domain.iter().flat_map(|all| all.split(' '));
                domains.for_each(|domain| mask.hide_name(domain));
                let script = server.proxy_script.as_deref();
                if let Some(host) = script.and_then(host_of) {
                    mask.hide_name(host);
                }
            }
        }
        mask
    }

    fn hide(&mut self, address: IpAddr) {
        if !address.is_unspecified() {
            self.also.insert(plain(address));
        }
    }

    fn hide_name(&mut self, name: &str) {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if !name.is_empty() && name.parse::<IpAddr>().is_err() && !self.names.contains(&name) {
            self.names.push(name);
            self.names.sort_by_key(|name| Reverse(name.len()));
        }
    }

    /// The text with names in place of addresses, and other names in place of the customer's.
    pub fn text(&mut self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(may_be_address) {
            let (before, from) = rest.split_at(start);
            let (word, after) = from.split_at(word_length(from));
            masked.push_str(before);
            self.word_after(before, word, &mut masked);
            rest = after;
        }
        masked.push_str(rest);
        self.without_names(masked)
    }

    /// A word that may begin with the digits of an escape (`%20`).
    fn word_after(&mut self, before: &str, word: &str, masked: &mut String) {
        let from = masked.len();
        self.word(word, masked);
        let is_same = masked[from..] == *word;
        if let (true, true, Some((escape, rest))) =
            (is_same, before.ends_with('%'), word.split_at_checked(2))
        {
            masked.truncate(from + escape.len());
            self.word(rest, masked);
        }
    }

    /// A word of letters that addresses are made of, with the points and colons of the sentence
    /// around it. An IPv6 address may begin and end in two colons of its own, so the longest that
    /// is an address counts. What is none as a whole may hold one behind a colon (`at:10.0.0.7`) or
    /// between letters (`node10.0.0.7`).
    fn word(&mut self, word: &str, masked: &mut String) {
        if word.contains('%') {
            // Colons as escapes.
            let plain = word.replace("%3A", ":").replace("%3a", ":");
            let mut told = String::new();
            self.word(&plain, &mut told);
            masked.push_str(if told == plain { word } else { &told });
            return;
        }
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
                self.between_letters(before, masked);
                masked.push(':');
                self.word(after, masked);
            }
            None => self.between_letters(word, masked),
        }
    }

    /// IPv4 addresses that letters run into.
    fn between_letters(&mut self, word: &str, masked: &mut String) {
        let of_number = |letter: char| letter.is_ascii_digit() || letter == '.';
        let mut rest = word;
        while let Some(start) = rest.find(of_number) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|letter| !of_number(letter));
            let (number, after) = from.split_at(end.unwrap_or(from.len()));
            masked.push_str(before);
            let bare = number.trim_end_matches('.');
            let name = bare.parse().ok().and_then(|address| self.name(address));
            match name {
                Some(name) => masked.extend([name.as_str(), &number[bare.len()..]]),
                None => masked.push_str(number),
            }
            rest = after;
        }
        masked.push_str(rest);
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
        let next = self.addresses.len() + 1;
        let number = self.addresses.entry(address).or_insert(next);
        Some(format!("address-{number}"))
    }

    fn without_names(&self, text: String) -> String {
        let mut text = text;
        for (place, name) in self.names.iter().enumerate() {
            let lower = text.to_ascii_lowercase();
            if !lower.contains(name.as_str()) {
                continue;
            }
            let mut masked = String::with_capacity(text.len());
            let mut from = 0;
            for (at, found) in lower.match_indices(name.as_str()) {
                let end = at + found.len();
                if at >= from && is_whole(name, &text[..at], &text[end..]) {
                    masked.push_str(&text[from..at]);
                    masked.push_str(&format!("name-{}", place + 1));
                    from = end;
                }
            }
            masked.push_str(&text[from..]);
            text = masked;
        }
        text
    }
}

/// Puts what is told in the place of every text of a JSON value.
pub fn tell_texts(value: &mut Json, telling: &mut dyn FnMut(&str) -> String) {
    match value {
        Json::String(text) => *text = telling(text),
        Json::Array(items) => items.iter_mut().for_each(|item| tell_texts(item, telling)),
        Json::Object(fields) => {
            let texts = fields.values_mut();
            texts.for_each(|field| tell_texts(field, telling));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Whether a name that was found between these is meant: a longer name it may end, but not begin or
/// be a part of. A name of one label is a word like any other, and counts only where a host stands.
fn is_whole(name: &str, before: &str, after: &str) -> bool {
    let of_label = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let mut next = after.chars();
    let ends = match next.next() {
        Some('.') => !next.next().is_some_and(of_label),
        letter => !letter.is_some_and(of_label),
    };
    if !ends || before.ends_with(of_label) {
        return false;
    }
    let stands_alone = before.ends_with(['>', '"']) || before.is_empty();
    let is_shut = after.starts_with(['<', '"']) || after.is_empty();
    name.contains('.') || before.ends_with(['/', '@']) || (stands_alone && is_shut)
}

/// The hosts in the words of a proxy script: all that stands before a port.
fn hosts_in(words: &str) -> impl Iterator<Item = &str> {
    let of_place = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    words
        .split(move |letter| !of_place(letter))
        .filter_map(|place| {
            let (host, port) = place.split_once(':')?;
            port.parse::<u16>().ok().map(|_| host)
        })
}

/// The host of a URL.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let place = authority.rsplit('@').next()?;
    place.split(':').next()
}

/// The network's addresses as an attempt shows them, here and from outside.
fn own_addresses(attempt: &Attempt) -> Vec<IpAddr> {
    let mut own = Vec::new();
    if attempt.proxy.is_some() {
        own.push(attempt.address);
    }
    for server in attempt.dhcp.iter().flat_map(|dhcp| &dhcp.servers) {
        own.push(server.server);
        own.extend(&server.settings.routers);
    }
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
    finding.addresses.into_keys().collect()
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

/// How long a word of letters that addresses are made of is, colons as escapes (`%3A`) among them.
fn word_length(text: &str) -> usize {
    let mut length = 0;
    loop {
        let rest = &text[length..];
        let escape = rest.get(..3).filter(|it| it.eq_ignore_ascii_case("%3a"));
        length += match (rest.chars().next(), escape) {
            (Some(letter), _) if may_be_address(letter) => letter.len_utf8(),
            (_, Some(escape)) => escape.len(),
            (_, None) => return length,
        };
    }
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
        let mut mask = Mask::default();
        mask.hide("203.0.113.9".parse().unwrap());
        let text = "10.0.0.7:443 and 198.51.100.1, then 10.0.0.8. [fe80::1]:53 fd00::: no. \
                    10.0.0.7; we are 203.0.113.9, ::ffff:10.0.0.8 100.64.1.1 at 10:24:40 host:10.0.0.7";
        assert_eq!(
            mask.text(text),
            "address-1:443 and 198.51.100.1, then address-2. [address-3]:53 address-4: no. \
             address-1; we are address-5, address-2 address-6 at 10:24:40 host:address-1"
        );
    }

    #[test]
    fn an_address_among_letters_or_escapes_is_one() {
        let mut mask = Mask::default();
        for (text, masked) in [
            ("http%3A%2F%2F10.0.0.7%2Fx", "http%3A%2F%2Faddress-1%2Fx"),
            ("to%3D10.0.0.7%3A80", "to%3Daddress-1:80"),
            (
                "http%3a%2f%2f%5Bfd00%3A%3a1%5D",
                "http%3a%2f%2f%5Baddress-2%5D",
            ),
            ("a%2010.0.0.7 %10.0.0.7", "a%20address-1 %address-1"),
            ("node10.0.0.7.", "nodeaddress-1."),
            ("at:face10.0.0.7cafe", "at:faceaddress-1cafe"),
            (
                "v1.10.0.0.7 10.0.0.7.1 10:24",
                "v1.10.0.0.7 10.0.0.7.1 10:24",
            ),
            ("a%3Ab 100%", "a%3Ab 100%"),
        ] {
            assert_eq!(mask.text(text), masked);
        }
    }

    #[test]
    fn names_of_the_customers_are_replaced_where_a_host_stands() {
        let mut mask = Mask::default();
        for name in ["proxy", "Acme.Example.", "gate.acme.example"] {
            mask.hide_name(name);
        }
        for (text, masked) in [
            (
                "a proxy, at http://proxy:3128",
                "a proxy, at http://name-3:3128",
            ),
            ("<dd>proxy</dd>", "<dd>name-3</dd>"),
            ("proxy", "name-3"),
            ("GATE.acme.example. x.acme.example", "name-1. x.name-2"),
            (
                "acme.example.com bigacme.example",
                "acme.example.com bigacme.example",
            ),
        ] {
            assert_eq!(mask.text(text), masked);
        }
    }

    #[test]
    fn every_text_of_a_json_value_is_masked() {
        let mut value = json!({ "a": ["\u{1f}10.0.0.7", 5], "b": { "c": "10.0.0.7" } });
        let mut mask = Mask::default();
        tell_texts(&mut value, &mut |text| mask.text(text));
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
