//! Enrolment: a device proves a fleet key once, and gets a credential of its own.

use std::net::IpAddr;
use std::time::Duration;

use ring::{digest, hmac};
use rusqlite::Connection;
use serde_json::json;

use super::credential::{self, Credential, CredentialState, Given, Issued, New, Owner};
use super::device::{self, Device, DeviceState};
use super::fleet_key::{self, FleetKey};
use super::request::Request;
use super::{DEFAULT_CERTIFICATE_LIFE, DEFAULT_POLICY, Identity, public_key};
use crate::audit;
use crate::clock::Timestamp;
use crate::id::{CredentialId, DeviceId, FleetKeyId, SiteId};
use crate::limits;
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::sessions::{Ending, Selector};

/// A device asks to be taken up.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// With which fleet key.
    pub fleet_key: FleetKeyId,
    /// Who it wants to be.
    pub device: DeviceId,
    /// When it says it is; within five minutes of ours.
    pub at: Timestamp,
    /// Its own random text, 16 to 64 letters, digits, `-` or `_`, never used twice with this key.
    pub nonce: String,
    /// HMAC-SHA256 with the fleet key over [`enrolment_text`].
    pub proof: Vec<u8>,
    /// A certificate request in PEM, when it wants a certificate rather than a key.
    pub request: Option<String>,
    /// From where it asks.
    pub peer: IpAddr,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Enrolled {
    /// It is in.
    Welcome(Box<Issued>),
    /// The name is known already: an operator has to approve. The credential works once they have.
    AwaitsApproval(Box<Issued>),
}

/// How far a device's clock may be off.
pub const MAX_SKEW: Duration = Duration::from_secs(300);

/// For how long a device that lost the answer may enrol again without approval, as long as what it
/// was given has not been used.
const RETRY: Duration = Duration::from_secs(600);

/// The least time between two enrolments of a name.
const MIN_GAP: Duration = Duration::from_secs(10);

/// What the proof of an enrolment is made over: a line each of `outgate-enrol-1`, the device's
/// name, the time (RFC 3339 in UTC with `Z`, no fraction of a second unless there is one), the
/// nonce, and the request as it is sent, or nothing.
#[must_use]
pub fn enrolment_text(
    device: &DeviceId,
    at: Timestamp,
    nonce: &str,
    request: Option<&str>,
) -> String {
    format!(
        "outgate-enrol-1\n{device}\n{at}\n{nonce}\n{}\n",
        request.unwrap_or_default()
    )
}

/// Who asks for what, by a digest over the source, the fleet key and the device. Devices behind
/// one address do not keep each other out, and whoever tries many names is held by the rate of all
/// enrolments from there, which is not this part's business.
pub(super) type Asked = [u8; 32];

/// A device that has proved a fleet key.
#[derive(Clone, Copy)]
pub(super) struct Proved<'a> {
    /// Which key.
    pub(super) fleet_key: &'a FleetKeyId,
    /// Who it is.
    pub(super) device: &'a DeviceId,
    /// From where it asks.
    pub(super) peer: IpAddr,
    /// What it gets.
    pub(super) wants: Wants<'a>,
}

/// What a device that enrols gets.
#[derive(Clone, Copy)]
pub(super) enum Wants<'a> {
    /// A key that is made for it.
    Key,
    /// The key that it has made of the fleet's.
    Derived(&'a Secret),
    /// A certificate for its request.
    Certificate(&'a str),
    /// Nothing but that its own key is known, by the SHA-256 of its SPKI.
    PublicKey([u8; 32]),
}

/// What a device that has proved the key gets, or why not.
pub(super) struct Verdict {
    pub(super) outcome: Result<Enrolled, Refusal>,
    /// What it had been given before and was lost on the way.
    pub(super) withdrawn: Vec<CredentialId>,
}

impl Enrolment {
    fn proved(&self) -> Proved<'_> {
        Proved {
            fleet_key: &self.fleet_key,
            device: &self.device,
            peer: self.peer,
            wants: self
                .request
                .as_deref()
                .map_or(Wants::Key, Wants::Certificate),
        }
    }
}

