//! What the core tells those who count.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening {
    /// The writer has committed.
    Committed {
        /// How many writes at once.
        writes: usize,
        /// How long it took, from the first write to the flush.
        took: Duration,
    },
    /// An event is on the disk.
    EventKept {
        /// Over which dialect it came.
        via: &'static str,
        /// Bytes of its payload.
        bytes: usize,
        /// From when it was handed in.
        took: Duration,
    },
    /// An event was refused.
    EventRefused {
        /// Why, as [`Refusal::label`](crate::Refusal::label) says it.
        why: &'static str,
    },
    /// Log records of a device are on the disk.
    LogsKept {
        /// How many.
        records: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// A request with log records was refused.
    LogsRefused {
        /// Why, as [`Refusal::label`](crate::Refusal::label) says it.
        why: &'static str,
    },
    /// A device did something sooner than it may: it was refused, or held up.
    Limited {
        /// What: `messages`, `reports`, `subscriptions`.
        what: &'static str,
    },
    /// Something became of commands: `sent`, `delivered`, `completed`, `rejected`, `abandoned`,
    /// `cancelled`.
    Commands {
        /// Of how many.
        count: usize,
        /// What.
        became: &'static str,
    },
    /// The moment of a schedule has come.
    ScheduleCame {
        /// What became of it: `fired`, `made-good`, `missed`, `overrun`.
        how: &'static str,
    },
    /// A call is over.
    Called {
        /// `answered`, or why not, as [`Refusal::label`](crate::Refusal::label) says it.
        how: &'static str,
        /// From when it was asked for.
        took: Duration,
    },
}

/// Who is told what happens. They must not wait: what happens is held up meanwhile.
#[derive(Clone)]
pub struct Hook(Arc<dyn Fn(&Happening) + Send + Sync>);

impl Hook {
    /// Tells `listener`.
    pub fn new(listener: impl Fn(&Happening) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    pub(crate) fn tell(&self, happening: &Happening) {
        (self.0)(happening);
    }
}

impl Default for Hook {
    /// Tells nobody.
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}
