//! How far a message has been handed over.

use rusqlite::{Connection, OptionalExtension, params};

use super::MailboxId;
use super::writing::forget_message;
use crate::refusal::Refusal;

/// A step in handing over a message, to be found again after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is about to be sent as this packet, and must be sent as the same again.
    Sent {
        /// Its place.
        seq: u64,
        /// The packet.
        packet: u16,
    },
    /// The receiver has it: only the last exchange is left.
    Released {
        /// Its place.
        seq: u64,
    },
    /// It is done with, or was dropped.
    Done {
        /// Its place.
        seq: u64,
    },
    /// The client has let go of a packet of its own.
    Inbound {
        /// The packet.
        packet: u16,
    },
}

/// Writes one step down.
pub(super) fn note(
    connection: &Connection,
    mailbox: MailboxId,
    step: &Progress,
) -> Result<(), Refusal> {
    match *step {
        Progress::Sent { seq, packet } => {
            connection
                .prepare_cached(
                    "UPDATE mailbox_slot SET packet = ?3 WHERE mailbox = ?1 AND seq = ?2",
                )?
                .execute(params![mailbox.0, as_integer(seq), packet])?;
        }
        Progress::Released { seq } => {
            connection
                .prepare_cached(
                    "UPDATE mailbox_slot SET released = 1 WHERE mailbox = ?1 AND seq = ?2",
                )?
                .execute(params![mailbox.0, as_integer(seq)])?;
        }
        Progress::Done { seq } => {
            let message: Option<i64> = connection
                .prepare_cached(
                    "DELETE FROM mailbox_slot WHERE mailbox = ?1 AND seq = ?2 RETURNING message",
                )?
                .query_row(params![mailbox.0, as_integer(seq)], |row| row.get(0))
                .optional()?;
            message.map_or(Ok(()), |message| forget_message(connection, message))?;
        }
        Progress::Inbound { packet } => {
            connection
                .prepare_cached("DELETE FROM mailbox_inbound WHERE mailbox = ?1 AND packet = ?2")?
                .execute(params![mailbox.0, packet])?;
        }
    }
    Ok(())
}

/// SQLite's integers have a sign; places never come near to needing it.
pub(super) fn as_integer(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
