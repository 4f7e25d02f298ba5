//! Who is told of commits.

use std::time::Duration;

/// The writer has committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// How many writes at once.
    pub writes: usize,
    /// How long it took, from the first write to the flush.
    pub took: Duration,
}

/// Who is told of commits. They must not wait: all writes are held up meanwhile.
pub struct Hook(Box<dyn Fn(&Committed) + Send + Sync>);

impl Hook {
    /// Tells `listener`.
    pub fn new(listener: impl Fn(&Committed) + Send + Sync + 'static) -> Self {
        Self(Box::new(listener))
    }

    pub(crate) fn tell(&self, committed: &Committed) {
        (self.0)(committed);
    }
}

impl Default for Hook {
    /// Tells nobody.
    fn default() -> Self {
        Self::new(|_| {})
    }
}
