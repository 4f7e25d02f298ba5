//! A client's frames of WebSocket (RFC 6455 §5), as little as it takes.

use anyhow::ensure;
use bytes::{Buf as _, Bytes, BytesMut};

/// The most bytes of a frame that a server may send here.
const MAX_FRAME: usize = 1024 * 1024;

/// What every frame of ours is masked with: not zero, since some servers leave that mask out.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a frame is, in the low bits of its first byte.
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;

/// Why one closes who is done (RFC 6455 §7.4.1).
pub(crate) const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();

/// A frame that is a whole message, masked, of at most 65,535 bytes.
pub(crate) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => frame.push(0x80 | short),
        (_, Ok(long)) => {
            frame.push(0x80 | 126);
            frame.extend(long.to_be_bytes());
        }
        // Nothing that is sent here is as long.
        (_, Err(_)) => {}
    }
    frame.extend(MASK);
    let bytes = payload.iter().zip(MASK.iter().cycle());
    frame.extend(bytes.map(|(byte, mask)| byte ^ mask));
    frame
}

/// The payload of the next data frame in `buffer`, if it is there as a whole. Servers that are
/// measured here divide no message and send no ping of WebSocket's own that asks for an answer.
pub(crate) fn take(buffer: &mut BytesMut) -> anyhow::Result<Option<Bytes>> {
    loop {
        let [first, second, ..] = **buffer else {
            return Ok(None);
        };
        ensure!(first & 0x0f != CLOSE, "the server has closed the WebSocket");
        ensure!(first & 0x80 != 0, "the server divides a message");
        let (head, length) = match second {
            126 => match buffer.get(2..4) {
                Some(&[high, low]) => (4, usize::from(u16::from_be_bytes([high, low]))),
                _ => return Ok(None),
            },
            127 => match buffer.get(2..10).map(<[u8; 8]>::try_from) {
                Some(Ok(bytes)) => (10, usize::try_from(u64::from_be_bytes(bytes))?),
                _ => return Ok(None),
            },
            short => (2, usize::from(short)),
        };
        ensure!(length <= MAX_FRAME, "a frame of {length} bytes");
        if buffer.len() < head + length {
            return Ok(None);
        }
        buffer.advance(head);
        let payload = buffer.split_to(length).freeze();
        if matches!(first & 0x0f, TEXT | BINARY) {
            return Ok(Some(payload));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server would send with that payload.
    fn sent(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = masked(first & 0x0f, payload);
        let head = frame.len() - payload.len() - MASK.len();
        frame.truncate(head);
        frame[1] &= 0x7f;
        frame.extend(payload);
        frame
    }

    #[test]
    fn a_masked_frame_is_that_of_the_rfc() {
        // RFC 6455 §5.7.
        let expected = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(masked(TEXT, b"Hello"), expected);
    }

    #[test]
    fn frames_are_taken_whole_and_others_than_data_are_passed_over() {
        let long = vec![b'x'; 300];
        let mut bytes = sent(0x89, b"ping");
        bytes.extend(sent(0x81, b"one"));
        bytes.extend(sent(0x82, &long));
        let mut buffer = BytesMut::new();
        let mut taken = Vec::new();
        for byte in bytes {
            buffer.extend([byte]);
            taken.extend(take(&mut buffer).unwrap());
        }
        assert_eq!(taken, [&b"one"[..], &long]);
    }

    #[test]
    fn a_close_is_an_error() {
        let mut buffer = BytesMut::from(&sent(0x88, b"\x03\xe8")[..]);
        assert!(take(&mut buffer).is_err());
    }
}
