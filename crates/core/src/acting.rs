//! What an operator's act on a device asks first, and what it leaves behind.

use rusqlite::Connection;
use serde_json::Value;

use crate::audit;
use crate::clock::Timestamp;
use crate::id::{DeviceId, SiteId};
use crate::identity::{Actor, DeviceState, Role, device_seen_by, site_seen_by};
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
    device_seen_by(connection, actor, device).map(|_| ())
}

/// Whether `actor` may look at `site`.
///
/// # Errors
/// As [`may_see`].
pub(crate) fn may_see_site(
    connection: &Connection,
    actor: &Actor,
    site: &SiteId,
) -> Result<(), Refusal> {
    site_seen_by(connection, actor, site).map(|_| ())
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
    detail: &Value,
) -> Result<(), Refusal> {
    actor.check()?;
    let found = device_seen_by(connection, actor, device)?;
    actor.require(Role::Operator, act)?;
    match found.state {
        DeviceState::Active | DeviceState::AwaitsApproval => {}
        DeviceState::Revoked => {
            return Err(Refusal::invalid(
                "device",
                "one that is not revoked; restore it first",
            ));
        }
    }
    audit::append(
        connection,
        at,
        actor,
        act,
        &format!("device/{device}"),
        detail,
    )
}
