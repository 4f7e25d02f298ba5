//! Spaces on the disk.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Grant, Roles, Space, User};
use crate::clock::Timestamp;
use crate::id::{RoleName, SiteId, SpaceId};
use crate::refusal::Refusal;

/// The tables of this part.
pub(crate) const SCHEMA: &str = "
CREATE TABLE spaces (
    site TEXT NOT NULL REFERENCES sites (id),
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    -- Which actions each role allows: JSON, an object of lists.
    roles TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (site, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE space_grants (
    site TEXT NOT NULL,
    space TEXT NOT NULL,
    user TEXT NOT NULL,
    role TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (site, space, user, role)
) STRICT, WITHOUT ROWID;

-- How often a site's spaces have changed.
CREATE TABLE space_versions (
    site TEXT PRIMARY KEY REFERENCES sites (id),
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

const COLUMNS: &str = "site, id, title, roles, created";

const DAMAGED: Refusal = Refusal::Internal("what is kept of a space's roles is damaged");

pub(super) fn put(connection: &Connection, space: &Space) -> Result<(), Refusal> {
    let roles = serde_json::to_string(&space.roles).map_err(|_| DAMAGED)?;
    connection
        .prepare_cached(
            "INSERT INTO spaces (site, id, title, roles, created) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET title = excluded.title, roles = excluded.roles",
        )?
        .execute(params![
            space.site,
            space.id,
            space.title,
            roles,
            space.created
        ])?;
    Ok(())
}

/// Ends the grants of roles that a space does not have. How many there were.
pub(super) fn end_of_roles(connection: &Connection, space: &Space) -> Result<usize, Refusal> {
    let all = grants(connection, &space.site, &space.id)?;
    let gone = all
        .iter()
        .filter(|grant| !space.roles.contains_key(&grant.role));
    let mut ended = 0;
    for grant in gone {
        ended += revoke(connection, space, (&grant.user, Some(&grant.role)))?;
    }
    Ok(ended)
}

pub(super) fn find(
    connection: &Connection,
    site: &SiteId,
    id: &SpaceId,
) -> Result<Option<Space>, Refusal> {
    let sql = format!("SELECT {COLUMNS} FROM spaces WHERE site = ?1 AND id = ?2");
    let found = connection
        .prepare_cached(&sql)?
        .query_row(params![site, id], read)
        .optional()?;
    found.map(whole).transpose()
}

pub(super) fn after(
    connection: &Connection,
    site: &SiteId,
    place: &str,
    fetch: u32,
) -> Result<Vec<Space>, Refusal> {
    let sql =
        format!("SELECT {COLUMNS} FROM spaces WHERE site = ?1 AND id > ?2 ORDER BY id LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params![site, place, fetch], read)?;
    found.map(|row| whole(row?)).collect()
}

pub(super) fn count(connection: &Connection, site: &SiteId) -> Result<u64, Refusal> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM spaces WHERE site = ?1")?
        .query_row([site], |row| row.get(0))?)
}

pub(super) fn remove(connection: &Connection, site: &SiteId, id: &SpaceId) -> Result<(), Refusal> {
    for sql in [
        "DELETE FROM space_grants WHERE site = ?1 AND space = ?2",
        "DELETE FROM spaces WHERE site = ?1 AND id = ?2",
    ] {
        connection.prepare_cached(sql)?.execute(params![site, id])?;
    }
    Ok(())
}

pub(super) fn grant(
    connection: &Connection,
    space: &Space,
    (user, role): (&User, &RoleName),
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "INSERT INTO space_grants (site, space, user, role, since) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![space.site, space.id, user, role, now])?;
    Ok(())
}

/// Since when a user has a role.
pub(super) fn granted(
    connection: &Connection,
    space: &Space,
    (user, role): (&User, &RoleName),
) -> Result<Option<Timestamp>, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT since FROM space_grants
             WHERE site = ?1 AND space = ?2 AND user = ?3 AND role = ?4",
        )?
        .query_row(params![space.site, space.id, user, role], |row| row.get(0))
        .optional()?)
}

/// Takes a role, or all, from a user. How many they had.
pub(super) fn revoke(
    connection: &Connection,
    space: &Space,
    (user, role): (&User, Option<&RoleName>),
) -> Result<usize, Refusal> {
    Ok(connection
        .prepare_cached(
            "DELETE FROM space_grants
             WHERE site = ?1 AND space = ?2 AND user = ?3 AND (?4 IS NULL OR role = ?4)",
        )?
        .execute(params![space.site, space.id, user, role])?)
}

/// Who has which role in a space.
pub(super) fn grants(
    connection: &Connection,
    site: &SiteId,
    id: &SpaceId,
) -> Result<Vec<Grant>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT user, role, since FROM space_grants WHERE site = ?1 AND space = ?2
         ORDER BY user, role",
    )?;
    let found = statement.query_map(params![site, id], |row| {
        Ok(Grant {
            user: row.get(0)?,
            role: row.get(1)?,
            since: row.get(2)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn count_grants(
    connection: &Connection,
    site: &SiteId,
    id: &SpaceId,
) -> Result<u64, Refusal> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM space_grants WHERE site = ?1 AND space = ?2")?
        .query_row(params![site, id], |row| row.get(0))?)
}

/// The roles that a user has in a space.
pub(super) fn roles_of(
    connection: &Connection,
    space: &Space,
    user: &User,
) -> Result<Vec<RoleName>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT role FROM space_grants WHERE site = ?1 AND space = ?2 AND user = ?3",
    )?;
    let found = statement.query_map(params![space.site, space.id, user], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Of which version a site's spaces are: 0 before the first change.
pub(super) fn version(connection: &Connection, site: &SiteId) -> Result<u64, Refusal> {
    let version: Option<i64> = connection
        .prepare_cached("SELECT version FROM space_versions WHERE site = ?1")?
        .query_row([site], |row| row.get(0))
        .optional()?;
    Ok(version.map_or(0, i64::unsigned_abs))
}

/// Gives a site's spaces another version, by the clock: so that a hub that is put back to an earlier
/// state goes on above what its devices have seen.
pub(super) fn changed(
    connection: &Connection,
    site: &SiteId,
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "INSERT INTO space_versions (site, version) VALUES (?1, max(?2, 1))
             ON CONFLICT DO UPDATE SET version = max(version + 1, excluded.version)",
        )?
        .execute(params![site, now])?;
    Ok(())
}

/// A row whose roles have not been read yet.
type Unread = (Space, String);

fn read(row: &Row<'_>) -> rusqlite::Result<Unread> {
    let space = Space {
        site: row.get(0)?,
        id: row.get(1)?,
        title: row.get(2)?,
        roles: Roles::new(),
        created: row.get(4)?,
    };
    Ok((space, row.get(3)?))
}

fn whole((space, roles): Unread) -> Result<Space, Refusal> {
    let roles = serde_json::from_str(&roles).map_err(|_| DAMAGED)?;
    Ok(Space { roles, ..space })
}
