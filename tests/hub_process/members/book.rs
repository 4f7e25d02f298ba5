//! What the agents have acknowledged.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;

use serde_json::Value as Json;

/// What was acknowledged by any of the tills.
#[derive(Default)]
pub(super) struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    numbers: BTreeSet<String>,
    sold: BTreeSet<String>,
    taken_away: BTreeSet<String>,
}

impl Book {
    /// A number was given, which nobody was given before.
    pub(super) fn number(&self, text: &str) {
        let new = self.0.lock().unwrap().numbers.insert(text.to_owned());
        assert!(new, "{text} was given twice");
    }

    /// A sale is on the disk, by its receipt.
    pub(super) fn sold(&self, receipt: &str) {
        self.0.lock().unwrap().sold.insert(receipt.to_owned());
    }

    /// An item was taken away.
    pub(super) fn taken_away(&self, id: &str) {
        self.0.lock().unwrap().taken_away.insert(id.to_owned());
    }

    /// Whether what a till knows has everything that was acknowledged.
    pub(super) fn is_in(&self, till: usize, state: &Json) {
        let pages = self.0.lock().unwrap();
        let items = |of: &str| state[of]["items"].as_array().cloned().unwrap_or_default();
        let sales: BTreeSet<String> = items("sales")
            .iter()
            .map(|item| item["payload"].as_str().unwrap().to_owned())
            .collect();
        let lost: Vec<_> = pages.sold.difference(&sales).collect();
        assert!(lost.is_empty(), "till {till} has lost {lost:?}");
        let orders: BTreeSet<String> = items("orders")
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect();
        let back: Vec<_> = pages.taken_away.intersection(&orders).collect();
        assert!(back.is_empty(), "till {till} has again {back:?}");
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = self.0.lock().unwrap();
        let (sold, numbers, away) = (
            pages.sold.len(),
            pages.numbers.len(),
            pages.taken_away.len(),
        );
        write!(
            f,
            "{sold} sales and {away} items taken away, 0 lost; {numbers} numbers, 0 double"
        )
    }
}
