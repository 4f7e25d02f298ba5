//! What one caller may ask of the API, and all of them together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use outgate_core::limits::Share;
use parking_lot::Mutex;

use crate::api::problem::{Kind, Problem};

/// The most bytes of a request's body: a payload of 256 KiB in base 64, with room for the rest.
pub(crate) const MAX_BODY: usize = 1_048_576;

/// The most bytes of a request with log records, packed and unpacked.
pub(crate) const MAX_LOGS: usize = 4 * 1_024 * 1_024;

/// How long a request's body may take.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(30);

/// The most bytes of the body of an enrolment: a request of 16 KiB, with room for the rest.
pub(crate) const MAX_ENROLMENT: usize = 32 * 1_024;

/// How long the body of an enrolment may take.
pub(crate) const ENROLMENT_WITHIN: Duration = Duration::from_secs(10);

/// The most enrolments at a time, which need no login: so that their bodies hold 32 MiB at most.
pub(crate) const MAX_ENROLMENTS: usize = 1_024;

/// The most enrolments of one source at a time.
pub(crate) const MAX_ENROLMENTS_EACH: usize = 32;

/// The most bytes of a request's path and query.
pub(crate) const MAX_ADDRESS: usize = 4_096;

/// The most bytes of a token.
pub(crate) const MAX_TOKEN: usize = 512;

/// The longest that a poll waits for an event.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);

/// The most long polls and streams of one operator or service at a time.
pub(crate) const MAX_STREAMS_EACH: usize = 16;

/// The most long polls and streams of all operators and services of one site at a time.
pub(crate) const MAX_STREAMS_SITE: usize = 64;

/// The most long polls and streams of all who see one site only at a time: some are left for
/// those who see all.
pub(crate) const MAX_STREAMS_SITES: usize = 192;

/// The most long polls and streams at a time. Each holds at most one batch of events, 4 MiB.
pub(crate) const MAX_STREAMS: usize = 256;

/// The most bytes of what a name may be asked to begin with.
const MAX_PREFIX: usize = 256;

/// The most assets that are coming at a time: each holds a piece of its body in memory, and
/// disk that counts once it is there.
pub(crate) const MAX_UPLOADS: usize = 32;

/// The most assets that are coming from one operator at a time.
pub(crate) const MAX_UPLOADS_EACH: usize = 8;

/// The most messages that are being pushed to devices at a time.
pub(crate) const MAX_PUSHES: usize = 1_024;

/// The most messages that are being pushed for one operator at a time.
pub(crate) const MAX_PUSHES_EACH: usize = 256;

/// What names are to begin with, if it is not too long or empty.
pub(crate) fn prefix(prefix: String) -> Result<String, Problem> {
    if (1..=MAX_PREFIX).contains(&prefix.len()) {
        Ok(prefix)
    } else {
        let detail = format!("prefix: 1 to {MAX_PREFIX} bytes");
        Err(Problem::new(Kind::Malformed, detail))
    }
}

/// What there is only so much of at a time, by whose it is: open streams, bodies of strangers.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug)]
struct Taken {
    most: usize,
    all: usize,
    by_name: HashMap<String, usize>,
}

/// A place that is taken, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    counted: Vec<String>,
}

impl Places {
    /// So many in all.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Taken {
            most,
            all: 0,
            by_name: HashMap::new(),
        })))
    }

    /// Takes a place that counts for each of these names, which have at most so many.
    pub(crate) fn take(&self, counted: Vec<(String, usize)>) -> Option<Place> {
        let mut taken = self.0.lock();
        let own = |name: &String| taken.by_name.get(name).copied().unwrap_or_default();
        if taken.all >= taken.most || counted.iter().any(|(name, most)| own(name) >= *most) {
            return None;
        }
        taken.all += 1;
        let counted: Vec<_> = counted.into_iter().map(|(name, _)| name).collect();
        for name in &counted {
            *taken.by_name.entry(name.clone()).or_default() += 1;
        }
        Some(Place {
            places: self.clone(),
            counted,
        })
    }

    /// Takes a place among the streams for the operator or service of that share.
    pub(crate) fn stream(&self, share: Share) -> Result<Place, Problem> {
        let mut counted = Vec::new();
        if let Some(site) = share.site() {
            counted.push((format!("site/{site}"), MAX_STREAMS_SITE));
            counted.push(("sites".to_owned(), MAX_STREAMS_SITES));
        }
        counted.push((share.whose, MAX_STREAMS_EACH));
        self.take(counted).ok_or_else(|| {
            let what = "streams and long polls at once";
            Problem::limited(what, Duration::from_secs(5))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock();
        taken.all = taken.all.saturating_sub(1);
        for name in &self.counted {
            let left = taken.by_name.get(name).copied().unwrap_or_default();
            if left <= 1 {
                taken.by_name.remove(name);
            } else {
                taken.by_name.insert(name.clone(), left - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use outgate_core::identity::Scope;

    use super::*;

    fn of(whose: &str, site: &str) -> Share {
        Share::new(whose, site.parse().map_or(Scope::All, Scope::Site))
    }

    #[test]
    fn a_place_among_the_streams_is_given_back() {
        let streams = Places::new(MAX_STREAMS);
        let places: Vec<_> = (0..MAX_STREAMS_EACH)
            .map(|_| streams.stream(of("operator/a", "")).unwrap())
            .collect();
        assert!(streams.stream(of("operator/a", "")).is_err());
        assert!(streams.stream(of("operator/b", "")).is_ok());
        drop(places);
        assert!(streams.stream(of("operator/a", "")).is_ok());
        let taken = streams.0.lock();
        assert!(taken.by_name.is_empty());
        assert_eq!(taken.all, 0);
    }

    #[test]
    fn no_site_and_not_all_sites_together_take_every_stream() {
        let streams = Places::new(MAX_STREAMS);
        let fill = |site: &str| {
            (0..MAX_STREAMS)
                .filter_map(|n| {
                    streams
                        .stream(of(&format!("service/{site}-{n}"), site))
                        .ok()
                })
                .collect::<Vec<_>>()
        };
        let evil = fill("evil");
        assert_eq!(evil.len(), MAX_STREAMS_SITE);
        let others: Vec<_> = ["a", "b", "c", "d"]
            .map(fill)
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(evil.len() + others.len(), MAX_STREAMS_SITES);
        assert!(streams.stream(of("operator/ann", "")).is_ok());
    }
}
