//! Tables that devices look things up in: rows by a key, as they were loaded, for all sites or one.
//!
//! A table is loaded as a whole. Its rows come in pieces, so that nobody else waits long for the
//! disk, and are seen all at once, when the last has come; until then the table before is asked.

use serde_json::json;

use crate::acting::Kept;
use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::id::SiteId;
use crate::identity::{Actor, Listed, Page, Principal};
use crate::refusal::Refusal;
use crate::sessions::Pass;
use crate::store::Store;

mod name;
mod rows;

pub use name::TableName;
pub(crate) use rows::SCHEMA;

/// The most tables of a hub.
pub const MAX_TABLES: u64 = 256;

/// The most rows of a table.
pub const MAX_ROWS: usize = 100_000;

/// The most bytes of a table: its keys and its rows.
pub const MAX_TABLE: usize = 16 << 20;

/// The most bytes of all tables.
pub const MAX_TABLES_BYTES: u64 = 512 << 20;

/// The most bytes of a key.
pub const MAX_KEY: usize = 256;

/// The most bytes of a row.
pub const MAX_ROW: usize = 64 << 10;

/// How many rows come in one write, and how many bytes of them.
const PIECE: (usize, usize) = (1_000, 256 << 10);

/// What whoever changes them and the audit log are told.
const KEPT: Kept = Kept("table");

/// A table, as may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// Whose devices may ask it; those of all sites when there is none.
    pub site: Option<SiteId>,
    /// Which column its rows are known by, if that was said.
    pub key: Option<String>,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes they and their keys have.
    pub bytes: u64,
    /// When it was loaded.
    pub loaded: Timestamp,
}

/// A table as it is to be.
#[derive(Clone, Debug)]
pub struct NewTable {
    /// Its name.
    pub name: TableName,
    /// Whose devices may ask it; those of all sites when there is none.
    pub site: Option<SiteId>,
    /// Which column its rows are known by, if that was said.
    pub key: Option<String>,
}

/// A row: what it is known by, and what is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key, 1 to [`MAX_KEY`] bytes.
    pub key: String,
    /// A text in JSON, at most [`MAX_ROW`] bytes.
    pub value: String,
}

/// All tables. Those for one site are the business of who sees it; those for all sites, of who
/// sees all.
#[derive(Clone, Debug)]
pub struct Tables {
    store: Store,
    clock: Clock,
}

impl Tables {
    /// The tables of the store, without what a hub that was stopped while it loaded one had left.
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Whether `actor` may load that table.
    ///
    /// # Errors
    /// As [`Tables::load`].
    pub async fn may_load(&self, actor: &Actor, new: &NewTable) -> Result<(), Refusal> {
        let (actor, site) = (actor.clone(), new.site.clone());
        self.store
            .read(move |connection| KEPT.may_change(connection, &actor, site.as_ref()))
            .await
    }

    /// Loads a table, which takes the place of the one of that name. Returns once all of it is on
    /// the disk.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers, and for a table of all sites for who sees one;
    /// [`Refusal::NotFound`] for a site that they do not see; [`Refusal::Invalid`] for a key that is
    /// empty, too long or there twice, and for a row that is too long; [`Refusal::TooMany`] and
    /// [`Refusal::TooLarge`] beyond the bounds of this part; as the store.
    pub async fn load(
        &self,
        actor: &Actor,
        new: NewTable,
        rows: Vec<Row>,
    ) -> Result<Table, Refusal> {
        let bytes = check(&rows)?;
        let table = Table {
            rows: rows.len() as u64,
            bytes: bytes as u64,
            loaded: self.clock.now(),
            name: new.name,
            site: new.site,
            key: new.key,
        };
        let (tables, actor) = (self.clone(), actor.clone());
        // On a task of its own: who hangs up in the middle leaves nothing behind.
        tokio::spawn(async move { tables.load_now(actor, table, rows).await })
            .await
            .map_err(|_| Refusal::Internal("the loading of a table stopped"))?
    }

    async fn load_now(&self, actor: Actor, table: Table, rows: Vec<Row>) -> Result<Table, Refusal> {
        let (who, whose) = (actor.clone(), table.site.clone());
        let id = self
            .store
            .write(move |connection| {
                KEPT.may_change(connection, &who, whose.as_ref())?;
                rows::begin(connection)
            })
            .await?;
        let come = self.take_in(id, rows).await;
        let shown = match come {
            Ok(()) => self.show(actor, id, table).await,
            Err(refusal) => Err(refusal),
        };
        // What is not shown any more, or never was, goes.
        let gone = match &shown {
            Ok((_, before)) => *before,
            Err(_) => Some(id),
        };
        if let Some(gone) = gone {
            self.clear(gone).await?;
        }
        shown.map(|(table, _)| table)
    }

