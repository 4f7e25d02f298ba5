//! The registry of devices as back ends keep it that declare what a device is to be, all of it at
//! once: whether it may come, and by what it proves who it is.

use rusqlite::{Connection, named_params};
use serde_json::json;

use super::act::{Act, Done};
use super::credential::{self, Credential, CredentialKind, CredentialState, New, Owner};
use super::device::{self, Device, DeviceState};
use super::vault::Vault;
use super::{
    Actor, DEFAULT_POLICY, Identity, Listed, Page, Revoked, Role, authenticate, neighbours, site,
};
use crate::clock::Timestamp;
use crate::id::{CredentialId, DeviceId, SiteId};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::sessions::{Ending, Selector};
use crate::{commands, deployments, files, registrations, schedules, twin};

/// What the keys of a pair are called.
const LABELS: [&str; 2] = ["primary", "secondary"];

/// What a device is to be.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Where it will stand, if it is new.
    pub site: Option<SiteId>,
    /// Whether it may come in; `None` leaves that, and lets a new one in.
    pub enabled: Option<bool>,
    /// By what it proves who it is; `None` leaves that.
    pub proofs: Option<Proofs>,
}

/// By what a device proves who it is, and by nothing else.
#[derive(Clone, Debug)]
pub enum Proofs {
    /// Two symmetric keys; those that are not given are left or made.
    Keys([Option<Secret>; 2]),
    /// Certificates, by the SHA-256 of their DER.
    Thumbprints(Vec<[u8; 32]>),
    /// Certificates of an authority of its site.
    Authority,
}

/// What must be there before something is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// No device of that name.
    Nothing,
    /// The device, in this version.
    Version(u64),
    /// The device.
    Anything,
    /// The device, or none of that name.
    Whatever,
}

/// A device with what it proves itself by.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The device.
    pub device: Device,
    /// Its symmetric keys that are in use, the primary one first.
    pub keys: Vec<Secret>,
    /// Its pinned certificates in use: their SHA-256 in hexadecimal.
    pub thumbprints: Vec<String>,
    /// How many commands wait for it.
    pub commands: u64,
}

/// How many devices there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// In all.
    pub all: u64,
    /// Of those, how many are revoked.
    pub revoked: u64,
}

impl Identity {
    /// Makes a device what it is declared to be. What proved it before and is not declared any
    /// more is revoked, and the sessions by that end.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers; [`Refusal::Exists`], [`Refusal::NotFound`] and
    /// [`Refusal::Conflict`] when not that is there which must be; [`Refusal::Invalid`] for a new
    /// one without a site and for keys that are too short, too long or the same;
    /// [`Refusal::Exists`] for a certificate that another device has; as the store.
    pub async fn declare_device(
        &self,
        actor: &Actor,
        id: &DeviceId,
        declared: Declared,
        before: Before,
    ) -> Result<Registered, Refusal> {
        let act = Act::new(actor, Role::Operator, "device.declare", device::on(id));
        let (id, vault) = (id.clone(), self.vault.clone());
        let work = move |connection: &Connection, actor: &Actor, now| {
            let found = known(connection, actor, &id, before)?;
            let known = match found {
                Some(known) => known,
                None => {
                    let site = declared.site.as_ref();
                    let right = "where the device will stand";
                    let site = site.ok_or_else(|| Refusal::invalid("site", right))?;
                    site::seen_by(connection, actor, site)?;
                    device::insert(connection, &id, site, DEFAULT_POLICY, now)?
                }
            };
            let let_in = match (declared.enabled, known.state) {
                (Some(true), DeviceState::Revoked) => {
                    Some(if credential::any_awaits(connection, &id)? {
                        DeviceState::AwaitsApproval
                    } else {
                        DeviceState::Active
                    })
                }
                (Some(false), DeviceState::Active | DeviceState::AwaitsApproval) => {
                    Some(DeviceState::Revoked)
                }
                (Some(_) | None, _) => None,
            };
            // Even what changes nothing makes a version of its own: the next one who declares has
            // to have seen this.
            device::set_state(connection, &id, let_in.unwrap_or(known.state))?;
            let ended = match &declared.proofs {
                Some(proofs) => proofs.take_up(connection, &vault, &known, now)?,
                None => Vec::new(),
            };
            let detail = json!({
                "enabled": declared.enabled, "revoked": ended,
                "proofs": declared.proofs.as_ref().map(Proofs::name),
            });
            let registered = registered(connection, &vault, device::known(connection, &id)?, now)?;
            let mut done = Done::new(registered).detail(detail);
            if let_in == Some(DeviceState::Revoked) {
                deployments::tend_all_of(connection, &id, now)?;
                done = done
                    .ends(Selector::Device(id.clone()), Ending::Revoked)
                    .ends(Selector::PartsOf(id), Ending::Revoked);
            }
            Ok(ended.into_iter().fold(done, |done, credential| {
                done.ends(Selector::Credential(credential), Ending::Revoked)
            }))
        };
        let (mut registered, _) = self.act(act, work).await?;
        self.bring_up_to_date(&mut registered);
        Ok(registered)
    }

