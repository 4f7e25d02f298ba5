//! Releases and their keys on the disk.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Release;
use crate::clock::Timestamp;
use crate::id::ReleaseName;
use crate::objects::Digest;
use crate::refusal::Refusal;

/// The tables of this part.
pub(crate) const SCHEMA: &str = "
CREATE TABLE release_keys (
    id TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    pem TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    added INTEGER NOT NULL,
    revoked INTEGER
) STRICT;
CREATE UNIQUE INDEX release_keys_in_use ON release_keys (thumbprint) WHERE revoked IS NULL;

-- `described` is what the artifact says, in JSON.
CREATE TABLE releases (
    name TEXT PRIMARY KEY,
    described TEXT NOT NULL,
    signed_by TEXT NOT NULL REFERENCES release_keys (id),
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    added INTEGER NOT NULL,
    retired INTEGER
) STRICT;
CREATE INDEX releases_by_digest ON releases (digest) WHERE retired IS NULL;
";

const COLUMNS: &str = "name, described, signed_by, digest, size, added, retired";

/// The release of that name, retired or not.
///
/// # Errors
/// [`Refusal::NotFound`].
pub(crate) fn find(connection: &Connection, name: &ReleaseName) -> Result<Release, Refusal> {
    let sql = format!("SELECT {COLUMNS} FROM releases WHERE name = ?1");
    connection
        .prepare_cached(&sql)?
        .query_row([name], read)
        .optional()?
        .ok_or_else(|| Refusal::not_found("release", name))
}

pub(super) fn insert(connection: &Connection, release: &Release) -> Result<(), Refusal> {
    let described = serde_json::to_string(&release.described)
        .map_err(|_| Refusal::Internal("a release could not be written"))?;
    let sql = format!(
        "INSERT INTO releases ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO NOTHING"
    );
    let made = connection.prepare_cached(&sql)?.execute(params![
        release.name,
        described,
        release.signed_by,
        release.digest,
        release.size,
        release.added,
        release.retired,
    ])?;
    if made == 1 {
        return Ok(());
    }
    Err(Refusal::Exists {
        what: "release",
        id: release.name.to_string(),
    })
}

pub(super) fn retire(
    connection: &Connection,
    name: &ReleaseName,
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("UPDATE releases SET retired = coalesce(retired, ?2) WHERE name = ?1")?
        .execute((name, now))?;
    Ok(())
}

/// How many there are, and how many bytes those have that are not retired.
pub(super) fn count(connection: &Connection) -> Result<(u64, u64), Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(size) FILTER (WHERE retired IS NULL), 0) FROM releases",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Whether any release that is not retired has this in it.
pub(super) fn needs(connection: &Connection, digest: &Digest) -> Result<bool, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM releases WHERE digest = ?1 AND retired IS NULL)",
        )?
        .query_row([digest], |row| row.get(0))?)
}

/// What is in all of them that are not retired, in order.
pub(super) fn digests(connection: &Connection) -> Result<Vec<Digest>, Refusal> {
    let sql = "SELECT DISTINCT digest FROM releases WHERE retired IS NULL ORDER BY digest";
    let mut statement = connection.prepare_cached(sql)?;
    let digests = statement.query_map([], |row| row.get(0))?;
    Ok(digests.collect::<Result<_, _>>()?)
}

pub(super) fn after(
    connection: &Connection,
    name: &str,
    fetch: u32,
) -> Result<Vec<Release>, Refusal> {
    let sql = format!("SELECT {COLUMNS} FROM releases WHERE name > ?1 ORDER BY name LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let releases = statement.query_map((name, fetch), read)?;
    Ok(releases.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Release> {
    let described: String = row.get(1)?;
    let described = serde_json::from_str(&described).map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(1, kind, error.into())
    })?;
    Ok(Release {
        name: row.get(0)?,
        described,
        signed_by: row.get(2)?,
        digest: row.get(3)?,
        size: row.get(4)?,
        added: row.get(5)?,
        retired: row.get(6)?,
    })
}
