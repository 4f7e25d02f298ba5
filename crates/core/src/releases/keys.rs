//! The keys by which releases are signed.

use rusqlite::{Connection, OptionalExtension as _, Row};
use serde_json::json;

use super::{KEPT, Releases};
use crate::acting::Kept;
use crate::audit;
use crate::clock::Timestamp;
use crate::deployments;
use crate::id::{ReleaseKeyId, ReleaseName};
use crate::identity::{Actor, Listed, MAX_LABEL, Page, Role};
use crate::refusal::Refusal;

/// The most keys that are in use at a time.
pub const MAX_KEYS: u64 = 64;

/// The most bytes of a key's text.
pub const MAX_KEY: usize = 16 * 1024;

/// What whoever changes them and the audit log are told.
const KEY: Kept = Kept("release-key");

const COLUMNS: &str = "id, label, pem, thumbprint, added, revoked";

/// A key by which releases are signed: its public half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseKey {
    /// Its name.
    pub id: ReleaseKeyId,
    /// What people call it.
    pub label: String,
    /// The key in PEM.
    pub pem: String,
    /// SHA-256 of its SPKI, in hexadecimal.
    pub thumbprint: String,
    /// Since when it is known.
    pub added: Timestamp,
    /// Since when it is trusted no more.
    pub revoked: Option<Timestamp>,
}

impl Releases {
    /// Trusts releases that are signed by a key from now on. Of `thumbprint`, and that `pem` is a
    /// key at all, the caller has made sure.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin of all sites; [`Refusal::Invalid`] for a label
    /// that is empty, too long or cannot be shown; [`Refusal::TooLarge`] beyond [`MAX_KEY`];
    /// [`Refusal::Exists`] when it is trusted already; [`Refusal::TooMany`] beyond [`MAX_KEYS`]; as
    /// the store.
    pub async fn add_key(
        &self,
        actor: &Actor,
        label: String,
        pem: String,
        thumbprint: String,
    ) -> Result<ReleaseKey, Refusal> {
        if pem.len() > MAX_KEY {
            let (what, limit) = ("bytes of a release key", MAX_KEY as u64);
            return Err(Refusal::TooLarge { what, limit });
        }
        let fits = (1..=MAX_LABEL).contains(&label.chars().count());
        if !fits || label.chars().any(char::is_control) {
            let why = format!("1 to {MAX_LABEL} characters, no control characters");
            return Err(Refusal::invalid("label", why));
        }
        let key = ReleaseKey {
            id: ReleaseKeyId::made_up()?,
            label,
            pem,
            thumbprint,
            added: self.clock.now(),
            revoked: None,
        };
        let actor = actor.clone();
        self.store
            .write(move |connection| {
                may_trust(connection, &actor)?;
                insert(connection, &key)?;
                let detail = json!({"label": key.label, "thumbprint": key.thumbprint});
                let on = KEY.on(&key.id, None);
                audit::append(
                    connection,
                    key.added,
                    &actor,
                    "release-key.add",
                    &on,
                    &detail,
                )?;
                Ok(key)
            })
            .await
    }

    /// Trusts a key no more: what it has signed is retired with it. Returns once that is on the
    /// disk.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin of all sites; [`Refusal::NotFound`]; as the
    /// store.
    pub async fn revoke_key(
        &self,
        actor: &Actor,
        id: &ReleaseKeyId,
    ) -> Result<ReleaseKey, Refusal> {
        let (actor, id, now) = (actor.clone(), id.clone(), self.clock.now());
        self.store
            .write(move |connection| {
                may_trust(connection, &actor)?;
                find(connection, &id)?;
                connection
                    .prepare_cached(
                        "UPDATE release_keys SET revoked = coalesce(revoked, ?2) WHERE id = ?1",
                    )?
                    .execute((&id, now))?;
                let signed = retire_signed(connection, &id, now)?;
                let detail = json!({"releases": signed.len()});
                let on = KEY.on(&id, None);
                audit::append(connection, now, &actor, "release-key.revoke", &on, &detail)?;
                find(connection, &id)
            })
            .await
    }

