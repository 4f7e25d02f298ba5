//! The last message of each topic, for those who subscribe later (MQTT 5.0, section 3.3.1.3).
//!
//! A message that is to be on a disk before anybody sees it is retained in two steps: a *change*
//! begins, which takes room, and is then applied or abandoned. Changes of one topic may be applied
//! in another order than they began in; the one applied last is what is retained.

mod leap;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use self::leap::{Verdict, compare};
use self::place::{Accounts, Place};
use crate::packet::Message;
use crate::topics::{TopicFilter, TopicName};

/// What can be retained.
pub trait Retainable {
    /// Who answers for it; each has a share of the room.
    type Owner: Clone + Ord + fmt::Debug;
    /// A moment on the clock that it expires by.
    type Time: Copy + Ord + fmt::Debug;

    /// Its topic.
    fn topic(&self) -> &TopicName;
    /// Who answers for it.
    fn owner(&self) -> &Self::Owner;
    /// How many bytes it takes, to be held against a bound.
    fn size(&self) -> usize;
    /// Whether it has no payload, and so only takes back what is retained [MQTT-3.3.1-6].
    fn is_empty(&self) -> bool;
    /// When it is no longer worth delivering.
    fn expires_at(&self) -> Option<Self::Time>;
}

/// How much may be retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedLimits {
    /// The most messages.
    pub messages: usize,
    /// The most bytes that they take, by [`Retainable::size`].
    pub bytes: usize,
}

impl Default for RetainedLimits {
    /// 100,000 messages in 64 MiB.
    fn default() -> Self {
        Self {
            messages: 100_000,
            bytes: 64 << 20,
        }
    }
}

/// There is no room for another retained message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no room for another retained message")]
pub struct RetainedFull;

/// A change of what is retained; later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Change(u64);

/// The last message of each topic.
#[derive(Debug)]
pub struct Retained<T: Retainable = Arc<Message>> {
    limits: RetainedLimits,
    share: RetainedLimits,
    places: BTreeMap<TopicName, Place<T>>,
    accounts: Accounts<T::Owner>,
    /// When something expires, and where.
    ends: BTreeSet<(T::Time, TopicName)>,
    newest: Change,
}

/// What there is under a topic.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a, T> {
    /// The topic.
    pub topic: &'a TopicName,
    /// What is retained, and by which change.
    pub current: Option<(Change, &'a T)>,
    /// Whether a change has begun that is neither applied nor abandoned.
    pub is_changing: bool,
}

impl<T: Retainable> Retained<T> {
    /// Nothing is retained. No owner has less room than all together.
    #[must_use]
    pub fn new(limits: RetainedLimits) -> Self {
        Self::with_shares(limits, limits)
    }

    /// Nothing is retained, and no owner has more room than `share`.
    #[must_use]
    pub fn with_shares(limits: RetainedLimits, share: RetainedLimits) -> Self {
        Self {
            limits,
            share,
            places: BTreeMap::new(),
            accounts: Accounts::default(),
            ends: BTreeSet::new(),
            newest: Change::default(),
        }
    }

    /// Sets other limits. What is retained stays, even when it is more than they allow.
    pub fn set_limits(&mut self, limits: RetainedLimits, share: RetainedLimits) {
        self.limits = limits;
        self.share = share;
    }

