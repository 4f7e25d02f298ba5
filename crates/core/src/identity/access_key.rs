//! Access keys: symmetric keys of services, by which their back ends sign what they and their
//! clients show.
//!
//! What signs is the key's text in base 64, as those who are used to Azure SignalR Service have it.

use ring::hmac;
use rusqlite::Connection;
use serde_json::json;

use super::act::{Act, Done};
use super::authenticate::by_name;
use super::credential::{self, Credential, CredentialKind, CredentialState, Issued, New, Owner};
use super::revocation::Revoked;
use super::vault::Vault;
use super::{Actor, Identified, Identity, Role, service};
use crate::id::{CredentialId, ServiceId};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::sessions::{Ending, Selector};

/// The most access keys that a service has at a time: one in use, and one to take its place.
pub const MAX_ACCESS_KEYS: usize = 2;

/// The most access keys of all services together: a signature does not say whose it is, so each
/// is tried.
pub const MAX_ACCESS_KEYS_IN_ALL: usize = 256;

/// What begins a text that a signature is looked up by, so that it is no token.
const SIGNED: &[u8] = b"signed ";

impl Identity {
    /// Lists a service's access keys, oldest first, the revoked ones among them.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin; [`Refusal::NotFound`]; as the store.
    pub async fn access_keys(
        &self,
        actor: &Actor,
        service: &ServiceId,
    ) -> Result<Vec<Credential>, Refusal> {
        actor.require(Role::Admin, "listing access keys")?;
        let (actor, service) = (actor.clone(), service.clone());
        self.store
            .read(move |connection| {
                service::seen_by(connection, &actor, &service)?;
                keys_of(connection, &service)
            })
            .await
    }

    /// Gives a service an access key.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin; [`Refusal::NotFound`]; [`Refusal::Invalid`] when
    /// the service has been revoked; [`Refusal::TooMany`] beyond [`MAX_ACCESS_KEYS`] and
    /// [`MAX_ACCESS_KEYS_IN_ALL`]; as the store.
    pub async fn add_access_key(
        &self,
        actor: &Actor,
        service: &ServiceId,
    ) -> Result<Issued, Refusal> {
        let on = format!("service/{service}");
        let act = Act::new(actor, Role::Admin, "service.add-access-key", on);
        let (service, vault) = (service.clone(), self.vault.clone());
        let work = move |connection: &Connection, actor: &Actor, now| {
            if service::seen_by(connection, actor, &service)?
                .revoked
                .is_some()
            {
                return Err(Refusal::invalid("service", "one that is not revoked"));
            }
            let its = keys_of(connection, &service)?;
            let in_use = its
                .iter()
                .filter(|key| key.state == CredentialState::Active);
            room(in_use.count(), MAX_ACCESS_KEYS)?;
            room(count(connection)?, MAX_ACCESS_KEYS_IN_ALL)?;
            let new = New::key(Owner::Service(&service), "access key");
            let issued = credential::issue_key(connection, &vault, new, now)?;
            let detail = json!({ "credential": issued.credential.id.as_str() });
            Ok(Done::new(issued).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Revokes an access key of a service: what was opened by what it has signed is closed.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin; [`Refusal::NotFound`]; as the store.
    pub async fn revoke_access_key(
        &self,
        actor: &Actor,
        service: &ServiceId,
        key: &CredentialId,
    ) -> Result<Revoked, Refusal> {
        let on = format!("service/{service}");
        let act = Act::new(actor, Role::Admin, "service.revoke-access-key", on);
        let (service, key) = (service.clone(), key.clone());
        let work = move |connection: &Connection, actor: &Actor, now| {
            service::seen_by(connection, actor, &service)?;
            let found = credential::find(connection, Owner::Service(&service), &key)?;
            if found.kind != CredentialKind::SymmetricKey {
                return Err(Refusal::not_found("access key", &key));
            }
            credential::revoke(connection, &key, now)?;
            let detail = json!({ "credential": key.as_str() });
            Ok(Done::new(())
                .detail(detail)
                .ends(Selector::Credential(key), Ending::Revoked))
        };
        let ((), connections) = self.act(act, work).await?;
        Ok(Revoked { connections })
    }

    /// The access keys of a service that are in use, for what the hub itself signs.
    ///
    /// # Errors
    /// As the store.
    pub async fn signing_keys(&self, service: &ServiceId) -> Result<Vec<Secret>, Refusal> {
        let (vault, service) = (self.vault.clone(), service.clone());
        self.store
            .read(move |connection| {
                let mut all = in_use(connection)?;
                all.retain(|key| key.service == service);
                all.iter().map(|key| key.open(&vault)).collect()
            })
            .await
    }

    /// Whose access key has signed `text`: HMAC-SHA256.
    pub(super) async fn by_signature(
        &self,
        text: &[u8],
        signature: &[u8],
    ) -> Result<Identified, Refusal> {
        let shown = Secret::new([SIGNED, text, b".", signature].concat());
        let digest = shown.digest();
        if let Some(identified) = self.cache.by_token(&digest) {
            return Ok(identified);
        }
        let read = self.cache.generation();
        let (text, signature) = (text.to_vec(), signature.to_vec());
        let (vault, now) = (self.vault.clone(), self.clock.now());
        let identified = self
            .store
            .read_first(move |connection| {
                for key in in_use(connection)? {
                    let secret = key.open(&vault)?;
                    if verifies(&secret, &text, &signature) {
                        let held = by_name(connection, &key.id)?;
                        return held.ok_or(Refusal::Unauthenticated)?.judge(now);
                    }
                }
                Err(Refusal::Unauthenticated)
            })
            .await?;
        self.cache.remember_token(read, digest, &identified);
        Ok(identified)
    }
}

/// A key as the store has it.
pub(super) struct Sealed {
    pub(super) id: CredentialId,
    pub(super) service: ServiceId,
    sealed: Vec<u8>,
}

impl Sealed {
    pub(super) fn open(&self, vault: &Vault) -> Result<Secret, Refusal> {
        vault.open_sealed(&credential::place(&self.id), &self.sealed)
    }
}

fn verifies(key: &Secret, text: &[u8], signature: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.to_base64().as_bytes());
    hmac::verify(&key, text, signature).is_ok()
}

/// Every access key in use, oldest first.
pub(super) fn in_use(connection: &Connection) -> Result<Vec<Sealed>, Refusal> {
    let mut found = connection.prepare_cached(
        "SELECT id, service, sealed FROM credentials WHERE service IS NOT NULL
         AND kind = 'symmetric-key' AND state = 'active' AND sealed IS NOT NULL
         ORDER BY created, rowid",
    )?;
    let rows = found.query_map([], |row| {
        Ok(Sealed {
            id: row.get(0)?,
            service: row.get(1)?,
            sealed: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn count(connection: &Connection) -> Result<usize, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT count(*) FROM credentials WHERE service IS NOT NULL
             AND kind = 'symmetric-key' AND state = 'active'",
        )?
        .query_row([], |row| row.get(0))?)
}

fn keys_of(connection: &Connection, service: &ServiceId) -> Result<Vec<Credential>, Refusal> {
    let mut all = credential::of_owner(connection, Owner::Service(service))?;
    all.retain(|credential| credential.kind == CredentialKind::SymmetricKey);
    Ok(all)
}

fn room(taken: usize, most: usize) -> Result<(), Refusal> {
    if taken < most {
        return Ok(());
    }
    Err(Refusal::TooMany {
        what: "access keys",
        limit: most as u64,
    })
}
