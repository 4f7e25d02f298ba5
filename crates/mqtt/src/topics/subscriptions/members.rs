//! The subscribers of one filter.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::topics::Subscription;

/// Up to how many subscribers are kept in one sorted row: most filters have one.
const ROW_MAX: usize = 64;

/// The subscribers of one filter: those for themselves, and those who share.
#[derive(Debug)]
pub(super) struct Leaf<K> {
    pub(super) plain: Members<K>,
    pub(super) groups: BTreeMap<Box<str>, Group<K>>,
}

/// Those who share a subscription.
#[derive(Debug)]
pub(super) struct Group<K> {
    members: Members<K>,
    /// Counts the messages, to take turns.
    turn: AtomicUsize,
}

/// Subscribers in the order of their keys.
#[derive(Debug)]
pub(super) enum Members<K> {
    Row(Vec<(K, Subscription)>),
    Tree(BTreeMap<K, Subscription>),
}

impl<K> Default for Leaf<K> {
    fn default() -> Self {
        Self {
            plain: Members::Row(Vec::new()),
            groups: BTreeMap::new(),
        }
    }
}

impl<K: Copy + Ord> Leaf<K> {
    pub(super) fn members(&self, group: Option<&str>) -> Option<&Members<K>> {
        match group {
            None => Some(&self.plain),
            Some(group) => self.groups.get(group).map(|group| &group.members),
        }
    }

    pub(super) fn make_members(&mut self, group: Option<&str>) -> &mut Members<K> {
        let Some(name) = group else {
            return &mut self.plain;
        };
        &mut self
            .groups
            .entry(name.into())
            .or_insert_with(|| Group {
                members: Members::Row(Vec::new()),
                turn: AtomicUsize::new(0),
            })
            .members
    }

    pub(super) fn remove(&mut self, group: Option<&str>, subscriber: K) -> Option<Subscription> {
        let Some(name) = group else {
            return self.plain.remove(subscriber);
        };
        let members = &mut self.groups.get_mut(name)?.members;
        let removed = members.remove(subscriber);
        if members.len() == 0 {
            self.groups.remove(name);
        }
        removed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plain.len() == 0 && self.groups.is_empty()
    }
}

impl<K: Copy + Ord> Group<K> {
    /// The members, at most `most` of them, from the one whose turn it is.
    pub(super) fn in_turn(&self, most: usize) -> impl Iterator<Item = (K, Subscription)> {
        let count = self.members.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % count.max(1);
        self.members
            .iter()
            .skip(first)
            .chain(self.members.iter().take(first))
            .take(most)
    }
}

impl<K: Copy + Ord> Members<K> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Row(row) => row.len(),
            Self::Tree(tree) => tree.len(),
        }
    }

    pub(super) fn contains(&self, subscriber: K) -> bool {
        match self {
            Self::Row(row) => row
                .binary_search_by_key(&subscriber, |member| member.0)
                .is_ok(),
            Self::Tree(tree) => tree.contains_key(&subscriber),
        }
    }

    pub(super) fn insert(
        &mut self,
        subscriber: K,
        subscription: Subscription,
    ) -> Option<Subscription> {
        let row = match self {
            Self::Tree(tree) => return tree.insert(subscriber, subscription),
            Self::Row(row) => row,
        };
        match row.binary_search_by_key(&subscriber, |member| member.0) {
            Ok(place) => Some(std::mem::replace(&mut row[place].1, subscription)),
            Err(place) => {
                if row.is_empty() {
                    row.reserve_exact(1);
                }
                row.insert(place, (subscriber, subscription));
                if row.len() > ROW_MAX {
                    *self = Self::Tree(std::mem::take(row).into_iter().collect());
                }
                None
            }
        }
    }

    fn remove(&mut self, subscriber: K) -> Option<Subscription> {
        match self {
            Self::Tree(tree) => tree.remove(&subscriber),
            Self::Row(row) => {
                let place = row
                    .binary_search_by_key(&subscriber, |member| member.0)
                    .ok()?;
                Some(row.remove(place).1)
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, Subscription)> {
        let (row, tree) = match self {
            Self::Row(row) => (Some(row), None),
            Self::Tree(tree) => (None, Some(tree)),
        };
        let row = row.into_iter().flatten().copied();
        row.chain(
            tree.into_iter()
                .flatten()
                .map(|(subscriber, how)| (*subscriber, *how)),
        )
    }
}
