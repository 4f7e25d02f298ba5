//! What whoever sends to webhooks asks, and notes.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;
use serde_json::json;

use crate::clock::Timestamp;
use crate::consumers;
use crate::events::{Event, row};
use crate::id::WebhookId;
use crate::identity::Actor;
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::webhooks::letters::{self, Letter};
use crate::webhooks::{Webhook, WebhookState, Webhooks, context, table};

/// What is wrong with a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Since when nothing was taken.
    pub since: Timestamp,
    /// How often the message at hand was tried.
    pub attempts: u32,
    /// What came of the last attempt.
    pub why: String,
    /// When it is tried again.
    pub next_try: Option<Timestamp>,
}

/// What there is to send to a webhook.
#[derive(Debug)]
pub struct Due {
    /// The webhook.
    pub webhook: Webhook,
    /// Its secrets, the one in use first.
    pub secrets: Vec<Secret>,
    /// What an operator wants sent again: goes first.
    pub letter: Option<Letter>,
    /// The events of the next message, or none.
    pub events: Vec<Event>,
    /// The place after the message: everything up to it is sent or not wanted.
    pub next: u64,
    /// How often the message at hand was turned down by its receiver.
    pub rejections: u32,
    /// The webhook's place.
    pub place: u64,
    /// The place of the newest event.
    pub newest: u64,
}

impl Due {
    /// How often the message at hand was tried.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        let failure = self.webhook.failure.as_ref();
        failure.map_or(0, |failure| failure.attempts)
    }
}

/// What is kept of a webhook beside what may be told.
struct Hidden {
    secret: Vec<u8>,
    old: Option<(Vec<u8>, Timestamp)>,
    rejections: u32,
    until: Option<u64>,
}

impl Webhooks {
    /// Names of all webhooks that are sent to.
    ///
    /// # Errors
    /// As the store.
    pub async fn active(&self) -> Result<Vec<WebhookId>, Refusal> {
        self.store
            .read(|connection| {
                Ok(connection
                    .prepare_cached("SELECT id FROM webhooks WHERE state = 'active' ORDER BY id")?
                    .query_map([], |row| row.get(0))?
                    .collect::<Result<_, _>>()?)
            })
            .await
    }

    /// What there is to send to a webhook; `None` when it is not sent to (any more).
    ///
    /// # Errors
    /// [`Refusal::Internal`] when its secrets do not open; as the store.
    pub async fn due(&self, id: &WebhookId) -> Result<Option<Due>, Refusal> {
        let (webhooks, id) = (self.clone(), id.clone());
        self.store
            .read(move |connection| {
                let webhook = match table::one(connection, &id) {
                    Ok(webhook) if webhook.state == WebhookState::Active => webhook,
                    Ok(_) | Err(Refusal::NotFound { .. }) => return Ok(None),
                    Err(refusal) => return Err(refusal),
                };
                webhooks.collect(connection, webhook).map(Some)
            })
            .await
    }

    fn collect(&self, connection: &Connection, webhook: Webhook) -> Result<Due, Refusal> {
        let hidden = hidden(connection, &webhook.id)?;
        let vault = self.identity.vault();
        let mut secrets = vec![vault.open_sealed(&context(&webhook.id), &hidden.secret)?];
        if let Some((old, until)) = &hidden.old
            && *until > self.clock.now()
        {
            secrets.push(vault.open_sealed(&context(&webhook.id), old)?);
        }
        let place = consumers::place_of(connection, &table::consumer(&webhook.id)?)?;
        let taken = row::after(connection, &webhook.filter(), place, webhook.batch)?;
        let (mut events, mut next) = (taken.events, taken.next);
        if let Some(until) = hidden.until
            && events.iter().any(|event| event.seq == until)
        {
            events.retain(|event| event.seq <= until);
            next = until;
        }
        Ok(Due {
            letter: letters::again(connection, &webhook.id)?,
            newest: row::newest(connection)?,
            place,
            rejections: hidden.rejections,
            webhook,
            secrets,
            events,
            next,
        })
    }

