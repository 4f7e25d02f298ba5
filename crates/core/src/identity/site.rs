//! Sites: customers' places where devices stand.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use serde::Serialize;
use serde_json::json;

use super::act::{Act, Done};
use super::{Actor, Identity, Listed, Page, Role, text};
use crate::clock::Timestamp;
use crate::id::SiteId;
use crate::refusal::Refusal;

/// A site as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Site {
    /// Its name.
    pub id: SiteId,
    /// What people call it: at most [`MAX_TITLE`] characters, none of them a control character.
    pub title: String,
    /// Since when.
    pub created: Timestamp,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
    /// Goes up by one with each change.
    pub version: u64,
}

/// The most characters of what people call something.
pub const MAX_TITLE: usize = 200;

const COLUMNS: &str = "id, title, created, revoked, version";

impl Identity {
    /// Makes a site.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin of all sites, [`Refusal::Exists`],
    /// [`Refusal::Invalid`]; as the store.
    pub async fn create_site(
        &self,
        actor: &Actor,
        id: SiteId,
        title: String,
    ) -> Result<Site, Refusal> {
        let act = Act::new(actor, Role::Admin, "site.create", format!("site/{id}"));
        let work = move |connection: &Connection, actor: &Actor, now| {
            actor.require_all_sites("making sites")?;
            text::check("title", &title, MAX_TITLE)?;
            if find(connection, &id)?.is_some() {
                return Err(Refusal::Exists {
                    what: "site",
                    id: id.to_string(),
                });
            }
            connection
                .prepare_cached("INSERT INTO sites (id, title, created) VALUES (?1, ?2, ?3)")?
                .execute((&id, &title, now))?;
            Ok(Done::new(known(connection, &id)?).detail(json!({ "title": title })))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Lists sites, by name.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when `page` has no good limit; as the store.
    pub async fn sites(&self, actor: &Actor, page: &Page) -> Result<Listed<Site>, Refusal> {
        let (page, only, fetch) = (page.clone(), actor.scope.site().cloned(), page.fetch()?);
        self.store
            .read(move |connection| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM sites WHERE id > :after
                     AND (:only IS NULL OR id = :only) ORDER BY id LIMIT :fetch"
                );
                let sites = connection
                    .prepare_cached(&sql)?
                    .query_map(
                        named_params! { ":after": page.after(), ":only": only, ":fetch": fetch },
                        read,
                    )?
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Listed::of(sites, &page, |site| site.id.to_string()))
            })
            .await
    }

    /// Gives one site.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also for a site that the actor does not see; as the store.
    pub async fn site(&self, actor: &Actor, id: &SiteId) -> Result<Site, Refusal> {
        let (actor, id) = (actor.clone(), id.clone());
        self.store
            .read(move |connection| seen_by(connection, &actor, &id))
            .await
    }

    /// Renames a site, if its version is still `if_version`.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Conflict`],
    /// [`Refusal::Invalid`]; as the store.
    pub async fn rename_site(
        &self,
        actor: &Actor,
        id: &SiteId,
        title: String,
        if_version: Option<u64>,
    ) -> Result<Site, Refusal> {
        let act = Act::new(actor, Role::Admin, "site.rename", format!("site/{id}"));
        let id = id.clone();
        let work = move |connection: &Connection, actor: &Actor, _now| {
            let site = seen_by(connection, actor, &id)?;
            text::check("title", &title, MAX_TITLE)?;
            if if_version.is_some_and(|version| version != site.version) {
                return Err(Refusal::Conflict { what: "the site" });
            }
            connection
                .prepare_cached("UPDATE sites SET title = ?2, version = version + 1 WHERE id = ?1")?
                .execute((&id, &title))?;
            Ok(Done::new(known(connection, &id)?).detail(json!({ "title": title })))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Lets a site's devices in again.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin of all sites, [`Refusal::NotFound`]; as the
    /// store.
    pub async fn restore_site(&self, actor: &Actor, id: &SiteId) -> Result<Site, Refusal> {
        let act = Act::new(actor, Role::Admin, "site.restore", format!("site/{id}"));
        let id = id.clone();
        let work = move |connection: &Connection, actor: &Actor, _now| {
            seen_by(connection, actor, &id)?;
            actor.require_all_sites("restoring sites")?;
            connection
                .prepare_cached(
                    "UPDATE sites SET revoked = NULL, version = version + 1
                     WHERE id = ?1 AND revoked IS NOT NULL",
                )?
                .execute([&id])?;
            Ok(Done::new(known(connection, &id)?))
        };
        Ok(self.act(act, work).await?.0)
    }
}

/// The site of that name, if `actor` sees it.
pub(crate) fn seen_by(
    connection: &Connection,
    actor: &Actor,
    id: &SiteId,
) -> Result<Site, Refusal> {
    if !actor.scope.sees(id) {
        return Err(Refusal::not_found("site", id));
    }
    known(connection, id)
}

fn known(connection: &Connection, id: &SiteId) -> Result<Site, Refusal> {
    find(connection, id)?.ok_or_else(|| Refusal::not_found("site", id))
}

fn find(connection: &Connection, id: &SiteId) -> Result<Option<Site>, Refusal> {
    Ok(connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM sites WHERE id = ?1"))?
        .query_row([id], read)
        .optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Site> {
    Ok(Site {
        id: row.get(0)?,
        title: row.get(1)?,
        created: row.get(2)?,
        revoked: row.get(3)?,
        version: row.get::<_, u32>(4)?.into(),
    })
}
