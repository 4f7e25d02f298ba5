//! What a DHCP server hands out (RFC 2131, options of RFC 2132), asked for without taking an
//! address: DHCPINFORM, or a DHCPDISCOVER that is not followed up.

mod server;

use std::net::Ipv4Addr;

/// The port that servers listen on (RFC 2131 §4.1).
pub const SERVER_PORT: u16 = 67;
/// The port that clients are answered on (RFC 2131 §4.1).
pub const CLIENT_PORT: u16 = 68;
/// The largest message that is read, in bytes; servers keep to 576 unless a client says more.
pub const MESSAGE_MAX: usize = 1500;
/// The most addresses of one option that are kept.
pub const ADDRESSES_MAX: usize = 8;
/// The length of every question, in bytes: the least that some servers and relays take (RFC 1542
/// §2.1).
pub const QUESTION_LEN: usize = 300;

/// Where the options begin, after the cookie.
const OPTIONS_AT: usize = 240;
/// Says that options follow (RFC 2132 §2).
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Ethernet (RFC 2131 §2).
const HARDWARE_ETHERNET: u8 = 1;
/// A message of a client (RFC 2131 §2).
const QUESTION: u8 = 1;
/// A message of a server.
const ANSWER: u8 = 2;
/// Asks for an answer to everybody (RFC 2131 §2).
const BROADCAST: u16 = 0x8000;
/// Where the fields for a server's name and a file lie.
const NAME: std::ops::Range<usize> = 44..108;
const FILE: std::ops::Range<usize> = 108..236;

/// The options that a question asks for (RFC 2132 §9.8).
const WANTED: [u8; 10] = [
    option::ROUTERS,
    option::NAME_SERVERS,
    option::DOMAIN,
    option::TIME_SERVERS,
    option::VENDOR,
    option::LEASE,
    option::SERVER,
    option::TFTP_SERVER,
    option::BOOT_FILE,
    option::PROXY_SCRIPT,
];

/// Numbers of RFC 2132; 252 is in private use and means the same to everybody.
mod option {
    pub(super) const PAD: u8 = 0;
    pub(super) const ROUTERS: u8 = 3;
    pub(super) const NAME_SERVERS: u8 = 6;
    pub(super) const DOMAIN: u8 = 15;
    pub(super) const TIME_SERVERS: u8 = 42;
    pub(super) const VENDOR: u8 = 43;
    pub(super) const LEASE: u8 = 51;
    pub(super) const OVERLOAD: u8 = 52;
    pub(super) const MESSAGE_TYPE: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const PARAMETERS: u8 = 55;
    pub(super) const CLIENT: u8 = 61;
    pub(super) const TFTP_SERVER: u8 = 66;
    pub(super) const BOOT_FILE: u8 = 67;
    pub(super) const PROXY_SCRIPT: u8 = 252;
    pub(super) const END: u8 = 255;
}

/// Kinds of messages (RFC 2132 §9.6).
mod message {
    pub(super) const DISCOVER: u8 = 1;
    pub(super) const OFFER: u8 = 2;
    pub(super) const ACKNOWLEDGEMENT: u8 = 5;
    pub(super) const INFORM: u8 = 8;
}

/// How to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// For settings alone; whoever asks has this address already (RFC 2131 §4.4.3).
    Inform(Ipv4Addr),
    /// For offers of an address, which is then not taken (RFC 2131 §4.4.1).
    Discover,
}

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// How to ask.
    pub kind: Kind,
    /// Tells questions apart.
    pub id: u32,
    /// The Ethernet address that asks.
    pub hardware: [u8; 6],
}

