//! A tree of values, who listens to which parts of it, and what each is to be told of a change.

mod listens;

use std::sync::Arc;

use crate::draft::Draft;
use crate::hash::hash;
use crate::node::{Form, Node, Replaced};
use crate::path::Path;
use crate::query::Query;

use listens::Listens;

/// How much a tree may hold, and how many may listen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The most bytes of all values, about.
    pub bytes: usize,
    /// The most listens.
    pub listens: usize,
}

/// A tree of values and who listens to it.
#[derive(Debug)]
pub struct Database {
    root: Node,
    bytes: usize,
    bounds: Bounds,
    listens: Listens,
}

/// Somebody who wants to be told of what stands at a path, now and later.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// Who, by a number of the caller's.
    pub by: u64,
    /// How they call it, if it is not for all that stands there.
    pub tag: Option<u64>,
    /// Which children.
    pub query: Query,
    /// How they are told values.
    pub form: Form,
}

/// What somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who.
    pub by: u64,
    /// How they call what they listen to.
    pub tag: Option<u64>,
    /// Where it stands that has changed.
    pub path: Path,
    /// How many keys of that path lead to what they listen to; all of them when it is above.
    pub listened: usize,
    /// Whether `data` has paths below and their values, instead of one value.
    pub is_merge: bool,
    /// JSON.
    pub data: Arc<str>,
}

/// What is to be written, as a whole or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Where, and what. None of the paths lies below another.
    pub parts: Vec<(Path, Draft)>,
    /// Where something is to stand whose hash this is: otherwise nothing is written.
    pub expected: Option<(Path, String)>,
}

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Something else stands there than was expected.
    #[error("the value has changed meanwhile")]
    Stale,
    /// There is no room.
    #[error("the database holds at most {max} bytes")]
    Full {
        /// How many it may.
        max: usize,
    },
}

/// No more listens are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database takes at most {max} listens")]
pub struct TooManyListens {
    /// How many it may.
    pub max: usize,
}

/// What a write has changed.
#[derive(Debug)]
pub struct Change {
    replaced: Vec<Replaced>,
    /// What to keep on a disk, in this order.
    pub rows: Vec<Rows>,
    bytes_before: usize,
}

/// What a store is to do: forget what lies at a place and below, then keep these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The place.
    pub place: String,
    /// Places at it or below, and what lies there in JSON.
    pub rows: Vec<(String, String)>,
}

impl Database {
    /// A tree that holds `root`.
    #[must_use]
    pub fn new(root: Node, bounds: Bounds) -> Self {
        Self {
            bytes: root.bytes(),
            root,
            bounds,
            listens: Listens::default(),
        }
    }

    /// All that it holds.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// About how many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many listen.
    #[must_use]
    pub fn listens(&self) -> usize {
        self.listens.count()
    }

    /// Writes at `now`, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn write(&mut self, write: &Write, now: i64) -> Result<Change, WriteError> {
        if let Some((path, expected)) = &write.expected
            && hash(self.root.at(path.keys())) != *expected
        {
            return Err(WriteError::Stale);
        }
        let mut change = Change {
            replaced: Vec::new(),
            rows: Vec::new(),
            bytes_before: self.bytes,
        };
        for (path, draft) in &write.parts {
            let value = draft.resolve(self.root.at(path.keys()), now);
            let replaced = self.root.replace(path, value);
            let new = self.root.at(replaced.path.keys());
            let held = |node| bytes_at(&replaced.path, node);
            self.bytes = (self.bytes + held(new)).saturating_sub(held(&replaced.old));
            change.rows.push(Rows {
                place: replaced.path.to_string(),
                rows: new.rows(&replaced.path),
            });
            change.replaced.push(replaced);
        }
        if self.bytes > self.bounds.bytes && self.bytes > change.bytes_before {
            self.restore(change);
            return Err(WriteError::Full {
                max: self.bounds.bytes,
            });
        }
        Ok(change)
    }

    /// What each listener is to be told of a change that is the newest.
    pub fn tell(&mut self, change: &Change) -> Vec<Told> {
        self.listens.tell(&self.root, &change.replaced)
    }

    /// Undoes the newest change, as if nobody had been told of it.
    pub fn undo(&mut self, change: Change) {
        let paths: Vec<Path> = change.replaced.iter().map(|it| it.path.clone()).collect();
        self.restore(change);
        self.listens.look_again(&self.root, &paths);
    }

    fn restore(&mut self, change: Change) {
        self.bytes = change.bytes_before;
        for replaced in change.replaced.into_iter().rev() {
            self.root.restore(replaced);
        }
    }

    /// Tells `listen.by` from now on of what changes at `path`, and of what stands there unless its
    /// hash is `known`. A listen of the same tag there is replaced.
    ///
    /// # Errors
    /// [`TooManyListens`].
    pub fn listen(
        &mut self,
        path: &Path,
        listen: Listen,
        known: Option<&str>,
    ) -> Result<Option<Told>, TooManyListens> {
        self.unlisten(path, listen.by, listen.tag);
        if self.listens() >= self.bounds.listens {
            return Err(TooManyListens {
                max: self.bounds.listens,
            });
        }
        let answer = listen.query.answer(self.root.at(path.keys()));
        let told = Told {
            by: listen.by,
            tag: listen.tag,
            path: path.clone(),
            listened: path.keys().len(),
            is_merge: false,
            data: answer.to_json(listen.form).into(),
        };
        let knows = known.is_some_and(|known| hash(&answer) == known);
        self.listens.add(&self.root, path, listen);
        Ok((!knows).then_some(told))
    }

    /// Forgets a listen.
    pub fn unlisten(&mut self, path: &Path, by: u64, tag: Option<u64>) {
        self.listens
            .remove(path, |listen| listen.by == by && listen.tag == tag);
    }
}

/// About how many bytes a value takes with its key.
fn bytes_at(path: &Path, node: &Node) -> usize {
    let key = path.keys().last().filter(|_| !node.is_nothing());
    node.bytes() + key.map_or(0, |key| key.as_str().len())
}
