//! Which clients get a message: a tree of the levels of all filters.

use std::collections::HashMap;
use std::sync::Arc;

use outgate_mqtt::packet::{QoS, SubscribeFilter};
use outgate_mqtt::topics::TopicFilter;

use super::client::{Client, Standing, Subscription};

/// Where the subscriptions of all clients lie.
#[derive(Debug, Default)]
pub(in super::super) struct Routes {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node>,
    /// Subscriptions whose filter ends here, by the client's number.
    ends: HashMap<u64, Entry>,
    /// Shared subscriptions whose filter ends here, by their group.
    groups: HashMap<Box<str>, Group>,
}

#[derive(Clone, Debug)]
struct Entry {
    client: Arc<Client>,
    options: Options,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    qos: QoS,
    no_local: bool,
    retain_as_published: bool,
    identifier: Option<u32>,
}

#[derive(Debug, Default)]
struct Group {
    members: Vec<Entry>,
    /// Whose turn is next. Only counts, so that many may choose at a time.
    turn: std::sync::atomic::AtomicUsize,
}

/// One client that gets a message, once however many of its filters match.
#[derive(Debug)]
pub(in super::super) struct Match {
    /// Who.
    pub(in super::super) client: Arc<Client>,
    /// With the highest quality of service of those filters at the most.
    pub(in super::super) qos: QoS,
    /// Whether the message keeps the retain flag that it was published with.
    pub(in super::super) retain_as_published: bool,
    /// The identifiers of those filters.
    pub(in super::super) identifiers: Vec<u32>,
}

impl Routes {
    /// Adds a subscription, or puts it in the place of the client's own of the same filter.
    pub(in super::super) fn insert(&mut self, client: &Arc<Client>, subscription: &Subscription) {
        let SubscribeFilter {
            filter,
            qos,
            no_local,
            retain_as_published,
            retain_handling: _,
        } = &subscription.filter;
        let entry = Entry {
            client: Arc::clone(client),
            options: Options {
                qos: *qos,
                no_local: *no_local,
                retain_as_published: *retain_as_published,
                identifier: subscription.identifier,
            },
        };
        let mut node = &mut self.root;
        for level in filter.matched_part().split('/') {
            node = node.children.entry(level.into()).or_default();
        }
        match filter.shared() {
            None => {
                node.ends.insert(client.number, entry);
            }
            Some(shared) => {
                let group = node.groups.entry(shared.group.into()).or_default();
                group
                    .members
                    .retain(|member| member.client.number != client.number);
                group.members.push(entry);
            }
        }
    }

    /// Takes out a subscription of the client numbered `number`.
    pub(in super::super) fn remove(&mut self, number: u64, filter: &TopicFilter) {
        let levels: Vec<&str> = filter.matched_part().split('/').collect();
        let group = filter.shared().map(|shared| shared.group);
        remove(&mut self.root, &levels, number, group);
    }

    /// Puts into `matches` who gets a message on `topic` from the client numbered `publisher`.
    pub(in super::super) fn find(&self, topic: &str, publisher: u64, matches: &mut Vec<Match>) {
        let levels: Vec<&str> = topic.split('/').collect();
        let mut search = Search {
            publisher,
            reserved: topic.starts_with('$'),
            places: HashMap::new(),
            matches,
        };
        search.walk(&self.root, &levels, true);
    }
}

/// Returns whether the node is empty now.
fn remove(node: &mut Node, levels: &[&str], number: u64, group: Option<&str>) -> bool {
    match levels.split_first() {
        Some((level, rest)) => {
            let emptied = node
                .children
                .get_mut(*level)
                .is_some_and(|child| remove(child, rest, number, group));
            if emptied {
                node.children.remove(*level);
            }
        }
        None => match group {
            None => {
                node.ends.remove(&number);
            }
            Some(name) => {
                if let Some(group) = node.groups.get_mut(name) {
                    group
                        .members
                        .retain(|member| member.client.number != number);
                    if group.members.is_empty() {
                        node.groups.remove(name);
                    }
                }
            }
        },
    }
    node.children.is_empty() && node.ends.is_empty() && node.groups.is_empty()
}

struct Search<'a> {
    publisher: u64,
    /// Whether the topic begins with `$`, which no wildcard in the first level matches.
    reserved: bool,
    /// Where a client is in `matches`.
    places: HashMap<u64, usize>,
    matches: &'a mut Vec<Match>,
}

impl Search<'_> {
    fn walk(&mut self, node: &Node, levels: &[&str], first: bool) {
        let wild = !(first && self.reserved);
        if wild && let Some(all) = node.children.get("#") {
            self.take(all);
        }
        let Some((level, rest)) = levels.split_first() else {
            self.take(node);
            return;
        };
        if let Some(child) = node.children.get(*level) {
            self.walk(child, rest, false);
        }
        if wild && let Some(child) = node.children.get("+") {
            self.walk(child, rest, false);
        }
    }

    fn take(&mut self, node: &Node) {
        for entry in node.ends.values() {
            if !(entry.options.no_local && entry.client.number == self.publisher) {
                self.add(entry);
            }
        }
        for group in node.groups.values() {
            if let Some(entry) = group.next() {
                // A copy of its own: what comes by the group is nobody else's to have.
                self.matches.push(entry.as_match());
            }
        }
    }

    fn add(&mut self, entry: &Entry) {
        let number = entry.client.number;
        match self
            .places
            .get(&number)
            .and_then(|place| self.matches.get_mut(*place))
        {
            Some(found) => {
                found.qos = found.qos.max(entry.options.qos);
                found.retain_as_published |= entry.options.retain_as_published;
                found.identifiers.extend(entry.options.identifier);
            }
            None => {
                self.places.insert(number, self.matches.len());
                self.matches.push(entry.as_match());
            }
        }
    }
}

impl Group {
    /// Whose turn it is: the next who is connected, or the next at all.
    fn next(&self) -> Option<&Entry> {
        let turn = self.turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let count = self.members.len();
        let from_turn =
            || (0..count).filter_map(|step| self.members.get((turn.wrapping_add(step)) % count));
        from_turn()
            .find(|entry| matches!(entry.client.standing(), Standing::Connected(_)))
            .or_else(|| from_turn().next())
    }
}

impl Entry {
    fn as_match(&self) -> Match {
        Match {
            client: Arc::clone(&self.client),
            qos: self.options.qos,
            retain_as_published: self.options.retain_as_published,
            identifiers: self.options.identifier.into_iter().collect(),
        }
    }
}
