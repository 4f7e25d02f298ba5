//! `outgate device tag`.

use clap::Args;
use serde_json::{Map, Value};

use crate::output::Failure;
use crate::remote::Remote;
use crate::table::harmless;

#[derive(Args)]
#[command(
    after_help = "Tags are what operators find devices by: `outgate device list --tag canary`, \
`outgate deploy fort-1.2 --tag ring=first`. The device is not told of them.

Examples:
  outgate device tag till-7
  outgate device tag till-7 canary ring=first
  outgate device tag till-7 --remove canary"
)]
pub(super) struct TagArgs {
    /// Whose
    device: String,
    /// Tags to give it: NAME or NAME=VALUE
    #[arg(value_name = "TAG", value_parser = tag)]
    add: Vec<String>,
    /// A tag to take away, with or without its value (may be repeated)
    #[arg(long, value_name = "TAG", value_parser = tag)]
    remove: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

impl TagArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let tags = if self.add.is_empty() && self.remove.is_empty() {
            client.tags(&self.device).await?
        } else {
            let patch = patch(&self.add, &self.remove)?;
            client.tag(&self.device, &patch).await?
        };
        self.remote.show("tags", &tags, |it| {
            let lines = it.tags.iter().map(|tag| format!("{}\n", harmless(tag)));
            lines.collect()
        })
    }
}

/// A tag as people write it; whether it is a good one the hub says.
fn tag(text: &str) -> Result<String, String> {
    let name = text.split('=').next().unwrap_or_default();
    if name.split('.').any(str::is_empty) {
        return Err("it is NAME or NAME=VALUE".to_owned());
    }
    Ok(text.to_owned())
}

/// The merge patch that gives and takes these.
fn patch(add: &[String], remove: &[String]) -> Result<Value, Failure> {
    let mut patch = Map::new();
    for tag in remove {
        set(&mut patch, tag, |_| Value::Null)?;
    }
    for tag in add {
        set(&mut patch, tag, |value| match value {
            Some(value) => value.into(),
            None => true.into(),
        })?;
    }
    Ok(Value::Object(patch))
}

/// Sets the member of a tag, within others where its name has dots.
fn set(
    patch: &mut Map<String, Value>,
    tag: &str,
    value: impl Fn(Option<&str>) -> Value,
) -> Result<(), Failure> {
    let (name, text) = match tag.split_once('=') {
        Some((name, text)) => (name, Some(text)),
        None => (tag, None),
    };
    let mut place = patch;
    let mut parts = name.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            place.insert(part.to_owned(), value(text));
            break;
        }
        let inner = place
            .entry(part)
            .or_insert_with(|| Value::Object(Map::new()));
        let Some(inner) = inner.as_object_mut() else {
            let why = format!("{part} cannot be a tag and hold another ({tag})");
            return Err(Failure::input(why));
        };
        place = inner;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tags_become_a_merge_patch() {
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let add = texts(&[
            "canary",
            "ring=first",
            "place.town=Lund",
            "place.floor=2",
            "a=b=c",
        ]);
        let made = patch(&add, &texts(&["old=1", "place.hall"])).unwrap();
        let right = json!({
            "old": null, "canary": true, "ring": "first", "a": "b=c",
            "place": {"hall": null, "town": "Lund", "floor": "2"},
        });
        assert_eq!(made, right);
        assert!(patch(&texts(&["place=1", "place.town=Lund"]), &[]).is_err());
        assert!(tag("=x").is_err() && tag("a..b").is_err() && tag("").is_err());
    }
}
