//! Assets on the disk. The site of one for all sites is the empty text.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};

use super::{Asset, AssetName};
use crate::id::SiteId;
use crate::objects::Digest;
use crate::refusal::Refusal;

/// The tables of this part.
pub(crate) const SCHEMA: &str = "
CREATE TABLE asset (
    site TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (site, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX asset_by_digest ON asset (digest);
";

const COLUMNS: &str = "site, name, digest, size, content_type, changed";

pub(super) fn find(
    connection: &Connection,
    name: &AssetName,
    site: Option<&SiteId>,
) -> Result<Option<Asset>, Refusal> {
    let sql = format!("SELECT {COLUMNS} FROM asset WHERE site = ?1 AND name = ?2");
    Ok(connection
        .prepare_cached(&sql)?
        .query_row(params![of(site), name.as_str()], read)
        .optional()?)
}

pub(super) fn keep(connection: &Connection, asset: &Asset) -> Result<(), Refusal> {
    let sql = format!("INSERT OR REPLACE INTO asset ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    connection.prepare_cached(&sql)?.execute(params![
        of(asset.site.as_ref()),
        asset.name.as_str(),
        asset.digest,
        asset.size,
        asset.content_type,
        asset.changed,
    ])?;
    Ok(())
}

pub(super) fn remove(
    connection: &Connection,
    name: &AssetName,
    site: Option<&SiteId>,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("DELETE FROM asset WHERE site = ?1 AND name = ?2")?
        .execute(params![of(site), name.as_str()])?;
    Ok(())
}

/// How many there are, and how many bytes; what is in several counts each time.
pub(super) fn count(connection: &Connection) -> Result<(u64, u64), Refusal> {
    Ok(connection
        .prepare_cached("SELECT count(*), coalesce(sum(size), 0) FROM asset")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Whether any asset has this in it.
pub(super) fn needs(connection: &Connection, digest: &Digest) -> Result<bool, Refusal> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM asset WHERE digest = ?1)")?
        .query_row([digest], |row| row.get(0))?)
}

/// What is in all of them, in order.
pub(super) fn digests(connection: &Connection) -> Result<Vec<Digest>, Refusal> {
    let sql = "SELECT DISTINCT digest FROM asset ORDER BY digest";
    let mut statement = connection.prepare_cached(sql)?;
    let digests = statement.query_map([], |row| row.get(0))?;
    Ok(digests.collect::<Result<_, _>>()?)
}

/// Those after a place (see [`Asset::place`]); of one site and of all where `only` is one.
pub(super) fn after(
    connection: &Connection,
    place: &str,
    only: Option<&SiteId>,
    fetch: u32,
) -> Result<Vec<Asset>, Refusal> {
    let (site, name) = place.split_once('/').unwrap_or_default();
    let sql = format!(
        "SELECT {COLUMNS} FROM asset WHERE (site, name) > (:site, :name)
         AND (:only IS NULL OR site IN ('', :only)) ORDER BY site, name LIMIT :fetch"
    );
    let named = named_params! { ":site": site, ":name": name, ":only": only, ":fetch": fetch };
    let mut statement = connection.prepare_cached(&sql)?;
    let assets = statement.query_map(named, read)?;
    Ok(assets.collect::<Result<_, _>>()?)
}

/// Those that devices of a site should hold, by name.
pub(super) fn for_site(connection: &Connection, site: &SiteId) -> Result<Vec<Asset>, Refusal> {
    let sql = format!(
        "SELECT {COLUMNS} FROM asset AS one WHERE site = ?1 OR (site = '' AND NOT EXISTS
         (SELECT 1 FROM asset WHERE site = ?1 AND name = one.name)) ORDER BY name"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let assets = statement.query_map([site], read)?;
    Ok(assets.collect::<Result<_, _>>()?)
}

fn of(site: Option<&SiteId>) -> &str {
    site.map_or("", SiteId::as_str)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Asset> {
    let site: String = row.get(0)?;
    let name: String = row.get(1)?;
    let wrong = |place| {
        move |refusal: Refusal| {
            let kind = rusqlite::types::Type::Text;
            rusqlite::Error::FromSqlConversionFailure(place, kind, refusal.into())
        }
    };
    Ok(Asset {
        site: match site.as_str() {
            "" => None,
            site => Some(site.parse().map_err(wrong(0))?),
        },
        name: name.try_into().map_err(wrong(1))?,
        digest: row.get(2)?,
        size: row.get(3)?,
        content_type: row.get(4)?,
        changed: row.get(5)?,
    })
}
