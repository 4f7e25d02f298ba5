//! Messages that a webhook did not take: kept for a while, to be looked at and sent again.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::json;

use crate::clock::Timestamp;
use crate::id::WebhookId;
use crate::identity::{Actor, Listed, MAX_PAGE, Page};
use crate::refusal::Refusal;
use crate::webhooks::{Webhooks, administer, table};

/// The most letters that are kept of a webhook; the oldest go first.
pub const MAX_LETTERS: u64 = 1_000;

/// The most bytes of all letters of a webhook; the oldest go first.
pub const MAX_LETTER_BYTES: u64 = 64 * 1024 * 1024;

/// The most bytes of bodies in one part of a list, beyond the first.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

const COLUMNS: &str = "seq, message, first_place, last_place, body, at, attempts, why, again";

/// A message that was not taken.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its place among the letters of all webhooks: goes up.
    pub seq: u64,
    /// The `webhook-id` under which it was sent.
    pub message: String,
    /// The place of its first event.
    pub first_place: u64,
    /// The place of its last event.
    pub last_place: u64,
    /// Its body, as it was sent.
    pub body: Bytes,
    /// When it was set aside.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// What came of the last attempt.
    pub why: String,
    /// Whether it is to be sent again.
    pub again: bool,
}

impl Webhooks {
    /// What a webhook did not take, oldest first. `page.after` is the place of the newest seen so
    /// far.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who does not see all sites; [`Refusal::NotFound`],
    /// [`Refusal::Invalid`]; as the store.
    pub async fn letters(
        &self,
        actor: &Actor,
        id: &WebhookId,
        page: &Page,
    ) -> Result<Listed<Letter>, Refusal> {
        actor.require_all_sites("seeing webhooks")?;
        let seen = match &page.after {
            Some(text) => text
                .parse::<u64>()
                .ok()
                .filter(|place| i64::try_from(*place).is_ok())
                .ok_or_else(|| Refusal::invalid("after", "what `next` was"))?,
            None => 0,
        };
        let (id, limit) = (id.clone(), page.limit.clamp(1, MAX_PAGE));
        self.store
            .read(move |connection| {
                table::one(connection, &id)?;
                after(connection, &id, seen, limit)
            })
            .await
    }

    /// Has a letter sent again, soon and out of its order. It is forgotten once it is taken; when
    /// it fails once more it stays.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for all but administrators of all sites; [`Refusal::NotFound`]; as
    /// the store.
    pub async fn redeliver(
        &self,
        actor: &Actor,
        id: &WebhookId,
        letter: u64,
    ) -> Result<(), Refusal> {
        administer(actor)?;
        let act = ("webhook.redeliver", json!({"letter": letter}));
        self.act(actor, id, act, move |connection, id, _| {
            let found = connection
                .prepare_cached(
                    "UPDATE webhook_letters SET again = 1 WHERE webhook = ?1 AND seq = ?2",
                )?
                .execute(params![id, place(letter)])?;
            match found {
                0 => Err(Refusal::not_found("letter", letter)),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Throws a letter away.
    ///
    /// # Errors
    /// As [`Webhooks::redeliver`].
    pub async fn discard(&self, actor: &Actor, id: &WebhookId, letter: u64) -> Result<(), Refusal> {
        administer(actor)?;
        let act = ("webhook.discard", json!({"letter": letter}));
        self.act(actor, id, act, move |connection, id, _| {
            match remove(connection, id, letter)? {
                true => Ok(()),
                false => Err(Refusal::not_found("letter", letter)),
            }
        })
        .await
    }
}

/// Keeps a letter, and forgets the oldest beyond the limits.
pub(super) fn insert(
    connection: &Connection,
    id: &WebhookId,
    letter: &Letter,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "INSERT INTO webhook_letters
             (webhook, message, first_place, last_place, body, at, attempts, why)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            id,
            letter.message,
            letter.first_place,
            letter.last_place,
            &*letter.body,
            letter.at,
            letter.attempts,
            letter.why,
        ])?;
    connection
        .prepare_cached(
            "DELETE FROM webhook_letters WHERE seq IN (SELECT seq FROM
             (SELECT seq, row_number() OVER newest AS number, sum(length(body)) OVER newest AS bytes
              FROM webhook_letters WHERE webhook = ?1 WINDOW newest AS (ORDER BY seq DESC))
             WHERE number > ?2 OR bytes > ?3)",
        )?
        .execute(params![id, MAX_LETTERS, MAX_LETTER_BYTES])?;
    Ok(())
}

/// The next letter that is to be sent again.
pub(super) fn again(connection: &Connection, id: &WebhookId) -> Result<Option<Letter>, Refusal> {
    Ok(connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM webhook_letters WHERE webhook = ?1 AND again <> 0
             ORDER BY seq LIMIT 1"
        ))?
        .query_row([id], read)
        .optional()?)
}

pub(super) fn remove(
    connection: &Connection,
    id: &WebhookId,
    letter: u64,
) -> Result<bool, Refusal> {
    let removed = connection
        .prepare_cached("DELETE FROM webhook_letters WHERE webhook = ?1 AND seq = ?2")?
        .execute(params![id, place(letter)])?;
    Ok(removed > 0)
}

pub(super) fn failed_again(
    connection: &Connection,
    id: &WebhookId,
    letter: u64,
    why: &str,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "UPDATE webhook_letters SET again = 0, attempts = attempts + 1, why = ?3
             WHERE webhook = ?1 AND seq = ?2",
        )?
        .execute(params![id, place(letter), why])?;
    Ok(())
}

fn after(
    connection: &Connection,
    id: &WebhookId,
    seen: u64,
    limit: u32,
) -> Result<Listed<Letter>, Refusal> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM webhook_letters WHERE webhook = ?1 AND seq > ?2 ORDER BY seq"
    ))?;
    let mut rows = statement.query(params![id, seen])?;
    let mut items: Vec<Letter> = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let letter = read(row)?;
        bytes += letter.body.len();
        let full = items.len() >= limit as usize || bytes > MAX_ANSWER_BYTES;
        if let Some(last) = items.last().filter(|_| full) {
            let next = Some(last.seq.to_string());
            return Ok(Listed { items, next });
        }
        items.push(letter);
    }
    Ok(Listed { items, next: None })
}

/// A place as SQLite knows it; one that it cannot know names nothing.
fn place(letter: u64) -> i64 {
    i64::try_from(letter).unwrap_or(-1)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Letter> {
    Ok(Letter {
        seq: row.get(0)?,
        message: row.get(1)?,
        first_place: row.get(2)?,
        last_place: row.get(3)?,
        body: Bytes::copy_from_slice(row.get_ref(4)?.as_blob()?),
        at: row.get(5)?,
        attempts: row.get(6)?,
        why: row.get(7)?,
        again: row.get(8)?,
    })
}
