//! From what somebody shows to who they are.

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::cache::Digest;
use super::credential::{CredentialKind, CredentialState};
use super::device::DeviceState;
use super::{Identity, Principal, Scope, policy, token};
use crate::clock::Timestamp;
use crate::id::{CredentialId, DeviceId, ServiceId, SiteId};
use crate::refusal::Refusal;
use crate::secret::Secret;

/// What somebody shows to prove who they are.
#[derive(Debug)]
pub enum Claim<'a> {
    /// A token, of a device, an operator or a service. When `device` is given it must be that one's.
    Token {
        /// The token as shown.
        token: &'a Secret,
        /// Who they say they are, if they say it.
        device: Option<&'a DeviceId>,
    },
    /// One of a device's symmetric keys itself, in base 64.
    Key {
        /// Who they say they are.
        device: &'a DeviceId,
        /// The key as shown.
        key: &'a Secret,
    },
    /// A client certificate that TLS has verified the holding of (not who signed it).
    Certificate {
        /// The chain in DER, the holder's first.
        chain: &'a [Vec<u8>],
        /// Who they say they are, if they say it.
        device: Option<&'a DeviceId>,
    },
    /// A text that one of a device's symmetric keys has signed, by HMAC-SHA256. That it says who
    /// signs and until when is for the caller to see.
    Signed {
        /// Who they say they are.
        device: &'a DeviceId,
        /// The text.
        text: &'a [u8],
        /// The signature.
        signature: &'a [u8],
        /// Until when the text says that it holds.
        until: Timestamp,
    },
    /// A text that an access key of the service of that name has signed, by HMAC-SHA256 with the
    /// key itself. What the text says is for the caller to judge.
    Policy {
        /// Who they say they are.
        service: &'a ServiceId,
        /// The device that the service comes as, if it does not come as itself: that it may is for
        /// the caller to see, that it sees the device is not.
        device: Option<&'a DeviceId>,
        /// The text.
        text: &'a [u8],
        /// The signature.
        signature: &'a [u8],
        /// Until when the text says that it holds.
        until: Timestamp,
    },
    /// A text that one of a service's access keys has signed, by HMAC-SHA256 with the key's own
    /// text in base 64. What the text says is for the caller to judge.
    Signature {
        /// The text.
        text: &'a [u8],
        /// The signature.
        signature: &'a [u8],
    },
    /// A token for look-ups, which proves nothing anywhere else.
    Lookup {
        /// The token as shown.
        token: &'a Secret,
    },
}

/// Somebody made out by a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// Who.
    pub principal: Principal,
    /// By what.
    pub credential: CredentialId,
    /// Until when that holds.
    pub expires: Option<Timestamp>,
}

/// The longest text that is looked at as a symmetric key in base 64.
const MAX_KEY_TEXT: usize = 128;

/// A credential with whose it is, as the store has it.
pub(super) struct Held {
    credential: CredentialId,
    kind: CredentialKind,
    state: CredentialState,
    expires: Option<Timestamp>,
    principal: Principal,
    /// Whether the holder, their site or the authority that vouched is revoked.
    revoked: bool,
}

impl Identity {
    /// Makes out who shows `claim`. Says nothing of why not.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`]; and where the credential is right: [`Refusal::Revoked`],
    /// [`Refusal::AwaitsApproval`]; as the store.
    pub async fn authenticate(&self, claim: Claim<'_>) -> Result<Identified, Refusal> {
        match claim {
            Claim::Token { token, device } => {
                let identified = self.by_token(token).await?;
                is_device(&identified, device)?;
                Ok(identified)
            }
            Claim::Key { device, key } => {
                let text = str::from_utf8(key.expose()).map_err(|_| Refusal::Unauthenticated)?;
                if text.len() > MAX_KEY_TEXT {
                    return Err(Refusal::Unauthenticated);
                }
                let key = Secret::from_base64(text).ok_or(Refusal::Unauthenticated)?;
                let found = self.by_digest(key.digest(), Shown::Key).await?;
                is_device(&found, Some(device))?;
                Ok(found)
            }
            Claim::Certificate { chain, device } => self.by_certificate(chain, device).await,
            Claim::Signed {
                device,
                text,
                signature,
                until,
            } => self.by_signed(device, text, signature, until).await,
            Claim::Policy {
                service,
                device,
                text,
                signature,
                until,
            } => {
                let shown = policy::Shown {
                    service,
                    device,
                    text,
                    signature,
                    until,
                };
                self.by_policy(shown).await
            }
            Claim::Signature { text, signature } => self.by_signature(text, signature).await,
            Claim::Lookup { token } => self.by_lookup(token).await,
        }
    }

