//! The protocols that flows speak, with the ports that their own standards give them.

use std::fmt;

use serde_json::{Value as Json, json};

use crate::decode::{Decode, Defs, text, unknown_word};
use crate::diagnostic::Diagnostics;
use crate::port::Transport;
use crate::yaml::Node;

/// What a protocol is by its standard.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    id: &'static str,
    /// What carries it when the manifest does not say.
    transports: &'static [Transport],
    /// Its registered port; none where there is none.
    port: Option<u16>,
    tls: TlsUse,
    /// The standard.
    source: &'static str,
}

const TCP: &[Transport] = &[Transport::Tcp];
const UDP: &[Transport] = &[Transport::Udp];
const BOTH: &[Transport] = &[Transport::Tcp, Transport::Udp];
const ICMP: &[Transport] = &[Transport::Icmp];

const fn entry(
    id: &'static str,
    transports: &'static [Transport],
    port: Option<u16>,
    tls: TlsUse,
    source: &'static str,
) -> Entry {
    Entry {
        id,
        transports,
        port,
        tls,
        source,
    }
}

/// Whether a protocol runs in TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TlsUse {
    Never,
    /// It starts in the clear and may change to TLS, or the document leaves it open.
    StartTls,
    Always,
}

use TlsUse::{Always, Never, StartTls};

/// One line a protocol.
const TABLE: &[Entry] = &[
    entry("active-directory", UDP, None, Never, "vendor"),
    entry("dhcp", UDP, Some(67), Never, "RFC 2131"),
    entry("dns", BOTH, Some(53), Never, "RFC 1035"),
    entry("http", TCP, Some(80), Never, "RFC 9110"),
    entry("https", TCP, Some(443), Always, "RFC 9110"),
    entry("icmp-echo", ICMP, None, Never, "RFC 792, RFC 4443"),
    entry("ldap", TCP, Some(389), StartTls, "RFC 4511"),
    entry("ldaps", TCP, Some(636), Always, "RFC 4513"),
    entry("llmnr", UDP, Some(5355), Never, "RFC 4795"),
    entry("long-polling", TCP, Some(443), Always, "RFC 6202"),
    entry("mdns", UDP, Some(5353), Never, "RFC 6762"),
    entry("mqtt", TCP, Some(1883), Never, "MQTT 5.0"),
    entry("mqtt-wss", TCP, Some(443), Always, "MQTT 5.0, section 6"),
    entry("mqtts", TCP, Some(8883), Always, "MQTT 5.0"),
    entry("ntp", UDP, Some(123), Never, "RFC 5905"),
    entry("rtp", UDP, None, Never, "RFC 3550"),
    entry(
        "server-sent-events",
        TCP,
        Some(443),
        Always,
        "WHATWG HTML, section 9.2",
    ),
    entry(
        "signalr",
        TCP,
        Some(443),
        Always,
        "ASP.NET Core, TransportProtocols.md",
    ),
    entry("sip", BOTH, Some(5060), StartTls, "RFC 3261"),
    entry("sips", TCP, Some(5061), Always, "RFC 3261"),
    entry("ssh", TCP, Some(22), Never, "RFC 4253"),
    entry("starface-link", BOTH, Some(3090), Never, "vendor"),
    entry("stun", UDP, Some(3478), Never, "RFC 8489"),
    entry("stuns", TCP, Some(5349), Always, "RFC 8489"),
    entry("teamviewer", BOTH, Some(5938), Never, "vendor"),
    entry("tls", TCP, None, Always, "RFC 8446"),
    entry(
        "unspecified",
        BOTH,
        None,
        StartTls,
        "the document names none",
    ),
    entry("ws", TCP, Some(80), Never, "RFC 6455"),
    entry("wss", TCP, Some(443), Always, "RFC 6455"),
    entry("xmpp", TCP, Some(5222), StartTls, "RFC 6120"),
];

/// A protocol that Outgate knows by name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Protocol(&'static Entry);

impl Protocol {
    /// The protocol of that name.
    pub fn from_word(word: &str) -> Option<Self> {
        TABLE.iter().find(|entry| entry.id == word).map(Self)
    }

    /// Every protocol, in alphabetical order.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(Self)
    }

    /// Its name in manifests and in JSON.
    pub const fn as_str(self) -> &'static str {
        self.0.id
    }

    /// What carries it unless a manifest says otherwise.
    pub const fn transports(self) -> &'static [Transport] {
        self.0.transports
    }

    /// Its registered port; none for what has no fixed port, or no ports at all.
    pub const fn port(self) -> Option<u16> {
        self.0.port
    }

    /// Whether it starts with a TLS handshake.
    pub const fn is_tls(self) -> bool {
        matches!(self.0.tls, Always)
    }

    /// Whether TLS can have a part in it: from the start, or by a command in the conversation.
    pub const fn may_use_tls(self) -> bool {
        !matches!(self.0.tls, Never)
    }

    /// Where it is defined.
    pub const fn source(self) -> &'static str {
        self.0.source
    }

    /// Whether it is a vendor's own, of which nothing is published.
    pub fn is_vendors_own(self) -> bool {
        self.0.source == "vendor"
    }

    /// Whether the document leaves open what is spoken.
    pub fn is_unspecified(self) -> bool {
        self.0.id == "unspecified"
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protocol({})", self.0.id)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.id)
    }
}

impl Protocol {
    /// Reads a protocol's name; `written` is where it stands.
    pub(crate) fn named(word: &str, written: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let found = Self::from_word(word);
        if found.is_none() {
            let known: Vec<&str> = TABLE.iter().map(|entry| entry.id).collect();
            unknown_word(written, word, &known, out);
        }
        found
    }
}

impl Decode for Protocol {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        Self::named(text(node, out)?, node, out)
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.define("Protocol", |_| {
            let words: Vec<&str> = TABLE.iter().map(|entry| entry.id).collect();
            json!({
                "description": "A protocol that Outgate knows by name.",
                "type": "string",
                "enum": words,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_only_icmp_has_neither_port_nor_ports() {
        assert!(TABLE.is_sorted_by(|a, b| a.id < b.id));
        for entry in TABLE.iter().filter(|entry| entry.transports == ICMP) {
            assert_eq!(entry.port, None, "{}", entry.id);
        }
    }
}
