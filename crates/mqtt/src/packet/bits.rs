//! Writes the parts of a packet.

use bytes::{BufMut, BytesMut};

use crate::packet::encode::EncodeError;

/// The largest variable byte integer (section 1.5.5).
pub(super) const VARIABLE_MAX: usize = 268_435_455;

/// How many bytes `value` takes as a variable byte integer; 5 when it is more than one can say.
pub(super) fn variable_length(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..=VARIABLE_MAX => 4,
        _ => 5,
    }
}

/// Writes `value`, at most [`VARIABLE_MAX`], as a variable byte integer.
pub(super) fn put_variable(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Writes `bytes` behind their length in two bytes.
///
/// # Errors
/// [`EncodeError::FieldTooLong`] beyond 65,535 bytes.
pub(super) fn put_prefixed(out: &mut BytesMut, bytes: &[u8]) -> Result<(), EncodeError> {
    out.put_u16(u16::try_from(bytes.len()).map_err(|_| EncodeError::FieldTooLong)?);
    out.put_slice(bytes);
    Ok(())
}
