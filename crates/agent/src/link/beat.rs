//! How long a connection may be silent here: what middleboxes on the way bear, learnt from what they
//! cut.

use std::time::{Duration, Instant};

/// Heartbeats in a row that must be answered before the next silence is tried that is longer.
const PASSED_MIN: u32 = 3;
/// How far the timers of middleboxes stray that count whole seconds and look at them once a second:
/// one may cut that much sooner than it did before.
const GRAIN: Duration = Duration::from_secs(2);
/// How long a cut is held against the network. Middleboxes are replaced, and a silence that is
/// shorter than need be costs little.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a silence may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The shortest; what is cut sooner is not cut for its silence.
    pub least: Duration,
    /// The one that a network begins with which nobody knows.
    pub first: Duration,
    /// The longest: half of what the hub bears.
    pub most: Duration,
}

impl Bounds {
    /// No bounds.
    pub(super) const ANY: Self = Self {
        least: Duration::ZERO,
        first: Duration::ZERO,
        most: Duration::MAX,
    };
}

impl Default for Bounds {
    /// One second, and up to half of what a hub bears unless it says otherwise.
    fn default() -> Self {
        Self {
            least: Duration::from_secs(1),
            first: Duration::from_secs(15),
            most: Duration::from_secs(15),
        }
    }
}

/// What is known of silences on one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    silence: Duration,
    /// Heartbeats in a row that were answered after that silence.
    passed: u32,
    /// A silence that ended in a cut once. It may have been chance.
    suspected: Option<Duration>,
    /// The shortest one that did so twice, and when.
    cut: Option<(Duration, Instant)>,
}

impl Beat {
    /// Nothing is known.
    #[must_use]
    pub fn new(bounds: &Bounds) -> Self {
        Self {
            silence: bounds.first,
            passed: 0,
            suspected: None,
            cut: None,
        }
    }

    /// What was learnt before: the silence that was kept to, and the one that was cut, with the time
    /// of the cut.
    #[must_use]
    pub fn known(silence: Duration, cut: Option<(Duration, Instant)>) -> Self {
        Self {
            silence,
            passed: 0,
            suspected: None,
            cut,
        }
    }

    /// How long to be silent before a heartbeat.
    #[must_use]
    pub fn silence(&self, bounds: &Bounds) -> Duration {
        self.silence.min(bounds.most).max(bounds.least)
    }

    /// The shortest silence that is known to be cut here, and when that was learnt.
    #[must_use]
    pub fn cut(&self) -> Option<(Duration, Instant)> {
        self.cut
    }

    /// A heartbeat after such a silence was answered.
    pub fn on_passed(&mut self, silence: Duration, bounds: &Bounds, now: Instant) {
        if self.suspected.is_some_and(|suspected| suspected <= silence) {
            self.suspected = None;
        }
        if self.cut.is_some_and(|(cut, when)| {
            cut <= silence || now.saturating_duration_since(when) >= REMEMBERED
        }) {
            self.cut = None;
        }
        if silence < self.silence(bounds) {
            return;
        }
        self.passed += 1;
        if self.passed >= PASSED_MIN {
            self.passed = 0;
            let most = self.cut.map_or(bounds.most, |(cut, _)| {
                (cut * 3 / 4).min(cut.saturating_sub(GRAIN))
            });
            let longer = (self.silence(bounds) * 3 / 2).min(most);
            self.silence = self.silence.max(longer);
        }
    }

    /// The connection was cut, without a word, after such a silence. Says whether that is the
    /// network's way: it has done so before.
    pub fn on_cut(&mut self, silence: Duration, bounds: &Bounds, now: Instant) -> bool {
        self.passed = 0;
        if silence < bounds.least {
            return false;
        }
        match self.suspected.replace(silence) {
            Some(before) if is_like(before, silence) => {
                let cut = before.min(silence);
                self.silence = (cut / 2).max(bounds.least);
                self.suspected = None;
                self.cut = Some((cut, now));
                true
            }
            Some(_) | None => false,
        }
    }
}

