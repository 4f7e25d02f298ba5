//! Messages of LLMNR: those of DNS with other flags (RFC 4795 §2.1).

use std::net::IpAddr;

use super::{ADDRESSES_MAX, Label, READ_MAX, TTL};

/// Header of every message (RFC 4795 §2.1.1).
const HEADER_LEN: usize = 12;

/// The third byte: QR, four bits of the operation, C, TC, T.
const ANSWER: u8 = 0x80;
const OPERATION: u8 = 0x78;
const CONFLICT: u8 = 0x04;
const TENTATIVE: u8 = 0x01;

/// Types and the class of records (RFC 1035 §3.2, RFC 3596 §2.1).
const A: u16 = 1;
const AAAA: u16 = 28;
const ANY: u16 = 255;
const INTERNET: u16 = 1;

/// The name of a record is that of the question (RFC 1035 §4.1.4).
const NAME_OF_QUESTION: [u8; 2] = [0xc0, 12];

/// Which half of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Question,
    Answer,
}

/// What matters of a message about a name of one label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) id: u16,
    pub(super) conflict: bool,
    pub(super) tentative: bool,
    pub(super) label: &'a [u8],
    record_type: u16,
    /// The question with its type and class.
    question: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a message of this kind that asks one question for a name of one label. Whatever else
    /// it is, it is to be passed over in silence (RFC 4795 §2.1.1, §2.3).
    pub(super) fn read(bytes: &'a [u8], kind: Kind) -> Option<Self> {
        let (header, body) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let [id, id_low, flags, _, counts @ ..] = *header;
        let wanted = match kind {
            Kind::Question => 0,
            Kind::Answer => ANSWER,
        };
        if flags & (ANSWER | OPERATION) != wanted {
            return None;
        }
        let [q, q_low, answers @ .., _, _] = counts;
        if [q, q_low] != [0, 1] || (kind == Kind::Question && answers != [0; 4]) {
            return None;
        }
        let (&length, rest) = body.split_first()?;
        let (label, rest) = rest.split_at_checked(length.into())?;
        let [0, kind, kind_low, class, class_low, ..] = *rest else {
            return None;
        };
        // A length beyond 63 is none, but the start of something else (RFC 1035 §4.1.4).
        if !(1..=63).contains(&length) || u16::from_be_bytes([class, class_low]) != INTERNET {
            return None;
        }
        Some(Self {
            id: u16::from_be_bytes([id, id_low]),
            conflict: flags & CONFLICT != 0,
            tentative: flags & TENTATIVE != 0,
            label,
            record_type: u16::from_be_bytes([kind, kind_low]),
            question: body.get(..label.len() + 6)?,
        })
    }
}

/// The question whether anybody has the name (RFC 4795 §4.1).
pub(super) fn question(id: u16, name: &Label) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_LEN + name.as_str().len() + 6);
    message.extend(id.to_be_bytes());
    message.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    // A label has at most 63 bytes.
    message.extend(u8::try_from(name.as_str().len()));
    message.extend(name.as_str().as_bytes());
    message.push(0);
    message.extend(ANY.to_be_bytes());
    message.extend(INTERNET.to_be_bytes());
    message
}

/// The answer to what was asked, from these addresses. Of a kind of record that there is none of,
/// it tells just that (RFC 4795 §2.3 f).
pub(super) fn answer(asked: &Message<'_>, own: &[(IpAddr, u8)], tentative: bool) -> Vec<u8> {
    let addresses = |record_type: u16| {
        let wanted = asked.record_type == record_type || asked.record_type == ANY;
        own.iter()
            .map(|(address, _)| *address)
            .filter(move |address| wanted && type_of(*address) == record_type)
            .take(ADDRESSES_MAX)
    };
    let mut records = Vec::new();
    let mut count: u16 = 0;
    for address in addresses(A).chain(addresses(AAAA)) {
        put(&mut records, address);
        count += 1;
    }
    let mut message = Vec::with_capacity(READ_MAX);
    message.extend(asked.id.to_be_bytes());
    message.extend([ANSWER | if tentative { TENTATIVE } else { 0 }, 0]);
    message.extend([0, 1]);
    message.extend(count.to_be_bytes());
    message.extend([0; 4]);
    message.extend(asked.question);
    message.extend(records);
    message
}

fn put(records: &mut Vec<u8>, address: IpAddr) {
    records.extend(NAME_OF_QUESTION);
    records.extend(type_of(address).to_be_bytes());
    records.extend(INTERNET.to_be_bytes());
    records.extend(TTL.to_be_bytes());
    match address {
        IpAddr::V4(v4) => {
            records.extend([0, 4]);
            records.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            records.extend([0, 16]);
            records.extend(v6.octets());
        }
    }
}

fn type_of(address: IpAddr) -> u16 {
    match address {
        IpAddr::V4(_) => A,
        IpAddr::V6(_) => AAAA,
    }
}
