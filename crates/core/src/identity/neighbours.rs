//! Which devices of a site know each other: the keys that devices have among their neighbours, and
//! the roster of them that is signed with the site's own key.
//!
//! Whatever changes who belongs to a site marks its roster as stale, by a trigger in the store, and
//! the roster is made anew in the same write; so a revocation that has returned is in it.

use std::time::Duration;

use outgate_neighbours::{MEMBERS_MAX, MemberId, key_is_proved};
use outgate_signed_http::VerifyingKey;
use rusqlite::Connection;
use serde_json::json;

use self::keys::Kept;
pub use self::relay::Relayed;
use super::{Actor, Identity, Vault, device, site};
use crate::announcement::Announcement;
use crate::audit;
use crate::clock::Timestamp;
use crate::id::{DeviceId, SiteId};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::sessions::{Pass, Selector, Sessions, Signal};

mod keys;
mod relay;
mod roster;

pub(in crate::identity) use keys::end as end_key;

/// For how long a member is believed without a newer roster: as long as a site may do without the
/// hub.
pub const ROSTER_LASTS: Duration = Duration::from_secs(90 * 86_400);

/// A roster is made anew when no more than this is left of it.
const ROSTER_RENEWED: Duration = Duration::from_secs(60 * 86_400);

/// How often a device may come with another key: each makes a new roster, which all of the site get.
pub const KEY_EVERY: Duration = Duration::from_secs(60 * 60);

/// The tables of neighbours' keys and of rosters.
pub(crate) const SCHEMA: &str = "
-- The key with which a site's rosters are signed, and the newest of them. A stale one no longer says
-- who belongs to the site.
CREATE TABLE rosters (
    site TEXT PRIMARY KEY REFERENCES sites (id),
    sealed BLOB NOT NULL,
    public BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    signed BLOB NOT NULL,
    until INTEGER NOT NULL,
    stale INTEGER NOT NULL
) STRICT;
CREATE INDEX rosters_stale ON rosters (site) WHERE stale;

-- The keys by which devices are known to their neighbours. A name belongs to one key for ever.
CREATE TABLE neighbour_keys (
    site TEXT NOT NULL REFERENCES sites (id),
    name TEXT NOT NULL,
    device TEXT NOT NULL REFERENCES devices (id),
    number INTEGER NOT NULL,
    key BLOB NOT NULL,
    since INTEGER NOT NULL,
    ended INTEGER,
    -- The secret for what others hand on, and how far that is counted.
    relay BLOB NOT NULL,
    relayed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (site, name),
    UNIQUE (site, key)
) STRICT;
CREATE UNIQUE INDEX neighbour_keys_in_use ON neighbour_keys (device) WHERE ended IS NULL;
CREATE INDEX neighbour_keys_by_key ON neighbour_keys (key);

CREATE TRIGGER roster_of_device AFTER UPDATE OF state, site ON devices
WHEN OLD.state != NEW.state OR OLD.site != NEW.site
BEGIN
    UPDATE rosters SET stale = 1 WHERE site IN (OLD.site, NEW.site);
END;
";

/// How a device stands among its neighbours.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// Its site.
    pub site: SiteId,
    /// Its name at the hub.
    pub device: DeviceId,
    /// Its place, once it has shown a key.
    pub place: Option<Place>,
}

/// A device's place among its neighbours.
#[derive(Clone, Debug)]
pub struct Place {
    /// The name by which they know it.
    pub name: String,
    /// Its public key (Ed25519).
    pub key: [u8; 32],
    /// The site's public key (Ed25519).
    pub site_key: [u8; 32],
    /// The roster, signed with the site's key.
    pub roster: Vec<u8>,
    /// The secret under which the device seals what another is to hand on.
    pub seal: Secret,
}

