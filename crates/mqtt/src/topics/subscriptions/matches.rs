//! Who gets a message.

use std::num::NonZeroU32;
use std::ops::Range;

use crate::packet::QoS;
use crate::topics::Subscription;
use crate::topics::subscriptions::NodeId;
use crate::topics::subscriptions::members::Leaf;

/// How many members of a group are named for a message: when the one whose turn it is cannot take
/// it, the next may.
pub const TRIED_IN_TURN: usize = 16;

/// Who gets a message. Made once and used for many: what it holds is written over.
#[derive(Debug)]
pub struct Matches<K> {
    clients: Vec<Match<K>>,
    ids: Vec<NonZeroU32>,
    shared: Vec<(K, Subscription)>,
    /// Where in `shared` each group is.
    groups: Vec<Range<usize>>,
    /// What matches, before overlapping subscriptions are put together.
    hits: Vec<(K, Subscription)>,
    /// From how many filters `hits` comes; each is in order.
    filters: usize,
    /// The nodes that the topic has led to so far, and those of the next level.
    pub(super) active: Vec<NodeId>,
    pub(super) next: Vec<NodeId>,
}

/// A client that gets a message for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match<K> {
    /// Who.
    pub subscriber: K,
    /// The highest quality of service of the subscriptions that match.
    pub qos: QoS,
    /// Whether one of them asked for the retain flag as published.
    pub retain_as_published: bool,
    ids: Range<usize>,
}

/// A group that shares a message: its members from the one whose turn it is, at most
/// [`TRIED_IN_TURN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InTurn<'a, K>(
    /// The members and how they want it.
    pub &'a [(K, Subscription)],
);

impl<K> Default for Matches<K> {
    fn default() -> Self {
        Self {
            clients: Vec::new(),
            ids: Vec::new(),
            shared: Vec::new(),
            groups: Vec::new(),
            hits: Vec::new(),
            filters: 0,
            active: Vec::new(),
            next: Vec::new(),
        }
    }
}

impl<K: Copy + Ord> Matches<K> {
    /// The clients that get a copy for themselves, each once, in the order of their keys.
    #[must_use]
    pub fn clients(&self) -> &[Match<K>] {
        &self.clients
    }

    /// The identifiers of the subscriptions that a client's copy matches.
    #[must_use]
    pub fn subscription_ids(&self, client: &Match<K>) -> &[NonZeroU32] {
        &self.ids[client.ids.clone()]
    }

    /// The groups that get one copy each.
    pub fn groups(&self) -> impl Iterator<Item = InTurn<'_, K>> {
        self.groups
            .iter()
            .map(|group| InTurn(&self.shared[group.clone()]))
    }

    /// Whether nobody gets it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.groups.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.clients.clear();
        self.ids.clear();
        self.shared.clear();
        self.groups.clear();
        self.hits.clear();
        self.filters = 0;
        self.active.clear();
        self.next.clear();
    }

    /// Goes to the next level.
    pub(super) fn step(&mut self) {
        std::mem::swap(&mut self.active, &mut self.next);
        self.next.clear();
    }

    /// Takes the subscribers of a filter that matches.
    pub(super) fn take(&mut self, leaf: Option<&Leaf<K>>, publisher: Option<K>) {
        let Some(leaf) = leaf else { return };
        let before = self.hits.len();
        let own = |hit: &(K, Subscription)| hit.1.no_local && Some(hit.0) == publisher;
        self.hits.extend(leaf.plain.iter().filter(|hit| !own(hit)));
        self.filters += usize::from(self.hits.len() > before);
        for group in leaf.groups.values() {
            let start = self.shared.len();
            self.shared.extend(group.in_turn(TRIED_IN_TURN));
            self.groups.push(start..self.shared.len());
        }
    }

    /// Puts each client's overlapping subscriptions together.
    pub(super) fn merge(&mut self) {
        if self.filters > 1 {
            // Stable, so that identifiers come in the order of the filters that matched.
            self.hits.sort_by_key(|hit| hit.0);
        }
        for (subscriber, subscription) in self.hits.drain(..) {
            let start = self.ids.len();
            self.ids.extend(subscription.id);
            match self.clients.last_mut() {
                Some(last) if last.subscriber == subscriber => {
                    last.qos = last.qos.max(subscription.qos);
                    last.retain_as_published |= subscription.retain_as_published;
                    last.ids.end = self.ids.len();
                }
                Some(_) | None => self.clients.push(Match {
                    subscriber,
                    qos: subscription.qos,
                    retain_as_published: subscription.retain_as_published,
                    ids: start..self.ids.len(),
                }),
            }
        }
    }
}
