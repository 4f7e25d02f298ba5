//! HTTP messages with signatures: RFC 9421 with Ed25519, and digests of contents (RFC 9530).
//!
//! For plain HTTP between devices on a local network, where there is nobody to give certificates
//! for names. What a signature covers, of which age it may be and whether it may come twice is for
//! the receiver to demand: a [`Policy`] does, and whatever it does not find refuses the message. No
//! input or output, no clock, no random numbers: the caller has them.
//!
//! Signature parameters are kept in the order in which they came, those that nobody knows included:
//! they are a part of what was signed (RFC 9421 §2.5, §3.2).
//!
//! Not offered: the component parameters `sf` and `tr` (what leans on them is refused), and
//! algorithms beside Ed25519.

mod base;
mod component;
mod digest;
mod message;
mod policy;
mod replay;
mod sign;
mod signature;
#[cfg(test)]
mod tests;

pub use base::{BaseError, signature_base};
pub use component::{Component, ComponentError};
pub use digest::{DigestError, check_content, content_digest};
pub use message::{Message, Request, Response};
pub use policy::{Policy, Refused, Verified};
pub use replay::{KEYS_MAX, NONCES_MAX, Nonces, Replayed};
pub use sign::{Cover, KeyError, SignError, Signed, Signer, VerifyingKey};
pub use signature::{COMPONENTS_MAX, FIELDS_MAX_BYTES, Parameters, SIGNATURES_MAX, SignatureError};