impl Identity {
    /// Takes up a device that proves a fleet key. It gets a symmetric key of its own, or, when it
    /// sends a request, a certificate for its own key.
    ///
    /// A name that is known already waits for approval, and its old credentials stay good until
    /// then, with two exceptions: a device that an operator has made and given no credential is
    /// welcome; and one that enrolled with the same key within ten minutes, and has not used what
    /// it was given, gets another instead, since the answer may have been lost.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when the proof, its time or its nonce is no good;
    /// [`Refusal::Limited`] after too many of those from there for this name and key, or when the
    /// name has just enrolled; and where the proof is right: [`Refusal::Forbidden`] when the key is not good for
    /// this name, address or any more devices, or has ended; [`Refusal::Revoked`] when the device
    /// or site has been revoked; [`Refusal::Invalid`] for the request; as the store.
    pub async fn enrol(&self, enrolment: Enrolment) -> Result<Enrolled, Refusal> {
        let identity = self.clone();
        // On a task of its own, so that what ends with it ends also when the device hangs up.
        tokio::spawn(async move { identity.take_in(enrolment).await })
            .await
            .map_err(|_| Refusal::Internal("an enrolment stopped"))?
    }

    async fn take_in(&self, enrolment: Enrolment) -> Result<Enrolled, Refusal> {
        let now = self.clock.now();
        let asked = asked(enrolment.peer, &enrolment.fleet_key, &enrolment.device);
        // Before anything is limited, and off the writer's thread: a device that has a key which
        // is no longer good is not to keep out those that have the right one.
        let (identity, shown) = (self.clone(), enrolment.clone());
        let proved = self
            .store
            .read_first(move |connection| identity.prove(connection, &shown, now));
        match proved.await {
            Ok(()) => {}
            Err(Refusal::Unauthenticated) => {
                let held = self.wrong_proofs.take(&asked);
                return Err(held.map_or_else(limited, |()| Refusal::Unauthenticated));
            }
            Err(refusal) => return Err(refusal),
        }
        self.refused_enrolments.check(&asked).map_err(limited)?;
        let bytes = enrolment.request.as_ref().map_or(0, String::len);
        let identity = self.clone();
        let decided = self
            .store
            .write_bulk(bytes, move |connection| {
                // The key may have been revoked meanwhile.
                identity.prove(connection, &enrolment, now)?;
                use_up_nonce(connection, &enrolment, now)?;
                // From here on the nonce is used up, whatever comes of it.
                connection.execute_batch("SAVEPOINT enrolment")?;
                let verdict = identity.decide(connection, enrolment.proved(), now);
                let undo = match &verdict {
                    Err(_) => "ROLLBACK TO enrolment; RELEASE enrolment",
                    Ok(_) => "RELEASE enrolment",
                };
                connection.execute_batch(undo)?;
                Ok(verdict.unwrap_or_else(|refusal| Verdict {
                    outcome: Err(refusal),
                    withdrawn: Vec::new(),
                }))
            })
            .await;
        let outcome = match decided {
            Ok(verdict) => {
                self.withdraw(verdict.withdrawn).await;
                verdict.outcome
            }
            Err(refusal) => Err(refusal),
        };
        if outcome.as_ref().is_err_and(is_the_devices_fault) {
            // Others may have been refused meanwhile; this one is all the same.
            let _ = self.refused_enrolments.take(&asked);
        }
        outcome
    }

    /// Whether the device has the fleet key, and made its proof now.
    fn prove(
        &self,
        connection: &Connection,
        enrolment: &Enrolment,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let skew = now.since(enrolment.at).max(enrolment.at.since(now));
        if skew > MAX_SKEW || !is_nonce(&enrolment.nonce) {
            return Err(Refusal::Unauthenticated);
        }
        let sealed =
            fleet_key::sealed(connection, &enrolment.fleet_key)?.ok_or(Refusal::Unauthenticated)?;
        let place = fleet_key::on(&enrolment.fleet_key);
        let key = self.vault.open_sealed(&place, &sealed)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        let text = enrolment_text(
            &enrolment.device,
            enrolment.at,
            &enrolment.nonce,
            enrolment.request.as_deref(),
        );
        hmac::verify(&key, text.as_bytes(), &enrolment.proof).map_err(|_| Refusal::Unauthenticated)
    }

