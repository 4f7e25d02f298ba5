//! Credentials: the ways in which devices, operators and services prove who they are.

mod row;

use std::time::Duration;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::json;

use row::make_room;
pub(super) use row::{
    Owner, any_awaits, approve, delete, delete_all, digest_of, enrolled_with, find, label,
    note_end, of_owner, place, revoke, revoke_all, sealed, withdraw_waiting,
};

use super::act::{Act, Done};
use super::text::{self, words};
use super::token::{self, Holder};
use super::vault::Vault;
use super::{Actor, Identity, Role, device};
use crate::clock::Timestamp;
use crate::id::{AuthorityId, CredentialId, DeviceId, FleetKeyId};
use crate::refusal::Refusal;
use crate::secret::Secret;

/// How a credential proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// A symmetric key of 32 bytes, shown as itself or by what it signs.
    SymmetricKey,
    /// A certificate known by its SHA-256 thumbprint.
    Thumbprint,
    /// A certificate that the hub's own authority, or one registered for the site, has signed.
    Certificate,
    /// A random token, of which only the digest is kept.
    Token,
    /// A key pair of the holder's own making, known by the SHA-256 of its public half.
    PublicKey,
}

words!(CredentialKind {
    SymmetricKey => "symmetric-key",
    Thumbprint => "thumbprint",
    Certificate => "certificate",
    Token => "token",
    PublicKey => "public-key",
});

/// Where a credential is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialState {
    /// Given to a device that has enrolled again; good for nothing until an operator approves.
    AwaitsApproval,
    /// Made by rotation and not used yet; the first use promotes it and retires the one before.
    Pending,
    /// In use.
    Active,
    /// Replaced, and valid until its overlap ends.
    Retiring,
    /// No longer valid.
    Revoked,
}

words!(CredentialState {
    AwaitsApproval => "awaits-approval",
    Pending => "pending",
    Active => "active",
    Retiring => "retiring",
    Revoked => "revoked",
});

/// A credential as it may be told: never the secret.
#[derive(Clone, Debug, Serialize)]
pub struct Credential {
    /// Its name.
    pub id: CredentialId,
    /// How it proves.
    pub kind: CredentialKind,
    /// Where it is in its life.
    pub state: CredentialState,
    /// `primary` or `secondary` of a pair of keys, the subject of a certificate, what a token is for.
    pub label: String,
    /// Since when.
    pub created: Timestamp,
    /// Until when, if it ends and that is known: of a pinned certificate not before it was shown.
    pub expires: Option<Timestamp>,
    /// When it was last shown.
    pub used: Option<Timestamp>,
}

/// A new credential, with what is told only once.
#[derive(Clone, Debug)]
pub struct Issued {
    /// What is kept.
    pub credential: Credential,
    /// What its holder needs, told only now.
    pub given: Given,
}

/// What the holder of a new credential needs.
#[derive(Clone, Debug)]
pub enum Given {
    /// A symmetric key.
    Key(Secret),
    /// A token, to be shown as it is.
    Token(Secret),
    /// A certificate chain, in PEM; the key never left its holder.
    Certificate(String),
    /// Nothing: the holder has it already (a pinned thumbprint).
    Nothing,
}

/// The most credentials that one device, operator or service has at a time, the revoked ones
/// among them that have not been cleared away.
pub const MAX_CREDENTIALS: usize = 64;

/// The most characters of what a token is for.
pub const MAX_LABEL: usize = 128;

/// The longest that a token or certificate with an end lasts: ten years of 366 days.
pub const MAX_LIFE: Duration = Duration::from_secs(10 * 366 * 86_400);

/// The shortest that anything with an end lasts.
pub const MIN_LIFE: Duration = Duration::from_secs(60);

/// Bytes of a symmetric key (the length of its SHA-256 HMAC).
const KEY_LENGTH: usize = 32;

/// Bytes of a symmetric key that somebody else has made: fewer could be guessed.
const GIVEN_KEY: std::ops::RangeInclusive<usize> = 16..=64;

/// Whether a key that somebody else has made may be one.
pub(super) fn check_given(key: &Secret) -> Result<(), Refusal> {
    if GIVEN_KEY.contains(&key.expose().len()) {
        return Ok(());
    }
    Err(Refusal::invalid("key", "16 to 64 bytes in base 64"))
}

