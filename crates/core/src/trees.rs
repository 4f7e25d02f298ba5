//! Trees of values, kept leaf by leaf, for dialects that hold them in memory: each leaf is a text at
//! a place, which is names with slashes between.

use rusqlite::{Connection, params};

use crate::refusal::Refusal;
use crate::sessions::Pass;
use crate::store::Store;

/// The table of this part.
pub(crate) const SCHEMA: &str = "
CREATE TABLE tree_leaf (
    tree TEXT NOT NULL,
    place TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (tree, place)
) WITHOUT ROWID;
";

/// Trees of values.
#[derive(Clone, Debug)]
pub struct Trees {
    store: Store,
}

/// What becomes of one place: what lies there and below is forgotten, and these are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The place; empty for all of a tree.
    pub place: String,
    /// Places at it or below, and their texts.
    pub leaves: Vec<(String, String)>,
}

impl Change {
    /// About how many bytes it holds.
    fn bytes(&self) -> usize {
        let leaves = self.leaves.iter();
        self.place.len()
            + leaves
                .map(|(place, text)| place.len() + text.len())
                .sum::<usize>()
    }
}

impl Trees {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Every leaf of a tree, in any order.
    ///
    /// # Errors
    /// As the store.
    pub async fn load(&self, tree: String) -> Result<Vec<(String, String)>, Refusal> {
        let load = move |connection: &Connection| {
            let mut statement =
                connection.prepare_cached("SELECT place, value FROM tree_leaf WHERE tree = ?1")?;
            let leaves = statement.query_map([tree], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(leaves.collect::<Result<_, _>>()?)
        };
        self.store.read(load).await
    }

    /// Makes changes to a tree, one after the other, all or none, for all of those who asked for
    /// them.
    ///
    /// # Errors
    /// What [`Pass::check`] refuses one of them with; as the store.
    pub async fn change(
        &self,
        askers: Vec<Pass>,
        tree: String,
        changes: Vec<Change>,
    ) -> Result<(), Refusal> {
        let bytes = changes.iter().map(Change::bytes).sum();
        let write = move |connection: &Connection| {
            askers.iter().try_for_each(Pass::check)?;
            changes
                .iter()
                .try_for_each(|change| apply(connection, &tree, change))
        };
        self.store.write_bulk(bytes, write).await
    }
}

fn apply(connection: &Connection, tree: &str, change: &Change) -> Result<(), Refusal> {
    if change.place.is_empty() {
        connection
            .prepare_cached("DELETE FROM tree_leaf WHERE tree = ?1")?
            .execute([tree])?;
    } else {
        // What lies below begins with the place and a slash, after which comes "0" in ASCII.
        let (from, to) = (format!("{}/", change.place), format!("{}0", change.place));
        connection
            .prepare_cached(
                "DELETE FROM tree_leaf
                 WHERE tree = ?1 AND (place = ?2 OR (place >= ?3 AND place < ?4))",
            )?
            .execute(params![tree, change.place, from, to])?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO tree_leaf (tree, place, value) VALUES (?1, ?2, ?3)",
    )?;
    for (place, value) in &change.leaves {
        insert.execute(params![tree, place, value])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(place: &str, leaves: &[(&str, &str)]) -> Change {
        let leaves = leaves.iter();
        Change {
            place: place.to_owned(),
            leaves: leaves
                .map(|(place, text)| ((*place).to_owned(), (*text).to_owned()))
                .collect(),
        }
    }

    #[tokio::test]
    async fn a_change_forgets_what_lies_below_its_place_and_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let trees = Trees::new(crate::store::of_tests(folder.path()));
        let all = [
            ("a", "1"),
            ("a-", "2"),
            ("a/b", "3"),
            ("a/b/c", "4"),
            ("a0", "5"),
            ("ab", "6"),
        ];
        for tree in ["one", "other"] {
            let whole = change("", &all);
            trees
                .change(Vec::new(), tree.to_owned(), vec![whole])
                .await
                .unwrap();
        }
        let below = vec![
            change("a", &[("a/x", "7")]),
            change("a/x", &[]),
            change("a", &[("a", "8")]),
        ];
        trees
            .change(Vec::new(), "one".to_owned(), below)
            .await
            .unwrap();
        let mut left = trees.load("one".to_owned()).await.unwrap();
        left.sort();
        assert_eq!(
            left,
            change("", &[("a", "8"), ("a-", "2"), ("a0", "5"), ("ab", "6")]).leaves
        );
        assert_eq!(
            trees.load("other".to_owned()).await.unwrap().len(),
            all.len()
        );
    }
}
