//! Shared access policies: services that prove themselves by what their access keys sign, and act
//! for devices that they see, where a dialect lets them.

use ring::hmac;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::access_key::in_use;
use super::authenticate::{by_name, ended};
use super::{DeviceState, Identified, Identity, Principal};
use crate::clock::Timestamp;
use crate::id::{DeviceId, ServiceId};
use crate::refusal::Refusal;

/// Who shows what a policy's key has signed.
#[derive(Clone, Debug)]
pub(super) struct Shown<'a> {
    /// Which policy they name.
    pub(super) service: &'a ServiceId,
    /// Which device they come as, if they do not come as the policy itself.
    pub(super) device: Option<&'a DeviceId>,
    /// What is signed.
    pub(super) text: &'a [u8],
    /// The signature.
    pub(super) signature: &'a [u8],
    /// Until when the text says that it holds.
    pub(super) until: Timestamp,
}

impl Identity {
    /// Makes out a service by a text that one of its access keys has signed, HMAC-SHA256 with the
    /// key's own bytes, or the device that it comes as. What is made out holds no longer than the
    /// text says.
    pub(super) async fn by_policy(&self, shown: Shown<'_>) -> Result<Identified, Refusal> {
        let (now, until) = (self.clock.now(), shown.until);
        if ended(Some(until), now) {
            return Err(Refusal::Unauthenticated);
        }
        let (vault, service) = (self.vault.clone(), shown.service.clone());
        let (text, signature) = (shown.text.to_vec(), shown.signature.to_vec());
        let device = shown.device.cloned();
        self.store
            .read_first(move |connection| {
                for sealed in in_use(connection)? {
                    if sealed.service != service {
                        continue;
                    }
                    let key = sealed.open(&vault)?;
                    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
                    if hmac::verify(&key, &text, &signature).is_ok() {
                        let held = by_name(connection, &sealed.id)?;
                        let held = held.ok_or(Refusal::Unauthenticated)?.judge(now)?;
                        let mut identified = acting(connection, held, device.as_ref())?;
                        let end = identified.expires.map_or(until, |end| end.min(until));
                        identified.expires = Some(end);
                        return Ok(identified);
                    }
                }
                Err(Refusal::Unauthenticated)
            })
            .await
    }
}

/// Who has been made out, as the device that they act for if they are a service: that has to see
/// it. Anybody else is who they are.
///
/// # Errors
/// [`Refusal::Unauthenticated`] when there is no such device, or the service does not see it;
/// [`Refusal::Revoked`] when the device, what it is a part of, or its site is revoked.
pub(super) fn acting(
    connection: &Connection,
    identified: Identified,
    device: Option<&DeviceId>,
) -> Result<Identified, Refusal> {
    let (Principal::Service { scope, .. }, Some(device)) = (&identified.principal, device) else {
        return Ok(identified);
    };
    let found = connection
        .prepare_cached(
            "SELECT d.site, d.policy, d.state, s.revoked IS NOT NULL, w.state FROM devices AS d
             JOIN sites AS s ON s.id = d.site
             LEFT JOIN devices AS w ON w.id = substr(d.id, 1, instr(d.id, '~') - 1)
             WHERE d.id = ?1",
        )?
        .query_row([device], |row: &Row<'_>| {
            let states: [Option<DeviceState>; 2] = [row.get(2)?, row.get(4)?];
            let is_revoked = row.get(3)? || states.contains(&Some(DeviceState::Revoked));
            Ok((row.get(0)?, row.get(1)?, is_revoked))
        })
        .optional()?;
    let (site, policy, is_revoked) = found.ok_or(Refusal::Unauthenticated)?;
    if !scope.sees(&site) {
        return Err(Refusal::Unauthenticated);
    }
    if is_revoked {
        return Err(Refusal::Revoked);
    }
    Ok(Identified {
        principal: Principal::Device {
            device: device.clone(),
            site,
            policy,
        },
        ..identified
    })
}
