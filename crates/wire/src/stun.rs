//! STUN binding requests and their answers (RFC 8489), with the attributes by which the behaviour
//! of a NAT is found out (RFC 5780), for both ends.
//!
//! Only what a binding needs is here: no credentials, and so no message integrity.

mod attribute;
mod message;
mod nat;
#[cfg(test)]
mod tests;

pub use attribute::{Change, ErrorCode};
pub use message::{
    Answer, Class, Message, ReadError, TransactionId, binding_request, write_answer,
};
pub use nat::{Behaviour, OtherAddressError, filtering, mapping, usable_other_address};

/// Bytes before the attributes (RFC 8489 §5).
pub const HEADER_LEN: usize = 20;
/// The longest message that is read, in bytes. RFC 8489 §6.1 wants messages to fit a path's MTU,
/// or 1280 bytes of IPv6 where that is not known.
pub const MESSAGE_MAX: usize = 1280;
/// The longest binding request that is made here: a header and one CHANGE-REQUEST, in bytes.
pub const REQUEST_MAX: usize = HEADER_LEN + 8;
