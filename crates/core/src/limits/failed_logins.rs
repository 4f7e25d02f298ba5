//! Logins that fail, over whatever dialect they are tried.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Rate, Rates, source};
use crate::clock::Clock;
use crate::id::MAX_NAME;
use crate::refusal::Refusal;

/// How many logins of one name from one source may fail at once, and then a second. Guessing is
/// hopeless, but each guess costs a look at the disk.
pub const FAILED_LOGINS: Rate = Rate {
    burst: 100,
    every: Duration::from_millis(50),
};

/// The same of one source, whatever the names: ten times as much, so that a few devices that keep
/// failing do not keep those out that stand beside them, behind the same address.
pub const FAILED_LOGINS_OF_SOURCE: Rate = Rate {
    burst: 1_000,
    every: Duration::from_millis(5),
};

/// How often logins have failed, by who tried them. One for all dialects, so that who tries them
/// one after the other gains nothing by it.
#[derive(Clone, Debug)]
pub struct FailedLogins(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    of_name: Rates<Attempt>,
    of_source: Rates<IpAddr>,
}

/// Who tries to log in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    source: IpAddr,
    name: Option<String>,
}

impl Attempt {
    /// A login from `peer` in the name of `name`, or of nobody where a token alone is shown. A
    /// name may be anything; it is told apart by its first [`MAX_NAME`] characters.
    #[must_use]
    pub fn new(peer: IpAddr, name: Option<&str>) -> Self {
        Self {
            source: source(peer),
            name: name.map(|name| name.chars().take(MAX_NAME).collect()),
        }
    }
}

impl FailedLogins {
    /// None have failed yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Kept {
            of_name: Rates::new(FAILED_LOGINS, clock.clone()),
            of_source: Rates::new(FAILED_LOGINS_OF_SOURCE, clock),
        }))
    }

    /// Whether one more may be tried; to be asked before anything is looked up.
    ///
    /// # Errors
    /// [`Refusal::Limited`], which says how long to wait.
    pub fn check(&self, who: &Attempt) -> Result<(), Refusal> {
        self.0.of_name.check(who).map_err(limited)?;
        self.0.of_source.check(&who.source).map_err(limited)
    }

    /// Counts one that has failed.
    ///
    /// # Errors
    /// [`Refusal::Limited`] when it was one too many, tried at the same time as others.
    pub fn count(&self, who: &Attempt) -> Result<(), Refusal> {
        // In this order: a name whose tries are used up takes none of its neighbours'.
        self.0.of_name.take(who).map_err(limited)?;
        self.0.of_source.take(&who.source).map_err(limited)
    }
}

fn limited(retry_after: Duration) -> Refusal {
    Refusal::Limited {
        what: "failed logins",
        retry_after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_name_that_keeps_failing_leaves_its_neighbours_their_tries() {
        let (failed, _) = held();
        let one = from_here(Some("one"));
        assert_eq!(counted(&failed, &one, 5_000), FAILED_LOGINS.burst);
        assert!(is_limited(failed.check(&one)));
        assert!(is_limited(failed.count(&one)));
        failed.check(&from_here(Some("two"))).unwrap();
        failed.check(&from_here(None)).unwrap();
    }

    #[test]
    fn who_makes_up_names_gains_little_by_it() {
        let (failed, clock) = held();
        let made_up = |number| from_here(Some(&format!("n{number}")));
        let counts = (0..5_000).filter(|number| failed.count(&made_up(*number)).is_ok());
        assert_eq!(counts.count(), 1_000);
        for name in [Some("two"), None] {
            assert!(is_limited(failed.check(&from_here(name))), "{name:?}");
        }
        let elsewhere = Attempt::new("198.51.100.1".parse().unwrap(), Some("two"));
        failed.check(&elsewhere).unwrap();
        clock.advance(FAILED_LOGINS_OF_SOURCE.every);
        failed.check(&from_here(Some("two"))).unwrap();
    }

    #[test]
    fn what_a_copy_counts_the_other_counts_too() {
        let (failed, _) = held();
        counted(&failed.clone(), &from_here(None), 100);
        assert!(is_limited(failed.check(&from_here(None))));
    }

    #[test]
    fn a_long_name_is_one_name_however_it_ends() {
        let long = |end: &str| from_here(Some(&("x".repeat(MAX_NAME) + end)));
        assert_eq!(long("a"), long("b"));
        assert_ne!(from_here(Some("")), from_here(None));
    }

    fn held() -> (FailedLogins, Clock) {
        let clock = Clock::held(Timestamp::from_millis(1_700_000_000_000));
        (FailedLogins::new(clock.clone()), clock)
    }

    fn from_here(name: Option<&str>) -> Attempt {
        Attempt::new("192.0.2.7".parse().unwrap(), name)
    }

    /// How many of so many failures were not one too many.
    fn counted(failed: &FailedLogins, who: &Attempt, failures: usize) -> u32 {
        let counts = (0..failures).filter(|_| failed.count(who).is_ok());
        u32::try_from(counts.count()).unwrap()
    }

    fn is_limited(checked: Result<(), Refusal>) -> bool {
        matches!(checked, Err(Refusal::Limited { .. }))
    }
}
