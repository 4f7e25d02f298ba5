//! Who subscribes to what: a tree of filters.
//!
//! A level of a filter is a node. Levels' texts are kept once and numbered, so that finding the
//! way through the tree compares numbers. Nodes are made when first needed, and go with the last
//! subscription below them.
//!
//! Of the two ways that MQTT leaves open for overlapping subscriptions (section 3.3.4), a client
//! gets one copy of a message: with the highest quality of service of those that match, the
//! identifiers of them all, and the retain flag as published if one of them asked for it.

mod levels;
mod matches;
mod members;

use std::collections::HashMap;
use std::num::NonZeroU32;

use self::levels::{Levels, Symbol};
pub use self::matches::{InTurn, Match, Matches, TRIED_IN_TURN};
use self::members::Leaf;
use crate::topics::{Subscription, TopicFilter};

/// How many subscriptions there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionsLimits {
    /// The most subscriptions.
    pub subscriptions: usize,
    /// The most nodes: about one for every level that filters do not share. A node takes some 100
    /// bytes and its level's text.
    pub nodes: usize,
}

impl Default for SubscriptionsLimits {
    /// A million subscriptions, four million nodes.
    fn default() -> Self {
        Self {
            subscriptions: 1_000_000,
            nodes: 4_000_000,
        }
    }
}

/// There is no room for another subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no room for another subscription")]
pub struct SubscriptionsFull;

/// Who subscribes to what. `K` stands for a subscriber.
#[derive(Debug)]
pub struct Subscriptions<K> {
    limits: SubscriptionsLimits,
    levels: Levels,
    nodes: Vec<Node<K>>,
    /// Places in `nodes` that stand empty.
    vacant: Vec<NodeId>,
    edges: HashMap<(NodeId, Symbol), NodeId>,
    count: usize,
}

/// A place in `nodes`; 0 is the root.
type NodeId = u32;

const ROOT: NodeId = 0;

#[derive(Debug)]
struct Node<K> {
    parent: NodeId,
    step: Step,
    /// How many nodes are right below, the one of `+` included.
    children: u32,
    /// The node of `+`; never the root.
    single: Option<NonZeroU32>,
    /// Filters that end here.
    here: Option<Box<Leaf<K>>>,
    /// Filters that end with a `#` right below.
    below: Option<Box<Leaf<K>>>,
}

/// How a node is reached from the one above it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Named(Symbol),
    Single,
}

/// Where in a node a filter ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Here,
    Below,
}

impl<K: Copy + Ord> Subscriptions<K> {
    /// Nobody subscribes to anything.
    #[must_use]
    pub fn new(limits: SubscriptionsLimits) -> Self {
        Self {
            limits,
            levels: Levels::default(),
            nodes: vec![Node::new(ROOT, Step::Single)],
            vacant: Vec::new(),
            edges: HashMap::new(),
            count: 0,
        }
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len() - self.vacant.len()
    }

    /// Adds or replaces a subscription; gives the one it replaces.
    ///
    /// # Errors
    /// [`SubscriptionsFull`] when a limit would be passed; then nothing has changed.
    pub fn subscribe(
        &mut self,
        subscriber: K,
        filter: &TopicFilter,
        subscription: Subscription,
    ) -> Result<Option<Subscription>, SubscriptionsFull> {
        let (path, end) = split(filter.matched_part());
        let levels = path.map_or(0, |path| path.split('/').count());
        let might_fit = self.nodes() + levels <= self.limits.nodes;
        let is_new = self
            .find(path)
            .is_none_or(|node| !self.has(node, end, filter, subscriber));
        if is_new && (self.count >= self.limits.subscriptions || !might_fit) {
            return Err(SubscriptionsFull);
        }
        let node = self.make(path);
        let leaf = self.node_mut(node).leaf_mut(end).get_or_insert_default();
        let group = filter.shared().map(|shared| shared.group);
        let replaced = leaf.make_members(group).insert(subscriber, subscription);
        self.count += usize::from(replaced.is_none());
        Ok(replaced)
    }

    /// Takes a subscription away, and gives it.
    pub fn unsubscribe(&mut self, subscriber: K, filter: &TopicFilter) -> Option<Subscription> {
        let (path, end) = split(filter.matched_part());
        let node = self.find(path)?;
        let leaf = self.node_mut(node).leaf_mut(end);
        let group = filter.shared().map(|shared| shared.group);
        let removed = leaf.as_mut()?.remove(group, subscriber)?;
        if leaf.as_ref().is_some_and(|leaf| leaf.is_empty()) {
            *leaf = None;
        }
        self.count -= 1;
        self.prune(node);
        Some(removed)
    }

