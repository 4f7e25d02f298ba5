//! Devices, and whether each may come in.

use std::iter;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::act::{Act, Done};
use super::credential::{Issued, Owner};
use super::text::{self, words};
use super::{Actor, Identity, Listed, Page, Role, credential, site};
use crate::clock::Timestamp;
use crate::files;
use crate::id::{DeviceId, SiteId, Tag};
use crate::refusal::Refusal;
use crate::sessions::{Ending, Selector};

/// Whether a device may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceState {
    /// It has asked to enrol again and waits for an operator. Until then its old credentials are
    /// as good as before; the new one is not good yet.
    AwaitsApproval,
    /// It may.
    Active,
    /// It may not, until it is restored.
    Revoked,
}

words!(DeviceState { AwaitsApproval => "awaits-approval", Active => "active", Revoked => "revoked" });

/// A device as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// Where it stands.
    pub site: SiteId,
    /// The name of its topic policy.
    pub policy: String,
    /// Whether it may come in.
    pub state: DeviceState,
    /// Since when.
    pub created: Timestamp,
    /// When it last opened or closed a session.
    pub seen: Option<Timestamp>,
    /// Goes up by one with each change.
    pub version: u64,
}

/// Which devices to list.
#[derive(Clone, Debug, Default)]
pub struct DeviceFilter {
    /// Only of this site.
    pub site: Option<SiteId>,
    /// Only in this state.
    pub state: Option<DeviceState>,
    /// Only whose name begins so.
    pub prefix: Option<String>,
    /// Only those that have this tag.
    pub tag: Option<Tag>,
}

/// The policy of a device for which none is named: it reaches its own topics and no others.
pub const DEFAULT_POLICY: &str = "own-subtree";

/// The most characters of a policy's name.
const MAX_POLICY: usize = 128;

pub(super) const COLUMNS: &str = "id, site, policy, state, created, seen, version";