impl Question {
    /// The message, [`QUESTION_LEN`] bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, own, flags) = match self.kind {
            Kind::Inform(own) => (message::INFORM, own, 0),
            Kind::Discover => (message::DISCOVER, Ipv4Addr::UNSPECIFIED, BROADCAST),
        };
        let mut message = self.head(QUESTION, flags, own, Ipv4Addr::UNSPECIFIED);
        message.extend([option::MESSAGE_TYPE, 1, kind]);
        message.extend([option::CLIENT, 7, HARDWARE_ETHERNET]);
        message.extend(self.hardware);
        // Ten options, and so ten bytes.
        message.extend([option::PARAMETERS, 10]);
        message.extend(WANTED);
        message.push(option::END);
        message.resize(QUESTION_LEN, option::PAD);
        message
    }

    /// The fields before the options (RFC 2131 §2): of a question, or of an answer to it that
    /// offers the address `yours`.
    fn head(&self, operation: u8, flags: u16, own: Ipv4Addr, yours: Ipv4Addr) -> Vec<u8> {
        let mut message = vec![operation, HARDWARE_ETHERNET, 6, 0];
        message.extend(self.id.to_be_bytes());
        message.extend([0, 0]);
        message.extend(flags.to_be_bytes());
        message.extend(own.octets());
        message.extend(yours.octets());
        message.resize(28, 0);
        message.extend(self.hardware);
        message.resize(OPTIONS_AT - COOKIE.len(), 0);
        message.extend(COOKIE);
        message
    }

    /// Reads the answer of a server to this question.
    ///
    /// # Errors
    /// When it answers another question, or is no answer of DHCP.
    pub fn read(&self, bytes: &[u8]) -> Result<Reply, DhcpError> {
        let Some((head, options)) = bytes.split_at_checked(OPTIONS_AT) else {
            return Err(DhcpError::TooShort);
        };
        if head[0] != ANSWER || head[OPTIONS_AT - COOKIE.len()..] != COOKIE {
            return Err(DhcpError::NotAReply);
        }
        if head[4..8] != self.id.to_be_bytes() || head[28..34] != self.hardware {
            return Err(DhcpError::Another);
        }
        let mut found = Options::default();
        found.take(options)?;
        // Where room was short, options go on in the fields of name and file (RFC 2132 §9.3).
        let overload = found.overload.first().copied().unwrap_or_default();
        if overload & 1 != 0 {
            found.take(&head[FILE])?;
        }
        if overload & 2 != 0 {
            found.take(&head[NAME])?;
        }
        found.reply(head)
    }
}

/// What a server does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It offers an address (DHCPOFFER).
    Offer,
    /// It tells the settings alone (DHCPACK to a DHCPINFORM).
    Acknowledgement,
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What it does.
    pub answer: Answer,
    /// The server, as it calls itself; [`Ipv4Addr::UNSPECIFIED`] where it does not.
    pub server: Ipv4Addr,
    /// What it hands out.
    pub settings: Settings,
}

/// What a server hands out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Option 3, at most [`ADDRESSES_MAX`].
    pub routers: Vec<Ipv4Addr>,
    /// Option 6, at most [`ADDRESSES_MAX`].
    pub name_servers: Vec<Ipv4Addr>,
    /// Option 15: the name that the names of this network end in.
    pub domain: Option<String>,
    /// Option 51: how long an address is lent, in seconds; only with an offer.
    pub lease_seconds: Option<u32>,
    /// Option 42, at most [`ADDRESSES_MAX`].
    pub time_servers: Vec<Ipv4Addr>,
    /// Option 43.
    pub vendor: Option<Vec<u8>>,
    /// Option 66, a name, an address or, to phones, a URL.
    pub tftp_server: Option<String>,
    /// Option 67, or the field for a file.
    pub boot_file: Option<String>,
    /// Option 252: where the script that chooses proxies is.
    pub proxy_script: Option<String>,
}

/// The options that matter, each put together where it comes in parts (RFC 3396).
#[derive(Default)]
struct Options {
    message_type: Vec<u8>,
    overload: Vec<u8>,
    domain: Vec<u8>,
    lease: Vec<u8>,
    server: Vec<u8>,
    routers: Vec<u8>,
    name_servers: Vec<u8>,
    time_servers: Vec<u8>,
    vendor: Vec<u8>,
    tftp_server: Vec<u8>,
    boot_file: Vec<u8>,
    proxy_script: Vec<u8>,
}