    /// Notes that a webhook has taken everything up to `place`, or does not want it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it has been removed; as the store.
    pub async fn delivered(&self, id: &WebhookId, place: u64) -> Result<(), Refusal> {
        let (id, clock) = (id.clone(), self.clock.clone());
        self.store
            .write(move |connection| {
                consumers::advance(connection, &table::consumer(&id)?, place, clock.now())?;
                well(connection, &id)
            })
            .await
    }

    /// Notes that the message that ends at `until` failed, and when it is tried again. `rejected`
    /// says that the receiver turned this message down, rather than not being there.
    ///
    /// # Errors
    /// As the store.
    pub async fn failed(
        &self,
        id: &WebhookId,
        until: u64,
        rejected: bool,
        (why, next_try): (String, Timestamp),
    ) -> Result<(), Refusal> {
        let (id, now) = (id.clone(), self.clock.now());
        self.store
            .write(move |connection| {
                connection
                    .prepare_cached(
                        // No failure lies ahead: the clock was put back since.
                        "UPDATE webhooks SET failing_since = min(coalesce(failing_since, ?2), ?2),
                         attempts = attempts + 1, rejections = rejections + ?3, why = ?4,
                         next_try = ?5, until_place = ?6 WHERE id = ?1",
                    )?
                    .execute(params![id, now, rejected, why, next_try, until])?;
                Ok(())
            })
            .await
    }

    /// Sets a message aside that a webhook will not take, and goes on after it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it has been removed; [`Refusal::Full`]; as the store.
    pub async fn set_aside(&self, id: &WebhookId, letter: Letter) -> Result<(), Refusal> {
        let (id, clock) = (id.clone(), self.clock.clone());
        self.store
            .write_bulk(letter.body.len(), move |connection| {
                let consumer = table::consumer(&id)?;
                consumers::advance(connection, &consumer, letter.last_place, clock.now())?;
                letters::insert(connection, &id, &letter)?;
                well(connection, &id)
            })
            .await
    }

    /// Notes what came of sending a letter again: it is forgotten when it was taken.
    ///
    /// # Errors
    /// As the store.
    pub async fn sent_again(
        &self,
        id: &WebhookId,
        letter: u64,
        why: Option<String>,
    ) -> Result<(), Refusal> {
        let id = id.clone();
        self.store
            .write(move |connection| match why {
                None => letters::remove(connection, &id, letter).map(|_| ()),
                Some(why) => letters::failed_again(connection, &id, letter, &why),
            })
            .await
    }

    /// Stops a webhook whose receiver is gone, and gives up its place. Noted in the audit log as
    /// an act of the hub.
    ///
    /// # Errors
    /// As the store.
    pub async fn stop(&self, id: &WebhookId, why: String) -> Result<(), Refusal> {
        let act = ("webhook.stop", json!({"why": why}));
        self.act(&Actor::hub(), id, act, move |connection, id, now| {
            consumers::remove(connection, &table::consumer(id)?)?;
            connection
                .prepare_cached(
                    "UPDATE webhooks SET state = ?2, version = version + 1,
                     failing_since = coalesce(failing_since, ?3), why = ?4, next_try = NULL,
                     until_place = NULL WHERE id = ?1",
                )?
                .execute(params![id, table::word(WebhookState::Stopped), now, why])?;
            Ok(())
        })
        .await
    }
}

/// Notes that nothing is wrong.
fn well(connection: &Connection, id: &WebhookId) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "UPDATE webhooks SET failing_since = NULL, attempts = 0, rejections = 0, why = '',
             next_try = NULL, until_place = NULL WHERE id = ?1 AND failing_since IS NOT NULL",
        )?
        .execute([id])?;
    Ok(())
}

fn hidden(connection: &Connection, id: &WebhookId) -> Result<Hidden, Refusal> {
    connection
        .prepare_cached(
            "SELECT secret, old_secret, old_until, rejections, until_place FROM webhooks
             WHERE id = ?1",
        )?
        .query_row([id], |row| {
            let old: Option<Vec<u8>> = row.get(1)?;
            let until: Option<Timestamp> = row.get(2)?;
            Ok(Hidden {
                secret: row.get(0)?,
                old: old.zip(until),
                rejections: row.get(3)?,
                until: row.get(4)?,
            })
        })
        .optional()?
        .ok_or_else(|| Refusal::not_found("webhook", id))
}
