//! What a DHCPv6 server hands out (RFC 8415), asked for without taking an address: an
//! INFORMATION-REQUEST and its REPLY.

use std::net::Ipv6Addr;

/// The port that servers listen on (RFC 8415 §7.2).
pub const SERVER_PORT: u16 = 547;
/// The port that clients are answered on (RFC 8415 §7.2).
pub const CLIENT_PORT: u16 = 546;
/// All servers and relay agents of a link (RFC 8415 §7.1).
pub const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// The largest message that is read, in bytes: what an Ethernet carries in one.
pub const MESSAGE_MAX: usize = 1500;
/// The most addresses, and the most names, of one kind that are kept.
pub const ENTRIES_MAX: usize = 8;
/// The length of every question, in bytes.
pub const QUESTION_LEN: usize = 4 + (4 + 10) + (4 + 2) + (4 + 2 * WANTED.len());

/// Kinds of messages (RFC 8415 §7.3).
const REPLY: u8 = 7;
const INFORMATION_REQUEST: u8 = 11;
/// Longest identifier of a server (RFC 8415 §11.1).
const IDENTIFIER_MAX: usize = 130;
/// A status that is no failure (RFC 8415 §21.13).
const SUCCESS: [u8; 2] = [0, 0];

/// What a question asks for; the last two must be among it (RFC 8415 §21.7).
const WANTED: [u16; 6] = [
    option::NAME_SERVERS,
    option::DOMAINS,
    option::SNTP_SERVERS,
    option::NTP_SERVER,
    option::REFRESH_TIME,
    option::INFORMATION_MAX_RT,
];

/// Numbers of RFC 8415 §24 and of the standards beside it.
mod option {
    pub(super) const CLIENT: u16 = 1;
    pub(super) const SERVER: u16 = 2;
    pub(super) const WANTED: u16 = 6;
    pub(super) const ELAPSED: u16 = 8;
    pub(super) const STATUS: u16 = 13;
    /// RFC 3646.
    pub(super) const NAME_SERVERS: u16 = 23;
    pub(super) const DOMAINS: u16 = 24;
    /// RFC 4075.
    pub(super) const SNTP_SERVERS: u16 = 31;
    pub(super) const REFRESH_TIME: u16 = 32;
    /// RFC 5908, with options of its own: an address, a group, a name.
    pub(super) const NTP_SERVER: u16 = 56;
    pub(super) const NTP_ADDRESS: u16 = 1;
    pub(super) const NTP_NAME: u16 = 3;
    pub(super) const INFORMATION_MAX_RT: u16 = 83;
}

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Tells questions apart.
    pub id: [u8; 3],
    /// The Ethernet address that asks.
    pub hardware: [u8; 6],
}

impl Question {
    /// The message, [`QUESTION_LEN`] bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = vec![INFORMATION_REQUEST];
        message.extend(self.id);
        put(&mut message, option::CLIENT, &self.identifier());
        put(&mut message, option::ELAPSED, &[0, 0]);
        let wanted: Vec<u8> = WANTED.iter().flat_map(|it| it.to_be_bytes()).collect();
        put(&mut message, option::WANTED, &wanted);
        message
    }

    /// Who asks, by link-layer address: DUID-LL of Ethernet (RFC 8415 §11.4).
    fn identifier(&self) -> [u8; 10] {
        let [a, b, c, d, e, f] = self.hardware;
        [0, 3, 0, 1, a, b, c, d, e, f]
    }

    /// Reads the answer of a server to this question.
    ///
    /// # Errors
    /// When it answers another question, or is no answer of DHCPv6.
    pub fn read(&self, bytes: &[u8]) -> Result<Reply, Dhcp6Error> {
        let Some((head, options)) = bytes.split_first_chunk::<4>() else {
            return Err(Dhcp6Error::TooShort);
        };
        let [kind, id @ ..] = *head;
        if kind != REPLY {
            return Err(Dhcp6Error::NotAReply);
        }
        if id != self.id {
            return Err(Dhcp6Error::Another);
        }
        let mut reply = Reply::default();
        let mut rest = options;
        while let Some((number, content, after)) = next(rest)? {
            rest = after;
            match number {
                option::CLIENT if content != self.identifier() => return Err(Dhcp6Error::Another),
                option::STATUS if content.get(..2) != Some(&SUCCESS) => {
                    return Err(Dhcp6Error::NotAReply);
                }
                option::SERVER => {
                    reply.server = content.iter().copied().take(IDENTIFIER_MAX).collect();
                }
                other => reply.settings.take(other, content)?,
            }
        }
        // A server says who it is (RFC 8415 §16.10).
        if reply.server.is_empty() {
            return Err(Dhcp6Error::NotAReply);
        }
        Ok(reply)
    }
}

