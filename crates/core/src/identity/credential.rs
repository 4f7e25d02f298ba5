//! Credentials: the ways in which devices, operators and services prove who they are.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::act::{Act, Done};
use super::text::{self, words};
use super::token::{self, Holder};
use super::vault::Vault;
use super::{Actor, Identity, Role, device};
use crate::clock::Timestamp;
use crate::id::{AuthorityId, CredentialId, DeviceId, FleetKeyId, OperatorId, ServiceId};
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
}

words!(CredentialKind {
    SymmetricKey => "symmetric-key",
    Thumbprint => "thumbprint",
    Certificate => "certificate",
    Token => "token",
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

/// Revoked or ended credentials, other than certificates, stay listed for so long, and longer when their owner has fewer
/// than [`MAX_CREDENTIALS`].
const REMEMBERED: Duration = Duration::from_secs(30 * 86_400);

/// Whose a credential is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner<'a> {
    Device(&'a DeviceId),
    Operator(&'a OperatorId),
    Service(&'a ServiceId),
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

const COLUMNS: &str = "id, kind, state, label, created, expires, used";

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
            let owner = Owner::Device(&device);
            let pair = [
                issue_key(connection, &vault, New::key(owner, "primary"), now)?,
                issue_key(connection, &vault, New::key(owner, "secondary"), now)?,
            ];
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
            .read(move |connection| {
                let mut found = connection.prepare_cached(
                    "SELECT id, sealed FROM credentials WHERE device = ?1
                     AND kind = 'symmetric-key' AND sealed IS NOT NULL
                     AND state IN ('pending', 'active', 'retiring')
                     AND (expires IS NULL OR expires > ?2) ORDER BY created, id",
                )?;
                let rows = found
                    .query_map((&device, now), |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<Vec<(CredentialId, Vec<u8>)>, _>>()?;
                rows.into_iter()
                    .map(|(id, sealed)| {
                        let key = vault.open_sealed(&place(&id), &sealed)?;
                        Ok((id, key))
                    })
                    .collect()
            })
            .await
    }
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

/// Makes and keeps a symmetric key.
pub(super) fn issue_key(
    connection: &Connection,
    vault: &Vault,
    mut new: New<'_>,
    now: Timestamp,
) -> Result<Issued, Refusal> {
    let id = CredentialId::made_up()?;
    let key = Secret::random(KEY_LENGTH)?;
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

/// All credentials of `owner`, oldest first.
pub(super) fn of_owner(
    connection: &Connection,
    owner: Owner<'_>,
) -> Result<Vec<Credential>, Refusal> {
    let (column, name) = owner.column();
    let sql =
        format!("SELECT {COLUMNS} FROM credentials WHERE {column} = ?1 ORDER BY created, rowid");
    Ok(connection
        .prepare_cached(&sql)?
        .query_map([name], read)?
        .collect::<Result<_, _>>()?)
}

/// The credential of that name, if it is `owner`'s.
pub(super) fn find(
    connection: &Connection,
    owner: Owner<'_>,
    id: &CredentialId,
) -> Result<Credential, Refusal> {
    let (device, operator, service) = owner.columns();
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM credentials
             WHERE id = ?1 AND device IS ?2 AND operator IS ?3 AND service IS ?4"
        ))?
        .query_row((id, device, operator, service), read)
        .optional()?
        .ok_or_else(|| Refusal::not_found("credential", id))
}

/// Makes a credential good for nothing any more, and forgets its key.
pub(super) fn revoke(
    connection: &Connection,
    id: &CredentialId,
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "UPDATE credentials SET state = 'revoked', sealed = NULL,
             revoked = coalesce(revoked, ?2) WHERE id = ?1",
        )?
        .execute((id, now))?;
    Ok(())
}

/// Makes all credentials of `owner` good for nothing any more.
pub(super) fn revoke_all(
    connection: &Connection,
    owner: Owner<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let (column, name) = owner.column();
    let sql = format!(
        "UPDATE credentials SET state = 'revoked', sealed = NULL, revoked = ?2
         WHERE {column} = ?1 AND state != 'revoked'"
    );
    connection.prepare_cached(&sql)?.execute((name, now))?;
    Ok(())
}

/// Takes all credentials of `owner` away without a trace but that of the audit log. Not for
/// devices: what an authority vouches for would come in again.
pub(super) fn delete_all(connection: &Connection, owner: Owner<'_>) -> Result<(), Refusal> {
    let (column, name) = owner.column();
    let sql = format!("DELETE FROM credentials WHERE {column} = ?1");
    connection.prepare_cached(&sql)?.execute([name])?;
    Ok(())
}

/// Takes a credential back that was never good for anything, or never used.
pub(super) fn delete(connection: &Connection, id: &CredentialId) -> Result<(), Refusal> {
    connection
        .prepare_cached("DELETE FROM credentials WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Takes back what waits for approval. Returns what that was.
pub(super) fn withdraw_waiting(
    connection: &Connection,
    device: &DeviceId,
) -> Result<Vec<CredentialId>, Refusal> {
    Ok(connection
        .prepare_cached(
            "DELETE FROM credentials WHERE device = ?1 AND state = 'awaits-approval' RETURNING id",
        )?
        .query_map([device], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

/// With which fleet key a credential was enrolled, if it was.
pub(super) fn enrolled_with(
    connection: &Connection,
    id: &CredentialId,
) -> Result<Option<FleetKeyId>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT fleet_key FROM credentials WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?)
}

/// Whether the device has a credential that waits for approval.
pub(super) fn any_awaits(connection: &Connection, device: &DeviceId) -> Result<bool, Refusal> {
    let all = of_owner(connection, Owner::Device(device))?;
    Ok(all
        .iter()
        .any(|credential| credential.state == CredentialState::AwaitsApproval))
}

/// Puts the device's credential that waits for approval in the place of all others. Returns
/// those, which are revoked now.
pub(super) fn approve(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<Vec<CredentialId>, Refusal> {
    let mut replaced = Vec::new();
    for credential in of_owner(connection, Owner::Device(device))? {
        match credential.state {
            CredentialState::AwaitsApproval => {
                connection
                    .prepare_cached("UPDATE credentials SET state = 'active' WHERE id = ?1")?
                    .execute([&credential.id])?;
            }
            CredentialState::Pending | CredentialState::Active | CredentialState::Retiring => {
                revoke(connection, &credential.id, now)?;
                replaced.push(credential.id);
            }
            CredentialState::Revoked => {}
        }
    }
    Ok(replaced)
}

/// What a key is sealed for.
pub(super) fn place(id: &CredentialId) -> String {
    format!("credential/{id}")
}

/// Clears away what `owner` has not been able to use for long, if there are too many.
///
/// A revoked certificate stays until its own end, pinned or not: else the authority of its site
/// would let it in again. The end of one that was pinned and never shown is not known; it stays
/// as long as its site has authorities.
fn make_room(connection: &Connection, owner: Owner<'_>, now: Timestamp) -> Result<(), Refusal> {
    if count(connection, owner)? < MAX_CREDENTIALS {
        return Ok(());
    }
    let (column, name) = owner.column();
    let sql = format!(
        "DELETE FROM credentials WHERE {column} = :name AND CASE
         WHEN kind = 'certificate' THEN expires < :now
         WHEN kind = 'thumbprint' AND expires IS NOT NULL THEN expires < :now
         WHEN kind = 'thumbprint' THEN revoked < :long_ago AND NOT EXISTS
            (SELECT 1 FROM devices AS d JOIN authorities AS a ON a.site = d.site
             WHERE d.id = credentials.device AND a.revoked IS NULL)
         ELSE expires < :long_ago OR (state = 'revoked' AND created < :long_ago) END"
    );
    connection.prepare_cached(&sql)?.execute(named_params! {
        ":name": name, ":now": now, ":long_ago": now.before(REMEMBERED),
    })?;
    if count(connection, owner)? < MAX_CREDENTIALS {
        return Ok(());
    }
    Err(Refusal::TooMany {
        what: "credentials",
        limit: MAX_CREDENTIALS as u64,
    })
}

fn count(connection: &Connection, owner: Owner<'_>) -> Result<usize, Refusal> {
    let (column, name) = owner.column();
    let sql = format!("SELECT count(*) FROM credentials WHERE {column} = ?1");
    Ok(connection
        .prepare_cached(&sql)?
        .query_row([name], |row| row.get(0))?)
}

/// Notes when a pinned certificate ends, which is only known once it has been shown.
pub(super) fn note_end(
    connection: &Connection,
    id: &CredentialId,
    end: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("UPDATE credentials SET expires = ?2 WHERE id = ?1 AND expires IS NULL")?
        .execute((id, end))?;
    Ok(())
}

impl<'a> Owner<'a> {
    /// The column that is its kind's, and its name.
    fn column(self) -> (&'static str, &'a str) {
        match self {
            Self::Device(id) => ("device", id.as_str()),
            Self::Operator(id) => ("operator", id.as_str()),
            Self::Service(id) => ("service", id.as_str()),
        }
    }

    /// Its name in the one of three columns that is its kind's.
    fn columns(self) -> (Option<&'a str>, Option<&'a str>, Option<&'a str>) {
        match self {
            Self::Device(id) => (Some(id.as_str()), None, None),
            Self::Operator(id) => (None, Some(id.as_str()), None),
            Self::Service(id) => (None, None, Some(id.as_str())),
        }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Credential> {
    Ok(Credential {
        id: row.get(0)?,
        kind: row.get(1)?,
        state: row.get(2)?,
        label: row.get(3)?,
        created: row.get(4)?,
        expires: row.get(5)?,
        used: row.get(6)?,
    })
}