    /// Whether what somebody was identified by still holds; promotes a pending credential and
    /// notes its use. Asked after the session has been taken up.
    pub(crate) async fn confirm(&self, identified: &Identified) -> Result<(), Refusal> {
        let now = self.clock.now();
        if ended(identified.expires, now) {
            return Err(Refusal::Unauthenticated);
        }
        if !self.cache.is_confirmed(identified) {
            let read = self.cache.generation();
            let id = identified.credential.clone();
            let device = identified.principal.device().cloned();
            let (state, principal) = self
                .store
                .read_first(move |connection| {
                    let held = by_name(connection, &id)?.ok_or(Refusal::Revoked)?;
                    let state = held.state;
                    let holder = policy::acting(connection, held.judge(now)?, device.as_ref())?;
                    Ok((state, holder.principal))
                })
                .await?;
            // Whose policy, role or scope has changed meanwhile comes in again under the new one.
            if principal != identified.principal {
                return Err(Refusal::Unauthenticated);
            }
            if state == CredentialState::Pending {
                self.promote(&identified.credential).await?;
            } else {
                self.cache.remember_confirmed(read, identified);
            }
        }
        let seen = self.sessions.seen();
        seen.credential(&identified.credential, now);
        if let Principal::Device { device, .. } = &identified.principal {
            seen.device(device, now);
        }
        self.write_seen_if_due(now);
        Ok(())
    }

    /// Who somebody is by a credential that they showed before; by that of a service, the device
    /// that it came as. Notes no use of it: nobody shows it now.
    ///
    /// # Errors
    /// As [`Identity::authenticate`].
    pub(crate) async fn holder(
        &self,
        credential: &CredentialId,
        device: Option<&DeviceId>,
    ) -> Result<Identified, Refusal> {
        let (id, now) = (credential.clone(), self.clock.now());
        let device = device.cloned();
        self.store
            .read_first(move |connection| {
                let held = by_name(connection, &id)?.ok_or(Refusal::Revoked)?;
                policy::acting(connection, held.judge(now)?, device.as_ref())
            })
            .await
    }

    async fn by_token(&self, token: &Secret) -> Result<Identified, Refusal> {
        if !token::well_formed(token) {
            return Err(Refusal::Unauthenticated);
        }
        let digest = token.digest();
        if let Some(identified) = self.cache.by_token(&digest)
            && !ended(identified.expires, self.clock.now())
        {
            return Ok(identified);
        }
        let read = self.cache.generation();
        let identified = self.by_digest(digest, Shown::Token).await?;
        self.cache.remember_token(read, digest, &identified);
        Ok(identified)
    }

    /// Who has the credential of that digest.
    pub(super) async fn by_digest(
        &self,
        digest: Digest,
        shown: Shown,
    ) -> Result<Identified, Refusal> {
        let now = self.clock.now();
        self.store
            .read_first(move |connection| {
                find(connection, &digest, shown)?
                    .ok_or(Refusal::Unauthenticated)?
                    .judge(now)
            })
            .await
    }
}

/// What kind of thing was shown: a digest of one kind means nothing among those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Token,
    Key,
}

impl Shown {
    fn fits(self, kind: CredentialKind) -> bool {
        match kind {
            CredentialKind::Token => self == Self::Token,
            CredentialKind::SymmetricKey => self == Self::Key,
            // Whose a certificate is depends on more than its digest.
            CredentialKind::Thumbprint
            | CredentialKind::Certificate
            | CredentialKind::PublicKey => false,
        }
    }
}

