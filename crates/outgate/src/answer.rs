//! What commands share that ask something running: how to wait for it, how to show what it says.

use std::future::Future;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::output::Failure;
use crate::table::{cells, harmless, shown, table};

/// The version of the JSON that these commands print.
pub(crate) const VERSION: u32 = 1;

/// Runs what waits for an answer.
pub(crate) fn wait<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")
        .map_err(Failure::Internal)?;
    runtime.block_on(work)
}

/// A table for people.
pub(crate) fn rows<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = table(&headings);
    for row in rows {
        table.add_row(cells(row));
    }
    shown(&table)
}

/// One thing for people: a line a property.
pub(crate) fn properties<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().collect();
    let widest = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, text): &(&str, String)| format!("{name:widest$}  {}\n", harmless(text));
    pairs.iter().map(line).collect()
}

/// `value` under `name`, beside the version.
pub(crate) fn versioned<T: Serialize>(name: &str, value: &T) -> Result<Value, Failure> {
    let value = serde_json::to_value(value).map_err(|error| Failure::Internal(error.into()))?;
    let pairs = [
        ("version".to_owned(), VERSION.into()),
        (name.to_owned(), value),
    ];
    Ok(Value::Object(Map::from_iter(pairs)))
}

/// A text that may be missing.
pub(crate) fn or_dash(text: Option<&String>) -> String {
    text.map_or_else(|| "-".to_owned(), Clone::clone)
}
