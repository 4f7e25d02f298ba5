//! How single things are shown: destinations, services, texts of the manifest.

use outgate_manifest::document::destination::DhcpOption;
use outgate_manifest::document::product::Need;
use outgate_manifest::{Id, Lane, Protocol, Target, Text, Transport, VersionRange};

use super::Context;
use crate::page::model::{Phrase, Piece, Tone};
use crate::page::rows::{Place, Row, Service, distinct};

impl Context<'_> {
    /// A text of the manifest in the page's language, or in the best other one, marked as such.
    pub(super) fn prose(&self, text: &Text) -> Phrase {
        let Some((language, text)) = text.best(self.words.language) else {
            return Phrase::default();
        };
        if language == self.words.language {
            Phrase::text(text)
        } else {
            Phrase(vec![Piece::Foreign(language.to_owned(), text.to_owned())])
        }
    }

    /// What people call a party.
    pub(super) fn party(&self, id: &Id) -> Phrase {
        match self.manifest().parties().get(id) {
            Some(party) => self.prose(&party.name),
            None => Phrase::code(id.as_str()),
        }
    }

    /// What people call a feature.
    pub(super) fn feature(&self, id: &Id) -> Phrase {
        match self.manifest().features().get(id) {
            Some(feature) => self.prose(&feature.name),
            None => Phrase::code(id.as_str()),
        }
    }

    /// The parties that a row starts from.
    pub(super) fn sources(&self, row: &Row<'_>) -> Phrase {
        Phrase::joined(row.from.iter().map(|id| self.party(id)), ", ")
    }

    /// One destination.
    pub(super) fn target(&self, target: &Target) -> Phrase {
        let words = self.words;
        match target {
            Target::Name(_) | Target::Address(_) | Target::Network(_) => {
                Phrase::code(target.value())
            }
            Target::Wildcard(_) => Phrase::code(target.value()).and_text(words.wildcard),
            Target::Party(id) => self.party(id),
            Target::Dhcp(DhcpOption::NtpServers) => Phrase::text(words.dhcp_ntp_servers),
            Target::Dhcp(DhcpOption::DnsServers) => Phrase::text(words.dhcp_dns_servers),
            Target::Multicast(_) => Phrase::code(target.value()).and_text(words.multicast),
            Target::ServiceTag(_) => Phrase::code(target.value()).and_text(words.service_tag),
        }
    }

    /// The destinations of a row, each on its line; those that stand in for a name behind it.
    pub(super) fn places(&self, places: &[Place<'_>]) -> Phrase {
        let own = places.iter().filter(|place| place.instead_of.is_none());
        let mut lines: Vec<Phrase> = own.map(|place| self.target(place.target)).collect();
        for name in distinct(places.iter().filter_map(|place| place.instead_of)) {
            let gap = [("name", Phrase::code(name))];
            lines.push(Phrase::filled(self.words.instead_of, &gap));
            let others = places.iter().filter(|place| place.instead_of == Some(name));
            lines.extend(others.map(|place| self.target(place.target)));
        }
        Phrase::lines(lines)
    }

    /// Transports with their ports, such as `TCP 80, 443` and `UDP 53`.
    pub(super) fn services(&self, services: &[Service]) -> Phrase {
        Phrase::lines(self.each_service(services))
    }

    /// As [`Self::services`], in one line.
    pub(super) fn services_in_line(&self, services: &[Service]) -> Phrase {
        Phrase::joined(self.each_service(services), "; ")
    }

    fn each_service(&self, services: &[Service]) -> Vec<Phrase> {
        let transports = distinct(services.iter().map(|service| service.transport));
        let one = |transport: Transport| {
            let name = match transport {
                Transport::Tcp => "TCP",
                Transport::Udp => "UDP",
                Transport::Icmp => return Phrase::text(self.words.icmp_echo),
            };
            let ours = services
                .iter()
                .filter(|service| service.transport == transport);
            let ports: Vec<String> = ours
                .filter_map(|service| service.ports)
                .map(|ports| ports.to_string())
                .collect();
            if ports.is_empty() {
                return Phrase::text(format!("{name} ")).and_text(self.words.any_port);
            }
            Phrase::text(format!("{name} ")).and(Phrase::code(ports.join(", ")))
        };
        transports.into_iter().map(one).collect()
    }

    /// What is spoken, as people call it.
    pub(super) fn protocol(&self, protocol: Protocol) -> String {
        let name = match protocol.as_str() {
            "active-directory" => "Active Directory",
            "icmp-echo" => "ICMP",
            "long-polling" => "HTTPS (long polling)",
            "mdns" => "mDNS",
            "mqtt-wss" => "MQTT (WebSocket)",
            "mqtts" => "MQTT (TLS)",
            "server-sent-events" => "HTTPS (Server-Sent Events)",
            "signalr" => "SignalR (WebSocket, HTTPS)",
            "sips" => "SIP (TLS)",
            "starface-link" => "STARFACE",
            "teamviewer" => "TeamViewer",
            "unspecified" => self.words.protocol_open,
            "ws" => "WebSocket",
            "wss" => "WebSocket (TLS)",
            other => return other.to_uppercase(),
        };
        name.to_owned()
    }

    /// How badly something is needed, as a mark.
    pub(super) fn need(&self, need: Need) -> Phrase {
        let (tone, word) = match need {
            Need::Required => (Tone::Strong, self.words.need_required),
            Need::Optional => (Tone::Medium, self.words.need_optional),
            Need::Diagnostic => (Tone::Quiet, self.words.need_diagnostic),
        };
        Phrase::mark(tone, word)
    }

    /// Versions with the word before them: `version ≤ 7.0`.
    pub(super) fn versions(&self, range: &VersionRange) -> String {
        format!("{} {}", self.words.version, bounds(range))
    }

    /// What a lane is for.
    pub(super) fn why(&self, lane: &Lane) -> Phrase {
        self.prose(&lane.why)
    }

    /// What a flow is for; its id when it is not declared.
    pub(super) fn purpose(&self, flow: &Id) -> Phrase {
        match self.manifest().flow(flow) {
            Some(declared) => self.prose(&declared.flow.why),
            None => Phrase::code(flow.as_str()),
        }
    }
}

/// Versions as people write them: `≤ 7.0`.
pub(super) fn bounds(range: &VersionRange) -> String {
    let signs = range.to_string().replace("<=", "≤ ").replace(">=", "≥ ");
    signs.replace('<', "< ").replace('>', "> ").replace('=', "")
}