    /// Takes a device and its parts ([`DeviceId::whole`]) out of the registry: they are revoked with
    /// all that proves them, their twins, commands, files, and where they are reached by push are
    /// forgotten, and they are told of no more. What they have said stays. Somebody may make or
    /// enrol a device of that name again, to whom none of the old credentials and grants leads.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers; [`Refusal::NotFound`]; [`Refusal::Conflict`] when it has
    /// another version than `if_version`; as the store.
    pub async fn remove_device(
        &self,
        actor: &Actor,
        id: &DeviceId,
        if_version: Option<u64>,
    ) -> Result<Revoked, Refusal> {
        let act = Act::new(actor, Role::Operator, "device.remove", device::on(id));
        let id = id.clone();
        let work = move |connection: &Connection, actor: &Actor, now| {
            let before = if_version.map_or(Before::Anything, Before::Version);
            known(connection, actor, &id, before)?;
            for part in device::parts_of(connection, &id)? {
                take_out(connection, &part, now)?;
            }
            take_out(connection, &id, now)?;
            Ok(Done::new(())
                .ends(Selector::Device(id.clone()), Ending::Revoked)
                .ends(Selector::PartsOf(id), Ending::Revoked))
        };
        let ((), connections) = self.act(act, work).await?;
        Ok(Revoked { connections })
    }

    /// One device with what it proves itself by, its keys among them: who is told those may be it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also for a device that the actor does not see; as the store.
    pub async fn registered(&self, actor: &Actor, id: &DeviceId) -> Result<Registered, Refusal> {
        let (actor, id) = (actor.clone(), id.clone());
        let (vault, now) = (self.vault.clone(), self.clock.now());
        let mut registered = self
            .store
            .read(move |connection| {
                let device = device::seen_by(connection, &actor, &id)?;
                registered(connection, &vault, device, now)
            })
            .await?;
        self.bring_up_to_date(&mut registered);
        Ok(registered)
    }

    /// Devices with what they prove themselves by, by name.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when `page` has no good limit; as the store.
    pub async fn registry(
        &self,
        actor: &Actor,
        page: &Page,
    ) -> Result<Listed<Registered>, Refusal> {
        let (page, only, fetch) = (page.clone(), actor.scope.site().cloned(), page.fetch()?);
        let (vault, now) = (self.vault.clone(), self.clock.now());
        let mut listed = self
            .store
            .read(move |connection| {
                let columns = device::COLUMNS;
                let sql = format!(
                    "SELECT {columns} FROM devices WHERE id > :after AND removed IS NULL
                     AND (:only IS NULL OR site = :only) ORDER BY id LIMIT :fetch"
                );
                let devices = connection
                    .prepare_cached(&sql)?
                    .query_map(
                        named_params! { ":after": page.after(), ":only": only, ":fetch": fetch },
                        device::read,
                    )?
                    .collect::<Result<Vec<_>, _>>()?;
                let all = devices
                    .into_iter()
                    .map(|device| registered(connection, &vault, device, now));
                let all = all.collect::<Result<Vec<_>, _>>()?;
                Ok(Listed::of(all, &page, |one| one.device.id.to_string()))
            })
            .await?;
        for one in &mut listed.items {
            self.bring_up_to_date(one);
        }
        Ok(listed)
    }

