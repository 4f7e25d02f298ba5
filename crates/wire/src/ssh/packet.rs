//! The first packets of SSH, before anything is encrypted (RFC 4253 §6): which algorithms an end
//! knows, and goodbye.

/// The longest packet that is read, with its length (RFC 4253 §6.1: what everybody must take).
pub const PACKET_MAX: usize = 35_000;
/// Random bytes that a list of algorithms begins with (RFC 4253 §7.1).
pub const COOKIE_LEN: usize = 16;

/// Message numbers (RFC 4253 §12).
const DISCONNECT: u8 = 1;
const IGNORE: u8 = 2;
const DEBUG: u8 = 4;
const KEXINIT: u8 = 20;
/// SSH_DISCONNECT_BY_APPLICATION (RFC 4253 §11.1).
const BY_APPLICATION: u32 = 11;
/// Lists of names in the message (RFC 4253 §7.1).
const LISTS: usize = 10;
/// What the whole is a multiple of, and the least padding, in bytes (RFC 4253 §6).
const BLOCK: usize = 8;
const PADDING_MIN: usize = 4;
/// The length of a packet, and that of its padding, in bytes.
const HEAD: usize = 5;

/// What a client of today offers, in the order of RFC 4253 §7.1: key exchange, keys of servers, and
/// for each direction ciphers, codes, compression and languages.
const OFFER: [&str; LISTS] = [
    "curve25519-sha256,ecdh-sha2-nistp256,diffie-hellman-group14-sha256",
    "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256",
    "chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr",
    "chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr",
    "hmac-sha2-256,hmac-sha2-512",
    "hmac-sha2-256,hmac-sha2-512",
    "none",
    "none",
    "",
    "",
];

/// A packet that an end may send first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// Which algorithms it knows (SSH_MSG_KEXINIT, RFC 4253 §7.1). The names are not kept.
    Algorithms,
    /// Goodbye, and why (RFC 4253 §11.1).
    Goodbye {
        /// The reason's number.
        reason: u32,
    },
    /// Nothing that matters (RFC 4253 §11.2, §11.3).
    Passing,
}

impl Packet {
    /// Reads the first packet, and says how many bytes it takes; `None` until all of it is there.
    ///
    /// # Errors
    /// When it is too long, or none of those that may come first.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, PacketError> {
        let Some((length, rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let whole = length.saturating_add(size_of::<u32>());
        if whole > PACKET_MAX {
            return Err(PacketError::TooLong);
        }
        let Some(packet) = rest.get(..length) else {
            return Ok(None);
        };
        let (padding, packet) = packet.split_first().ok_or(PacketError::NotSsh)?;
        let payload = packet.len().checked_sub(usize::from(*padding));
        let payload = payload.and_then(|length| packet.get(..length));
        let packet = payload.and_then(Self::of).ok_or(PacketError::NotSsh)?;
        Ok(Some((packet, whole)))
    }

    fn of(payload: &[u8]) -> Option<Self> {
        let (number, rest) = payload.split_first()?;
        match *number {
            KEXINIT => lists(rest.get(COOKIE_LEN..)?).then_some(Self::Algorithms),
            DISCONNECT => rest.first_chunk().map(|reason| Self::Goodbye {
                reason: u32::from_be_bytes(*reason),
            }),
            IGNORE | DEBUG => Some(Self::Passing),
            _ => None,
        }
    }
}

/// Whether these are lists of names, a flag and a reserved number (RFC 4253 §7.1), and no more.
fn lists(mut rest: &[u8]) -> bool {
    for _ in 0..LISTS {
        let Some((length, after)) = rest.split_first_chunk() else {
            return false;
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((names, after)) = after.split_at_checked(length) else {
            return false;
        };
        if !names.is_ascii() {
            return false;
        }
        rest = after;
    }
    rest.len() == size_of::<u8>() + size_of::<u32>()
}

/// The packet that says which algorithms a client knows. The cookie is to be random.
pub fn algorithms(cookie: [u8; COOKIE_LEN]) -> Vec<u8> {
    let mut payload = vec![KEXINIT];
    payload.extend(cookie);
    for names in OFFER {
        push(&mut payload, names);
    }
    // No guess at what both will agree on follows; reserved.
    payload.extend([0; size_of::<u8>() + size_of::<u32>()]);
    packet(&payload)
}

/// The packet that says goodbye.
pub fn goodbye() -> Vec<u8> {
    let mut payload = vec![DISCONNECT];
    payload.extend(BY_APPLICATION.to_be_bytes());
    // In no words, and in no language.
    push(&mut payload, "");
    push(&mut payload, "");
    packet(&payload)
}

fn push(payload: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    payload.extend(length.to_be_bytes());
    payload.extend(text.as_bytes());
}

fn packet(payload: &[u8]) -> Vec<u8> {
    let least = HEAD + payload.len() + PADDING_MIN;
    let whole = least.next_multiple_of(BLOCK);
    let padding = whole - HEAD - payload.len();
    let length = u32::try_from(whole - size_of::<u32>()).unwrap_or(u32::MAX);
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap_or(u8::MAX));
    packet.extend(payload);
    packet.resize(whole, 0);
    packet
}

/// Why bytes are no first packet of SSH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// It is longer than everybody takes.
    #[error("a packet of SSH of over {PACKET_MAX} bytes")]
    TooLong,
    /// It is something else.
    #[error("no packet of SSH that may come first")]
    NotSsh,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let sent = algorithms([7; COOKIE_LEN]);
        assert_eq!(sent.len() % BLOCK, 0);
        assert_eq!(
            Packet::read(&sent),
            Ok(Some((Packet::Algorithms, sent.len())))
        );
        let sent = goodbye();
        let reason = BY_APPLICATION;
        assert_eq!(
            Packet::read(&sent),
            Ok(Some((Packet::Goodbye { reason }, sent.len())))
        );
    }

    #[test]
    fn half_a_packet_says_nothing_yet() {
        let sent = algorithms([7; COOKIE_LEN]);
        for length in 0..sent.len() {
            assert_eq!(Packet::read(&sent[..length]), Ok(None), "{length}");
        }
    }

    #[test]
    fn what_may_be_passed_over_is_told_from_what_may_not() {
        assert_eq!(
            Packet::read(&packet(&[IGNORE])),
            Ok(Some((Packet::Passing, 16)))
        );
        // A key before the algorithms (RFC 4253 section 8).
        assert_eq!(Packet::read(&packet(&[31, 0])), Err(PacketError::NotSsh));
    }

    #[test]
    fn lies_about_lengths_are_no_packets() {
        // The whole, the padding, a list.
        assert_eq!(Packet::read(&[0, 0, 0, 0, 0]), Err(PacketError::NotSsh));
        assert_eq!(Packet::read(&[0xff; 4]), Err(PacketError::TooLong));
        let mut padding = algorithms([7; COOKIE_LEN]);
        padding[4] = 0xff;
        assert_eq!(Packet::read(&padding), Err(PacketError::NotSsh));
        let mut list = algorithms([7; COOKIE_LEN]);
        list[HEAD + 1 + COOKIE_LEN] = 1;
        assert_eq!(Packet::read(&list), Err(PacketError::NotSsh));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_more_bytes_change_nothing(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            more in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let read = Packet::read(&bytes);
            if !matches!(read, Ok(None)) {
                let longer = [bytes, more].concat();
                prop_assert_eq!(Packet::read(&longer), read);
            }
        }
    }
}
