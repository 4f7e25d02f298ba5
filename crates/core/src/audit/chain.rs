//! The chain of digests.

use ring::digest::{Context, SHA256};
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::Value;

use super::Verified;
use crate::clock::Timestamp;
use crate::refusal::Refusal;

/// An entry's place and digest: what the next one is bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) seq: i64,
    digest: [u8; 32],
}

/// How far going through the chain has come.
pub(super) enum Progress {
    More,
    End,
    Broken { at: u64 },
}

/// What an entry's digest is made over.
pub(super) struct Text<'a> {
    pub(super) seq: i64,
    pub(super) at: Timestamp,
    pub(super) who: &'a str,
    pub(super) from: Option<&'a str>,
    pub(super) act: &'a str,
    pub(super) on: &'a str,
    /// Canonical JSON already.
    pub(super) detail: &'a str,
}

/// A row as it is in the file, whatever that may be.
struct Found {
    seq: i64,
    at: i64,
    who: String,
    from: Option<String>,
    act: String,
    on: String,
    detail: String,
    digest: Vec<u8>,
}

impl Link {
    /// Before the first entry.
    pub(super) fn start() -> Self {
        Self {
            seq: 0,
            digest: [0; 32],
        }
    }

    /// The digest of the entry that follows this one.
    pub(super) fn digest_of(&self, entry: &Text<'_>) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&self.digest);
        context.update(entry.canonical().as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }

    /// Goes on through at most `stride` entries.
    pub(super) fn follow(
        mut self,
        connection: &Connection,
        stride: u32,
    ) -> Result<(Self, Progress), Refusal> {
        let mut statement = connection.prepare_cached(
            "SELECT seq, at, who, source, act, object, detail, digest FROM audit
             WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let rows = statement.query_map((self.seq, stride), |row| {
            Ok(Found {
                seq: row.get(0)?,
                at: row.get(1)?,
                who: row.get(2)?,
                from: row.get(3)?,
                act: row.get(4)?,
                on: row.get(5)?,
                detail: row.get(6)?,
                digest: row.get(7)?,
            })
        })?;
        let mut gone_through = 0;
        for row in rows {
            let row = row?;
            let digest = self.digest_of(&row.text());
            if row.seq != self.seq + 1 || row.digest != digest {
                let at = u64::try_from(self.seq + 1).unwrap_or(0);
                return Ok((self, Progress::Broken { at }));
            }
            self = Self {
                seq: row.seq,
                digest,
            };
            gone_through += 1;
        }
        let progress = if gone_through < stride {
            Progress::End
        } else {
            Progress::More
        };
        Ok((self, progress))
    }

    /// The chain up to here holds.
    pub(super) fn whole(&self) -> Verified {
        Verified::Whole {
            entries: u64::try_from(self.seq).unwrap_or(0),
            head: hexadecimal(&self.digest),
        }
    }
}

impl Found {
    fn text(&self) -> Text<'_> {
        Text {
            seq: self.seq,
            at: Timestamp::from_millis(self.at),
            who: &self.who,
            from: self.from.as_deref(),
            act: &self.act,
            on: &self.on,
            detail: &self.detail,
        }
    }
}

impl Text<'_> {
    fn canonical(&self) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        format!(
            "[{},{},{},{},{},{},{}]",
            self.seq,
            self.at.as_millis(),
            quoted(self.who),
            self.from.map_or_else(|| "null".to_owned(), quoted),
            quoted(self.act),
            quoted(self.on),
            self.detail,
        )
    }
}

/// The newest entry.
pub(super) fn newest(connection: &Connection) -> Result<Link, Refusal> {
    let newest = connection
        .prepare_cached("SELECT seq, digest FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| {
            Ok(Link {
                seq: row.get(0)?,
                digest: row.get(1)?,
            })
        })
        .optional()?;
    Ok(newest.unwrap_or_else(Link::start))
}

/// JSON with the names of each object in order and no spaces.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members: Vec<_> = members
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

/// Bytes as hexadecimal digits, lower case.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