impl Held {
    /// Whether it has not been revoked itself, whatever became of its holder.
    pub(super) fn is_in_use(&self) -> bool {
        self.state != CredentialState::Revoked
    }

    /// Whether it would let its holder in, dates aside.
    fn holds(&self) -> bool {
        self.is_in_use() && !self.revoked
    }

    /// Whether it was signed for its holder, and not only said to be theirs by an operator.
    pub(super) fn is_signed(&self) -> bool {
        self.kind == CredentialKind::Certificate
    }

    fn is_of_same_device(&self, other: &Self) -> bool {
        match (&self.principal, &other.principal) {
            (Principal::Device { device, .. }, Principal::Device { device: other, .. }) => {
                device == other
            }
            (
                Principal::Device { .. } | Principal::Operator { .. } | Principal::Service { .. },
                _,
            ) => false,
        }
    }

    /// Who it made its holder up to its end, if that is over at `now`.
    pub(super) fn judge_at_its_end(mut self, now: Timestamp) -> Result<Identified, Refusal> {
        let end = self.expires.take();
        let mut identified = self.judge(now)?;
        identified.expires = end;
        Ok(identified)
    }

    /// Who it makes its holder at `now`.
    pub(super) fn judge(self, now: Timestamp) -> Result<Identified, Refusal> {
        match self.state {
            _ if self.revoked => return Err(Refusal::Revoked),
            CredentialState::Revoked => return Err(Refusal::Revoked),
            CredentialState::AwaitsApproval => return Err(Refusal::AwaitsApproval),
            CredentialState::Pending | CredentialState::Active | CredentialState::Retiring => {}
        }
        if ended(self.expires, now) {
            return Err(Refusal::Unauthenticated);
        }
        Ok(Identified {
            principal: self.principal,
            credential: self.credential,
            expires: self.expires,
        })
    }
}

/// The credential of that digest; of several one that is not revoked.
pub(super) fn find(
    connection: &Connection,
    digest: &Digest,
    shown: Shown,
) -> Result<Option<Held>, Refusal> {
    let sql = format!("{SELECT} WHERE c.digest = ?1 ORDER BY c.state = 'revoked', c.created DESC");
    let mut statement = connection.prepare_cached(&sql)?;
    for held in statement.query_map([digest], read)? {
        let held = held?;
        if shown.fits(held.kind) {
            return Ok(Some(held));
        }
    }
    Ok(None)
}

/// The certificate of that digest that `device` has; of several one that is not revoked.
pub(super) fn certificate_of(
    connection: &Connection,
    digest: &Digest,
    device: &DeviceId,
) -> Result<Option<Held>, Refusal> {
    let sql = format!(
        "{SELECT} WHERE c.digest = ?1 AND c.device = ?2
         AND c.kind IN ('thumbprint', 'certificate')
         ORDER BY c.state = 'revoked', c.created DESC LIMIT 1"
    );
    Ok(connection
        .prepare_cached(&sql)?
        .query_row((digest, device), read)
        .optional()?)
}

/// The certificate of that digest, when all that hold now are one device's. If none holds, one
/// that did.
///
/// # Errors
/// [`Refusal::Unauthenticated`] when several devices have it: operators of two sites may both say
/// that it is their device's, and it is not known who is right.
pub(super) fn certificate_of_one(
    connection: &Connection,
    digest: &Digest,
) -> Result<Option<Held>, Refusal> {
    let sql = format!(
        "{SELECT} WHERE c.digest = ?1 AND c.kind IN ('thumbprint', 'certificate')
         ORDER BY c.state = 'revoked', c.created DESC"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found: Option<Held> = None;
    for held in statement.query_map([digest], read)? {
        let held = held?;
        match &found {
            Some(before) if before.holds() => {
                if !held.is_in_use() {
                    break;
                }
                if held.holds() && !before.is_of_same_device(&held) {
                    return Err(Refusal::Unauthenticated);
                }
            }
            Some(_) if !held.holds() => {}
            Some(_) | None => found = Some(held),
        }
    }
    Ok(found)
}

/// Whether a device of `site` has the certificate of that digest, and it is not revoked.
pub(super) fn is_certificate_at(
    connection: &Connection,
    digest: &Digest,
    site: &SiteId,
) -> Result<bool, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM credentials AS c JOIN devices AS d ON d.id = c.device
             WHERE c.digest = ?1 AND d.site = ?2 AND c.kind IN ('thumbprint', 'certificate')
             AND c.state != 'revoked')",
        )?
        .query_row((digest, site), |row| row.get(0))?)
}