/// A credential about to be kept.
pub(super) struct New<'a> {
    pub(super) owner: Owner<'a>,
    pub(super) kind: CredentialKind,
    pub(super) state: CredentialState,
    pub(super) label: &'a str,
    pub(super) expires: Option<Timestamp>,
    pub(super) digest: [u8; 32],
    pub(super) sealed: Option<Vec<u8>>,
    pub(super) replaces: Option<(&'a CredentialId, Duration)>,
    pub(super) fleet_key: Option<&'a FleetKeyId>,
    pub(super) authority: Option<&'a AuthorityId>,
}

impl Identity {
    /// Lists a device's credentials, oldest first: at most [`MAX_CREDENTIALS`].
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also for a device that the actor does not see; as the store.
    pub async fn credentials(
        &self,
        actor: &Actor,
        device: &DeviceId,
    ) -> Result<Vec<Credential>, Refusal> {
        let (actor, device) = (actor.clone(), device.clone());
        let seen = self.sessions.seen().clone();
        self.store
            .read(move |connection| {
                device::seen_by(connection, &actor, &device)?;
                let all = of_owner(connection, Owner::Device(&device))?;
                Ok(all
                    .into_iter()
                    .map(|credential| seen.credential_up_to_date(credential))
                    .collect())
            })
            .await
    }

