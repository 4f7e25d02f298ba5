//! What an operator's act on a device asks first, and what it leaves behind.

use std::fmt::Display;

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

/// What is kept for one site or for all, by what one of it is called: `asset`.
pub(crate) struct Kept(pub(crate) &'static str);

impl Kept {
    /// Whether `actor` may change those of a site, or of all.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers, and without a site for who sees one;
    /// [`Refusal::NotFound`] for a site that they do not see.
    pub(crate) fn may_change(
        &self,
        connection: &Connection,
        actor: &Actor,
        site: Option<&SiteId>,
    ) -> Result<(), Refusal> {
        actor.check()?;
        let changing = format!("changing {}s", self.0);
        actor.require(Role::Operator, &changing)?;
        match site {
            Some(site) => may_see_site(connection, actor, site),
            None => actor.require_all_sites(&format!("{changing} of all sites")),
        }
    }

    /// How the one of that name is called in the audit log.
    pub(crate) fn on(&self, name: &impl Display, site: Option<&SiteId>) -> String {
        let one = self.0;
        match site {
            Some(site) => format!("{one}/{site}/{name}"),
            None => format!("{one}/{name}"),
        }
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
