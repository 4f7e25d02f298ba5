//! Credentials as the store has them: whose they are, and what becomes of them.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::{Credential, CredentialState, MAX_CREDENTIALS};
use crate::clock::Timestamp;
use crate::id::{CredentialId, DeviceId, FleetKeyId, OperatorId, ServiceId};
use crate::refusal::Refusal;

/// Revoked or ended credentials, other than certificates, stay listed for so long, and longer when their owner has fewer
/// than [`MAX_CREDENTIALS`].
const REMEMBERED: Duration = Duration::from_secs(30 * 86_400);

const COLUMNS: &str = "id, kind, state, label, created, expires, used";

/// Whose a credential is.
#[derive(Clone, Copy, Debug)]
pub(in crate::identity) enum Owner<'a> {
    Device(&'a DeviceId),
    Operator(&'a OperatorId),
    Service(&'a ServiceId),
}

/// All credentials of `owner`, oldest first.
pub(in crate::identity) fn of_owner(
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
pub(in crate::identity) fn find(
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
pub(in crate::identity) fn revoke(
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
pub(in crate::identity) fn revoke_all(
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
pub(in crate::identity) fn delete_all(
    connection: &Connection,
    owner: Owner<'_>,
) -> Result<(), Refusal> {
    let (column, name) = owner.column();
    let sql = format!("DELETE FROM credentials WHERE {column} = ?1");
    connection.prepare_cached(&sql)?.execute([name])?;
    Ok(())
}

/// Takes a credential back that was never good for anything, or never used.
pub(in crate::identity) fn delete(
    connection: &Connection,
    id: &CredentialId,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("DELETE FROM credentials WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Takes back what waits for approval. Returns what that was.
pub(in crate::identity) fn withdraw_waiting(
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

/// The digest under which a credential is kept, if it is.
pub(in crate::identity) fn digest_of(
    connection: &Connection,
    id: &CredentialId,
) -> Result<Option<[u8; 32]>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT digest FROM credentials WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?)
}

/// The key itself, sealed; none once it has been revoked.
pub(in crate::identity) fn sealed(
    connection: &Connection,
    id: &CredentialId,
) -> Result<Option<Vec<u8>>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT sealed FROM credentials WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?
        .flatten())
}

/// Says anew what a credential is for.
pub(in crate::identity) fn label(
    connection: &Connection,
    id: &CredentialId,
    label: &str,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("UPDATE credentials SET label = ?2 WHERE id = ?1")?
        .execute((id, label))?;
    Ok(())
}

/// With which fleet key a credential was enrolled, if it was.
pub(in crate::identity) fn enrolled_with(
    connection: &Connection,
    id: &CredentialId,
) -> Result<Option<FleetKeyId>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT fleet_key FROM credentials WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?)
}

/// Whether the device has a credential that waits for approval.
pub(in crate::identity) fn any_awaits(
    connection: &Connection,
    device: &DeviceId,
) -> Result<bool, Refusal> {
    let all = of_owner(connection, Owner::Device(device))?;
    Ok(all
        .iter()
        .any(|credential| credential.state == CredentialState::AwaitsApproval))
}

/// Puts the device's credential that waits for approval in the place of all others. Returns
/// those, which are revoked now.
pub(in crate::identity) fn approve(
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
pub(in crate::identity) fn place(id: &CredentialId) -> String {
    format!("credential/{id}")
}

/// Clears away what `owner` has not been able to use for long, if there are too many.
///
/// A revoked certificate stays until its own end, pinned or not: else the authority of its site
/// would let it in again. The end of one that was pinned and never shown is not known; it stays
/// as long as its site has authorities.
pub(super) fn make_room(
    connection: &Connection,
    owner: Owner<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
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
pub(in crate::identity) fn note_end(
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
    pub(super) fn column(self) -> (&'static str, &'a str) {
        match self {
            Self::Device(id) => ("device", id.as_str()),
            Self::Operator(id) => ("operator", id.as_str()),
            Self::Service(id) => ("service", id.as_str()),
        }
    }

    /// Its name in the one of three columns that is its kind's.
    pub(super) fn columns(self) -> (Option<&'a str>, Option<&'a str>, Option<&'a str>) {
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
