//! Registration: a device that signs by a key made of a fleet key and its own name is taken up with
//! that key. So fleets enrol whose devices cannot be given another key, or were not given one each.
//! A device that shows a certificate of an authority of a site is taken up there.

use std::net::IpAddr;

use ring::hmac;
use rusqlite::Connection;
use serde_json::json;

use super::certificate::MAX_CHAIN;
use super::credential::{self, CredentialState, Owner};
use super::enrol::{self, Enrolled, Proved, Wants};
use super::leaf::{Leaf, MAX_CERTIFICATE};
use super::{DEFAULT_POLICY, Identity, authenticate, device, fleet_key, site_authority};
use crate::audit;
use crate::clock::Timestamp;
use crate::id::{AuthorityId, DeviceId, FleetKeyId, SiteId};
use crate::limits;
use crate::refusal::Refusal;
use crate::secret::Secret;

/// The most fleet keys that are tried for one device, the newest first: what is signed does not say
/// with which.
pub const MAX_TRIED: usize = 64;

/// A device asks to be taken up with a key that it has made of the fleet's.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Who it wants to be.
    pub device: DeviceId,
    /// What it has signed, by HMAC-SHA256 with its key. That it says who signs, and that it still
    /// holds, is for the caller to see.
    pub text: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// How devices of this kind make their keys of the fleet's.
    pub derive: fn(&[u8], &DeviceId) -> Vec<u8>,
    /// From where it asks.
    pub peer: IpAddr,
}

/// A device asks to be taken up at a site by a certificate of an authority of that site.
#[derive(Clone, Debug)]
pub struct Certified {
    /// Who it wants to be: the certificate's common name.
    pub device: DeviceId,
    /// The chain in DER, its own first, whose holding TLS has verified.
    pub chain: Vec<Vec<u8>>,
    /// Where it will stand.
    pub site: SiteId,
    /// From where it asks.
    pub peer: IpAddr,
}

impl Identity {
    /// Takes up a device that shows a certificate of an authority of a site. Only a name that nobody
    /// has had is taken up so; whom there is already comes in, or does not, by the certificate.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] for whatever no authority of the site vouches for, for a
    /// certificate that another site's device has, and for a name that is known;
    /// [`Refusal::Revoked`] when the site or the authority has been revoked; [`Refusal::Limited`]
    /// when too many ask from there; as the store.
    pub async fn register_certified(&self, certified: Certified) -> Result<(), Refusal> {
        self.may_register(certified.peer)?;
        let now = self.clock.now();
        let Certified { chain, .. } = &certified;
        let first = chain.first().ok_or(Refusal::Unauthenticated)?;
        if chain.len() > MAX_CHAIN || chain.iter().any(|der| der.len() > MAX_CERTIFICATE) {
            return Err(Refusal::Unauthenticated);
        }
        let leaf = Leaf::read(first).filter(|leaf| leaf.is_valid(now));
        let leaf = leaf.ok_or(Refusal::Unauthenticated)?;
        if leaf.names.first() != Some(&certified.device) {
            return Err(Refusal::Unauthenticated);
        }
        let (digest, shown) = (leaf.thumbprint, certified.clone());
        let vouching = self
            .store
            .read_first(move |connection| {
                if authenticate::is_held_beyond(connection, &digest, &shown.site)? {
                    return Ok(None);
                }
                let anchors = site_authority::in_use(connection, &shown.site)?;
                let anchor = site_authority::vouching(&anchors, &shown.chain, now);
                Ok(anchor.map(|anchor| anchor.id.clone()))
            })
            .await?;
        let authority = vouching.ok_or(Refusal::Unauthenticated)?;
        self.store
            .write_bulk(0, move |connection| {
                take_in(connection, &certified, &authority, now)
            })
            .await
    }

    /// Whether somebody more may ask from there to be taken up.
    fn may_register(&self, peer: IpAddr) -> Result<(), Refusal> {
        let taken = self.registering.take(&limits::source(peer));
        taken.map_err(|retry_after| Refusal::Limited {
            what: "registrations from here",
            retry_after,
        })
    }

    /// Takes up a device that has signed with a key made of a fleet key: from then on that is its
    /// own key. What holds of an enrolment holds of this: a name that is known already waits for
    /// approval, unless an operator has made it and given it no credential; while it waits it may
    /// ask again. How many ask from one place, and how often one is refused after its proof, is
    /// bounded as with enrolments; too many wrong proofs are for the caller to count.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when no fleet key that is open to that name fits;
    /// [`Refusal::Limited`] when the name has just enrolled, and when too many ask from there; and where one fits:
    /// [`Refusal::AwaitsApproval`] for who asks again; as [`Identity::enrol`].
    pub async fn register(&self, registration: Registration) -> Result<Enrolled, Refusal> {
        let identity = self.clone();
        // On a task of its own, as an enrolment.
        tokio::spawn(async move { identity.take_up(registration).await })
            .await
            .map_err(|_| Refusal::Internal("a registration stopped"))?
    }

