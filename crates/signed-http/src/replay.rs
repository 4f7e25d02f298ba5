//! What has been seen already.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::SystemTime;

/// Most nonces of one key that are remembered at a time.
pub const NONCES_MAX: usize = 4096;
/// Most keys whose nonces are remembered at a time.
pub const KEYS_MAX: usize = 256;

/// Why a nonce is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Replayed {
    /// It was there before.
    #[error("this message has been here before")]
    Seen,
    /// So many are remembered that no more can be: nothing is forgotten before its time, since
    /// whoever sends much could have it so.
    #[error("more messages than can be told apart in this time; send fewer")]
    TooMany,
}

/// The nonces of verified signatures, as long as each would count once more.
#[derive(Debug, Default)]
pub struct Nonces {
    keys: HashMap<String, OfKey>,
}

#[derive(Debug, Default)]
struct OfKey {
    seen: HashSet<String>,
    ends: BTreeSet<(SystemTime, String)>,
}

impl OfKey {
    fn forget(&mut self, now: SystemTime) {
        while let Some((end, _)) = self.ends.first() {
            if *end >= now {
                break;
            }
            if let Some((_, nonce)) = self.ends.pop_first() {
                self.seen.remove(&nonce);
            }
        }
    }
}

impl Nonces {
    /// Takes a nonce that has not been taken of this key, and remembers it until `until`. To be
    /// asked only about signatures that hold.
    ///
    /// # Errors
    /// [`Replayed`].
    pub fn take(
        &mut self,
        keyid: &str,
        nonce: &str,
        until: SystemTime,
        now: SystemTime,
    ) -> Result<(), Replayed> {
        if !self.keys.contains_key(keyid) {
            if self.keys.len() >= KEYS_MAX {
                self.keys.retain(|_, of_key| {
                    of_key.forget(now);
                    !of_key.seen.is_empty()
                });
            }
            if self.keys.len() >= KEYS_MAX {
                return Err(Replayed::TooMany);
            }
        }
        let of_key = self.keys.entry(keyid.to_owned()).or_default();
        of_key.forget(now);
        if of_key.seen.contains(nonce) {
            return Err(Replayed::Seen);
        }
        if of_key.seen.len() >= NONCES_MAX {
            return Err(Replayed::TooMany);
        }
        of_key.seen.insert(nonce.to_owned());
        of_key.ends.insert((until, nonce.to_owned()));
        Ok(())
    }
}
