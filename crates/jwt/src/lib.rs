//! JSON Web Tokens (RFC 7519) in the compact form, by public keys: verified ([`verify`]) against
//! key sets ([`KeySet`], RFC 7517) as they are found and kept ([`issuer`]), and made to be signed ([`make`]).
//!
//! What RFC 8725 advises holds: the caller says which algorithms it takes, a key is only used for
//! its own, whatever a header says of keys is refused, and so is a name that is there twice. No
//! input or output, clock, random numbers or runtime: the caller passes keys and times in.

mod algorithm;
mod claims;
pub mod issuer;
mod keys;
pub mod make;
mod strict;
mod verify;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use claims::Claims;
pub use keys::{KeySet, KeySetError, MAX_KEY_SET, MAX_KEYS};
pub use strict::object;
pub use verify::{Demands, MAX_LEEWAY, MAX_TOKEN, Refused, verify};