    /// How many messages are retained, or may come to be by changes that have begun.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.all().messages
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.accounts.all().bytes
    }

    /// Retains a message in place of the one of its topic; one without payload only removes it
    /// [MQTT-3.3.1-6]. Gives the one that was there.
    ///
    /// # Errors
    /// [`RetainedFull`]; then nothing has changed.
    pub fn set(&mut self, message: T) -> Result<Option<T>, RetainedFull> {
        let topic = message.topic().clone();
        let change = self.begin(message)?;
        Ok(self.apply(&topic, change))
    }

    /// Begins to retain a message as [`Self::set`] does. Room is taken; whoever reads still finds
    /// what was there before. How many changes may begin before others are done is for the caller
    /// to bound.
    ///
    /// # Errors
    /// [`RetainedFull`]; then nothing has changed.
    pub fn begin(&mut self, message: T) -> Result<Change, RetainedFull> {
        let topic = message.topic().clone();
        let place = self.places.get(&topic);
        let has_room = || {
            self.accounts
                .have_room(&message, place, &self.limits, &self.share)
        };
        if !message.is_empty() && !has_room() {
            return Err(RetainedFull);
        }
        self.newest = Change(self.newest.0 + 1);
        let change = self.newest;
        self.alter(&topic, |place| place.changes.push((change, message)));
        Ok(change)
    }

    /// Lets a change that has begun come to be. Gives the message that was there.
    pub fn apply(&mut self, topic: &TopicName, change: Change) -> Option<T> {
        self.alter(topic, |place| {
            let message = place.take(change)?;
            let before = place.current.take();
            if !message.is_empty() {
                place.current = Some((change, message));
            }
            Some(before?.1)
        })
    }

    /// Lets a change that has begun not come to be.
    pub fn abandon(&mut self, topic: &TopicName, change: Change) {
        self.alter(topic, |place| place.take(change));
    }

    /// The newest change that has begun: whatever begins from now on is greater.
    #[must_use]
    pub fn newest(&self) -> Change {
        self.newest
    }

    /// Removes the message of a topic, and gives it.
    pub fn remove(&mut self, topic: &TopicName) -> Option<T> {
        let removed = self.alter(topic, |place| place.current.take());
        removed.map(|(_, message)| message)
    }

    /// Removes what is no longer worth delivering, and gives it.
    pub fn remove_expired(&mut self, now: T::Time) -> Vec<T> {
        let mut expired = Vec::new();
        while let Some((end, topic)) = self.ends.first() {
            if *end > now {
                break;
            }
            let topic = topic.clone();
            expired.extend(self.remove(&topic));
        }
        expired
    }

    /// The message of a topic.
    #[must_use]
    pub fn get(&self, topic: &TopicName) -> Option<&T> {
        let (_, message) = self.places.get(topic)?.current.as_ref()?;
        Some(message)
    }

    /// The messages that `filter` matches, in the order of their topics, from behind the topic
    /// `after` on: so a long list can be read in pieces. Parts of the store that cannot match are
    /// leapt over. What has expired is among them until it is removed.
    pub fn matching<'a>(
        &'a self,
        filter: &'a TopicFilter,
        after: Option<&TopicName>,
    ) -> impl Iterator<Item = &'a T> {
        let found = self.places_matching(filter, after);
        found.filter_map(|found| found.current.map(|(_, message)| message))
    }

    /// As [`Self::matching`], with topics that are about to change.
    pub fn places_matching<'a>(
        &'a self,
        filter: &'a TopicFilter,
        after: Option<&TopicName>,
    ) -> impl Iterator<Item = Found<'a, T>> {
        let from = match after {
            Some(topic) => Bound::Excluded(topic.as_str().to_owned()),
            None => Bound::Unbounded,
        };
        Matching {
            places: &self.places,
            filter: filter.matched_part(),
            from: Some(from),
        }
    }

    /// Changes what is under a topic, and accounts for it.
    fn alter<R>(&mut self, topic: &TopicName, work: impl FnOnce(&mut Place<T>) -> R) -> R {
        let place = self.places.entry(topic.clone()).or_default();
        self.accounts.subtract(place);
        let before = place.end();
        let done = work(place);
        self.accounts.add(place);
        let after = place.end();
        if place.is_vacant() {
            self.places.remove(topic);
        }
        if before != after {
            if let Some(end) = before {
                self.ends.remove(&(end, topic.clone()));
            }
            self.ends.extend(after.map(|end| (end, topic.clone())));
        }
        done
    }
}

impl Retainable for Arc<Message> {
    type Owner = ();
    type Time = Instant;

    fn topic(&self) -> &TopicName {
        Message::topic(self)
    }

    fn owner(&self) -> &() {
        &()
    }

    fn size(&self) -> usize {
        Message::size(self)
    }

    fn is_empty(&self) -> bool {
        self.payload().is_empty()
    }

    fn expires_at(&self) -> Option<Instant> {
        Message::expires_at(self)
    }
}

struct Matching<'a, T> {
    places: &'a BTreeMap<TopicName, Place<T>>,
    filter: &'a str,
    /// Where to go on; `None`: nothing more can match.
    from: Option<Bound<String>>,
}

impl<'a, T> Iterator for Matching<'a, T> {
    type Item = Found<'a, T>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let from = self.from.as_ref()?.as_ref().map(String::as_str);
            let range = self.places.range::<str, _>((from, Bound::Unbounded));
            let Some((topic, place)) = { range }.next() else {
                self.from = None;
                return None;
            };
            match compare(self.filter, topic) {
                Verdict::Matches => {
                    self.from = Some(Bound::Excluded(topic.as_str().to_owned()));
                    let current = place.current.as_ref();
                    return Some(Found {
                        topic,
                        current: current.map(|(change, message)| (*change, message)),
                        is_changing: !place.changes.is_empty(),
                    });
                }
                Verdict::GoOnAt(place) => self.from = Some(Bound::Included(place)),
                Verdict::NoMore => self.from = None,
            }
        }
    }
}