impl Identity {
    /// Makes a device, active, without credentials. `policy` is [`DEFAULT_POLICY`] when not given.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers, [`Refusal::NotFound`] for a site that the actor does
    /// not see, [`Refusal::Exists`], [`Refusal::Invalid`]; as the store.
    pub async fn create_device(
        &self,
        actor: &Actor,
        id: DeviceId,
        site: SiteId,
        policy: Option<String>,
    ) -> Result<Device, Refusal> {
        let act = Act::new(actor, Role::Operator, "device.create", on(&id));
        let policy = policy.unwrap_or_else(|| DEFAULT_POLICY.to_owned());
        let work = move |connection: &Connection, actor: &Actor, now| {
            site::seen_by(connection, actor, &site)?;
            text::check("policy", &policy, MAX_POLICY)?;
            let detail = json!({ "site": site.as_str(), "policy": policy });
            let device = insert(connection, &id, &site, &policy, now)?;
            Ok(Done::new(device).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Lists devices, by name.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when `page` has no good limit; as the store.
    pub async fn devices(
        &self,
        actor: &Actor,
        filter: &DeviceFilter,
        page: &Page,
    ) -> Result<Listed<Device>, Refusal> {
        let (filter, page, fetch) = (filter.clone(), page.clone(), page.fetch()?);
        let seen = self.sessions.seen().clone();
        let only = match (actor.scope.site(), &filter.site) {
            (Some(its), Some(wanted)) if its != wanted => {
                return Ok(Listed::of(Vec::new(), &page, |_: &Device| String::new()));
            }
            (Some(site), _) | (None, Some(site)) => Some(site.clone()),
            (None, None) => None,
        };
        self.store
            .read(move |connection| {
                let prefix = filter.prefix.as_deref().unwrap_or_default();
                let sql = select(only.is_some());
                let devices = connection
                    .prepare_cached(&sql)?
                    .query_map(
                        named_params! {
                            ":after": page.after(), ":only": only, ":state": filter.state,
                            ":prefix": prefix, ":tag": filter.tag, ":fetch": fetch,
                        },
                        read,
                    )?
                    .map(|device| device.map(|device| seen.brought_up_to_date(device)))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Listed::of(devices, &page, |device| device.id.to_string()))
            })
            .await
    }

    /// Gives one device.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also for a device that the actor does not see; as the store.
    pub async fn device(&self, actor: &Actor, id: &DeviceId) -> Result<Device, Refusal> {
        let (actor, id) = (actor.clone(), id.clone());
        let device = self
            .store
            .read(move |connection| seen_by(connection, &actor, &id))
            .await?;
        Ok(self.sessions.seen().brought_up_to_date(device))
    }

    /// Changes a device's policy, if its version is still `if_version`. Its sessions end, so that
    /// it comes back under the new one.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Conflict`],
    /// [`Refusal::Invalid`]; as the store.
    pub async fn set_policy(
        &self,
        actor: &Actor,
        id: &DeviceId,
        policy: String,
        if_version: Option<u64>,
    ) -> Result<Device, Refusal> {
        let act = Act::new(actor, Role::Operator, "device.policy", on(id));
        let id = id.clone();
        let work = move |connection: &Connection, actor: &Actor, _now| {
            let device = seen_by(connection, actor, &id)?;
            text::check("policy", &policy, MAX_POLICY)?;
            if if_version.is_some_and(|version| version != device.version) {
                return Err(Refusal::Conflict { what: "the device" });
            }
            connection
                .prepare_cached(
                    "UPDATE devices SET policy = ?2, version = version + 1 WHERE id = ?1",
                )?
                .execute((&id, &policy))?;
            let detail = json!({ "policy": policy, "before": device.policy });
            Ok(Done::new(known(connection, &id)?)
                .detail(detail)
                .ends(Selector::Device(id), Ending::Dismissed))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Lets in a device that has enrolled again: its new credential takes the place of the old
    /// ones, which are revoked, and whose sessions end. To turn it away instead, revoke the
    /// credential that waits.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Conflict`] when it does not wait
    /// for approval; as the store.
    pub async fn approve_device(&self, actor: &Actor, id: &DeviceId) -> Result<Device, Refusal> {
        let act = Act::new(actor, Role::Operator, "device.approve", on(id));
        let id = id.clone();
        let work = move |connection: &Connection, actor: &Actor, now| {
            let device = seen_by(connection, actor, &id)?;
            if device.state != DeviceState::AwaitsApproval {
                return Err(Refusal::Conflict { what: "the device" });
            }
            let replaced = credential::approve(connection, &id, now)?;
            set_state(connection, &id, DeviceState::Active)?;
            let detail = json!({ "revoked": replaced });
            let done = Done::new(known(connection, &id)?).detail(detail);
            Ok(replaced.into_iter().fold(done, |done, credential| {
                done.ends(Selector::Credential(credential), Ending::Revoked)
            }))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Lets a device in again, with the credentials it had.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; as the store.
    pub async fn restore_device(&self, actor: &Actor, id: &DeviceId) -> Result<Device, Refusal> {
        let act = Act::new(actor, Role::Operator, "device.restore", on(id));
        let id = id.clone();
        let work = move |connection: &Connection, actor: &Actor, _now| {
            let device = seen_by(connection, actor, &id)?;
            if device.state == DeviceState::Revoked {
                let state = if credential::any_awaits(connection, &id)? {
                    DeviceState::AwaitsApproval
                } else {
                    DeviceState::Active
                };
                set_state(connection, &id, state)?;
            }
            Ok(Done::new(known(connection, &id)?))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Lets a revoked device in again with a new pair of keys, `primary` and `secondary`: all the
    /// credentials and grants that it and its parts ([`DeviceId::whole`]) had are revoked for good.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; [`Refusal::Invalid`] for a device that is not
    /// revoked; as the store.
    pub async fn restore_device_anew(
        &self,
        actor: &Actor,
        id: &DeviceId,
    ) -> Result<[Issued; 2], Refusal> {
        let act = Act::new(actor, Role::Operator, "device.restore", on(id));
        let (id, vault) = (id.clone(), self.vault.clone());
        let work = move |connection: &Connection, actor: &Actor, now| {
            if seen_by(connection, actor, &id)?.state != DeviceState::Revoked {
                return Err(Refusal::invalid("device", "one that has been revoked"));
            }
            let owner = Owner::Device(&id);
            credential::withdraw_waiting(connection, &id)?;
            for device in iter::once(id.clone()).chain(parts_of(connection, &id)?) {
                credential::revoke_all(connection, Owner::Device(&device), now)?;
                files::revoke_grants(connection, &device, now)?;
            }
            set_state(connection, &id, DeviceState::Active)?;
            let pair = credential::issue_pair(connection, &vault, owner, now)?;
            let ids = pair.each_ref().map(|issued| issued.credential.id.as_str());
            let detail = json!({ "credentials": ids });
            Ok(Done::new(pair)
                .detail(detail)
                .ends(Selector::Device(id), Ending::Revoked))
        };
        Ok(self.act(act, work).await?.0)
    }
}

/// How a device is called in the audit log.
pub(super) fn on(id: &DeviceId) -> String {
    format!("device/{id}")
}

/// The device of that name, if `actor` sees it; whether they may act on it is for
/// [`Actor::require`].
pub(crate) fn seen_by(
    connection: &Connection,
    actor: &Actor,
    id: &DeviceId,
) -> Result<Device, Refusal> {
    match find(connection, id)? {
        Some(device) if actor.scope.sees(&device.site) => Ok(device),
        Some(_) | None => Err(Refusal::not_found("device", id)),
    }
}

pub(super) fn find(connection: &Connection, id: &DeviceId) -> Result<Option<Device>, Refusal> {
    Ok(connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM devices WHERE id = ?1 AND removed IS NULL"
        ))?
        .query_row([id], read)
        .optional()?)
}

/// The parts of a device ([`DeviceId::whole`]).
pub(super) fn parts_of(
    connection: &Connection,
    whole: &DeviceId,
) -> Result<Vec<DeviceId>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM devices
         WHERE id > ?1 || '~' AND substr(id, 1, length(?1) + 1) = ?1 || '~'",
    )?;
    let parts = statement.query_map([whole], |row| row.get(0))?;
    Ok(parts.collect::<Result<_, _>>()?)
}

pub(super) fn insert(
    connection: &Connection,
    id: &DeviceId,
    site: &SiteId,
    policy: &str,
    now: Timestamp,
) -> Result<Device, Refusal> {
    if find(connection, id)?.is_some() {
        return Err(Refusal::Exists {
            what: "device",
            id: id.to_string(),
        });
    }
    connection
        .prepare_cached(
            "INSERT INTO devices (id, site, policy, state, created) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET site = excluded.site, policy = excluded.policy,
             state = excluded.state, created = excluded.created, seen = NULL, removed = NULL,
             version = version + 1 WHERE removed IS NOT NULL",
        )?
        .execute((id, site, policy, DeviceState::Active, now))?;
    known(connection, id)
}

pub(super) fn set_state(
    connection: &Connection,
    id: &DeviceId,
    state: DeviceState,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("UPDATE devices SET state = ?2, version = version + 1 WHERE id = ?1")?
        .execute((id, state))?;
    Ok(())
}

pub(super) fn known(connection: &Connection, id: &DeviceId) -> Result<Device, Refusal> {
    find(connection, id)?.ok_or_else(|| Refusal::not_found("device", id))
}

/// The statement that lists devices, of one site or of all. Two statements, so that each goes
/// along an index.
fn select(of_one_site: bool) -> String {
    let only = if of_one_site {
        "site = :only"
    } else {
        ":only IS NULL"
    };
    format!(
        "SELECT {COLUMNS} FROM devices WHERE {only} AND removed IS NULL AND id > :after
         AND (:state IS NULL OR state = :state)
         AND (:tag IS NULL OR EXISTS
         (SELECT 1 FROM device_tags WHERE device = devices.id AND tag = :tag))
         AND id >= :prefix AND substr(id, 1, length(:prefix)) = :prefix
         ORDER BY id LIMIT :fetch"
    )
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Device> {
    Ok(Device {
        id: row.get(0)?,
        site: row.get(1)?,
        policy: row.get(2)?,
        state: row.get(3)?,
        created: row.get(4)?,
        seen: row.get(5)?,
        version: row.get::<_, u32>(6)?.into(),
    })
}
