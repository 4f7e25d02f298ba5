//! Webhooks on the disk.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::clock::Timestamp;
use crate::consumers;
use crate::id::{ConsumerId, WebhookId};
use crate::identity::Listed;
use crate::limits::Share;
use crate::refusal::Refusal;
use crate::webhooks::{Failure, MAX_WEBHOOKS, NewWebhook, Webhook, WebhookChange, WebhookState};

/// The tables of this part. Of a message that failed `until_place` is the end, so that it is tried
/// again as the same message after a restart.
pub(crate) const SCHEMA: &str = "
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    url TEXT NOT NULL,
    site TEXT,
    device TEXT,
    prefix TEXT,
    batch INTEGER NOT NULL,
    state TEXT NOT NULL,
    secret BLOB NOT NULL,
    old_secret BLOB,
    old_until INTEGER,
    created INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    failing_since INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    rejections INTEGER NOT NULL DEFAULT 0,
    why TEXT NOT NULL DEFAULT '',
    next_try INTEGER,
    until_place INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE webhook_letters (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    message TEXT NOT NULL,
    first_place INTEGER NOT NULL,
    last_place INTEGER NOT NULL,
    body BLOB NOT NULL,
    at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    why TEXT NOT NULL,
    again INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX webhook_letters_of ON webhook_letters (webhook, seq);
CREATE INDEX webhook_letters_again ON webhook_letters (webhook, seq) WHERE again <> 0;
";

const COLUMNS: &str = "id, title, url, site, device, prefix, batch, state, created, version, \
                       failing_since, attempts, why, next_try, \
                       (SELECT count(*) FROM webhook_letters WHERE webhook = webhooks.id)";

pub(super) fn insert(
    connection: &Connection,
    id: &WebhookId,
    webhook: &NewWebhook,
    sealed: &[u8],
    now: Timestamp,
) -> Result<(), Refusal> {
    let count: u64 = connection
        .prepare_cached("SELECT count(*) FROM webhooks")?
        .query_row([], |row| row.get(0))?;
    if count >= MAX_WEBHOOKS {
        return Err(Refusal::TooMany {
            what: "webhooks",
            limit: MAX_WEBHOOKS,
        });
    }
    consumers::register(
        connection,
        &consumer(id)?,
        &Share::hub(),
        webhook.after,
        now,
    )?;
    connection
        .prepare_cached(
            "INSERT INTO webhooks
             (id, title, url, site, device, prefix, batch, state, secret, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'active', ?8, ?9)",
        )?
        .execute(params![
            id,
            webhook.title,
            webhook.url,
            webhook.site,
            webhook.device,
            webhook.prefix,
            webhook.batch,
            sealed,
            now,
        ])?;
    Ok(())
}

pub(super) fn one(connection: &Connection, id: &WebhookId) -> Result<Webhook, Refusal> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM webhooks WHERE id = ?1"))?
        .query_row([id], read)
        .optional()?
        .ok_or_else(|| Refusal::not_found("webhook", id))
}

pub(super) fn after(
    connection: &Connection,
    after: &str,
    limit: u32,
) -> Result<Listed<Webhook>, Refusal> {
    let mut items = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM webhooks WHERE id > ?1 ORDER BY id LIMIT ?2"
        ))?
        .query_map(params![after, limit + 1], read)?
        .collect::<Result<Vec<_>, _>>()?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    Ok(Listed { items, next })
}

/// Changes what an operator wants otherwise. What went wrong before is forgotten, so that it is
/// tried again at once.
pub(super) fn change(
    connection: &Connection,
    before: &Webhook,
    change: &WebhookChange,
    now: Timestamp,
) -> Result<(), Refusal> {
    let state = match change.active {
        None => before.state,
        Some(true) => WebhookState::Active,
        Some(false) => WebhookState::Paused,
    };
    if before.state == WebhookState::Stopped && state != WebhookState::Stopped {
        consumers::register(connection, &consumer(&before.id)?, &Share::hub(), None, now)?;
    }
    connection
        .prepare_cached(
            "UPDATE webhooks SET title = ?2, url = ?3, batch = ?4, state = ?5,
             version = version + 1, failing_since = NULL, attempts = 0, rejections = 0, why = '',
             next_try = NULL, until_place = NULL WHERE id = ?1",
        )?
        .execute(params![
            before.id,
            change.title.as_ref().unwrap_or(&before.title),
            change.url.as_ref().unwrap_or(&before.url),
            change.batch.unwrap_or(before.batch),
            word(state),
        ])?;
    Ok(())
}

pub(super) fn rotate(
    connection: &Connection,
    id: &WebhookId,
    sealed: &[u8],
    until: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "UPDATE webhooks SET old_secret = secret, old_until = ?3, secret = ?2,
             version = version + 1 WHERE id = ?1",
        )?
        .execute(params![id, sealed, until])?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, id: &WebhookId) -> Result<(), Refusal> {
    consumers::remove(connection, &consumer(id)?)?;
    connection
        .prepare_cached("DELETE FROM webhook_letters WHERE webhook = ?1")?
        .execute([id])?;
    connection
        .prepare_cached("DELETE FROM webhooks WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// The consumer that a webhook is.
pub(super) fn consumer(id: &WebhookId) -> Result<ConsumerId, Refusal> {
    id.as_str().parse()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Webhook> {
    let since: Option<Timestamp> = row.get(10)?;
    let (attempts, why, next_try) = (row.get(11)?, row.get(12)?, row.get(13)?);
    Ok(Webhook {
        id: row.get(0)?,
        title: row.get(1)?,
        url: row.get(2)?,
        site: row.get(3)?,
        device: row.get(4)?,
        prefix: row.get(5)?,
        batch: row.get(6)?,
        state: state(row.get_ref(7)?.as_str()?),
        created: row.get(8)?,
        version: row.get(9)?,
        failure: since.map(|since| Failure {
            since,
            attempts,
            why,
            next_try,
        }),
        letters: row.get(14)?,
    })
}

pub(super) fn word(state: WebhookState) -> &'static str {
    match state {
        WebhookState::Active => "active",
        WebhookState::Paused => "paused",
        WebhookState::Stopped => "stopped",
    }
}

fn state(word: &str) -> WebhookState {
    match word {
        "active" => WebhookState::Active,
        "paused" => WebhookState::Paused,
        _ => WebhookState::Stopped,
    }
}