    /// What becomes of a device that has proved the key.
    pub(super) fn decide(
        &self,
        connection: &Connection,
        proved: Proved<'_>,
        now: Timestamp,
    ) -> Result<Verdict, Refusal> {
        let device = proved.device;
        let key = fleet_key::find(connection, proved.fleet_key)?;
        let key = key.ok_or(Refusal::Unauthenticated)?;
        permit(connection, &key, proved, now)?;
        let mut withdrawn = Vec::new();
        let welcome = match device::find(connection, device)? {
            None => {
                fleet_key::count(connection, &key.id)?;
                device::insert(connection, device, &key.site, DEFAULT_POLICY, now)?;
                true
            }
            Some(known) => {
                let had = credential::of_owner(connection, Owner::Device(&known.id))?;
                match self.judge_known(connection, &known, &had, &key, now)? {
                    Known::Unclaimed => {
                        fleet_key::count(connection, &key.id)?;
                        true
                    }
                    Known::AnswerLost(lost) => {
                        credential::delete(connection, &lost)?;
                        withdrawn.push(lost);
                        true
                    }
                    Known::InUse => false,
                }
            }
        };
        if !welcome {
            withdrawn.extend(credential::withdraw_waiting(connection, device)?);
            device::set_state(connection, device, DeviceState::AwaitsApproval)?;
        }
        let issued = self.issue_enrolled(connection, proved, welcome, now)?;
        note(connection, proved, &issued.credential, welcome, now)?;
        let issued = Box::new(issued);
        let outcome = if welcome {
            Enrolled::Welcome(issued)
        } else {
            Enrolled::AwaitsApproval(issued)
        };
        Ok(Verdict {
            outcome: Ok(outcome),
            withdrawn,
        })
    }

    /// What is to be made of a name that is known already.
    fn judge_known(
        &self,
        connection: &Connection,
        known: &Device,
        had: &[Credential],
        key: &FleetKey,
        now: Timestamp,
    ) -> Result<Known, Refusal> {
        if known.site != key.site {
            return Err(Refusal::forbidden("enrolling under this name"));
        }
        if known.state == DeviceState::Revoked {
            return Err(Refusal::Revoked);
        }
        let Some(newest) = had.last() else {
            return Ok(Known::Unclaimed);
        };
        let age = now.since(newest.created);
        let by = credential::enrolled_with(connection, &newest.id)?;
        if by.is_some() && age < MIN_GAP {
            return Err(Refusal::Limited {
                what: "enrolments of this name",
                retry_after: MIN_GAP - age,
            });
        }
        let used = self
            .sessions
            .seen()
            .credential_up_to_date(newest.clone())
            .used;
        let lost = had.len() == 1
            && newest.state == CredentialState::Active
            && used.is_none()
            && age < RETRY
            && by.as_ref() == Some(&key.id);
        Ok(if lost {
            Known::AnswerLost(newest.id.clone())
        } else {
            Known::InUse
        })
    }

    fn issue_enrolled(
        &self,
        connection: &Connection,
        proved: Proved<'_>,
        welcome: bool,
        now: Timestamp,
    ) -> Result<Issued, Refusal> {
        let state = if welcome {
            CredentialState::Active
        } else {
            CredentialState::AwaitsApproval
        };
        let (device, by) = (proved.device, proved.fleet_key);
        let key = || New::key(Owner::Device(device), "enrolled").enrolled(by, state);
        match proved.wants {
            Wants::Key => credential::issue_key(connection, &self.vault, key(), now),
            Wants::Derived(derived) => {
                credential::keep_key(connection, &self.vault, key(), derived.clone(), now)
            }
            Wants::Certificate(request) => {
                let (request, lasts) = (Request::read(request)?, DEFAULT_CERTIFICATE_LIFE);
                let id = CredentialId::made_up()?;
                let signed = self.certified(device, &request, lasts, now)?;
                let new = signed.kept(device).enrolled(by, state);
                let credential = credential::insert(connection, id, &new, now)?;
                Ok(signed.given(credential))
            }
            Wants::PublicKey(thumbprint) => {
                let label = public_key::hexadecimal(&thumbprint);
                let new = public_key::of_device(device, &label, thumbprint).enrolled(by, state);
                let id = CredentialId::made_up()?;
                Ok(Issued {
                    credential: credential::insert(connection, id, &new, now)?,
                    given: Given::Nothing,
                })
            }
        }
    }