/// Whether a device of another site than `site` would come in by the certificate of that digest,
/// dates aside.
pub(super) fn is_held_beyond(
    connection: &Connection,
    digest: &Digest,
    site: &SiteId,
) -> Result<bool, Refusal> {
    let sql = format!(
        "{SELECT} WHERE c.digest = ?1 AND c.kind IN ('thumbprint', 'certificate')
         AND d.site != ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    for held in statement.query_map((digest, site), read)? {
        if held?.holds() {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn by_name(connection: &Connection, id: &CredentialId) -> Result<Option<Held>, Refusal> {
    Ok(connection
        .prepare_cached(&format!("{SELECT} WHERE c.id = ?1"))?
        .query_row([id], read)
        .optional()?)
}

/// Whether it is `device` who was made out, when they say so.
pub(super) fn is_device(
    identified: &Identified,
    claimed: Option<&DeviceId>,
) -> Result<(), Refusal> {
    match (&identified.principal, claimed) {
        (_, None) => Ok(()),
        (Principal::Device { device, .. }, Some(claimed)) if device == claimed => Ok(()),
        (
            Principal::Device { .. } | Principal::Operator { .. } | Principal::Service { .. },
            Some(_),
        ) => Err(Refusal::Unauthenticated),
    }
}

pub(super) fn ended(expires: Option<Timestamp>, now: Timestamp) -> bool {
    expires.is_some_and(|end| end <= now)
}

const SELECT: &str = "SELECT c.id, c.kind, c.state,
    CASE WHEN a.expires < c.expires THEN a.expires ELSE c.expires END,
    c.device, d.site, d.policy, d.state,
    c.operator, o.role, o.site, o.revoked,
    c.service, v.site, v.revoked,
    s.revoked, a.revoked, w.state
    FROM credentials AS c
    LEFT JOIN devices AS d ON d.id = c.device
    LEFT JOIN devices AS w ON w.id = substr(d.id, 1, instr(d.id, '~') - 1)
    LEFT JOIN operators AS o ON o.id = c.operator
    LEFT JOIN services AS v ON v.id = c.service
    LEFT JOIN authorities AS a ON a.id = c.authority
    LEFT JOIN sites AS s ON s.id = coalesce(d.site, o.site, v.site)";

fn read(row: &Row<'_>) -> rusqlite::Result<Held> {
    let site_revoked = row.get::<_, Option<Timestamp>>(15)?.is_some();
    let authority_revoked = row.get::<_, Option<Timestamp>>(16)?.is_some();
    let (principal, revoked) = if let Some(device) = row.get(4)? {
        let (site, policy) = (row.get(5)?, row.get(6)?);
        let whole: Option<DeviceState> = row.get(17)?;
        let revoked = [Some(row.get(7)?), whole].contains(&Some(DeviceState::Revoked));
        let principal = Principal::Device {
            device,
            site,
            policy,
        };
        (principal, revoked)
    } else if let Some(operator) = row.get(8)? {
        let principal = Principal::Operator {
            operator,
            role: row.get(9)?,
            scope: Scope::of(row.get(10)?),
        };
        (principal, row.get::<_, Option<Timestamp>>(11)?.is_some())
    } else {
        let principal = Principal::Service {
            service: row.get(12)?,
            scope: Scope::of(row.get(13)?),
        };
        (principal, row.get::<_, Option<Timestamp>>(14)?.is_some())
    };
    Ok(Held {
        credential: row.get(0)?,
        kind: row.get(1)?,
        state: row.get(2)?,
        expires: row.get(3)?,
        principal,
        revoked: revoked || site_revoked || authority_revoked,
    })
}
