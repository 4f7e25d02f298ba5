//! Certificate authorities of customers, whose certificates a site's devices may show.

use rusqlite::{Connection, OptionalExtension as _, Row};
use rustls_pki_types::{CertificateDer, UnixTime};
use serde::Serialize;
use serde_json::json;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::act::{Act, Done};
use super::{Actor, Identity, Revoked, Role, leaf, pem, site};
use crate::clock::Timestamp;
use crate::id::{AuthorityId, CredentialId, SiteId};
use crate::refusal::Refusal;
use crate::sessions::{Ending, Selector};

/// A customer's certificate authority, as it may be told.
#[derive(Clone, Debug, Serialize)]
pub struct SiteAuthority {
    /// Its name.
    pub id: AuthorityId,
    /// Whose devices may show its certificates.
    pub site: SiteId,
    /// Its subject, as its certificate says.
    pub subject: String,
    /// Since when.
    pub created: Timestamp,
    /// Until when its certificate is valid.
    pub expires: Timestamp,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
}

/// The most authorities in use that a site has at a time.
pub const MAX_SITE_AUTHORITIES: usize = 16;

/// The most authorities of a site that are listed, revoked ones included.
const MAX_LISTED: u32 = 256;

const COLUMNS: &str = "id, site, subject, created, expires, revoked";

/// An authority that may vouch for a device.
pub(super) struct Anchor {
    pub(super) id: AuthorityId,
    pub(super) expires: Timestamp,
    certificate: Vec<u8>,
}

impl Identity {
    /// Registers the certificate, in PEM, of an authority whose certificates a site's devices may
    /// show. A device shows by its common name or a DNS name who it is, and must be known.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Exists`], [`Refusal::Invalid`]
    /// when it is no certificate of an authority or has ended, [`Refusal::TooMany`] when the site
    /// has [`MAX_SITE_AUTHORITIES`]; as the store.
    pub async fn add_authority(
        &self,
        actor: &Actor,
        site: &SiteId,
        certificate: &str,
    ) -> Result<SiteAuthority, Refusal> {
        let act = Act::new(actor, Role::Admin, "authority.add", format!("site/{site}"));
        let (site, pem) = (site.clone(), certificate.to_owned());
        let work = move |connection: &Connection, actor: &Actor, now| {
            site::seen_by(connection, actor, &site)?;
            let der = pem::one(&pem, &["CERTIFICATE"])?;
            let (subject, expires) = judge(&der, now)?;
            if in_use(connection, &site)?.len() >= MAX_SITE_AUTHORITIES {
                return Err(Refusal::TooMany {
                    what: "authorities of a site",
                    limit: MAX_SITE_AUTHORITIES as u64,
                });
            }
            let authority = SiteAuthority {
                id: AuthorityId::made_up()?,
                site,
                subject,
                created: now,
                expires,
                revoked: None,
            };
            insert(connection, &authority, &der)?;
            let detail = json!({
                "authority": authority.id.as_str(), "subject": authority.subject,
            });
            Ok(Done::new(authority).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Lists the authorities of a site, oldest first: at most 256.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as the store.
    pub async fn authorities(
        &self,
        actor: &Actor,
        site: &SiteId,
    ) -> Result<Vec<SiteAuthority>, Refusal> {
        let (actor, site) = (actor.clone(), site.clone());
        self.store
            .read(move |connection| {
                site::seen_by(connection, &actor, &site)?;
                let sql = format!(
                    "SELECT {COLUMNS} FROM authorities WHERE site = ?1
                     ORDER BY created, id LIMIT {MAX_LISTED}"
                );
                let found = connection
                    .prepare_cached(&sql)?
                    .query_map([&site], read)?
                    .collect::<Result<_, _>>()?;
                Ok(found)
            })
            .await
    }

    /// Revokes an authority, and every certificate of its that a device has shown.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; as the store.
    pub async fn revoke_authority(
        &self,
        actor: &Actor,
        site: &SiteId,
        id: &AuthorityId,
    ) -> Result<Revoked, Refusal> {
        let act = Act::new(
            actor,
            Role::Admin,
            "authority.revoke",
            format!("site/{site}"),
        );
        let (site, id) = (site.clone(), id.clone());
        let work = move |connection: &Connection, actor: &Actor, now: Timestamp| {
            site::seen_by(connection, actor, &site)?;
            connection
                .prepare_cached(
                    "UPDATE authorities SET revoked = coalesce(revoked, ?3)
                     WHERE id = ?1 AND site = ?2 RETURNING id",
                )?
                .query_row((&id, &site, now), |_| Ok(()))
                .optional()?
                .ok_or_else(|| Refusal::not_found("authority", &id))?;
            let revoked = connection
                .prepare_cached(
                    "UPDATE credentials SET state = 'revoked', revoked = ?2
                     WHERE authority = ?1 AND state != 'revoked' RETURNING id",
                )?
                .query_map((&id, now), |row| row.get(0))?
                .collect::<Result<Vec<CredentialId>, _>>()?;
            let detail = json!({ "authority": id.as_str(), "certificates": revoked.len() });
            let done = Done::new(()).detail(detail);
            Ok(revoked.into_iter().fold(done, |done, credential| {
                done.ends(Selector::Credential(credential), Ending::Revoked)
            }))
        };
        let ((), connections) = self.act(act, work).await?;
        Ok(Revoked { connections })
    }
}

/// The authorities of a site that have not been revoked.
pub(super) fn in_use(connection: &Connection, site: &SiteId) -> Result<Vec<Anchor>, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT id, expires, certificate FROM authorities
             WHERE site = ?1 AND revoked IS NULL",
        )?
        .query_map([site], |row| {
            Ok(Anchor {
                id: row.get(0)?,
                expires: row.get(1)?,
                certificate: row.get(2)?,
            })
        })?
        .collect::<Result<_, _>>()?)
}

