//! What a device says through another of its site that has a way to the hub.

use outgate_neighbours::{SEAL_BYTES, SEAL_NONCE_BYTES, Seal, relayed_is_by};
use outgate_signed_http::VerifyingKey;
use rusqlite::{Connection, OptionalExtension as _};

use super::super::credential::{self, CredentialState, Owner};
use super::super::{Identity, Vault, device};
use super::keys;
use crate::id::{CredentialId, SiteId};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::sessions::Pass;

const DAMAGED: Refusal = Refusal::Internal("what is kept of a neighbour's secret is damaged");

/// What a device has said through another, which could neither read it nor make it up.
#[derive(Debug)]
pub struct Relayed {
    /// By what the device may come in itself; what it says is acted on by it.
    pub credential: CredentialId,
    /// What it said.
    pub said: Vec<u8>,
    site: SiteId,
    name: String,
    seal: Seal,
    asked: Vec<u8>,
}

impl Relayed {
    /// What is answered to it, for its device alone.
    ///
    /// # Errors
    /// [`Refusal::Randomness`].
    pub fn answer(&self, said: &[u8]) -> Result<Vec<u8>, Refusal> {
        let random = Secret::random(SEAL_NONCE_BYTES)?;
        let nonce = random
            .expose()
            .try_into()
            .map_err(|_| Refusal::Randomness)?;
        self.seal.answer(nonce, &self.asked, said).ok_or(DAMAGED)
    }
}

impl Identity {
    /// Opens what the neighbour of that name has sealed and signed, and the device that holds the
    /// session hands on: of the same site, and of those who may come in.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when it is of nobody who may, or not by whom it says;
    /// [`Refusal::Revoked`] when the session has ended; as the store.
    pub async fn relayed(
        &self,
        by: Pass,
        name: String,
        sealed: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<Relayed, Refusal> {
        let (vault, now) = (self.vault.clone(), self.clock.now());
        let through = by.device()?.clone();
        let relayed = self
            .store
            .read(move |connection| {
                let forbidden = || Refusal::forbidden("speaking through a neighbour");
                let site = device::known(connection, &through)?.site;
                let members = keys::of_members(connection, &site)?;
                let member = members.into_iter().find(|member| member.name == name);
                let member = member.ok_or_else(forbidden)?;
                let key = VerifyingKey::from_bytes(&member.key).map_err(|_| DAMAGED)?;
                if !relayed_is_by(&sealed, &key, &signature) {
                    return Err(forbidden());
                }
                let secret = secret(connection, &vault, &site, &name)?;
                let seal = Seal::new(site.as_str(), &name, secret.expose()).ok_or(DAMAGED)?;
                let said = seal.asked(&sealed).ok_or_else(forbidden)?;
                let had = credential::of_owner(connection, Owner::Device(&member.device))?;
                let holds = |one: &&credential::Credential| {
                    one.state == CredentialState::Active && one.expires.is_none_or(|end| end > now)
                };
                let credential = had.iter().rev().find(holds).ok_or_else(forbidden)?;
                Ok(Relayed {
                    credential: credential.id.clone(),
                    said,
                    site,
                    name,
                    seal,
                    asked: sealed,
                })
            })
            .await?;
        by.check()?;
        Ok(relayed)
    }

    /// Notes what is counted up by the device with all that it says so; the last one before instead
    /// when that was not lower: then this was there already.
    ///
    /// # Errors
    /// As the store.
    pub async fn count_relayed(
        &self,
        relayed: &Relayed,
        counter: i64,
    ) -> Result<Result<(), i64>, Refusal> {
        let (site, name) = (relayed.site.clone(), relayed.name.clone());
        self.store
            .write(move |connection| {
                let counted = connection
                    .prepare_cached(
                        "UPDATE neighbour_keys SET relayed = ?3
                         WHERE site = ?1 AND name = ?2 AND relayed < ?3",
                    )?
                    .execute((&site, &name, counter))?;
                if counted == 1 {
                    return Ok(Ok(()));
                }
                let last = connection
                    .prepare_cached(
                        "SELECT relayed FROM neighbour_keys WHERE site = ?1 AND name = ?2",
                    )?
                    .query_row((&site, &name), |row| row.get(0))
                    .optional()?;
                Ok(Err(last.unwrap_or(i64::MAX)))
            })
            .await
    }
}

/// A new secret, sealed for the store.
pub(super) fn make_secret(
    vault: &Vault,
    (site, name): (&SiteId, &str),
) -> Result<Vec<u8>, Refusal> {
    vault.seal(&place(site, name), &Secret::random(SEAL_BYTES)?)
}

/// The secret that the neighbour of that name shares with the hub.
pub(super) fn secret(
    connection: &Connection,
    vault: &Vault,
    site: &SiteId,
    name: &str,
) -> Result<Secret, Refusal> {
    let sealed: Vec<u8> = connection
        .prepare_cached("SELECT relay FROM neighbour_keys WHERE site = ?1 AND name = ?2")?
        .query_row((site, name), |row| row.get(0))?;
    vault.open_sealed(&place(site, name), &sealed)
}

/// The place for which it is sealed.
fn place(site: &SiteId, name: &str) -> String {
    format!("neighbour/{site}/{name}")
}
