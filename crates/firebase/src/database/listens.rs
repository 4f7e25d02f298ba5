//! Who listens where.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::{Listen, Told};
use crate::node::{Form, Node, Replaced, write_text};
use crate::path::{Key, Path, joined};

/// All listens, by what they listen to.
#[derive(Debug, Default)]
pub(super) struct Listens {
    by_path: BTreeMap<Path, Vec<Kept>>,
    count: usize,
}

#[derive(Debug)]
struct Kept {
    listen: Listen,
    /// The children that its query selects, as far as they were told of; `None` if it selects all.
    window: Option<BTreeSet<Key>>,
}

/// Values in JSON that several are told.
type Texts = BTreeMap<(Path, Form), Arc<str>>;

impl Listens {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn add(&mut self, root: &Node, path: &Path, listen: Listen) {
        let window = window(&listen, root.at(path.keys()));
        let kept = Kept { listen, window };
        self.by_path.entry(path.clone()).or_default().push(kept);
        self.count += 1;
    }

    pub(super) fn remove(&mut self, path: &Path, which: impl Fn(&Listen) -> bool) {
        let Some(there) = self.by_path.get_mut(path) else {
            return;
        };
        let before = there.len();
        there.retain(|kept| !which(&kept.listen));
        self.count -= before - there.len();
        if there.is_empty() {
            self.by_path.remove(path);
        }
    }

    /// Takes as told what stands at the listens that `paths` concern.
    pub(super) fn look_again(&mut self, root: &Node, paths: &[Path]) {
        for path in self.concerned(paths) {
            let node = root.at(path.keys());
            for kept in self.by_path.get_mut(&path).into_iter().flatten() {
                kept.window = window(&kept.listen, node);
            }
        }
    }

    pub(super) fn tell(&mut self, root: &Node, replaced: &[Replaced]) -> Vec<Told> {
        let changed: Vec<&Replaced> = replaced
            .iter()
            .filter(|it| it.old != *root.at(it.path.keys()))
            .collect();
        let paths: Vec<Path> = changed.iter().map(|it| it.path.clone()).collect();
        let (mut texts, mut told) = (Texts::new(), Vec::new());
        for at in self.concerned(&paths) {
            let Some(below) = below(&at, &changed, root) else {
                continue;
            };
            for kept in self.by_path.get_mut(&at).into_iter().flatten() {
                told.extend(kept.tell(&at, &below, root, &mut texts));
            }
        }
        told
    }

    /// What is listened to at, above and below these paths.
    fn concerned(&self, paths: &[Path]) -> BTreeSet<Path> {
        let mut concerned = BTreeSet::new();
        for path in paths {
            let above = (0..path.keys().len()).map(|length| path.beginning(length));
            concerned.extend(above.filter(|above| self.by_path.contains_key(above)));
            let from = (Bound::Included(path), Bound::Unbounded);
            let from = self.by_path.range::<Path, _>(from).map(|(found, _)| found);
            concerned.extend(
                from.take_while(|found| found.below(path).is_some())
                    .cloned(),
            );
        }
        concerned
    }
}

/// The places that have changed below `at`, each as the keys from there; one that is empty when
/// all of it may have. `None` when nothing has.
fn below(at: &Path, changed: &[&Replaced], root: &Node) -> Option<Vec<Vec<Key>>> {
    let mut places = Vec::new();
    for replaced in changed {
        if let Some(keys) = replaced.path.below(at) {
            places.push(keys.to_vec());
        } else if let Some(keys) = at.below(&replaced.path)
            && replaced.old.at(keys) != root.at(at.keys())
        {
            places.push(Vec::new());
        }
    }
    if places.iter().any(Vec::is_empty) {
        return Some(vec![Vec::new()]);
    }
    // A value that several parts of a merge made come or go is told once.
    places.sort();
    places.dedup_by(|later, earlier| later.starts_with(earlier));
    (!places.is_empty()).then_some(places)
}

impl Kept {
    /// What is told of changes at `places` below `at`.
    fn tell(
        &mut self,
        at: &Path,
        places: &[Vec<Key>],
        root: &Node,
        texts: &mut Texts,
    ) -> Option<Told> {
        let node = root.at(at.keys());
        let Some(before) = self.window.take() else {
            return self.merged(at, places, root, texts);
        };
        let now = window(&self.listen, node)?;
        let whole = places.iter().any(Vec::is_empty);
        let heads: BTreeSet<&Key> = places.iter().filter_map(|keys| keys.first()).collect();
        let stays = |key: &Key| now.contains(key);
        let told = if whole {
            let answer = self.listen.query.answer(node).to_json(self.listen.form);
            Some(self.told(at.clone(), at, false, answer.into()))
        } else if before == now && heads.iter().all(|key| stays(key)) {
            self.merged(at, places, root, texts)
        } else {
            let comes_or_goes = before.symmetric_difference(&now);
            let changes = heads.iter().copied().filter(|key| stays(key));
            let keys: BTreeSet<&Key> = comes_or_goes.chain(changes).collect();
            let nothing = Node::nothing();
            let child = |key: &&Key| {
                if now.contains(*key) {
                    node.child(key)
                } else {
                    nothing
                }
            };
            let parts = keys.iter().map(|key| (key.as_str().to_owned(), child(key)));
            let text = object(parts, self.listen.form);
            (!keys.is_empty()).then(|| self.told(at.clone(), at, true, text.into()))
        };
        self.window = Some(now);
        told
    }

    /// One value, or a merge of several.
    fn merged(
        &self,
        at: &Path,
        places: &[Vec<Key>],
        root: &Node,
        texts: &mut Texts,
    ) -> Option<Told> {
        if let [place] = places {
            let path = at.join(place).ok()?;
            let form = self.listen.form;
            let text = texts.entry((path.clone(), form));
            let text = text.or_insert_with(|| root.at(path.keys()).to_json(form).into());
            return Some(self.told(path, at, false, Arc::clone(text)));
        }
        let node = root.at(at.keys());
        let parts = places.iter().map(|keys| (joined(keys), node.at(keys)));
        let text = object(parts, self.listen.form);
        Some(self.told(at.clone(), at, true, text.into()))
    }

    fn told(&self, path: Path, at: &Path, is_merge: bool, data: Arc<str>) -> Told {
        Told {
            by: self.listen.by,
            tag: self.listen.tag,
            listened: at.keys().len(),
            path,
            is_merge,
            data,
        }
    }
}

fn window(listen: &Listen, node: &Node) -> Option<BTreeSet<Key>> {
    if listen.query.is_for_all() {
        return None;
    }
    let selected = listen.query.select(node).into_iter();
    Some(selected.map(|(key, _)| key.clone()).collect())
}

fn object<'a>(parts: impl Iterator<Item = (String, &'a Node)>, form: Form) -> String {
    let mut text = String::from("{");
    for (index, (place, node)) in parts.enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_text(&place, &mut text);
        text.push(':');
        text.push_str(&node.to_json(form));
    }
    text.push('}');
    text
}