    /// Finds who gets a message on `topic`, published by `publisher`, and writes it over what
    /// `found` had. Shared subscriptions take turns with every call.
    pub fn find_matches(&self, topic: &str, publisher: Option<K>, found: &mut Matches<K>) {
        found.clear();
        found.active.push(ROOT);
        let is_internal = topic.starts_with('$');
        for (depth, level) in topic.split('/').enumerate() {
            let symbol = self.levels.find(level);
            let hidden = depth == 0 && is_internal;
            for position in 0..found.active.len() {
                let id = found.active[position];
                let node = &self.nodes[id as usize];
                if !hidden {
                    found.take(node.below.as_deref(), publisher);
                    found.next.extend(node.single.map(NonZeroU32::get));
                }
                let named = symbol.and_then(|symbol| self.edges.get(&(id, symbol)));
                found.next.extend(named);
            }
            found.step();
        }
        for position in 0..found.active.len() {
            let node = &self.nodes[found.active[position] as usize];
            found.take(node.here.as_deref(), publisher);
            found.take(node.below.as_deref(), publisher);
        }
        found.merge();
    }

    fn has(&self, node: NodeId, end: End, filter: &TopicFilter, subscriber: K) -> bool {
        let node = &self.nodes[node as usize];
        let leaf = if end == End::Here {
            &node.here
        } else {
            &node.below
        };
        let group = filter.shared().map(|shared| shared.group);
        let members = leaf.as_deref().and_then(|leaf| leaf.members(group));
        members.is_some_and(|members| members.contains(subscriber))
    }

    fn node_mut(&mut self, node: NodeId) -> &mut Node<K> {
        &mut self.nodes[node as usize]
    }

    fn find(&self, path: Option<&str>) -> Option<NodeId> {
        let mut node = ROOT;
        for level in path.into_iter().flat_map(|path| path.split('/')) {
            node = if level == "+" {
                self.nodes[node as usize].single?.get()
            } else {
                *self.edges.get(&(node, self.levels.find(level)?))?
            };
        }
        Some(node)
    }

    fn make(&mut self, path: Option<&str>) -> NodeId {
        let mut node = ROOT;
        for level in path.into_iter().flat_map(|path| path.split('/')) {
            node = if level == "+" {
                match self.nodes[node as usize].single {
                    Some(single) => single.get(),
                    None => self.add_node(node, Step::Single),
                }
            } else {
                let known = self.levels.find(level);
                match known.and_then(|symbol| self.edges.get(&(node, symbol))) {
                    Some(named) => *named,
                    None => {
                        let symbol = self.levels.take(level);
                        self.add_node(node, Step::Named(symbol))
                    }
                }
            };
        }
        node
    }

    fn add_node(&mut self, parent: NodeId, step: Step) -> NodeId {
        let node = Node::new(parent, step);
        let id = if let Some(id) = self.vacant.pop() {
            self.nodes[id as usize] = node;
            id
        } else {
            self.nodes.push(node);
            // The limit on nodes is far below 2^32.
            (self.nodes.len() - 1) as NodeId
        };
        self.node_mut(parent).children += 1;
        match step {
            Step::Named(symbol) => {
                self.edges.insert((parent, symbol), id);
            }
            Step::Single => self.node_mut(parent).single = NonZeroU32::new(id),
        }
        id
    }

    /// Takes away what nobody needs any more, from `node` upwards.
    fn prune(&mut self, mut node: NodeId) {
        while node != ROOT && self.nodes[node as usize].is_unused() {
            let Node { parent, step, .. } = self.nodes[node as usize];
            match step {
                Step::Named(symbol) => {
                    self.edges.remove(&(parent, symbol));
                    self.levels.release(symbol);
                }
                Step::Single => self.node_mut(parent).single = None,
            }
            self.node_mut(parent).children -= 1;
            self.vacant.push(node);
            node = parent;
        }
    }
}

impl<K> Node<K> {
    fn new(parent: NodeId, step: Step) -> Self {
        Self {
            parent,
            step,
            children: 0,
            single: None,
            here: None,
            below: None,
        }
    }

    fn leaf_mut(&mut self, end: End) -> &mut Option<Box<Leaf<K>>> {
        match end {
            End::Here => &mut self.here,
            End::Below => &mut self.below,
        }
    }

    fn is_unused(&self) -> bool {
        self.children == 0 && self.here.is_none() && self.below.is_none()
    }
}

/// The path to the node that a filter ends in, and where in it. `#` alone ends below the root.
fn split(filter: &str) -> (Option<&str>, End) {
    if filter == "#" {
        return (None, End::Below);
    }
    match filter.strip_suffix("/#") {
        Some(path) => (Some(path), End::Below),
        None => (Some(filter), End::Here),
    }
}