    async fn take_in(&self, id: i64, rows: Vec<Row>) -> Result<(), Refusal> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let (mut piece, mut bytes) = (Vec::new(), 0);
            while piece.len() < PIECE.0 && bytes < PIECE.1 {
                let Some(row) = rows.next() else {
                    break;
                };
                bytes += row.key.len() + row.value.len();
                piece.push(row);
            }
            self.store
                .write_bulk(bytes, move |connection| rows::keep(connection, id, &piece))
                .await?;
        }
        Ok(())
    }

    /// Has devices ask the rows that have come. Tells which are asked no more.
    async fn show(
        &self,
        actor: Actor,
        id: i64,
        table: Table,
    ) -> Result<(Table, Option<i64>), Refusal> {
        self.store
            .write(move |connection| {
                KEPT.may_change(connection, &actor, table.site.as_ref())?;
                let before = rows::shown(connection, &table.name, table.site.as_ref())?;
                rows::show(connection, id, before, &table)?;
                let (count, bytes) = rows::count(connection)?;
                if count > MAX_TABLES {
                    let (what, limit) = ("tables", MAX_TABLES);
                    return Err(Refusal::TooMany { what, limit });
                }
                if bytes > MAX_TABLES_BYTES {
                    let (what, limit) = ("bytes of all tables", MAX_TABLES_BYTES);
                    return Err(Refusal::TooLarge { what, limit });
                }
                let detail = json!({ "rows": table.rows, "bytes": table.bytes });
                let on = KEPT.on(&table.name, table.site.as_ref());
                audit::append(connection, table.loaded, &actor, "table.load", &on, &detail)?;
                Ok((table, before))
            })
            .await
    }

    /// Removes the rows of a table that nobody asks any more.
    async fn clear(&self, id: i64) -> Result<(), Refusal> {
        let piece = PIECE.0;
        loop {
            let left = self
                .store
                .write(move |connection| rows::clear(connection, id, piece))
                .await?;
            if !left {
                return Ok(());
            }
        }
    }

    /// Removes what a load that did not come to its end has left: the hub calls it at its start,
    /// before anybody loads anything.
    ///
    /// # Errors
    /// As the store.
    pub async fn clear_unfinished(&self) -> Result<(), Refusal> {
        for id in self.store.read(rows::not_shown).await? {
            self.clear(id).await?;
        }
        Ok(())
    }

    /// Removes a table.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as [`Tables::load`].
    pub async fn remove(
        &self,
        actor: &Actor,
        name: &TableName,
        site: Option<&SiteId>,
    ) -> Result<(), Refusal> {
        let (tables, actor) = (self.clone(), actor.clone());
        let (name, site, now) = (name.clone(), site.cloned(), self.clock.now());
        let removed = tokio::spawn(async move {
            let gone = tables
                .store
                .write(move |connection| {
                    KEPT.may_change(connection, &actor, site.as_ref())?;
                    let shown = rows::shown(connection, &name, site.as_ref())?;
                    let id = shown.ok_or_else(|| Refusal::not_found("table", &name))?;
                    rows::hide(connection, id)?;
                    let on = KEPT.on(&name, site.as_ref());
                    audit::append(connection, now, &actor, "table.remove", &on, &json!({}))?;
                    Ok(id)
                })
                .await?;
            tables.clear(gone).await
        });
        removed
            .await
            .map_err(|_| Refusal::Internal("the removal of a table stopped"))?
    }

    /// Lists the tables that `actor` sees: those of their sites and those of all.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when `page` has no good limit; as the store.
    pub async fn list(&self, actor: &Actor, page: &Page) -> Result<Listed<Table>, Refusal> {
        let (page, only, fetch) = (page.clone(), actor.scope.site().cloned(), page.fetch()?);
        self.store
            .read(move |connection| {
                let tables = rows::after(connection, page.after(), only.as_ref(), fetch)?;
                Ok(Listed::of(tables, &page, Table::place))
            })
            .await
    }

    /// What the table of that name has for `key`, where the device that has `pass` stands: none
    /// when there is no such row. Of two tables of that name its own site's is asked.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when there is no such table; [`Refusal::Forbidden`] for who is no
    /// device; what [`Pass::check`] refuses with; as the store.
    pub async fn find(
        &self,
        pass: &Pass,
        name: TableName,
        key: String,
    ) -> Result<Option<String>, Refusal> {
        let Principal::Device { site, .. } = pass.principal() else {
            return Err(Refusal::forbidden("looking up by who is no device"));
        };
        let site = site.clone();
        let found = self
            .store
            .read(move |connection| {
                let own = rows::shown(connection, &name, Some(&site))?;
                let table = match own {
                    Some(own) => Some(own),
                    None => rows::shown(connection, &name, None)?,
                };
                let table = table.ok_or_else(|| Refusal::not_found("table", &name))?;
                rows::find(connection, table, &key)
            })
            .await?;
        pass.check()?;
        Ok(found)
    }
}

impl Table {
    /// Its place in the list of all: `/NAME`, or `SITE/NAME`.
    fn place(&self) -> String {
        let site = self.site.as_ref().map_or("", SiteId::as_str);
        format!("{site}/{}", self.name)
    }
}

/// How many bytes the rows have, if they are within the bounds.
fn check(rows: &[Row]) -> Result<usize, Refusal> {
    let too_large = |what, limit: usize| {
        let limit = limit as u64;
        Err(Refusal::TooLarge { what, limit })
    };
    if rows.len() > MAX_ROWS {
        return too_large("rows of a table", MAX_ROWS);
    }
    let mut keys = std::collections::HashSet::new();
    let mut bytes = 0;
    for row in rows {
        if !(1..=MAX_KEY).contains(&row.key.len()) {
            return Err(Refusal::invalid("key", "1 to 256 bytes in each row"));
        }
        if row.value.len() > MAX_ROW {
            return too_large("bytes of a row", MAX_ROW);
        }
        if !keys.insert(&row.key) {
            return Err(Refusal::invalid("key", "one of its own in each row"));
        }
        bytes += row.key.len() + row.value.len();
    }
    if bytes > MAX_TABLE {
        return too_large("bytes of a table", MAX_TABLE);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
