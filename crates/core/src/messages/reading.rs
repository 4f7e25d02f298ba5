//! What is read.

use std::collections::HashMap;

use bytes::Bytes;
use rusqlite::{Connection, Row, params};

use super::progress::as_integer;
use super::{
    Kept, Mailbox, MailboxId, Message, Retain, Retained, Slot, Subscription, Waiting, Will, WillId,
};
use crate::refusal::Refusal;

/// All that is kept, except what waits in mailboxes.
pub(super) fn load(connection: &Connection) -> Result<Kept, Refusal> {
    let mut subscriptions = subscriptions(connection)?;
    let mut inbound = inbound(connection)?;
    let mut mailboxes = mailboxes(connection)?;
    for mailbox in &mut mailboxes {
        mailbox.subscriptions = subscriptions.remove(&mailbox.id).unwrap_or_default();
        mailbox.inbound = inbound.remove(&mailbox.id).unwrap_or_default();
    }
    Ok(Kept {
        mailboxes,
        retained: retained(connection)?,
        wills: wills(connection)?,
    })
}

/// The messages of a mailbox after one place and before another.
pub(super) fn waiting(
    connection: &Connection,
    mailbox: MailboxId,
    after: u64,
    before: u64,
    limit: u32,
) -> Result<Vec<Waiting>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, qos, retain, identifiers, packet, released,
                topic, headers, payload, published, expires
         FROM mailbox_slot JOIN mailbox_message ON id = message
         WHERE mailbox = ?1 AND seq > ?2 AND seq < ?3 ORDER BY seq LIMIT ?4",
    )?;
    let bounds = params![mailbox.0, as_integer(after), as_integer(before), limit];
    let rows = statement.query_map(bounds, |row| {
        let identifiers: String = row.get(3)?;
        Ok(Waiting {
            slot: Slot {
                mailbox,
                seq: number(row, 0)?,
                qos: row.get(1)?,
                retain: row.get(2)?,
                identifiers: identifiers
                    .split_ascii_whitespace()
                    .filter_map(|number| number.parse().ok())
                    .collect(),
            },
            packet: row.get(4)?,
            released: row.get(5)?,
            message: message(row, 6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn mailboxes(connection: &Connection) -> Result<Vec<Mailbox>, Refusal> {
    let mut statement = connection.prepare(
        "SELECT id, key, lasts, ends, count(seq), coalesce(sum(bytes), 0), coalesce(max(seq), 0)
         FROM mailbox LEFT JOIN mailbox_slot ON mailbox = id GROUP BY id",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Mailbox {
            id: MailboxId(row.get(0)?),
            key: row.get(1)?,
            lasts: row.get(2)?,
            ends: row.get(3)?,
            subscriptions: Vec::new(),
            inbound: Vec::new(),
            waiting: number(row, 4)?,
            bytes: number(row, 5)?,
            newest: number(row, 6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn subscriptions(
    connection: &Connection,
) -> Result<HashMap<MailboxId, Vec<Subscription>>, Refusal> {
    let mut statement = connection
        .prepare("SELECT mailbox, filter, options, identifier FROM mailbox_subscription")?;
    let rows = statement.query_map([], |row| {
        let subscription = Subscription {
            filter: row.get(1)?,
            options: row.get(2)?,
            identifier: row.get(3)?,
        };
        Ok((MailboxId(row.get(0)?), subscription))
    })?;
    grouped(rows)
}

fn inbound(connection: &Connection) -> Result<HashMap<MailboxId, Vec<u16>>, Refusal> {
    let mut statement = connection.prepare("SELECT mailbox, packet FROM mailbox_inbound")?;
    let rows = statement.query_map([], |row| Ok((MailboxId(row.get(0)?), row.get(1)?)))?;
    grouped(rows)
}

fn grouped<T>(
    rows: impl Iterator<Item = rusqlite::Result<(MailboxId, T)>>,
) -> Result<HashMap<MailboxId, Vec<T>>, Refusal> {
    let mut groups: HashMap<MailboxId, Vec<T>> = HashMap::new();
    for row in rows {
        let (mailbox, item) = row?;
        groups.entry(mailbox).or_default().push(item);
    }
    Ok(groups)
}

fn retained(connection: &Connection) -> Result<Vec<Retained>, Refusal> {
    let mut statement = connection
        .prepare("SELECT owner, qos, topic, headers, payload, published, expires FROM retained")?;
    let rows = statement.query_map([], |row| {
        Ok(Retained {
            retain: Retain {
                owner: row.get(0)?,
                qos: row.get(1)?,
            },
            message: message(row, 2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn wills(connection: &Connection) -> Result<Vec<Will>, Refusal> {
    let mut statement = connection.prepare(
        "SELECT key, session, owner, credential, qos, retain, delay, due,
                topic, headers, payload, published, expires FROM will",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Will {
            id: WillId {
                key: row.get(0)?,
                session: row.get(1)?,
            },
            owner: row.get(2)?,
            credential: row.get(3)?,
            qos: row.get(4)?,
            retain: row.get(5)?,
            delay: row.get(6)?,
            due: row.get(7)?,
            message: message(row, 8)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The message in the columns from `first` on.
fn message(row: &Row<'_>, first: usize) -> rusqlite::Result<Message> {
    let headers: Vec<u8> = row.get(first + 1)?;
    let payload: Vec<u8> = row.get(first + 2)?;
    Ok(Message {
        topic: row.get(first)?,
        headers: Bytes::from(headers),
        payload: Bytes::from(payload),
        published: row.get(first + 3)?,
        expires: row.get(first + 4)?,
    })
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    Ok(u64::try_from(number).unwrap_or(0))
}