    /// How many devices the actor sees.
    ///
    /// # Errors
    /// As the store.
    pub async fn count_devices(&self, actor: &Actor) -> Result<Counted, Refusal> {
        let only = actor.scope.site().cloned();
        self.store
            .read(move |connection| {
                let counted = connection
                    .prepare_cached(
                        "SELECT count(*), coalesce(sum(state = 'revoked'), 0) FROM devices
                         WHERE removed IS NULL AND (?1 IS NULL OR site = ?1)",
                    )?
                    .query_row([only], |row| {
                        Ok(Counted {
                            all: row.get(0)?,
                            revoked: row.get(1)?,
                        })
                    })?;
                Ok(counted)
            })
            .await
    }

    fn bring_up_to_date(&self, registered: &mut Registered) {
        let device = registered.device.clone();
        registered.device = self.sessions.seen().brought_up_to_date(device);
    }
}

impl Proofs {
    fn name(&self) -> &'static str {
        match self {
            Self::Keys(_) => "keys",
            Self::Thumbprints(_) => "thumbprints",
            Self::Authority => "authority",
        }
    }

    /// Gives the device these and revokes all others. Returns those.
    fn take_up(
        &self,
        connection: &Connection,
        vault: &Vault,
        device: &Device,
        now: Timestamp,
    ) -> Result<Vec<CredentialId>, Refusal> {
        let mut had = credential::of_owner(connection, Owner::Device(&device.id))?;
        had.retain(is_in_use);
        let kept = match self {
            Self::Keys(given) => keys(connection, vault, &device.id, (given, &had), now)?,
            Self::Thumbprints(given) => thumbprints(connection, device, (given, &had), now)?,
            Self::Authority => had
                .iter()
                .filter(|one| one.kind == CredentialKind::Certificate)
                .map(|one| one.id.clone())
                .collect(),
        };
        let mut ended = Vec::new();
        for one in had {
            // Tokens are the hub's own: who declares knows nothing of them.
            if one.kind != CredentialKind::Token && !kept.contains(&one.id) {
                credential::revoke(connection, &one.id, now)?;
                ended.push(one.id);
            }
        }
        Ok(ended)
    }
}

/// Gives a device its two keys. Returns which of those that it had are left.
fn keys(
    connection: &Connection,
    vault: &Vault,
    device: &DeviceId,
    (given, had): (&[Option<Secret>; 2], &[Credential]),
    now: Timestamp,
) -> Result<Vec<CredentialId>, Refusal> {
    given
        .iter()
        .flatten()
        .try_for_each(credential::check_given)?;
    if let [Some(one), Some(other)] = given
        && one.digest() == other.digest()
    {
        return Err(Refusal::invalid("key", "two keys that differ"));
    }
    let had = had
        .iter()
        .filter(|one| one.kind == CredentialKind::SymmetricKey);
    let had: Vec<_> = had.collect();
    let mut kept = Vec::new();
    for (label, given) in LABELS.into_iter().zip(given) {
        let mut found = None;
        for one in &had {
            let is_it = match given {
                Some(key) => credential::digest_of(connection, &one.id)? == Some(key.digest()),
                None => one.label == label && !kept.contains(&one.id),
            };
            if is_it {
                found = Some(one.id.clone());
            }
        }
        let new = New::key(Owner::Device(device), label);
        match (found, given) {
            (Some(found), _) => {
                credential::label(connection, &found, label)?;
                kept.push(found);
            }
            (None, Some(key)) => {
                credential::keep_key(connection, vault, new, key.clone(), now)?;
            }
            (None, None) => {
                credential::issue_key(connection, vault, new, now)?;
            }
        }
    }
    Ok(kept)
}