/// What a server says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The server's identifier (DUID), 1 to 130 bytes.
    pub server: Vec<u8>,
    /// What it hands out.
    pub settings: Settings,
}

/// What a server hands out; at most [`ENTRIES_MAX`] of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Option 23.
    pub name_servers: Vec<Ipv6Addr>,
    /// Option 24: names that the names of this network end in.
    pub domains: Vec<String>,
    /// Options 31 and 56.
    pub time_servers: Vec<Ipv6Addr>,
    /// Option 56, where it gives names.
    pub time_server_names: Vec<String>,
}

impl Settings {
    fn take(&mut self, number: u16, content: &[u8]) -> Result<(), Dhcp6Error> {
        match number {
            option::NAME_SERVERS => addresses(content, &mut self.name_servers),
            option::SNTP_SERVERS => addresses(content, &mut self.time_servers),
            option::DOMAINS => names(content, &mut self.domains)?,
            option::NTP_SERVER => {
                let mut rest = content;
                while let Some((number, content, after)) = next(rest)? {
                    rest = after;
                    match number {
                        option::NTP_ADDRESS => addresses(content, &mut self.time_servers),
                        option::NTP_NAME => names(content, &mut self.time_server_names)?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn put(message: &mut Vec<u8>, number: u16, content: &[u8]) {
    message.extend(number.to_be_bytes());
    // Nothing that is sent is longer than a message.
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    message.extend(length.to_be_bytes());
    message.extend(content);
}

/// An option's number, its content, and what follows it.
type Next<'a> = Option<(u16, &'a [u8], &'a [u8])>;

/// The first of several options; none at the end.
fn next(bytes: &[u8]) -> Result<Next<'_>, Dhcp6Error> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let ([a, b, c, d], after) = bytes.split_first_chunk::<4>().ok_or(Dhcp6Error::Cut)?;
    let length = usize::from(u16::from_be_bytes([*c, *d]));
    let (content, after) = after.split_at_checked(length).ok_or(Dhcp6Error::Cut)?;
    Ok(Some((u16::from_be_bytes([*a, *b]), content, after)))
}

fn addresses(content: &[u8], all: &mut Vec<Ipv6Addr>) {
    let (addresses, _) = content.as_chunks::<16>();
    for address in addresses {
        let address = Ipv6Addr::from(*address);
        if all.len() < ENTRIES_MAX && !all.contains(&address) {
            all.push(address);
        }
    }
}

/// Names as in DNS, each a row of labels that ends with an empty one, and never shortened
/// (RFC 8415 §10).
fn names(mut rest: &[u8], all: &mut Vec<String>) -> Result<(), Dhcp6Error> {
    let mut labels: Vec<String> = Vec::new();
    while let [length, after @ ..] = rest {
        // What is longer than 63 would be a pointer.
        let length = usize::from(*length);
        let (label, after) = after.split_at_checked(length).ok_or(Dhcp6Error::Cut)?;
        rest = after;
        match length {
            0 if !labels.is_empty() => {
                let name = std::mem::take(&mut labels).join(".");
                if all.len() < ENTRIES_MAX {
                    all.push(name);
                }
            }
            0 => {}
            1..64 => labels.push(String::from_utf8_lossy(label).into_owned()),
            _ => return Err(Dhcp6Error::Cut),
        }
    }
    // Some servers leave the last empty label out.
    if !labels.is_empty() && all.len() < ENTRIES_MAX {
        all.push(labels.join("."));
    }
    Ok(())
}

/// Why bytes do not answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Dhcp6Error {
    /// Not even a head.
    #[error("a DHCPv6 message has at least 4 bytes")]
    TooShort,
    /// No reply, a refusal, or one of nobody.
    #[error("no DHCPv6 reply")]
    NotAReply,
    /// An answer to somebody else.
    #[error("an answer to another question")]
    Another,
    /// An option or a name that goes beyond its end.
    #[error("a DHCPv6 option that is cut off")]
    Cut,
}

#[cfg(test)]
mod tests;