    /// Gives a device a pair of symmetric keys, `primary` and `secondary`.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::TooMany`] when it has too many
    /// credentials; as the store.
    pub async fn add_keys(&self, actor: &Actor, device: &DeviceId) -> Result<[Issued; 2], Refusal> {
        let act = Act::new(
            actor,
            Role::Operator,
            "credential.add-keys",
            device::on(device),
        );
        let (device, vault) = (device.clone(), self.vault.clone());
        let work = move |connection: &Connection, actor: &Actor, now| {
            device::seen_by(connection, actor, &device)?;
            let pair = issue_pair(connection, &vault, Owner::Device(&device), now)?;
            let ids = pair.each_ref().map(|issued| issued.credential.id.as_str());
            let detail = json!({ "credentials": ids });
            Ok(Done::new(pair).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Gives a device a token.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Invalid`] for a label or life out
    /// of bounds, [`Refusal::TooMany`] when it has too many credentials; as the store.
    pub async fn add_token(
        &self,
        actor: &Actor,
        device: &DeviceId,
        label: String,
        lasts: Option<Duration>,
    ) -> Result<Issued, Refusal> {
        let act = Act::new(
            actor,
            Role::Operator,
            "credential.add-token",
            device::on(device),
        );
        let device = device.clone();
        let work = move |connection: &Connection, actor: &Actor, now: Timestamp| {
            device::seen_by(connection, actor, &device)?;
            let new = New::token(Owner::Device(&device), &label, lasts, now)?;
            let issued = issue_token(connection, new, now)?;
            let detail = json!({ "credential": issued.credential.id.as_str(), "label": label });
            Ok(Done::new(issued).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// The symmetric keys of a device that hold now, for dialects that check what they sign.
    ///
    /// # Errors
    /// As the store.
    pub async fn keys(&self, device: &DeviceId) -> Result<Vec<(CredentialId, Secret)>, Refusal> {
        let (device, vault, now) = (device.clone(), self.vault.clone(), self.clock.now());
        self.store
            .read(move |connection| keys_that_hold(connection, &vault, &device, now))
            .await
    }
}

/// The symmetric keys of a device that hold at `now`, oldest first.
pub(super) fn keys_that_hold(
    connection: &Connection,
    vault: &Vault,
    device: &DeviceId,
    now: Timestamp,
) -> Result<Vec<(CredentialId, Secret)>, Refusal> {
    let mut found = connection.prepare_cached(
        "SELECT id, sealed FROM credentials WHERE device = ?1
         AND kind = 'symmetric-key' AND sealed IS NOT NULL
         AND state IN ('pending', 'active', 'retiring')
         AND (expires IS NULL OR expires > ?2) ORDER BY created, id",
    )?;
    let rows = found
        .query_map((device, now), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(CredentialId, Vec<u8>)>, _>>()?;
    rows.into_iter()
        .map(|(id, sealed)| {
            let key = vault.open_sealed(&place(&id), &sealed)?;
            Ok((id, key))
        })
        .collect()
}

impl<'a> New<'a> {
    /// An active symmetric key.
    pub(super) fn key(owner: Owner<'a>, label: &'a str) -> Self {
        Self {
            owner,
            kind: CredentialKind::SymmetricKey,
            state: CredentialState::Active,
            label,
            expires: None,
            digest: [0; 32],
            sealed: None,
            replaces: None,
            fleet_key: None,
            authority: None,
        }
    }

    /// An active token that lasts for `lasts` from now on.
    pub(super) fn token(
        owner: Owner<'a>,
        label: &'a str,
        lasts: Option<Duration>,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        text::check("label", label, MAX_LABEL)?;
        if lasts.is_some_and(|lasts| !(MIN_LIFE..=MAX_LIFE).contains(&lasts)) {
            return Err(Refusal::invalid("lasts", "a minute to ten years"));
        }
        Ok(Self {
            kind: CredentialKind::Token,
            expires: lasts.map(|lasts| now.after(lasts)),
            ..Self::key(owner, label)
        })
    }

    /// The same, pending, in the place of `old` once it has been used.
    pub(super) fn replacing(self, old: &'a CredentialId, overlap: Duration) -> Self {
        Self {
            state: CredentialState::Pending,
            replaces: Some((old, overlap)),
            ..self
        }
    }

    /// The same, got by enrolling with `fleet_key`, and good for something or not yet.
    pub(super) fn enrolled(self, fleet_key: &'a FleetKeyId, state: CredentialState) -> Self {
        Self {
            state,
            fleet_key: Some(fleet_key),
            ..self
        }
    }

    /// A certificate, by the SHA-256 of its DER.
    pub(super) fn certificate(
        owner: Owner<'a>,
        kind: CredentialKind,
        label: &'a str,
        digest: [u8; 32],
        expires: Option<Timestamp>,
    ) -> Self {
        Self {
            kind,
            digest,
            expires,
            ..Self::key(owner, label)
        }
    }
}

/// Makes and keeps a pair of symmetric keys, `primary` and `secondary`.
pub(super) fn issue_pair(
    connection: &Connection,
    vault: &Vault,
    owner: Owner<'_>,
    now: Timestamp,
) -> Result<[Issued; 2], Refusal> {
    Ok([
        issue_key(connection, vault, New::key(owner, "primary"), now)?,
        issue_key(connection, vault, New::key(owner, "secondary"), now)?,
    ])
}

/// Makes and keeps a symmetric key.
pub(super) fn issue_key(
    connection: &Connection,
    vault: &Vault,
    new: New<'_>,
    now: Timestamp,
) -> Result<Issued, Refusal> {
    keep_key(connection, vault, new, Secret::random(KEY_LENGTH)?, now)
}

/// Keeps a symmetric key that somebody else has made.
pub(super) fn keep_key(
    connection: &Connection,
    vault: &Vault,
    mut new: New<'_>,
    key: Secret,
    now: Timestamp,
) -> Result<Issued, Refusal> {
    let id = CredentialId::made_up()?;
    new.digest = key.digest();
    new.sealed = Some(vault.seal(&place(&id), &key)?);
    let credential = insert(connection, id, &new, now)?;
    Ok(Issued {
        credential,
        given: Given::Key(key),
    })
}

/// Makes and keeps a token.
pub(super) fn issue_token(
    connection: &Connection,
    mut new: New<'_>,
    now: Timestamp,
) -> Result<Issued, Refusal> {
    let token = token::made_up(match new.owner {
        Owner::Device(_) => Holder::Device,
        Owner::Operator(_) => Holder::Operator,
        Owner::Service(_) => Holder::Service,
    })?;
    new.digest = token.digest();
    let credential = insert(connection, CredentialId::made_up()?, &new, now)?;
    Ok(Issued {
        credential,
        given: Given::Token(token),
    })
}

/// Keeps a credential.
pub(super) fn insert(
    connection: &Connection,
    id: CredentialId,
    new: &New<'_>,
    now: Timestamp,
) -> Result<Credential, Refusal> {
    make_room(connection, new.owner, now)?;
    let (device, operator, service) = new.owner.columns();
    let overlap = new.replaces.map(|(_, overlap)| overlap.as_millis());
    connection
        .prepare_cached(
            "INSERT INTO credentials (id, device, operator, service, kind, state, label, created,
                expires, digest, sealed, replaces, overlap, fleet_key, authority)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(rusqlite::params![
            id,
            device,
            operator,
            service,
            new.kind,
            new.state,
            new.label,
            now,
            new.expires,
            new.digest,
            new.sealed,
            new.replaces.map(|(replaced, _)| replaced),
            overlap.map(|overlap| i64::try_from(overlap).unwrap_or(i64::MAX)),
            new.fleet_key,
            new.authority,
        ])?;
    Ok(Credential {
        id,
        kind: new.kind,
        state: new.state,
        label: new.label.to_owned(),
        created: now,
        expires: new.expires,
        used: None,
    })
}