    /// Lists keys, by name, also those that are trusted no more.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when `page` has no good limit; as the store.
    pub async fn keys(&self, actor: &Actor, page: &Page) -> Result<Listed<ReleaseKey>, Refusal> {
        actor.check()?;
        let (page, fetch) = (page.clone(), page.fetch()?);
        self.store
            .read(move |connection| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM release_keys WHERE id > ?1 ORDER BY id LIMIT ?2"
                );
                let mut statement = connection.prepare_cached(&sql)?;
                let keys = statement.query_map((page.after(), fetch), read)?;
                let keys = keys.collect::<Result<Vec<_>, _>>()?;
                Ok(Listed::of(keys, &page, |key| key.id.to_string()))
            })
            .await
    }

    /// The keys that are trusted.
    ///
    /// # Errors
    /// As the store.
    pub async fn trusted(&self) -> Result<Vec<ReleaseKey>, Refusal> {
        self.store
            .read(|connection| {
                let sql =
                    format!("SELECT {COLUMNS} FROM release_keys WHERE revoked IS NULL ORDER BY id");
                let mut statement = connection.prepare_cached(&sql)?;
                let keys = statement.query_map([], read)?;
                Ok(keys.collect::<Result<Vec<_>, _>>()?)
            })
            .await
    }
}

/// That a key is trusted still.
pub(super) fn in_use(connection: &Connection, id: &ReleaseKeyId) -> Result<(), Refusal> {
    match find(connection, id)?.revoked {
        None => Ok(()),
        Some(_) => Err(Refusal::not_found("release key", id)),
    }
}

/// Whom devices' software is trusted to come from is for admins of all sites to say.
fn may_trust(connection: &Connection, actor: &Actor) -> Result<(), Refusal> {
    actor.require(Role::Admin, "changing release keys")?;
    KEY.may_change(connection, actor, None)
}

fn insert(connection: &Connection, key: &ReleaseKey) -> Result<(), Refusal> {
    let count: u64 = connection
        .prepare_cached("SELECT count(*) FROM release_keys WHERE revoked IS NULL")?
        .query_row([], |row| row.get(0))?;
    if count >= MAX_KEYS {
        let (what, limit) = ("release keys", MAX_KEYS);
        return Err(Refusal::TooMany { what, limit });
    }
    let sql = format!(
        "INSERT INTO release_keys ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING"
    );
    let made = connection.prepare_cached(&sql)?.execute((
        &key.id,
        &key.label,
        &key.pem,
        &key.thumbprint,
        key.added,
        key.revoked,
    ))?;
    if made == 1 {
        return Ok(());
    }
    Err(Refusal::Exists {
        what: "release key",
        id: key.thumbprint.clone(),
    })
}

/// Retires what a key has signed. Their bytes go when the hub starts anew.
fn retire_signed(
    connection: &Connection,
    id: &ReleaseKeyId,
    now: Timestamp,
) -> Result<Vec<ReleaseName>, Refusal> {
    let signed = connection
        .prepare_cached(
            "UPDATE releases SET retired = ?2 WHERE signed_by = ?1 AND retired IS NULL
             RETURNING name",
        )?
        .query_map((id, now), |row| row.get(0))?
        .collect::<Result<Vec<ReleaseName>, _>>()?;
    for name in &signed {
        deployments::end_of_release(connection, name, now)?;
        let on = KEPT.on(name, None);
        tracing::info!(release = %on, "retired with the key that signed it");
    }
    Ok(signed)
}

fn find(connection: &Connection, id: &ReleaseKeyId) -> Result<ReleaseKey, Refusal> {
    let sql = format!("SELECT {COLUMNS} FROM release_keys WHERE id = ?1");
    connection
        .prepare_cached(&sql)?
        .query_row([id], read)
        .optional()?
        .ok_or_else(|| Refusal::not_found("release key", id))
}

fn read(row: &Row<'_>) -> rusqlite::Result<ReleaseKey> {
    Ok(ReleaseKey {
        id: row.get(0)?,
        label: row.get(1)?,
        pem: row.get(2)?,
        thumbprint: row.get(3)?,
        added: row.get(4)?,
        revoked: row.get(5)?,
    })
}