/// Which of `anchors` has signed the chain, for use as a TLS client, at `now`: by the rules of
/// RFC 5280 for paths (signatures, dates, basic constraints, name constraints, key usage).
pub(super) fn vouching<'a>(
    anchors: &'a [Anchor],
    chain: &[Vec<u8>],
    now: Timestamp,
) -> Option<&'a Anchor> {
    let (leaf, others) = chain.split_first()?;
    let leaf = CertificateDer::from(leaf.as_slice());
    let leaf = EndEntityCert::try_from(&leaf).ok()?;
    let others: Vec<_> = others
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    let since = u64::try_from(now.as_millis()).ok()?;
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_millis(since));
    anchors.iter().find(|anchor| {
        let certificate = CertificateDer::from(anchor.certificate.as_slice());
        // The path's rules do not look at the anchor's own dates.
        anchor.expires > now
            && anchor_from_trusted_cert(&certificate).is_ok_and(|trusted| {
                leaf.verify_for_usage(
                    webpki::ALL_VERIFICATION_ALGS,
                    &[trusted],
                    &others,
                    at,
                    KeyUsage::client_auth(),
                    None,
                    None,
                )
                .is_ok()
            })
    })
}

/// The subject and the end of an authority's certificate, if it is one.
fn judge(der: &[u8], now: Timestamp) -> Result<(String, Timestamp), Refusal> {
    let bad = |why: &str| Refusal::invalid("certificate", why);
    let (rest, certificate) =
        X509Certificate::from_der(der).map_err(|_| bad("an X.509 certificate"))?;
    let signs = certificate
        .key_usage()
        .map_err(|_| bad("an X.509 certificate"))?
        .is_none_or(|usage| usage.value.key_cert_sign());
    if !rest.is_empty() || !certificate.is_ca() || !signs {
        return Err(bad(
            "the certificate of an authority (basic constraints, key usage)",
        ));
    }
    anchor_from_trusted_cert(&CertificateDer::from(der))
        .map_err(|_| bad("a certificate of version 3 without what is unknown and critical"))?;
    let ends = certificate.validity().not_after.timestamp();
    let expires = Timestamp::from_millis(ends.saturating_mul(1_000));
    if expires <= now {
        return Err(bad("one that has not ended"));
    }
    Ok((leaf::subject(&certificate), expires))
}

fn insert(connection: &Connection, authority: &SiteAuthority, der: &[u8]) -> Result<(), Refusal> {
    let added = connection
        .prepare_cached(
            "INSERT INTO authorities (id, site, subject, certificate, digest, created, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )?
        .execute((
            &authority.id,
            &authority.site,
            &authority.subject,
            der,
            leaf::thumbprint(der),
            authority.created,
            authority.expires,
        ))?;
    if added == 0 {
        return Err(Refusal::Exists {
            what: "authority",
            id: authority.subject.clone(),
        });
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<SiteAuthority> {
    Ok(SiteAuthority {
        id: row.get(0)?,
        site: row.get(1)?,
        subject: row.get(2)?,
        created: row.get(3)?,
        expires: row.get(4)?,
        revoked: row.get(5)?,
    })
}
