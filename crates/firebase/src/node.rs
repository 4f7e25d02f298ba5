//! Values: trees of leaves, each of which may have a priority.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::path::{Key, Path};

/// What a value takes in memory beside its text, about, in bytes.
const OVERHEAD: usize = 64;

/// From where on not every whole number is one of JavaScript's.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// A value: nothing, a leaf, or children of which none is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    pub(crate) priority: Option<Leaf>,
    pub(crate) content: Content,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Content {
    #[default]
    Nothing,
    Leaf(Leaf),
    Children(BTreeMap<Key, Node>),
}

/// What has no children. A priority is a number or a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Leaf {
    /// True or false.
    Boolean(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Box<str>),
}

/// A number: whole ones of 64 bits stay what they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole one.
    Integer(i64),
    /// Another, finite.
    Float(f64),
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// With priorities, as clients over WebSocket and `format=export` have it.
    Exact,
    /// Without priorities, and children that look like an array as one, as REST has it.
    Plain,
}

static NOTHING: Node = Node {
    priority: None,
    content: Content::Nothing,
};

/// A value that was replaced.
#[derive(Debug, PartialEq)]
pub struct Replaced {
    /// Where: above the place that was asked for when the values up to there came or went with it.
    pub path: Path,
    /// What stood there.
    pub old: Node,
}