    /// Ends sessions by credentials that have been withdrawn: there can be one that was just
    /// being opened.
    pub(super) async fn withdraw(&self, credentials: Vec<CredentialId>) {
        if credentials.is_empty() {
            return;
        }
        self.cache.forget();
        let ends: Vec<_> = credentials
            .into_iter()
            .map(|credential| (Selector::Credential(credential), Ending::Revoked))
            .collect();
        self.end(&ends).await;
    }
}

/// Uses a nonce up. One that has been used is that of a recording.
fn use_up_nonce(
    connection: &Connection,
    enrolment: &Enrolment,
    now: Timestamp,
) -> Result<(), Refusal> {
    // A nonce whose time no longer passes cannot come again.
    connection
        .prepare_cached("DELETE FROM enrolment_nonces WHERE at < ?1")?
        .execute([now.before(MAX_SKEW * 2)])?;
    let fresh = connection
        .prepare_cached(
            "INSERT INTO enrolment_nonces (fleet_key, nonce, at) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
        )?
        .execute((&enrolment.fleet_key, &enrolment.nonce, enrolment.at))?;
    if fresh == 0 {
        return Err(Refusal::Unauthenticated);
    }
    Ok(())
}

/// What a name that is known already means.
enum Known {
    /// An operator has made it, and nobody has been it yet.
    Unclaimed,
    /// It enrolled just now, and the answer seems to have been lost.
    AnswerLost(CredentialId),
    /// Somebody is it.
    InUse,
}

/// Whether the key is good for this device, from there, now.
fn permit(
    connection: &Connection,
    key: &FleetKey,
    proved: Proved<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    fleet_key::permit(key, proved.device, proved.peer, now)?;
    if is_revoked(connection, &key.site)? {
        return Err(Refusal::Revoked);
    }
    Ok(())
}

pub(super) fn is_revoked(connection: &Connection, site: &SiteId) -> Result<bool, Refusal> {
    Ok(connection
        .prepare_cached("SELECT revoked IS NOT NULL FROM sites WHERE id = ?1")?
        .query_row([site], |row| row.get(0))?)
}

fn note(
    connection: &Connection,
    proved: Proved<'_>,
    credential: &Credential,
    welcome: bool,
    now: Timestamp,
) -> Result<(), Refusal> {
    let who = device::on(proved.device);
    let from = proved.peer.to_canonical().to_string();
    let detail = json!({
        "fleet_key": proved.fleet_key.as_str(), "credential": credential.id.as_str(),
        "kind": credential.kind.as_str(), "awaits_approval": !welcome,
    });
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

pub(super) fn asked(peer: IpAddr, fleet_key: &FleetKeyId, device: &DeviceId) -> Asked {
    let source = limits::source(peer);
    let text = format!("{source}\n{fleet_key}\n{device}");
    let mut asked = [0; 32];
    asked.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    asked
}

pub(super) fn limited(retry_after: Duration) -> Refusal {
    Refusal::Limited {
        what: "refused enrolments from here",
        retry_after,
    }
}

/// Whether a refusal counts against where it came from.
pub(super) fn is_the_devices_fault(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Unauthenticated
            | Refusal::Forbidden { .. }
            | Refusal::Revoked
            | Refusal::Invalid { .. }
            | Refusal::TooLarge { .. }
    )
}

fn is_nonce(text: &str) -> bool {
    (16..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