/// Pins a device's certificates. Returns which of those that it had are left.
fn thumbprints(
    connection: &Connection,
    device: &Device,
    (given, had): (&[[u8; 32]], &[Credential]),
    now: Timestamp,
) -> Result<Vec<CredentialId>, Refusal> {
    let mut kept = Vec::new();
    for thumbprint in given {
        let text = hexadecimal(thumbprint);
        let is_it = |one: &&Credential| one.kind == CredentialKind::Thumbprint && one.label == text;
        if let Some(found) = had.iter().find(is_it) {
            kept.push(found.id.clone());
            continue;
        }
        if authenticate::is_certificate_at(connection, thumbprint, &device.site)? {
            return Err(Refusal::Exists {
                what: "certificate",
                id: text,
            });
        }
        let (owner, kind) = (Owner::Device(&device.id), CredentialKind::Thumbprint);
        let new = New::certificate(owner, kind, &text, *thumbprint, None);
        credential::insert(connection, CredentialId::made_up()?, &new, now)?;
    }
    Ok(kept)
}

/// The device of that name, if what must be there is.
fn known(
    connection: &Connection,
    actor: &Actor,
    id: &DeviceId,
    before: Before,
) -> Result<Option<Device>, Refusal> {
    let found = device::find(connection, id)?;
    let hidden = found
        .as_ref()
        .is_some_and(|device| !actor.scope.sees(&device.site));
    match (found, before) {
        (Some(_), Before::Nothing) => Err(Refusal::Exists {
            what: "device",
            id: id.to_string(),
        }),
        (None, Before::Nothing | Before::Whatever) => Ok(None),
        (Some(device), Before::Version(version)) if !hidden && device.version != version => {
            Err(Refusal::Conflict { what: "the device" })
        }
        (Some(device), Before::Version(_) | Before::Anything | Before::Whatever) if !hidden => {
            Ok(Some(device))
        }
        (_, Before::Version(_) | Before::Anything | Before::Whatever) => {
            Err(Refusal::not_found("device", id))
        }
    }
}

fn registered(
    connection: &Connection,
    vault: &Vault,
    device: Device,
    now: Timestamp,
) -> Result<Registered, Refusal> {
    let mut all = credential::of_owner(connection, Owner::Device(&device.id))?;
    all.retain(is_in_use);
    // Of a pair the primary one comes first, whichever was made first.
    all.sort_by_key(|one| one.label == LABELS[1]);
    let mut keys = Vec::new();
    for one in &all {
        if one.kind == CredentialKind::SymmetricKey
            && let Some(sealed) = credential::sealed(connection, &one.id)?
        {
            keys.push(vault.open_sealed(&credential::place(&one.id), &sealed)?);
        }
    }
    let pinned = all
        .into_iter()
        .filter(|one| one.kind == CredentialKind::Thumbprint);
    Ok(Registered {
        keys,
        thumbprints: pinned.map(|one| one.label).collect(),
        commands: commands::count_open(connection, &device.id, now)?,
        device,
    })
}

fn is_in_use(credential: &Credential) -> bool {
    match credential.state {
        CredentialState::Pending | CredentialState::Active | CredentialState::Retiring => true,
        CredentialState::AwaitsApproval | CredentialState::Revoked => false,
    }
}

fn hexadecimal(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Forgets all by which a device came in and what only it may see.
fn take_out(connection: &Connection, id: &DeviceId, now: Timestamp) -> Result<(), Refusal> {
    credential::revoke_all(connection, Owner::Device(id), now)?;
    neighbours::end_key(connection, id, now)?;
    twin::forget(connection, id)?;
    commands::cancel_all(connection, id, now)?;
    files::revoke_grants(connection, id, now)?;
    files::forget_all(connection, id)?;
    registrations::forget_all(connection, id)?;
    deployments::forget_all(connection, id, now)?;
    schedules::forget_all(connection, id)?;
    connection
        .prepare_cached(
            "UPDATE devices SET state = 'revoked', removed = ?2, version = version + 1
             WHERE id = ?1",
        )?
        .execute((id, now))?;
    Ok(())
}