impl Node {
    /// No value.
    #[must_use]
    pub fn nothing() -> &'static Self {
        &NOTHING
    }

    /// A leaf without a priority.
    #[must_use]
    pub fn leaf(leaf: Leaf) -> Self {
        Self {
            priority: None,
            content: Content::Leaf(leaf),
        }
    }

    /// Children; those that are nothing are left out.
    #[must_use]
    pub fn with_children(
        priority: Option<Leaf>,
        children: impl IntoIterator<Item = (Key, Self)>,
    ) -> Self {
        let there = children
            .into_iter()
            .filter(|(_, child)| !child.is_nothing());
        let children: BTreeMap<_, _> = there.collect();
        if children.is_empty() {
            return Self::default();
        }
        Self {
            priority,
            content: Content::Children(children),
        }
    }

    /// The same with another priority; nothing stays nothing.
    #[must_use]
    pub fn with_priority(self, priority: Option<Leaf>) -> Self {
        if self.is_nothing() {
            return self;
        }
        Self { priority, ..self }
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.content == Content::Nothing
    }

    /// Its priority.
    #[must_use]
    pub fn priority(&self) -> Option<&Leaf> {
        self.priority.as_ref()
    }

    /// What it is, if it is a leaf.
    #[must_use]
    pub fn as_leaf(&self) -> Option<&Leaf> {
        match &self.content {
            Content::Leaf(leaf) => Some(leaf),
            Content::Nothing | Content::Children(_) => None,
        }
    }

    /// Its children in the order of their keys.
    pub fn children(&self) -> impl Iterator<Item = (&Key, &Self)> {
        let children = match &self.content {
            Content::Children(children) => Some(children),
            Content::Nothing | Content::Leaf(_) => None,
        };
        children.into_iter().flatten()
    }

    /// A child; nothing if there is none.
    #[must_use]
    pub fn child(&self, key: &Key) -> &Self {
        match &self.content {
            Content::Children(children) => children.get(key).unwrap_or(&NOTHING),
            Content::Nothing | Content::Leaf(_) => &NOTHING,
        }
    }

    /// What stands below at `keys`.
    #[must_use]
    pub fn at(&self, keys: &[Key]) -> &Self {
        keys.iter().fold(self, |node, key| node.child(key))
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let content = match &self.content {
            Content::Nothing => return 0,
            Content::Leaf(leaf) => leaf.bytes(),
            Content::Children(children) => children
                .iter()
                .map(|(key, child)| key.as_str().len() + child.bytes())
                .sum(),
        };
        OVERHEAD + content + self.priority.as_ref().map_or(0, Leaf::bytes)
    }

    /// Has `node` stand at `path` from here. Leaves on the way make room; what has no children
    /// left goes.
    pub fn replace(&mut self, path: &Path, node: Self) -> Replaced {
        let keys = path.keys();
        let changed = if node.is_nothing() {
            self.goes_with(keys)
        } else {
            self.stands_until(keys)
        };
        let at = path.beginning(changed);
        let below = &keys[changed.min(keys.len())..];
        let new = below.iter().rev().fold(node, |node, key| {
            // What is nothing takes nothing with it but what only held it: that goes whole.
            Self::with_children(None, [(key.clone(), node)])
        });
        Replaced {
            old: self.exchange(at.keys(), new),
            path: at,
        }
    }

    /// How many keys down to what has to go when what stands at `keys` goes.
    fn goes_with(&self, keys: &[Key]) -> usize {
        let (mut node, mut goes) = (self, 0);
        for (depth, key) in keys.iter().enumerate() {
            if node.children().nth(1).is_some() {
                goes = depth + 1;
            }
            node = node.child(key);
            if node.is_nothing() {
                // Nothing is there: nothing changes.
                return keys.len();
            }
        }
        goes
    }

    /// How many keys down to the first that has no children of `keys`, at most all of them.
    fn stands_until(&self, keys: &[Key]) -> usize {
        let mut node = self;
        for (depth, key) in keys.iter().enumerate() {
            if !matches!(node.content, Content::Children(_)) {
                return depth;
            }
            node = node.child(key);
        }
        keys.len()
    }

    /// Exchanges what stands at `keys`, above which there are only children.
    fn exchange(&mut self, keys: &[Key], new: Self) -> Self {
        let Some((key, below)) = keys.split_first() else {
            return std::mem::replace(self, new);
        };
        let Content::Children(children) = &mut self.content else {
            return Self::default();
        };
        if !below.is_empty() {
            let child = children.get_mut(key);
            return child.map_or_else(Self::default, |child| child.exchange(below, new));
        }
        let old = if new.is_nothing() {
            children.remove(key)
        } else {
            children.insert(key.clone(), new)
        };
        old.unwrap_or_default()
    }

    /// Undoes what [`Node::replace`] did, if nothing else was done since.
    pub fn restore(&mut self, replaced: Replaced) {
        self.exchange(replaced.path.keys(), replaced.old);
    }

    /// Every leaf and priority at and below, with its place, which is below `at`, and its value in
    /// JSON.
    #[must_use]
    pub fn rows(&self, at: &Path) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        self.gather_rows(at.to_string(), &mut rows);
        rows
    }

    fn gather_rows(&self, at: String, rows: &mut Vec<(String, String)>) {
        let below = |key: &str| {
            if at.is_empty() {
                key.to_owned()
            } else {
                format!("{at}/{key}")
            }
        };
        if let Some(priority) = &self.priority {
            rows.push((below(PRIORITY), priority.to_json()));
        }
        for (key, child) in self.children() {
            child.gather_rows(below(key.as_str()), rows);
        }
        if let Some(leaf) = self.as_leaf() {
            rows.push((at, leaf.to_json()));
        }
    }

    /// The value whose [`Node::rows`] at the root these are, in any order, and how many of them
    /// are none.
    #[must_use]
    pub fn of_rows(rows: impl IntoIterator<Item = (String, String)>) -> (Self, usize) {
        let (mut root, mut priorities, mut refused) = (Self::default(), Vec::new(), 0);
        let leaf = |value: &str| Leaf::read(&serde_json::from_str(value).ok()?);
        for (place, value) in rows {
            match (without_priority(&place), Path::read(&place), leaf(&value)) {
                (Some(above), _, Some(leaf)) => priorities.push((above.to_owned(), leaf)),
                (None, Ok(path), Some(leaf)) => drop(root.replace(&path, Self::leaf(leaf))),
                (Some(_) | None, _, _) => refused += 1,
            }
        }
        // Last, since only what is there has one.
        for (above, priority) in priorities {
            let path = Path::read(&above).ok();
            match path.and_then(|path| root.at_mut(path.keys())) {
                Some(node) => node.priority = Some(priority),
                None => refused += 1,
            }
        }
        (root, refused)
    }

    /// What stands below at `keys`, if it is something.
    fn at_mut(&mut self, keys: &[Key]) -> Option<&mut Self> {
        let Some((key, below)) = keys.split_first() else {
            return (!self.is_nothing()).then_some(self);
        };
        match &mut self.content {
            Content::Children(children) => children.get_mut(key)?.at_mut(below),
            Content::Nothing | Content::Leaf(_) => None,
        }
    }

    /// The value in JSON.
    #[must_use]
    pub fn to_json(&self, form: Form) -> String {
        let mut text = String::new();
        self.write(form, &mut text);
        text
    }

    fn write(&self, form: Form, out: &mut String) {
        let priority = self.priority.as_ref().filter(|_| form == Form::Exact);
        match (&self.content, priority) {
            (Content::Nothing, _) => out.push_str("null"),
            (Content::Leaf(leaf), None) => leaf.write(out),
            (Content::Leaf(leaf), Some(priority)) => {
                out.push_str("{\".value\":");
                leaf.write(out);
                out.push_str(",\".priority\":");
                priority.write(out);
                out.push('}');
            }
            (Content::Children(children), _) => {
                match length_of_array(children).filter(|_| form == Form::Plain) {
                    Some(length) => self.write_array(length, out),
                    None => write_object(children, priority, form, out),
                }
            }
        }
    }

    fn write_array(&self, length: usize, out: &mut String) {
        out.push('[');
        for index in 0..length {
            if index > 0 {
                out.push(',');
            }
            self.child(&Key::of_index(index)).write(Form::Plain, out);
        }
        out.push(']');
    }
}