/// Whether two silences are near enough to each other to have one reason: by a third, since timers of
/// middleboxes are coarse.
fn is_like(one: Duration, other: Duration) -> bool {
    let (less, more) = (one.min(other), one.max(other));
    more <= less + less / 3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        least: Duration::from_secs(1),
        first: Duration::from_secs(15),
        most: Duration::from_secs(240),
    };

    /// Lets a middlebox cut whatever is silent for `idle`, for so many heartbeats, and gives the
    /// silences that were kept and how many of them were cut.
    fn live(beat: &mut Beat, idle: Duration, beats: u32) -> (Vec<Duration>, u32) {
        let (now, mut silences, mut cuts) = (Instant::now(), Vec::new(), 0);
        for _ in 0..beats {
            let silence = beat.silence(&BOUNDS);
            silences.push(silence);
            if silence < idle {
                beat.on_passed(silence, &BOUNDS, now);
            } else {
                cuts += 1;
                beat.on_cut(idle, &BOUNDS, now);
            }
        }
        (silences, cuts)
    }

    #[test]
    fn a_network_that_cuts_after_two_seconds_is_learnt_by_two_cuts_and_outlasted_from_then_on() {
        let mut beat = Beat::new(&BOUNDS);
        let (silences, cuts) = live(&mut beat, Duration::from_secs(2), 100);
        assert_eq!(cuts, 2);
        let rest = &silences[2..];
        assert!(
            rest.iter()
                .all(|it| *it >= BOUNDS.least && *it < Duration::from_secs(2))
        );
        // Timers that count whole seconds may cut a second sooner than they did.
        assert_eq!(*rest.last().unwrap(), BOUNDS.least);
    }

    #[test]
    fn after_a_cut_silences_grow_to_three_quarters_of_it_and_stay_clear_of_coarse_timers() {
        for (idle, grown) in [(4, 2000), (5, 3000), (8, 6000), (40, 30_000)] {
            let mut beat = Beat::known(
                Duration::from_secs(idle) / 2,
                Some((Duration::from_secs(idle), Instant::now())),
            );
            live(&mut beat, Duration::from_secs(idle), 20);
            assert_eq!(
                beat.silence(&BOUNDS),
                Duration::from_millis(grown),
                "{idle}"
            );
        }
    }

    #[test]
    fn where_nothing_is_cut_silences_grow_to_the_longest() {
        let mut beat = Beat::new(&BOUNDS);
        let (silences, cuts) = live(&mut beat, Duration::MAX, 30);
        assert_eq!((cuts, silences[0]), (0, BOUNDS.first));
        assert!(silences.windows(2).all(|pair| pair[1] <= pair[0] * 3 / 2));
        assert_eq!(beat.silence(&BOUNDS), BOUNDS.most);
    }

    #[test]
    fn cuts_after_different_silences_and_after_none_are_chance() {
        let mut beat = Beat::new(&BOUNDS);
        let now = Instant::now();
        for millis in [3000, 12_000, 500, 500, 100, 7000, 2000, 4000] {
            assert!(
                !beat.on_cut(Duration::from_millis(millis), &BOUNDS, now),
                "{millis}"
            );
        }
        assert_eq!(beat.silence(&BOUNDS), BOUNDS.first);
        // One that is borne clears what was suspected of it.
        beat.on_passed(Duration::from_secs(4), &BOUNDS, now);
        assert!(!beat.on_cut(Duration::from_secs(4), &BOUNDS, now));
    }

    #[test]
    fn what_is_borne_again_or_was_long_ago_is_no_longer_held_against_the_network() {
        let now = Instant::now();
        let cut = Duration::from_secs(8);
        let mut beat = Beat::known(Duration::from_secs(4), Some((cut, now)));
        beat.on_passed(Duration::from_secs(4), &BOUNDS, now);
        assert_eq!(beat.cut(), Some((cut, now)));
        let mut later = beat.clone();
        later.on_passed(Duration::from_secs(4), &BOUNDS, now + REMEMBERED);
        assert_eq!(later.cut(), None);
        beat.on_passed(cut, &BOUNDS, now);
        assert_eq!(beat.cut(), None);
    }

    proptest! {
        #[test]
        fn every_middlebox_is_learnt_within_a_few_cuts_and_silences_stay_within_their_bounds(
            idle in 1100_u64..600_000,
        ) {
            let idle = Duration::from_millis(idle);
            let mut beat = Beat::new(&BOUNDS);
            let (silences, cuts) = live(&mut beat, idle, 200);
            prop_assert!(cuts <= 2, "{cuts}");
            prop_assert!(silences.iter().all(|it| (BOUNDS.least..=BOUNDS.most).contains(it)));
            // And what is kept to in the end is not much shorter than need be.
            prop_assert!(beat.silence(&BOUNDS) >= (idle / 2).min(BOUNDS.most));
        }
    }
}
