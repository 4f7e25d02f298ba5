//! The one thing in a client's hello that rustls does not tell.

/// The record that carries a handshake (RFC 5246, section 6.2.1).
const HANDSHAKE_RECORD: u8 = 22;
/// The message that is a client's hello (RFC 5246, section 7.4).
const CLIENT_HELLO: u8 = 1;
/// RFC 7627, section 5.1.
const EXTENDED_MASTER_SECRET: u16 = 23;

/// Whether the client's hello in `bytes`, TLS records as they came in, offers an extended master
/// secret. A hello that cannot be read offers none.
#[must_use]
pub fn offers_extended_master_secret(bytes: &[u8]) -> bool {
    offers(&handshake_bytes(bytes)).unwrap_or(false)
}

/// What the handshake records at the start of `bytes` hold, joined.
fn handshake_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut joined = Vec::new();
    let mut records = Reader(bytes);
    while let Some(&[HANDSHAKE_RECORD, _, _, high, low]) = records.take(5) {
        let Some(fragment) = records.take(usize::from(u16::from_be_bytes([high, low]))) else {
            break;
        };
        joined.extend_from_slice(fragment);
    }
    joined
}

/// Walks a hello (RFC 5246, section 7.4.1.2) to its extensions.
fn offers(handshake: &[u8]) -> Option<bool> {
    let mut message = Reader(handshake);
    let &[CLIENT_HELLO, high, middle, low] = message.take(4)? else {
        return None;
    };
    let length = u32::from_be_bytes([0, high, middle, low]);
    let mut hello = Reader(message.take(usize::try_from(length).ok()?)?);
    let _version_and_random = hello.take(2 + 32)?;
    let session_length = hello.byte()?;
    let _session = hello.take(usize::from(session_length))?;
    let suites_length = hello.number()?;
    let _suites = hello.take(usize::from(suites_length))?;
    let compressions_length = hello.byte()?;
    let _compressions = hello.take(usize::from(compressions_length))?;
    let extensions_length = hello.number()?;
    let mut extensions = Reader(hello.take(usize::from(extensions_length))?);
    while let Some(kind) = extensions.number() {
        if kind == EXTENDED_MASTER_SECRET {
            return Some(true);
        }
        let length = extensions.number()?;
        let _content = extensions.take(usize::from(length))?;
    }
    Some(false)
}

/// The rest of some bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).and_then(|bytes| bytes.first().copied())
    }

    fn number(&mut self) -> Option<u16> {
        let &[high, low] = self.take(2)? else {
            return None;
        };
        Some(u16::from_be_bytes([high, low]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_extension_is_found_in_one_record_and_in_several() {
        for pieces in [200, 7, 1] {
            assert!(offers_extended_master_secret(&hello(&[10, 23], pieces)));
            assert!(!offers_extended_master_secret(&hello(&[10, 11], pieces)));
        }
    }

    #[test]
    fn a_hello_that_is_cut_short_offers_nothing() {
        let whole = hello(&[10, 23], 200);
        for length in 0..whole.len() {
            assert!(!offers_extended_master_secret(&whole[..length]), "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = offers_extended_master_secret(&bytes);
            let _ = offers_extended_master_secret(&[&hello(&[23], 300)[..9], &bytes].concat());
        }
    }

    /// A hello with empty extensions of these kinds, in records of at most `piece` bytes.
    fn hello(kinds: &[u16], piece: usize) -> Vec<u8> {
        let extensions: Vec<u8> = kinds
            .iter()
            .flat_map(|kind| [kind.to_be_bytes(), [0, 0]].concat())
            .collect();
        let mut body = vec![3; 2 + 32];
        body.extend([
            0,
            0,
            2,
            0xc0,
            0x2b,
            1,
            0,
            0,
            u8::try_from(extensions.len()).unwrap(),
        ]);
        body.extend(extensions);
        let mut message = vec![1, 0, 0, u8::try_from(body.len()).unwrap()];
        message.extend(body);
        message
            .chunks(piece)
            .flat_map(|chunk| {
                let head = [22, 3, 1, 0, u8::try_from(chunk.len()).unwrap()];
                [&head, chunk].concat()
            })
            .collect()
    }
}