    async fn take_up(&self, registration: Registration) -> Result<Enrolled, Refusal> {
        self.may_register(registration.peer)?;
        let now = self.clock.now();
        let (identity, shown) = (self.clone(), registration.clone());
        let found = self
            .store
            .read_first(move |connection| identity.fitting(connection, &shown, now))
            .await?;
        let (by, key) = found.ok_or(Refusal::Unauthenticated)?;
        let asked = enrol::asked(registration.peer, &by, &registration.device);
        let refused = &self.refused_enrolments;
        refused.check(&asked).map_err(enrol::limited)?;
        let identity = self.clone();
        let verdict = self
            .store
            .write_bulk(0, move |connection| {
                let device = &registration.device;
                // The fleet's key may have been revoked meanwhile.
                if fleet_key::sealed(connection, &by)?.is_none() {
                    return Err(Refusal::Unauthenticated);
                }
                if is_known_in_other_letters(connection, device)? {
                    return Err(Refusal::Revoked);
                }
                if awaits_approval(connection, device, &key)? {
                    return Err(Refusal::AwaitsApproval);
                }
                let proved = Proved {
                    fleet_key: &by,
                    device,
                    peer: registration.peer,
                    wants: Wants::Derived(&key),
                };
                identity.decide(connection, proved, now)
            })
            .await;
        if verdict.as_ref().is_err_and(enrol::is_the_devices_fault) {
            // Others may have been refused meanwhile; this one is all the same.
            let _ = refused.take(&asked);
        }
        let verdict = verdict?;
        self.withdraw(verdict.withdrawn).await;
        verdict.outcome
    }

    /// The fleet key of which the device's key is made, and that.
    fn fitting(
        &self,
        connection: &Connection,
        shown: &Registration,
        now: Timestamp,
    ) -> Result<Option<(FleetKeyId, Secret)>, Refusal> {
        let device = &shown.device;
        for (id, sealed) in fleet_key::open_to(connection, device.as_str(), now, MAX_TRIED)? {
            let fleet = self.vault.open_sealed(&fleet_key::on(&id), &sealed)?;
            let key = Secret::new((shown.derive)(fleet.expose(), device));
            let signs = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
            if hmac::verify(&signs, &shown.text, &shown.signature).is_ok() {
                return Ok(Some((id, key)));
            }
        }
        Ok(None)
    }
}

/// Makes a device for which an authority of its site has vouched.
fn take_in(
    connection: &Connection,
    certified: &Certified,
    authority: &AuthorityId,
    now: Timestamp,
) -> Result<(), Refusal> {
    let Certified {
        device: id, site, ..
    } = certified;
    let anchors = site_authority::in_use(connection, site)?;
    let is_in_use = anchors.iter().any(|anchor| anchor.id == *authority);
    if !is_in_use || enrol::is_revoked(connection, site)? {
        // It may have been just now.
        return Err(Refusal::Revoked);
    }
    if is_known_in_other_letters(connection, id)? || device::find(connection, id)?.is_some() {
        return Err(Refusal::Unauthenticated);
    }
    device::insert(connection, id, site, DEFAULT_POLICY, now)?;
    let who = device::on(id);
    let from = certified.peer.to_canonical().to_string();
    let detail = json!({ "authority": authority.as_str(), "site": site.as_str() });
    audit::append_as(
        connection,
        now,
        &who,
        Some(&from),
        "device.enrol",
        &who,
        &detail,
    )
}

/// Whether there is, or was, a device of the same name but for the case of its letters: to Azure's
/// provisioning the two are one and have one key, so that the key of a device that has been turned
/// away would let it in again under another name.
fn is_known_in_other_letters(connection: &Connection, device: &DeviceId) -> Result<bool, Refusal> {
    let sql = "SELECT EXISTS (SELECT 1 FROM devices WHERE id = ?1 COLLATE NOCASE AND id != ?1)";
    Ok(connection
        .prepare_cached(sql)?
        .query_row([device], |row| row.get(0))?)
}

/// Whether the device waits with this very key already.
fn awaits_approval(
    connection: &Connection,
    device: &DeviceId,
    key: &Secret,
) -> Result<bool, Refusal> {
    let waiting = credential::of_owner(connection, Owner::Device(device))?
        .into_iter()
        .filter(|one| one.state == CredentialState::AwaitsApproval);
    for one in waiting {
        if credential::digest_of(connection, &one.id)? == Some(key.digest()) {
            return Ok(true);
        }
    }
    Ok(false)
}