impl Options {
    fn take(&mut self, mut rest: &[u8]) -> Result<(), DhcpError> {
        loop {
            match rest {
                [] | [option::END, ..] => return Ok(()),
                [option::PAD, after @ ..] => rest = after,
                [number, length, after @ ..] => {
                    let content = after.split_at_checked(usize::from(*length));
                    let (content, after) = content.ok_or(DhcpError::Cut)?;
                    if let Some(known) = self.known(*number) {
                        known.extend_from_slice(content);
                    }
                    rest = after;
                }
                [_] => return Err(DhcpError::Cut),
            }
        }
    }

    fn known(&mut self, number: u8) -> Option<&mut Vec<u8>> {
        Some(match number {
            option::MESSAGE_TYPE => &mut self.message_type,
            option::OVERLOAD => &mut self.overload,
            option::DOMAIN => &mut self.domain,
            option::LEASE => &mut self.lease,
            option::SERVER => &mut self.server,
            option::ROUTERS => &mut self.routers,
            option::NAME_SERVERS => &mut self.name_servers,
            option::TIME_SERVERS => &mut self.time_servers,
            option::VENDOR => &mut self.vendor,
            option::TFTP_SERVER => &mut self.tftp_server,
            option::BOOT_FILE => &mut self.boot_file,
            option::PROXY_SCRIPT => &mut self.proxy_script,
            _ => return None,
        })
    }

    fn reply(self, head: &[u8]) -> Result<Reply, DhcpError> {
        let answer = match self.message_type.as_slice() {
            [message::OFFER] => Answer::Offer,
            [message::ACKNOWLEDGEMENT] => Answer::Acknowledgement,
            _ => return Err(DhcpError::NotAReply),
        };
        let overloaded = self
            .overload
            .first()
            .is_some_and(|overload| overload & 1 != 0);
        let file = if overloaded { None } else { text(&head[FILE]) };
        let settings = Settings {
            routers: addresses(&self.routers),
            name_servers: addresses(&self.name_servers),
            domain: text(&self.domain),
            lease_seconds: self.lease.first_chunk().map(|it| u32::from_be_bytes(*it)),
            time_servers: addresses(&self.time_servers),
            vendor: (!self.vendor.is_empty()).then_some(self.vendor),
            tftp_server: text(&self.tftp_server),
            boot_file: text(&self.boot_file).or(file),
            proxy_script: text(&self.proxy_script),
        };
        let server = addresses(&self.server);
        let server = server.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
        Ok(Reply {
            answer,
            server,
            settings,
        })
    }
}

fn addresses(bytes: &[u8]) -> Vec<Ipv4Addr> {
    let (addresses, _) = bytes.as_chunks::<4>();
    let addresses = addresses.iter().take(ADDRESSES_MAX);
    addresses.map(|octets| Ipv4Addr::from(*octets)).collect()
}

/// Text up to the first zero, which some servers put at the end (RFC 2132 §2).
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0);
    let text = &bytes[..end.unwrap_or(bytes.len())];
    (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
}

/// Why bytes do not answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DhcpError {
    /// Not even a head.
    #[error("a DHCP message has at least {OPTIONS_AT} bytes")]
    TooShort,
    /// A question, a refusal, or no DHCP at all.
    #[error("no DHCP offer or acknowledgement")]
    NotAReply,
    /// An answer, or a question that is not one of the two.
    #[error("no DHCPINFORM or DHCPDISCOVER")]
    NotAQuestion,
    /// An answer to somebody else.
    #[error("an answer to another question")]
    Another,
    /// An option that goes beyond the end.
    #[error("a DHCP option that is cut off")]
    Cut,
}

#[cfg(test)]
mod tests;
