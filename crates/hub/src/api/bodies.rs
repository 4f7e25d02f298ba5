//! Bodies of all callers with a token, which are bounded together: each holds memory from its first
//! byte until its request has been answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use outgate_core::limits::Share;
use parking_lot::Mutex;

use crate::api::problem::Problem;

/// The most bytes of all bodies at a time.
const MAX_BODIES: usize = 64 * 1_024 * 1_024;

/// The most bytes of all bodies at a time of all who see one site only: some are left for those
/// who see all.
const MAX_BODIES_SITES: usize = 48 * 1_024 * 1_024;

/// The most bytes of all bodies at a time of those who see one site.
const MAX_BODIES_SITE: usize = 32 * 1_024 * 1_024;

/// The most bytes of all bodies of one operator or service at a time.
const MAX_BODIES_EACH: usize = 16 * 1_024 * 1_024;

/// When to come again if there is no room: most bodies are there in less.
const RETRY: Duration = Duration::from_secs(1);

/// What the bodies of all callers hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bodies(Arc<Mutex<Taken>>);

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

impl Bodies {
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
        let mut body = self.0.lock();
        let more = bytes.saturating_sub(body.bytes);
        let taken = body.bodies.take(&body, more);
        taken?;
        body.bytes += more;
        Ok(())
    }
}

impl Bodies {
    fn take(&self, body: &Body, more: usize) -> Result<(), Problem> {
        let mut taken = self.0.lock();
        let fits = |name: &str, most| {
            let own = taken.by_name.get(name).copied().unwrap_or_default();
            own + more <= most
        };
        let site = body.site.as_deref();
        if !fits(&body.whose, MAX_BODIES_EACH) || !site.is_none_or(|it| fits(it, MAX_BODIES_SITE)) {
            return Err(Problem::limited("bytes of bodies at once", RETRY));
        }
        let sites = if site.is_some() { more } else { 0 };
        if taken.all + more > MAX_BODIES || taken.sites + sites > MAX_BODIES_SITES {
            return Err(Problem::busy("bytes of bodies", RETRY));
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
        let mut taken = self.bodies.0.lock();
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
        let refused = held.reach(MAX_BODIES_EACH).err().map(|it| it.kind());
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
        let taken = bodies.0.lock();
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
        assert_eq!(bodies.0.lock().all, 30);
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
