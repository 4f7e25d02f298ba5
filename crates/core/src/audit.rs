//! What was done by whom: appended only, each entry bound to the one before by its digest.
//!
//! The digest of an entry is SHA-256 over the 32 bytes of the digest before it (zeros before the
//! first) and the entry as canonical JSON: an array of place, milliseconds, who, from, act, on and
//! detail, objects with their names in order, no spaces. Whoever changes an entry has to change
//! all that follow, and does not get by a head noted elsewhere.
//!
//! The log is never cleared. What writes to it is bounded instead: operators who have proved who
//! they are, and devices that have proved a fleet key; refused acts a few a minute.

mod chain;

use rusqlite::{Connection, Row};
use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::identity::{Actor, Listed, Page, Principal};
use crate::refusal::Refusal;
use crate::sessions::Pass;
use crate::store::Store;

/// The tables of this part. The triggers guard against our own mistakes; against who can write the
/// file there is the chain.
pub(crate) const SCHEMA: &str = "
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    source TEXT,
    act TEXT NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL,
    digest BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is appended only'); END;
CREATE TRIGGER audit_is_not_cleared BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is appended only'); END;
";

/// The most bytes of an entry's detail.
pub const MAX_DETAIL: usize = 8_192;

/// How many entries are verified in one go, so that no reader holds up the store for long.
const STRIDE: u32 = 5_000;

/// One entry. Nothing secret is ever in one.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its place, from 1 without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who: an operator's name, `hub`, `device/NAME` or `service/NAME`.
    pub who: String,
    /// From where, if over the network.
    pub from: Option<String>,
    /// What: `device.revoke` and so on; `refused` for what an operator tried and may not.
    pub act: String,
    /// On what: `device/NAME`, `site/NAME`, …
    pub on: String,
    /// More, as a JSON object.
    pub detail: Value,
    /// SHA-256 over the digest of the entry before and this entry, in hexadecimal.
    pub digest: String,
}

/// Whether the chain holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "chain")]
pub enum Verified {
    /// Every entry follows from the one before.
    Whole {
        /// How many there are.
        entries: u64,
        /// The digest of the newest, to be noted elsewhere.
        head: String,
    },
    /// It does not.
    Broken {
        /// The first entry that does not follow.
        at: u64,
    },
}

/// The audit log.
#[derive(Clone, Debug)]
pub struct Audit {
    store: Store,
}

impl Audit {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Entries, newest first. `page.after` is the place of the oldest seen so far.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who does not see all sites, [`Refusal::Invalid`] when `page` is
    /// no good; as the store.
    pub async fn entries(&self, actor: &Actor, page: &Page) -> Result<Listed<Entry>, Refusal> {
        actor.require_all_sites("reading the audit log")?;
        let before = match &page.after {
            None => i64::MAX,
            Some(place) => place
                .parse()
                .map_err(|_| Refusal::invalid("after", "the place of an entry"))?,
        };
        let (page, fetch) = (page.clone(), page.fetch()?);
        self.store
            .read(move |connection| {
                let entries = connection
                    .prepare_cached(
                        "SELECT seq, at, who, source, act, object, detail, digest FROM audit
                         WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
                    )?
                    .query_map((before, fetch), read)?
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Listed::of(entries, &page, |entry| entry.seq.to_string()))
            })
            .await
    }

    /// Goes through the whole chain.
    ///
    /// # Errors
    /// As [`Audit::entries`].
    pub async fn verify(&self, actor: &Actor) -> Result<Verified, Refusal> {
        actor.require_all_sites("verifying the audit log")?;
        let mut link = chain::Link::start();
        loop {
            let (next, done) = self
                .store
                .read(move |connection| link.follow(connection, STRIDE))
                .await?;
            match done {
                chain::Progress::More => link = next,
                chain::Progress::End => return Ok(next.whole()),
                chain::Progress::Broken { at } => return Ok(Verified::Broken { at }),
            }
        }
    }
}

/// Adds an entry for what `actor` does, in the transaction in which it is done, if they still may:
/// an act that waited for the writer while its actor was revoked is refused here. `act` is
/// `kind.verb`, `on` is `kind/NAME`, `detail` a JSON object without anything secret.
///
/// # Errors
/// As [`Actor::check`]; [`Refusal::TooLarge`] when `detail` has more than [`MAX_DETAIL`] bytes as text; as the store.
pub fn append(
    connection: &Connection,
    now: Timestamp,
    actor: &Actor,
    act: &str,
    on: &str,
    detail: &Value,
) -> Result<(), Refusal> {
    actor.check()?;
    let from = actor.from.map(|address| address.to_string());
    let who = actor.name();
    append_as(connection, now, &who, from.as_deref(), act, on, detail)
}

/// Adds an entry for what the holder of `pass`, or without one the hub itself, does; as [`append`].
pub(crate) fn append_by(
    connection: &Connection,
    now: Timestamp,
    pass: Option<&Pass>,
    act: &str,
    on: &str,
    detail: &Value,
) -> Result<(), Refusal> {
    let Some(pass) = pass else {
        return append_as(connection, now, "hub", None, act, on, detail);
    };
    pass.check()?;
    let who = match pass.principal() {
        // Operators go by their bare names.
        Principal::Operator { operator, .. } => operator.to_string(),
        other @ (Principal::Device { .. } | Principal::Service { .. }) => other.name(),
    };
    let from = pass.peer().ip().to_string();
    append_as(connection, now, &who, Some(&from), act, on, detail)
}

/// Adds an entry for what was done by somebody who is no operator: `device/NAME`.
pub(crate) fn append_as(
    connection: &Connection,
    now: Timestamp,
    who: &str,
    from: Option<&str>,
    act: &str,
    on: &str,
    detail: &Value,
) -> Result<(), Refusal> {
    let detail = chain::canonical(detail);
    if detail.len() > MAX_DETAIL {
        return Err(Refusal::TooLarge {
            what: "the detail of an entry in the audit log",
            limit: MAX_DETAIL as u64,
        });
    }
    let newest = chain::newest(connection)?;
    let seq = newest.seq + 1;
    let digest = newest.digest_of(&chain::Text {
        seq,
        at: now,
        who,
        from,
        act,
        on,
        detail: &detail,
    });
    connection
        .prepare_cached(
            "INSERT INTO audit (seq, at, who, source, act, object, detail, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((seq, now, who, from, act, on, &detail, digest))?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let detail: String = row.get(6)?;
    let digest: [u8; 32] = row.get(7)?;
    Ok(Entry {
        seq: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
        at: row.get(1)?,
        who: row.get(2)?,
        from: row.get(3)?,
        act: row.get(4)?,
        on: row.get(5)?,
        detail: serde_json::from_str(&detail).unwrap_or(Value::Null),
        digest: chain::hexadecimal(&digest),
    })
}
