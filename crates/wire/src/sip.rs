//! Heads of SIP messages (RFC 3261 §7), the questions by which a way is tried, and an echo that
//! shows what became of them.
//!
//! An application layer gateway in a router rewrites addresses in SIP, often wrongly, and nobody
//! at either end sees it. So an echo sends back what it received, hidden from further rewriting:
//! every byte's complement. It never says more than it was told, so it amplifies nothing, and it
//! answers requests with answers only, so that two echoes have nothing to say to each other.

mod echo;
mod framing;
mod head;
mod question;
mod rewritten;
#[cfg(test)]
mod tests;

pub use echo::{ECHO_SERVER, echo, echoed};
pub use framing::{NotSip, message_end};
pub use head::{Field, Head, ReadError, Start, Via};
pub use question::{Carrier, Method, Question};
pub use rewritten::{Rewritten, rewritten};

/// The longest head that is read, in bytes.
pub const HEAD_MAX: usize = 8192;
/// The most fields that a head may have.
pub const FIELDS_MAX: usize = 128;
/// The longest body that is read, in bytes.
pub const BODY_MAX: usize = 8192;
/// The longest question, in bytes: with the headers of IP and UDP it fits the smallest MTU of IPv6,
/// 1280 bytes (RFC 8200 §5).
pub const QUESTION_MAX: usize = 1280 - 40 - 8;
