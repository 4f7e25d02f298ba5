//! What members say to each other. Who says it, and that it is whole and new, is for what carries
//! it to see to.

use crate::codec::{Reader, Unreadable, Writer};
use crate::lease::Fence;
use crate::name::MemberId;
use crate::number::Block;
use crate::roster::ROSTER_MAX_BYTES;
use crate::shared::{Give, SNAPSHOT_MAX_BYTES, Vector};

/// Longest message in bytes, beside [`Message::Give`]: a roster, or how far all logs are known.
pub const MESSAGE_MAX_BYTES: usize = ROSTER_MAX_BYTES + 1024;
/// Longest [`Message::Give`] in bytes: everything that counts of all logs, and what names it.
pub const GIVE_MESSAGE_MAX_BYTES: usize = 2 * SNAPSHOT_MAX_BYTES;

const _: () = assert!(Vector::MAX_BYTES < MESSAGE_MAX_BYTES);

/// A member says that it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// The epoch of its roster.
    pub epoch: u64,
    /// How far it knows each log.
    pub known: Vector,
    /// The highest fence that it knows.
    pub fence: Option<Fence>,
    /// Whether it holds that fence.
    pub holds: bool,
    /// Whether it has a way of its own to the hub.
    pub uplink: bool,
}

/// Tickets that a coordinator deals out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dealt {
    /// To whom.
    pub to: MemberId,
    /// By which lease.
    pub fence: Fence,
    pub(crate) block: Block,
}

/// What members say to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A roster as the hub signed it. From whom it comes does not matter.
    Roster(Vec<u8>),
    /// I am there.
    Beat(Beat),
    /// Give me what comes after what I know.
    Ask {
        /// The epoch of the asking one's roster.
        epoch: u64,
        /// How far it knows each log.
        known: Vector,
    },
    /// What comes after.
    Give(Give),
    /// Deal me out tickets, if this is still your fence.
    AskTickets(Fence),
    /// Tickets.
    Tickets(Dealt),
}

impl Message {
    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        match self {
            Self::Roster(signed) => {
                to.byte(1);
                to.bytes(signed);
            }
            Self::Beat(beat) => {
                to.byte(2);
                to.number64(beat.epoch);
                beat.known.write(&mut to);
                to.byte(beat.fence.is_some().into());
                if let Some(fence) = &beat.fence {
                    fence.write(&mut to);
                }
                to.byte(beat.holds.into());
                to.byte(beat.uplink.into());
            }
            Self::Ask { epoch, known } => {
                to.byte(3);
                to.number64(*epoch);
                known.write(&mut to);
            }
            Self::Give(give) => {
                to.byte(4);
                give.write(&mut to);
            }
            Self::AskTickets(fence) => {
                to.byte(5);
                fence.write(&mut to);
            }
            Self::Tickets(dealt) => {
                to.byte(6);
                dealt.to.write(&mut to);
                dealt.fence.write(&mut to);
                dealt.block.write(&mut to);
            }
        }
        to.into_bytes()
    }

    /// Of bytes.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut from = Reader::new(bytes);
        let message = match from.byte()? {
            1 => Self::Roster(from.bytes(ROSTER_MAX_BYTES)?.to_vec()),
            2 => Self::Beat(Beat {
                epoch: from.number64()?,
                known: Vector::read(&mut from)?,
                fence: match from.flag()? {
                    true => Some(Fence::read(&mut from)?),
                    false => None,
                },
                holds: from.flag()?,
                uplink: from.flag()?,
            }),
            3 => Self::Ask {
                epoch: from.number64()?,
                known: Vector::read(&mut from)?,
            },
            4 => Self::Give(Give::read(&mut from)?),
            5 => Self::AskTickets(Fence::read(&mut from)?),
            6 => Self::Tickets(Dealt {
                to: MemberId::read(&mut from)?,
                fence: Fence::read(&mut from)?,
                block: Block::read(&mut from)?,
            }),
            _ => return Err(Unreadable::Unknown),
        };
        from.end()?;
        Ok(message)
    }
}