/// How long the array is that REST shows children as: all keys are indexes, and more than half of
/// those up to the largest are there.
fn length_of_array(children: &BTreeMap<Key, Node>) -> Option<usize> {
    // Numbers come first, so the last key is one only if all are.
    let (last, _) = children.last_key_value()?;
    let length = usize::try_from(last.integer()?).ok()?.checked_add(1)?;
    let is_index = |key: &Key| {
        let index = key.integer().and_then(|index| usize::try_from(index).ok());
        index.is_some_and(|index| *key == Key::of_index(index))
    };
    (children.len() > length / 2 && children.keys().all(is_index)).then_some(length)
}

fn write_object(
    children: &BTreeMap<Key, Node>,
    priority: Option<&Leaf>,
    form: Form,
    out: &mut String,
) {
    out.push('{');
    for (index, (key, child)) in children.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(key.as_str(), out);
        out.push(':');
        child.write(form, out);
    }
    if let Some(priority) = priority {
        out.push_str(",\".priority\":");
        priority.write(out);
    }
    out.push('}');
}

/// What stands in place of a key for the priority of what is above it.
pub const PRIORITY: &str = ".priority";

/// What a path is the priority of, if it is that of one.
#[must_use]
pub fn without_priority(path: &str) -> Option<&str> {
    let above = path.strip_suffix(PRIORITY)?;
    (above.is_empty() || above.ends_with('/')).then_some(above)
}

impl Leaf {
    /// Reads a leaf; `None` for null, arrays and objects.
    #[must_use]
    pub fn read(value: &serde_json::Value) -> Option<Self> {
        if let Some(text) = value.as_str() {
            return Some(Self::Text(text.into()));
        }
        if let Some(boolean) = value.as_bool() {
            return Some(Self::Boolean(boolean));
        }
        Number::read(value).map(Self::Number)
    }

    /// The leaf in JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = match self {
            Self::Boolean(value) => write!(out, "{value}"),
            Self::Number(Number::Integer(number)) => write!(out, "{number}"),
            Self::Number(Number::Float(number)) => write!(out, "{number:?}"),
            Self::Text(text) => {
                write_text(text, out);
                Ok(())
            }
        };
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Boolean(_) | Self::Number(_) => 0,
            Self::Text(text) => text.len(),
        }
    }

    /// How two stand to each other, of which nothing is the least: false, true, numbers, texts.
    #[must_use]
    pub fn order(one: Option<&Self>, other: Option<&Self>) -> Ordering {
        let kind = |leaf: Option<&Self>| match leaf {
            None => 0,
            Some(Self::Boolean(_)) => 1,
            Some(Self::Number(_)) => 2,
            Some(Self::Text(_)) => 3,
        };
        match (one, other) {
            (Some(Self::Boolean(one)), Some(Self::Boolean(other))) => one.cmp(other),
            (Some(Self::Number(one)), Some(Self::Number(other))) => one.order(*other),
            (Some(Self::Text(one)), Some(Self::Text(other))) => {
                one.encode_utf16().cmp(other.encode_utf16())
            }
            (one, other) => kind(one).cmp(&kind(other)),
        }
    }
}

impl Number {
    /// Reads a number.
    #[must_use]
    pub fn read(value: &serde_json::Value) -> Option<Self> {
        let integer = value.as_i64().map(Self::Integer);
        integer.or_else(|| value.as_f64().and_then(Self::of))
    }

    /// The number, if it is finite.
    #[must_use]
    pub fn of(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        if number.fract() == 0.0 && number.abs() < WHOLE_MAX {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is whole and small enough"
            )]
            return Some(Self::Integer(number as i64));
        }
        Some(Self::Float(number))
    }

    /// The nearest number of JavaScript's.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "clients have no other numbers")]
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    /// The sum; where it is none that can be kept, the number itself.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        if let (Self::Integer(one), Self::Integer(other)) = (self, other)
            && let Some(sum) = one.checked_add(other)
        {
            return Self::Integer(sum);
        }
        Self::of(self.as_f64() + other.as_f64()).unwrap_or(self)
    }

    fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Integer(one), Self::Integer(other)) => one.cmp(&other),
            (one, other) => one.as_f64().total_cmp(&other.as_f64()),
        }
    }
}

/// Writes a text in JSON.
pub(crate) fn write_text(text: &str, out: &mut String) {
    // A text is always JSON.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}
