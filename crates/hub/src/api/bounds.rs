//! What one caller may ask of the API, and all of them together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::api::problem::{Kind, Problem};

/// The most bytes of a request's body: a payload of 256 KiB in base 64, with room for the rest.
pub(crate) const MAX_BODY: usize = 1_048_576;

/// How long a request's body may take.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(30);

/// The most bytes of a request's path and query.
pub(crate) const MAX_ADDRESS: usize = 4_096;

/// The most bytes of a token.
pub(crate) const MAX_TOKEN: usize = 512;

/// The longest that a poll waits for an event.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);

/// The most long polls and streams of one operator or service at a time.
pub(crate) const MAX_STREAMS_EACH: usize = 16;

/// The most long polls and streams at a time. Each holds at most one batch of events, 4 MiB.
pub(crate) const MAX_STREAMS: usize = 256;

/// The most bytes of what a name may be asked to begin with.
const MAX_PREFIX: usize = 256;

/// What names are to begin with, if it is not too long or empty.
pub(crate) fn prefix(prefix: String) -> Result<String, Problem> {
    if (1..=MAX_PREFIX).contains(&prefix.len()) {
        Ok(prefix)
    } else {
        let detail = format!("prefix: 1 to {MAX_PREFIX} bytes");
        Err(Problem::new(Kind::Malformed, detail))
    }
}

/// Long polls and streams that are open, by whose they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<String, usize>>>);

/// A place among the open streams, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    streams: Streams,
    whose: String,
}

impl Streams {
    /// Takes a place for the operator or service of that name.
    pub(crate) fn take(&self, whose: &str) -> Result<Place, Problem> {
        let mut open = self.0.lock();
        let all: usize = open.values().sum();
        let own = open.get(whose).copied().unwrap_or_default();
        if all >= MAX_STREAMS || own >= MAX_STREAMS_EACH {
            let what = "streams and long polls at once";
            return Err(Problem::limited(what, Duration::from_secs(5)));
        }
        open.insert(whose.to_owned(), own + 1);
        Ok(Place {
            streams: self.clone(),
            whose: whose.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock();
        let left = open.get(&self.whose).copied().unwrap_or_default();
        if left <= 1 {
            open.remove(&self.whose);
        } else {
            open.insert(self.whose.clone(), left - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_among_the_streams_is_given_back() {
        let streams = Streams::default();
        let places: Vec<_> = (0..MAX_STREAMS_EACH)
            .map(|_| streams.take("operator/a").unwrap())
            .collect();
        assert!(streams.take("operator/a").is_err());
        assert!(streams.take("operator/b").is_ok());
        drop(places);
        assert!(streams.take("operator/a").is_ok());
        assert!(streams.0.lock().is_empty());
    }
}