/// Which devices of a site know each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteRoster {
    /// The site.
    pub site: SiteId,
    /// Higher than that of every roster before; 0 when there was none.
    pub epoch: u64,
    /// The site's public key (Ed25519), once there is one.
    pub key: Option<[u8; 32]>,
    /// Until when it is believed.
    pub until: Option<Timestamp>,
    /// Who belongs to it.
    pub members: Vec<RosterMember>,
    /// Who does not any more.
    pub former: Vec<RosterMember>,
}

/// A line of a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterMember {
    /// The name among neighbours.
    pub name: String,
    /// The device's name at the hub.
    pub device: DeviceId,
    /// The public key (Ed25519).
    pub key: [u8; 32],
    /// Since when the device has it.
    pub since: Timestamp,
}

impl Identity {
    /// How the device that holds the session stands among its neighbours.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the session is not a device's; [`Refusal::Revoked`] when it has
    /// ended; as the store.
    pub async fn neighbour(&self, pass: Pass) -> Result<Neighbour, Refusal> {
        let device = pass.device()?.clone();
        let (now, its, vault) = (self.clock.now(), device.clone(), self.vault.clone());
        let (found, is_good) = self
            .store
            .read(move |connection| {
                let found = standing(connection, &vault, its)?;
                let is_good = roster::is_good(connection, &found.site, now)?;
                Ok((found, is_good))
            })
            .await?;
        pass.check()?;
        if is_good {
            return Ok(found);
        }
        let work = move |connection: &Connection, vault: &Vault| {
            pass.check()?;
            let renewed = roster::renew(connection, vault, &found.site, now)?;
            Ok((standing(connection, vault, device)?, renewed))
        };
        self.renewing(work).await
    }

    /// Gives the device that holds the session a key by which its neighbours know it; `proof` is a
    /// signature by it ([`outgate_neighbours::prove_key`]). One that it had before counts no more,
    /// and the device has another name then: nothing that was signed by the old key may be taken
    /// for the new device's.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the session is not a device's, the proof is wrong, or another
    /// device has the key; [`Refusal::Limited`] when it had another key a moment ago;
    /// [`Refusal::TooMany`] when the site has as many members as it may; [`Refusal::Revoked`] when
    /// the session has ended; as the store.
    pub async fn set_neighbour_key(
        &self,
        pass: Pass,
        key: [u8; 32],
        proof: Vec<u8>,
    ) -> Result<Neighbour, Refusal> {
        let device = pass.device()?.clone();
        let now = self.clock.now();
        let work = move |connection: &Connection, vault: &Vault| {
            pass.check()?;
            let known = device::known(connection, &device)?;
            let public = VerifyingKey::from_bytes(&key);
            let public = public.map_err(|_| Refusal::Internal("a key of another length"))?;
            if !key_is_proved(known.site.as_str(), device.as_str(), &public, &proof) {
                return Err(Refusal::forbidden(
                    "being known by a key without a proof of it",
                ));
            }
            let taken = take((connection, vault), &known.site, &device, key, now)?;
            let renewed = match taken {
                Some(name) => {
                    let (act, on) = ("device.neighbour-key", device::on(&device));
                    let detail = json!({ "site": known.site.as_str(), "name": name });
                    audit::append_by(connection, now, Some(&pass), act, &on, &detail)?;
                    roster::renew(connection, vault, &known.site, now)?
                }
                None => None,
            };
            Ok((standing(connection, vault, device)?, renewed))
        };
        self.renewing(work).await
    }

    /// Which devices of a site know each other.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as the store.
    pub async fn roster(&self, actor: &Actor, site: &SiteId) -> Result<SiteRoster, Refusal> {
        let (actor, site) = (actor.clone(), site.clone());
        self.store
            .read(move |connection| {
                site::seen_by(connection, &actor, &site)?;
                roster::told(connection, site)
            })
            .await
    }

    /// Writes something that may change a site's roster, and tells its devices when it did.
    async fn renewing<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Vault) -> Result<(T, Option<SiteId>), Refusal> + Send + 'static,
    {
        let (vault, sessions) = (self.vault.clone(), self.sessions.clone());
        let (done, told) = self
            .store
            .write(move |connection| {
                let (done, renewed) = work(connection, &vault)?;
                Ok((done, news(&sessions, renewed.into_iter().collect())))
            })
            .await?;
        drop(told);
        Ok(done)
    }
}

