//! Room that several pieces share while they come.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::refusal::Refusal;

/// How many bytes are coming, by who has them come.
#[derive(Clone, Debug, Default)]
pub struct Shares(Arc<Mutex<HashMap<String, u64>>>);

/// Bytes that are coming for somebody, and count until this is dropped.
#[derive(Debug)]
pub struct Share {
    all: Shares,
    whose: String,
    bytes: u64,
    most: u64,
    limit: u64,
}

impl Shares {
    /// None yet of somebody's, of whose bytes at most `most` may be coming at a time. Beyond that
    /// they are told of `limit`.
    #[must_use]
    pub fn take(&self, whose: String, most: u64, limit: u64) -> Share {
        Share {
            all: self.clone(),
            whose,
            bytes: 0,
            most,
            limit,
        }
    }
}

impl Share {
    /// Takes so many more bytes.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] when all that is coming for whoever it is would be too much.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Refusal> {
        let mut all = self.all.0.lock();
        let coming = all.get(&self.whose).copied().unwrap_or_default();
        let sum = coming.saturating_add(bytes);
        if sum > self.most {
            let (what, limit) = ("bytes of all files of a device", self.limit);
            return Err(Refusal::TooLarge { what, limit });
        }
        all.insert(self.whose.clone(), sum);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        if let Some(coming) = all.get_mut(&self.whose) {
            *coming = coming.saturating_sub(self.bytes);
            if *coming == 0 {
                all.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_at_a_time_counts_together_and_only_for_who_has_it_come() {
        let shares = Shares::default();
        let take = |whose: &str| shares.take(whose.to_owned(), 10, 20);
        let (mut one, mut two, mut other) = (take("t7"), take("t7"), take("t8"));
        one.grow(6).unwrap();
        two.grow(4).unwrap();
        other.grow(10).unwrap();
        let refused = two.grow(1);
        assert!(matches!(refused, Err(Refusal::TooLarge { limit: 20, .. })));
        drop(one);
        two.grow(6).unwrap();
        drop((two, other));
        assert!(shares.0.lock().is_empty());
    }
}
