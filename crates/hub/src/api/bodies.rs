//! Bodies of all callers with a token, which are bounded together: each holds memory from its first
//! byte until its request has been answered. Texts that are sent to callers can be bounded so too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::limits::Share;
use parking_lot::Mutex;

use crate::api::problem::Problem;

/// The most bytes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Most {
    /// Of one caller.
    pub(crate) each: usize,
    /// Of those who see one site.
    pub(crate) site: usize,
    /// Of all who see one site only: some are left for those who see all.
    pub(crate) sites: usize,
    /// Of all.
    pub(crate) all: usize,
}

/// The most bytes of bodies.
const BODIES: Most = Most {
    each: 16 * 1_024 * 1_024,
    site: 32 * 1_024 * 1_024,
    sites: 48 * 1_024 * 1_024,
    all: 64 * 1_024 * 1_024,
};

/// When to come again if there is no room: most bodies are there in less.
const RETRY: Duration = Duration::from_secs(1);

/// What the bodies of all callers hold, or other texts that are held for them.
#[derive(Clone, Debug)]
pub(crate) struct Bodies(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    most: Most,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    sites: usize,
    by_name: HashMap<String, usize>,
}

/// What the body of one request holds, given back when the last copy is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Held(Arc<Mutex<Body>>);

#[derive(Debug)]
struct Body {
    bodies: Bodies,
    whose: String,
    site: Option<String>,
    bytes: usize,
}

/// Whose room there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beyond {
    /// The caller's own, or that of their site.
    Own,
    /// That of all together.
    All,
}

impl Default for Bodies {
    fn default() -> Self {
        Self::within(BODIES)
    }
}

impl Bodies {
    /// None yet of what is bounded so.
    pub(crate) fn within(most: Most) -> Self {
        let taken = Mutex::default();
        Self(Arc::new(Pool { most, taken }))
    }

    /// Holds a text of so many bytes for a caller; one that is larger than all that a caller may
    /// have counts as that.
    ///
    /// # Errors
    /// [`Refusal::Limited`] when there is no room for it.
    pub(crate) fn hold(&self, share: &Share, bytes: usize) -> Result<Held, Refusal> {
        let held = self.none_yet(share);
        let added = held.add(bytes.min(self.0.most.each));
        added.map_err(|_| Refusal::Limited {
            what: "bytes of answers at once",
            retry_after: RETRY,
        })?;
        Ok(held)
    }

    /// A body of the caller of that share, of which nothing has come.
    pub(crate) fn none_yet(&self, share: &Share) -> Held {
        Held(Arc::new(Mutex::new(Body {
            bodies: self.clone(),
            whose: share.whose.clone(),
            site: share.site().map(|site| format!("site/{site}")),
            bytes: 0,
        })))
    }
}

impl Held {
    /// Counts that the body has come so far, in bytes; a body that is read a second time is counted
    /// once.
    pub(crate) fn reach(&self, bytes: usize) -> Result<(), Problem> {
        self.add(bytes).map_err(|beyond| match beyond {
            Beyond::Own => Problem::limited("bytes of bodies at once", RETRY),
            Beyond::All => Problem::busy("bytes of bodies", RETRY),
        })
    }

    fn add(&self, bytes: usize) -> Result<(), Beyond> {
        let mut body = self.0.lock();
        let more = bytes.saturating_sub(body.bytes);
        let taken = body.bodies.take(&body, more);
        taken?;
        body.bytes += more;
        Ok(())
    }
}

impl Bodies {
    fn take(&self, body: &Body, more: usize) -> Result<(), Beyond> {
        let most = self.0.most;
        let mut taken = self.0.taken.lock();
        let fits = |name: &str, most| {
            let own = taken.by_name.get(name).copied().unwrap_or_default();
            own + more <= most
        };
        let site = body.site.as_deref();
        if !fits(&body.whose, most.each) || !site.is_none_or(|it| fits(it, most.site)) {
            return Err(Beyond::Own);
        }
        let sites = if site.is_some() { more } else { 0 };
        if taken.all + more > most.all || taken.sites + sites > most.sites {
            return Err(Beyond::All);
        }
        taken.all += more;
        taken.sites += sites;
        for name in [Some(body.whose.as_str()), site].into_iter().flatten() {
            *taken.by_name.entry(name.to_owned()).or_default() += more;
        }
        Ok(())
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let mut taken = self.bodies.0.taken.lock();
        taken.all = taken.all.saturating_sub(self.bytes);
        if self.site.is_some() {
            taken.sites = taken.sites.saturating_sub(self.bytes);
        }
        for name in [Some(&self.whose), self.site.as_ref()]
            .into_iter()
            .flatten()
        {
            let left = taken.by_name.get(name).copied().unwrap_or_default();
            if left <= self.bytes {
                taken.by_name.remove(name);
            } else {
                taken.by_name.insert(name.clone(), left - self.bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use outgate_core::identity::Scope;

    use super::*;
    use crate::api::problem::Kind;

    fn of(whose: &str, site: &str) -> Share {
        Share::new(whose, site.parse().map_or(Scope::All, Scope::Site))
    }

    /// Takes all that one caller may, and says how it was refused if it was.
    fn fill(bodies: &Bodies, share: &Share) -> (Held, Option<Kind>) {
        let held = bodies.none_yet(share);
        let refused = held.reach(BODIES.each).err().map(|it| it.kind());
        (held, refused)
    }

    #[test]
    fn what_a_body_held_is_given_back_with_its_last_copy() {
        let bodies = Bodies::default();
        let (held, refused) = fill(&bodies, &of("operator/a", "x"));
        assert_eq!(refused, None);
        let copy = held.clone();
        drop(held);
        let second = bodies.none_yet(&of("operator/a", "x"));
        assert_eq!(second.reach(1).unwrap_err().kind(), Kind::Limited);
        drop(copy);
        second.reach(1).unwrap();
        drop(second);
        let taken = bodies.0.taken.lock();
        assert_eq!((taken.all, taken.sites), (0, 0));
        assert!(taken.by_name.is_empty());
    }

    #[test]
    fn a_body_that_is_read_twice_counts_once() {
        let bodies = Bodies::default();
        let held = bodies.none_yet(&of("operator/a", ""));
        for bytes in [10, 30, 10, 30] {
            held.reach(bytes).unwrap();
        }
        assert_eq!(bodies.0.taken.lock().all, 30);
    }

    #[test]
    fn a_text_that_is_larger_than_a_caller_may_have_is_held_alone() {
        let texts = Bodies::default();
        let share = of("device/a", "x");
        let held = texts.hold(&share, 2 * BODIES.each).unwrap();
        assert!(matches!(
            texts.hold(&share, 1),
            Err(Refusal::Limited { .. })
        ));
        drop(held);
        texts.hold(&share, BODIES.each).unwrap();
    }

    #[test]
    fn no_site_and_not_all_sites_together_take_all_room() {
        let bodies = Bodies::default();
        let fill = |whose: &str, site: &str| fill(&bodies, &of(whose, site));
        let mut held = vec![fill("service/1", "x"), fill("service/2", "x")];
        assert_eq!(held.iter().find_map(|(_, refused)| *refused), None);
        assert_eq!(fill("service/3", "x").1, Some(Kind::Limited));
        held.push(fill("service/4", "y"));
        assert_eq!(held[2].1, None);
        assert_eq!(fill("service/5", "z").1, Some(Kind::Busy));
        held.push(fill("operator/ann", ""));
        assert_eq!(held[3].1, None);
        assert_eq!(fill("operator/bob", "").1, Some(Kind::Busy));
    }
}
