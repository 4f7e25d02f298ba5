//! Tags: the members of what operators say of a device, each as a short text by which devices are
//! found.
//!
//! A member that is `true` is the tag of its name; one that is a text or a whole number is
//! `NAME=VALUE`; one in another stands behind its name and a dot (`place.floor=2`). What cannot be
//! written like that is no tag.

use rusqlite::Connection;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::deployments;
use crate::id::{DeviceId, SiteId, Tag};
use crate::refusal::Refusal;

/// The most tags of a device by which it is found; of more, the first of them.
pub const MAX_TAGS: usize = 64;

/// The table of this part, with the tags that there are already.
pub(crate) const SCHEMA: &str = r#"
CREATE TABLE device_tags (
    device TEXT NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (device, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_tags_by_tag ON device_tags (tag, device);

INSERT OR IGNORE INTO device_tags (device, tag)
SELECT device, tag FROM (
    SELECT t.device, replace(substr(j.fullkey, 3), '"', '')
        || CASE j.type WHEN 'true' THEN '' ELSE '=' || j.atom END AS tag
    FROM twins AS t, json_tree(t.document) AS j
    WHERE t.side = 'tags' AND j.type IN ('true', 'text', 'integer'))
WHERE length(tag) <= 128 AND tag GLOB '[A-Za-z0-9]*' AND tag NOT GLOB '*[^-A-Za-z0-9._:@=~]*';
"#;

/// The tags that a document makes.
#[must_use]
pub fn of(document: &Value) -> Vec<Tag> {
    let mut tags = Vec::new();
    collect(document, "", &mut tags);
    tags.truncate(MAX_TAGS);
    tags
}

fn collect(document: &Value, before: &str, tags: &mut Vec<Tag>) {
    for (name, value) in document.as_object().into_iter().flatten() {
        let name = format!("{before}{name}");
        let tag = match value {
            Value::Bool(true) => name,
            Value::String(text) => format!("{name}={text}"),
            Value::Number(number) if number.is_i64() => format!("{name}={number}"),
            Value::Object(_) => {
                // No deeper than a document may be.
                collect(value, &format!("{name}."), tags);
                continue;
            }
            Value::Null | Value::Bool(false) | Value::Number(_) | Value::Array(_) => continue,
        };
        if let Ok(tag) = tag.parse() {
            tags.push(tag);
        }
    }
}

/// Notes the tags that a device has from now on, and gives it what is deployed to those.
pub(super) fn keep(
    connection: &Connection,
    device: &DeviceId,
    document: &Value,
    now: Timestamp,
) -> Result<(), Refusal> {
    forget(connection, device)?;
    let mut insert = connection
        .prepare_cached("INSERT OR IGNORE INTO device_tags (device, tag) VALUES (?1, ?2)")?;
    for tag in of(document) {
        insert.execute((device, &tag))?;
    }
    deployments::join(connection, device, now)
}

pub(super) fn forget(connection: &Connection, device: &DeviceId) -> Result<(), Refusal> {
    connection
        .prepare_cached("DELETE FROM device_tags WHERE device = ?1")?
        .execute([device])?;
    Ok(())
}

/// The devices that have a tag, at `only` or at any site, of which none is revoked; `most` of them,
/// by name.
pub(crate) fn devices_with(
    connection: &Connection,
    tag: &Tag,
    only: Option<&SiteId>,
    most: usize,
) -> Result<Vec<DeviceId>, Refusal> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    Ok(connection
        .prepare_cached(
            "SELECT d.id FROM device_tags AS t JOIN devices AS d ON d.id = t.device
             WHERE t.tag = ?1 AND (?2 IS NULL OR d.site = ?2)
             AND d.state != 'revoked' AND d.removed IS NULL ORDER BY d.id LIMIT ?3",
        )?
        .query_map((tag, only, most), |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_makes_tags_of_what_can_be_written_as_one() {
        let document = json!({
            "canary": true, "ring": "first", "floor": 2, "place": {"town": "Lund", "deep": {"er": 1}},
            "off": false, "none": null, "list": ["a"], "share": 0.5, "a b": true, "text": "a b",
            "": true,
        });
        let tags: Vec<_> = of(&document).iter().map(Tag::to_string).collect();
        let right = [
            "canary",
            "ring=first",
            "floor=2",
            "place.town=Lund",
            "place.deep.er=1",
        ];
        assert_eq!(tags, right);
        let many: serde_json::Map<_, _> =
            (0..100).map(|n| (format!("t{n}"), json!(true))).collect();
        assert_eq!(of(&Value::Object(many)).len(), MAX_TAGS);
    }

    #[test]
    fn the_tags_of_a_hub_of_before_are_those_that_it_would_keep_now() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(super::super::table::SCHEMA)
            .unwrap();
        let document = json!({
            "canary": true, "ring-1": "first", "place": {"town": "Lund"}, "floor": 2,
            "off": false, "a b": true, "list": ["a"], "share": 0.5,
        });
        let insert = "INSERT INTO twins VALUES ('t7', ?1, ?2, 1, 0)";
        for side in ["tags", "desired"] {
            let kept = if side == "tags" {
                &document
            } else {
                &json!({"other": true})
            };
            connection
                .execute(insert, (side, kept.to_string()))
                .unwrap();
        }
        connection.execute_batch(SCHEMA).unwrap();
        let mut found = connection
            .prepare("SELECT tag FROM device_tags ORDER BY tag")
            .unwrap();
        let found: Vec<Tag> = found
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let mut right = of(&document);
        right.sort();
        assert_eq!(found, right);
    }
}
