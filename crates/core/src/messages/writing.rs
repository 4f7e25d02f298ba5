//! What is written, each function within the caller's transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::progress::as_integer;
use super::{Inbound, Keep, MailboxId, Message, Slot, Subscription, Will, WillId};
use crate::clock::Timestamp;
use crate::refusal::Refusal;

pub(super) fn open(
    connection: &Connection,
    key: &str,
    lasts: u32,
    fresh: bool,
) -> Result<MailboxId, Refusal> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT id FROM mailbox WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    match found {
        Some(id) if !fresh => {
            connection
                .prepare_cached("UPDATE mailbox SET lasts = ?2, ends = NULL WHERE id = ?1")?
                .execute(params![id, lasts])?;
            return Ok(MailboxId(id));
        }
        Some(id) => remove(connection, MailboxId(id))?,
        None => {}
    }
    connection
        .prepare_cached("INSERT INTO mailbox (key, lasts) VALUES (?1, ?2)")?
        .execute(params![key, lasts])?;
    Ok(MailboxId(connection.last_insert_rowid()))
}

/// Whether there is a mailbox of that key.
pub(super) fn is_there(connection: &Connection, key: &str) -> Result<bool, Refusal> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM mailbox WHERE key = ?1)")?
        .query_row([key], |row| row.get(0))?)
}

pub(super) fn close(
    connection: &Connection,
    mailbox: MailboxId,
    lasts: u32,
    ends: Option<Timestamp>,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("UPDATE mailbox SET lasts = ?2, ends = ?3 WHERE id = ?1")?
        .execute(params![mailbox.0, lasts, ends])?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, mailbox: MailboxId) -> Result<(), Refusal> {
    let messages: Vec<i64> = connection
        .prepare_cached("SELECT message FROM mailbox_slot WHERE mailbox = ?1")?
        .query_map([mailbox.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    connection
        .prepare_cached("DELETE FROM mailbox WHERE id = ?1")?
        .execute([mailbox.0])?;
    messages
        .into_iter()
        .try_for_each(|message| forget_message(connection, message))
}

pub(super) fn subscribe(
    connection: &Connection,
    mailbox: MailboxId,
    subscriptions: &[Subscription],
) -> Result<(), Refusal> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO mailbox_subscription (mailbox, filter, options, identifier)
         VALUES (?1, ?2, ?3, ?4)",
    )?;
    for subscription in subscriptions {
        statement.execute(params![
            mailbox.0,
            subscription.filter,
            subscription.options,
            subscription.identifier,
        ])?;
    }
    Ok(())
}

pub(super) fn unsubscribe(
    connection: &Connection,
    mailbox: MailboxId,
    filters: &[String],
) -> Result<(), Refusal> {
    let mut statement = connection
        .prepare_cached("DELETE FROM mailbox_subscription WHERE mailbox = ?1 AND filter = ?2")?;
    for filter in filters {
        statement.execute(params![mailbox.0, filter])?;
    }
    Ok(())
}

pub(super) fn keep(connection: &Connection, keep: &Keep) -> Result<(), Refusal> {
    if !keep.slots.is_empty() {
        let message = insert_message(connection, &keep.message)?;
        let bytes = keep.message.bytes();
        for slot in &keep.slots {
            insert_slot(connection, slot, message, bytes)?;
        }
        // Every mailbox may have been removed since the message was routed.
        forget_message(connection, message)?;
    }
    if let Some(retain) = &keep.retain {
        if keep.message.payload.is_empty() {
            drop_retained(connection, &keep.message.topic)?;
        } else {
            let message = &keep.message;
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO retained
                     (topic, owner, qos, headers, payload, published, expires)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    message.topic,
                    retain.owner,
                    retain.qos,
                    &message.headers[..],
                    &message.payload[..],
                    message.published,
                    message.expires,
                ])?;
        }
    }
    keep.inbound
        .iter()
        .try_for_each(|inbound| inbound.note(connection))?;
    keep.will
        .iter()
        .try_for_each(|will| drop_will(connection, will))
}

pub(super) fn keep_will(connection: &Connection, will: &Will) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO will
             (key, session, owner, credential, topic, headers, payload, published, expires, qos,
              retain, delay, due)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            will.id.key,
            will.id.session,
            will.owner,
            will.credential,
            will.message.topic,
            &will.message.headers[..],
            &will.message.payload[..],
            will.message.published,
            will.message.expires,
            will.qos,
            will.retain,
            will.delay,
            will.due,
        ])?;
    Ok(())
}

pub(super) fn drop_will(connection: &Connection, will: &WillId) -> Result<(), Refusal> {
    connection
        .prepare_cached("DELETE FROM will WHERE key = ?1 AND session = ?2")?
        .execute(params![will.key, will.session])?;
    Ok(())
}

/// Removes a retained message unless another has taken its place meanwhile.
pub(super) fn drop_expired(
    connection: &Connection,
    topic: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("DELETE FROM retained WHERE topic = ?1 AND expires <= ?2")?
        .execute(params![topic, now])?;
    Ok(())
}

fn drop_retained(connection: &Connection, topic: &str) -> Result<(), Refusal> {
    connection
        .prepare_cached("DELETE FROM retained WHERE topic = ?1")?
        .execute([topic])?;
    Ok(())
}

/// Removes a message that waits in no mailbox any more.
pub(super) fn forget_message(connection: &Connection, message: i64) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "DELETE FROM mailbox_message WHERE id = ?1
             AND NOT EXISTS (SELECT 1 FROM mailbox_slot WHERE message = ?1)",
        )?
        .execute([message])?;
    Ok(())
}

fn insert_message(connection: &Connection, message: &Message) -> Result<i64, Refusal> {
    connection
        .prepare_cached(
            "INSERT INTO mailbox_message (topic, headers, payload, published, expires)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            message.topic,
            &message.headers[..],
            &message.payload[..],
            message.published,
            message.expires,
        ])?;
    Ok(connection.last_insert_rowid())
}

/// Puts a message in a mailbox, unless that has been removed meanwhile.
fn insert_slot(
    connection: &Connection,
    slot: &Slot,
    message: i64,
    bytes: u64,
) -> Result<(), Refusal> {
    let identifiers: Vec<String> = slot.identifiers.iter().map(u32::to_string).collect();
    connection
        .prepare_cached(
            "INSERT INTO mailbox_slot (mailbox, seq, message, bytes, qos, retain, identifiers)
             SELECT id, ?2, ?3, ?4, ?5, ?6, ?7 FROM mailbox WHERE id = ?1",
        )?
        .execute(params![
            slot.mailbox.0,
            as_integer(slot.seq),
            message,
            as_integer(bytes),
            slot.qos,
            slot.retain,
            identifiers.join(" "),
        ])?;
    Ok(())
}

impl Inbound {
    /// Notes the packet, unless its mailbox has been removed meanwhile.
    pub(crate) fn note(&self, connection: &Connection) -> Result<(), Refusal> {
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO mailbox_inbound (mailbox, packet)
                 SELECT id, ?2 FROM mailbox WHERE id = ?1",
            )?
            .execute(params![self.mailbox.0, self.packet])?;
        Ok(())
    }
}

impl WillId {
    /// Forgets the will. One that has taken its place stays.
    pub(crate) fn forget(&self, connection: &Connection) -> Result<(), Refusal> {
        drop_will(connection, self)
    }
}

impl Message {
    /// How many bytes it counts for in limits.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = self.topic.len() + self.headers.len() + self.payload.len();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}
