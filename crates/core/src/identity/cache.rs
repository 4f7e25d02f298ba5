//! What was made out of credentials lately, so that each HTTP request costs no look into the
//! store.
//!
//! It never says more than the store would have said before the last change. Each act that takes
//! a right away calls [`Cache::forget`] after its commit and ends sessions after that; each
//! session is taken up before the cache is asked. So either the question came before `forget`,
//! and then the session was there to be ended, or it comes after, and then the store is asked,
//! which has the change. What was read from the store before a change is not put in after it: it
//! carries the generation in which it was read.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Identified, Identity};
use crate::id::CredentialId;

/// The most tokens that are remembered; with more, all are forgotten.
const MAX_REMEMBERED: usize = 16_384;

/// The digest under which a token is kept.
pub(super) type Digest = [u8; 32];

/// What was made out of credentials since the last change.
#[derive(Debug, Default)]
pub(super) struct Cache {
    known: Mutex<Known>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Known {
    generation: u64,
    by_token: HashMap<Digest, Identified>,
    confirmed: HashMap<CredentialId, Identified>,
}

/// How often things had changed when something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u64);

impl Cache {
    /// To be asked before the store is read.
    pub(super) fn generation(&self) -> Generation {
        Generation(self.known.lock().generation)
    }

    /// Whose token it is that has this digest.
    pub(super) fn by_token(&self, digest: &Digest) -> Option<Identified> {
        self.known.lock().by_token.get(digest).cloned()
    }

    /// Whether the store has said this already.
    pub(super) fn is_confirmed(&self, identified: &Identified) -> bool {
        self.known.lock().confirmed.get(&identified.credential) == Some(identified)
    }

    /// Remembers what the store, read in `read`, said of a token.
    pub(super) fn remember_token(&self, read: Generation, digest: Digest, whose: &Identified) {
        let mut known = self.known.lock();
        if known.admits(read) {
            known.by_token.insert(digest, whose.clone());
        }
    }

    /// Remembers that the store, read in `read`, still held this for true.
    pub(super) fn remember_confirmed(&self, read: Generation, identified: &Identified) {
        let mut known = self.known.lock();
        if known.admits(read) {
            known
                .confirmed
                .insert(identified.credential.clone(), identified.clone());
        }
    }

    /// Forgets everything: something has changed.
    pub(super) fn forget(&self) {
        let mut known = self.known.lock();
        known.generation += 1;
        known.by_token.clear();
        known.confirmed.clear();
        self.changed.send_replace(known.generation);
    }
}

impl Identity {
    /// Tells whoever looks on that something has changed of who is who: they ask again what it is.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.cache.changed.subscribe()
    }
}

impl Known {
    /// Whether what was read in `read` may be put in; makes room for it.
    fn admits(&mut self, read: Generation) -> bool {
        if self.by_token.len() >= MAX_REMEMBERED {
            self.by_token.clear();
        }
        if self.confirmed.len() >= MAX_REMEMBERED {
            self.confirmed.clear();
        }
        read.0 == self.generation
    }
}
