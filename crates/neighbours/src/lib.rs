//! What devices of one site do among themselves, on a local network and without a server.
//!
//! - [`Roster`]: who belongs to the site, signed by the hub with the site's key; the only thing that
//!   is believed from the start.
//! - [`Shared`]: what all members share. Each may change it while it is alone, and all come to the
//!   same when they meet.
//! - Who coordinates: one member a site, by a [`Fence`] that is higher than all before it.
//! - [`Number`]s for receipts and tickets, of which no two are ever equal.
//! - [`Way`] and [`Source`]: one member's way to the hub serves all, and files are fetched once.
//! - [`Member`]: all of it together, driven by messages and by the time.
//!
//! No input or output, no clock, no random numbers: the caller has them, and says the time.

mod codec;
mod entry;
mod key;
mod lease;
mod member;
mod message;
mod name;
mod number;
mod record;
mod roster;
mod seal;
mod shared;
mod uplink;

pub use codec::Unreadable;
pub use entry::{
    Dot, ENTRY_MAX_BYTES, NotOpened, Place, Put, REPLACES_MAX, Stamp, VALUE_MAX_BYTES,
};
pub use key::{key_is_proved, prove_key};
pub use lease::{BEAT, Fence, FencedOff, LISTEN, SEEN};
pub use member::{BeginError, Identity, Member, Moment, Output, Refusal};
pub use message::{Beat, Dealt, GIVE_MESSAGE_MAX_BYTES, MESSAGE_MAX_BYTES, Message};
pub use name::{MemberId, NAME_MAX_BYTES, Name, SiteId};
pub use number::{BLOCK, Number, Series};
pub use record::{Damaged, Unsaved, Write};
pub use roster::{
    Former, Listed, MEMBERS_MAX, NotBelieved, ROLES_MAX, ROSTER_MAX_BYTES, Roster, RosterError,
    Trust,
};
pub use seal::{SEAL_BYTES, SEAL_NONCE_BYTES, Seal, relayed_is_by, sign_relayed};
pub use shared::{
    EditError, GIVE_MAX_BYTES, GIVE_MAX_ENTRIES, Give, KEPT_MAX, LIVE_MAX_BYTES, NotTaken,
    SNAPSHOT_MAX_BYTES, Shared, Taken, Vector,
};
pub use uplink::{Source, Way};
