//! The other end: what a server reads of a question, and how it answers.

use std::net::Ipv4Addr;

use super::{
    ANSWER, Answer, BROADCAST, COOKIE, DhcpError, HARDWARE_ETHERNET, Kind, OPTIONS_AT, Options,
    QUESTION, Question, Reply, message, option,
};

/// The most content of one option (RFC 2132 §2); what is longer comes in parts (RFC 3396).
const PART_MAX: usize = 255;

impl Question {
    /// Reads a question as a server gets it.
    ///
    /// # Errors
    /// When it is no question of one of the two kinds, or not from Ethernet.
    pub fn decode(bytes: &[u8]) -> Result<Self, DhcpError> {
        let Some((head, options)) = bytes.split_first_chunk::<OPTIONS_AT>() else {
            return Err(DhcpError::TooShort);
        };
        if head[..3] != [QUESTION, HARDWARE_ETHERNET, 6]
            || head[OPTIONS_AT - COOKIE.len()..] != COOKIE
        {
            return Err(DhcpError::NotAQuestion);
        }
        let mut found = Options::default();
        found.take(options)?;
        let own = Ipv4Addr::new(head[12], head[13], head[14], head[15]);
        let kind = match found.message_type.as_slice() {
            [message::INFORM] => Kind::Inform(own),
            [message::DISCOVER] => Kind::Discover,
            _ => return Err(DhcpError::NotAQuestion),
        };
        Ok(Self {
            kind,
            id: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            hardware: [head[28], head[29], head[30], head[31], head[32], head[33]],
        })
    }
}

impl Reply {
    /// The message that answers `question`. An offer is of the address `yours`; a server whose
    /// identifier is not known leaves it out.
    pub fn encode(&self, question: &Question, yours: Ipv4Addr) -> Vec<u8> {
        let (own, flags) = match question.kind {
            Kind::Inform(own) => (own, 0),
            Kind::Discover => (Ipv4Addr::UNSPECIFIED, BROADCAST),
        };
        let (kind, yours) = match self.answer {
            Answer::Offer => (message::OFFER, yours),
            Answer::Acknowledgement => (message::ACKNOWLEDGEMENT, Ipv4Addr::UNSPECIFIED),
        };
        let mut bytes = question.head(ANSWER, flags, own, yours);
        let server = [self.server];
        let server = server.into_iter().filter(|it| !it.is_unspecified());
        let settings = &self.settings;
        let text = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
        let lease = settings.lease_seconds.map(|it| it.to_be_bytes().to_vec());
        for (number, content) in [
            (option::MESSAGE_TYPE, vec![kind]),
            (option::SERVER, octets(server)),
            (option::LEASE, lease.unwrap_or_default()),
            (option::ROUTERS, octets(settings.routers.iter().copied())),
            (
                option::NAME_SERVERS,
                octets(settings.name_servers.iter().copied()),
            ),
            (option::DOMAIN, text(&settings.domain)),
            (
                option::TIME_SERVERS,
                octets(settings.time_servers.iter().copied()),
            ),
            (option::VENDOR, settings.vendor.clone().unwrap_or_default()),
            (option::TFTP_SERVER, text(&settings.tftp_server)),
            (option::BOOT_FILE, text(&settings.boot_file)),
            (option::PROXY_SCRIPT, text(&settings.proxy_script)),
        ] {
            for part in content.chunks(PART_MAX) {
                bytes.push(number);
                bytes.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
                bytes.extend(part);
            }
        }
        bytes.push(option::END);
        bytes
    }
}

fn octets(addresses: impl Iterator<Item = Ipv4Addr>) -> Vec<u8> {
    addresses.flat_map(|address| address.octets()).collect()
}