/// Makes the rosters anew that an act has made stale, in the act's own write; their devices are told
/// when what this returns is dropped.
pub(super) fn renew_stale(
    connection: &Connection,
    (vault, sessions): (&Vault, &Sessions),
    now: Timestamp,
) -> Result<Announcement<impl FnMut() + Send + use<>>, Refusal> {
    let mut renewed = Vec::new();
    for site in roster::stale(connection)? {
        renewed.extend(roster::renew(connection, vault, &site, now)?);
    }
    Ok(news(sessions, renewed))
}

fn news(sessions: &Sessions, sites: Vec<SiteId>) -> Announcement<impl FnMut() + Send + use<>> {
    let sessions = sessions.clone();
    Announcement::new(move || {
        for site in &sites {
            sessions.signal_all(&Selector::Site(site.clone()), &Signal::Roster);
        }
    })
}

/// Gives a device the key, and returns its name by it, if that changes anything.
fn take(
    (connection, vault): (&Connection, &Vault),
    site: &SiteId,
    device: &DeviceId,
    key: [u8; 32],
    now: Timestamp,
) -> Result<Option<String>, Refusal> {
    if keys::is_of_another(connection, key, device)? {
        return Err(Refusal::forbidden("being known by another device's key"));
    }
    let keys = keys::of_device(connection, device)?;
    let current = keys.iter().find(|one| one.ended.is_none());
    if current.is_some_and(|one| one.key == key && one.site == *site) {
        return Ok(None);
    }
    if let Some(newest) = keys.iter().map(|one| one.since).max()
        && now.since(newest) < KEY_EVERY
        // Since the clock may have been put back.
        && newest <= now
    {
        return Err(Refusal::Limited {
            what: "keys of this device among its neighbours",
            retry_after: KEY_EVERY - now.since(newest),
        });
    }
    keys::end(connection, device, now)?;
    if keys::in_use(connection, site)? >= MEMBERS_MAX && !keys::make_room(connection, site, now)? {
        return Err(Refusal::TooMany {
            what: "devices of a site that know each other",
            limit: MEMBERS_MAX as u64,
        });
    }
    let mine = keys.iter().find(|one| one.key == key && one.site == *site);
    let number = keys.iter().map(|one| one.number).max();
    let (name, number) = match (mine, number) {
        (Some(known), _) => (known.name.clone(), known.number),
        (None, None) => (device.to_string(), 1),
        (None, Some(last)) => (format!("{device}/{}", last + 1), last + 1),
    };
    if name.parse::<MemberId>().is_err() {
        return Err(Refusal::invalid("device", "a shorter name"));
    }
    let kept = Kept {
        site: site.clone(),
        name: name.clone(),
        device: device.clone(),
        number,
        key,
        since: now,
        ended: None,
    };
    let secret = relay::make_secret(vault, (site, &name))?;
    keys::put(connection, &kept, &secret)?;
    keys::forget_oldest(connection, site)?;
    Ok(Some(name))
}

fn standing(
    connection: &Connection,
    vault: &Vault,
    device: DeviceId,
) -> Result<Neighbour, Refusal> {
    let site = device::known(connection, &device)?.site;
    let keys = keys::of_device(connection, &device)?;
    let current = keys
        .into_iter()
        .find(|one| one.ended.is_none() && one.site == site);
    let place = match current {
        Some(key) => {
            let seal = relay::secret(connection, vault, &site, &key.name)?;
            roster::signed(connection, &site)?.map(|signed| Place {
                name: key.name,
                key: key.key,
                site_key: signed.public,
                roster: signed.bytes,
                seal,
            })
        }
        None => None,
    };
    Ok(Neighbour {
        site,
        device,
        place,
    })
}
