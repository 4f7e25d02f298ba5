//! What is under one topic, and how much of the room it takes.

use std::collections::BTreeMap;

use super::{Change, Retainable, RetainedLimits};

/// What is under one topic.
#[derive(Debug)]
pub(super) struct Place<T> {
    /// What is retained, and by which change.
    pub(super) current: Option<(Change, T)>,
    /// What may take its place, in the order of beginning.
    pub(super) changes: Vec<(Change, T)>,
}

/// How much room is taken. A topic takes as much as the largest of what is or may be retained
/// under it, in all and of each owner: whatever changes come to be, there is room for them.
#[derive(Debug)]
pub(super) struct Accounts<O> {
    all: Usage,
    of_owner: BTreeMap<O, Usage>,
}

/// Messages and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl<T> Default for Place<T> {
    fn default() -> Self {
        Self {
            current: None,
            changes: Vec::new(),
        }
    }
}

impl<O> Default for Accounts<O> {
    fn default() -> Self {
        Self {
            all: Usage::default(),
            of_owner: BTreeMap::new(),
        }
    }
}

impl<T: Retainable> Place<T> {
    pub(super) fn is_vacant(&self) -> bool {
        self.current.is_none() && self.changes.is_empty()
    }

    /// When what is retained is no longer worth delivering.
    pub(super) fn end(&self) -> Option<T::Time> {
        self.current.as_ref()?.1.expires_at()
    }

    /// Takes out a change that has begun.
    pub(super) fn take(&mut self, change: Change) -> Option<T> {
        let at = self
            .changes
            .iter()
            .position(|(other, _)| *other == change)?;
        Some(self.changes.remove(at).1)
    }

    /// All that is or may be retained.
    fn candidates(&self) -> impl Iterator<Item = &T> {
        let changes = self.changes.iter();
        let all = self
            .current
            .iter()
            .chain(changes)
            .map(|(_, message)| message);
        all.filter(|message| !message.is_empty())
    }

    fn largest(&self) -> Option<usize> {
        self.candidates().map(T::size).max()
    }

    fn largest_of(&self, owner: &T::Owner) -> Option<usize> {
        let own = self.candidates().filter(|message| message.owner() == owner);
        own.map(T::size).max()
    }

    /// Everybody who has something here, each once.
    fn owners(&self) -> impl Iterator<Item = &T::Owner> {
        let first = |(place, message): (usize, &T)| {
            let mut before = self.candidates().take(place);
            !before.any(|other| other.owner() == message.owner())
        };
        let firsts = self.candidates().enumerate();
        firsts
            .filter(move |found| first((found.0, found.1)))
            .map(|(_, message)| message.owner())
    }
}

impl<O: Clone + Ord> Accounts<O> {
    /// What is taken in all.
    pub(super) fn all(&self) -> Usage {
        self.all
    }

    /// Whether there is room for `message` at `place`, beside whatever is there already.
    pub(super) fn have_room<T: Retainable<Owner = O>>(
        &self,
        message: &T,
        place: Option<&Place<T>>,
        limits: &RetainedLimits,
        share: &RetainedLimits,
    ) -> bool {
        let before = place.and_then(Place::largest);
        let own_before = place.and_then(|place| place.largest_of(message.owner()));
        let own = self.of_owner.get(message.owner());
        self.all.fits(message.size(), before, limits)
            && own
                .copied()
                .unwrap_or_default()
                .fits(message.size(), own_before, share)
    }

    pub(super) fn add<T: Retainable<Owner = O>>(&mut self, place: &Place<T>) {
        self.all.add(place.largest());
        for owner in place.owners() {
            let usage = self.of_owner.entry(owner.clone()).or_default();
            usage.add(place.largest_of(owner));
        }
    }

    pub(super) fn subtract<T: Retainable<Owner = O>>(&mut self, place: &Place<T>) {
        self.all.subtract(place.largest());
        for owner in place.owners() {
            if let Some(usage) = self.of_owner.get_mut(owner) {
                usage.subtract(place.largest_of(owner));
                if *usage == Usage::default() {
                    self.of_owner.remove(owner);
                }
            }
        }
    }
}

impl Usage {
    /// Whether it is within `limits` when a topic that takes `before` takes at least `size`.
    fn fits(self, size: usize, before: Option<usize>, limits: &RetainedLimits) -> bool {
        let messages = self.messages + usize::from(before.is_none());
        let more = size.saturating_sub(before.unwrap_or(0));
        messages <= limits.messages && self.bytes.saturating_add(more) <= limits.bytes
    }

    fn add(&mut self, size: Option<usize>) {
        self.messages += usize::from(size.is_some());
        self.bytes += size.unwrap_or(0);
    }

    fn subtract(&mut self, size: Option<usize>) {
        self.messages -= usize::from(size.is_some());
        self.bytes -= size.unwrap_or(0);
    }
}
