//! Mender's updates: artifacts of version 3, read and verified as their tool writes them, and what
//! a Mender client says to its server.
//!
//! An artifact is judged while it streams by ([`artifact::read`]): the order of its parts, the
//! digest of each and the bounds of all, so that nobody has to hold it or write it down to know
//! that it is whole. Who signed it is a second question ([`artifact::Artifact::signer`]). No input
//! or output of its own, no clock, no random numbers.
//!
//! Not offered: augmented artifacts (their second manifest is not signed, and they are refused),
//! artifacts of versions 1 and 2, and payloads beside the first, which no client installs.
//!
//! Sources: Mender's "Artifact format" (version 3) and the sources of its client 3.4.

pub mod artifact;
pub mod device;
mod key;

pub use key::{KeyError, SignatureRefused, VerifyingKey};
