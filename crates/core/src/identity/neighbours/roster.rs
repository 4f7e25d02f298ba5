//! A site's roster, made and signed.

use outgate_neighbours::{self as neighbours, MemberId};
use outgate_signed_http::{Signer, VerifyingKey};
use rusqlite::{Connection, OptionalExtension as _};

use super::keys::{self, Kept};
use super::{ROSTER_LASTS, ROSTER_RENEWED, RosterMember, SiteRoster, Vault};
use crate::clock::Timestamp;
use crate::id::SiteId;
use crate::refusal::Refusal;
use crate::secret::Secret;

const DAMAGED: Refusal = Refusal::Internal("what is kept of a site's roster is damaged");

/// Bytes of the private half of a site's key (RFC 8032, section 5.1.5).
const SEED: usize = 32;

/// A roster as it is handed out.
pub(super) struct Signed {
    pub(super) public: [u8; 32],
    pub(super) bytes: Vec<u8>,
    epoch: u64,
    until: Timestamp,
}

/// The newest roster of a site, if it has one.
pub(super) fn signed(connection: &Connection, site: &SiteId) -> Result<Option<Signed>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT public, signed, epoch, until FROM rosters WHERE site = ?1")?
        .query_row([site], |row| {
            Ok(Signed {
                public: row.get(0)?,
                bytes: row.get(1)?,
                epoch: row.get::<_, i64>(2)?.unsigned_abs(),
                until: row.get(3)?,
            })
        })
        .optional()?)
}

/// Whether a site's roster says who belongs to it, and for long enough; also where there is none.
pub(super) fn is_good(
    connection: &Connection,
    site: &SiteId,
    now: Timestamp,
) -> Result<bool, Refusal> {
    let found: Option<(bool, Timestamp)> = connection
        .prepare_cached("SELECT stale, until FROM rosters WHERE site = ?1")?
        .query_row([site], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.is_none_or(|(stale, until)| !stale && !is_due(until, now)))
}

/// The sites whose rosters do not say any more who belongs to them.
pub(super) fn stale(connection: &Connection) -> Result<Vec<SiteId>, Refusal> {
    let mut found = connection.prepare_cached("SELECT site FROM rosters WHERE stale")?;
    let found = found.query_map([], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Makes a site's roster anew, with the site's key if it has none yet, unless it would say the same;
/// tells the site where there is a new one.
pub(super) fn renew(
    connection: &Connection,
    vault: &Vault,
    site: &SiteId,
    now: Timestamp,
) -> Result<Option<SiteId>, Refusal> {
    let before = signed(connection, site)?;
    let signer = match &before {
        Some(_) => key(connection, vault, site)?,
        None => make_key(connection, vault, site)?,
    };
    let mut roster = compose(connection, site)?;
    if let Some(before) = before.as_ref().filter(|before| !is_due(before.until, now)) {
        date(&mut roster, before.epoch, before.until);
        let said = neighbours::Roster::open(&before.bytes, &roster.site, &signer.verifying_key());
        if said.is_ok_and(|said| said == roster) {
            let fresh = "UPDATE rosters SET stale = 0 WHERE site = ?1";
            connection.prepare_cached(fresh)?.execute([site])?;
            return Ok(None);
        }
    }
    // By the clock, so that a hub that is put back to an earlier state goes on above what its
    // devices have seen.
    let next = before.map_or(1, |before| before.epoch + 1);
    let (epoch, until) = (next.max(seconds(now)), now.after(ROSTER_LASTS));
    date(&mut roster, epoch, until);
    let bytes = roster.signed(&signer).map_err(|_| DAMAGED)?;
    connection
        .prepare_cached(
            "UPDATE rosters SET epoch = ?2, signed = ?3, until = ?4, stale = 0 WHERE site = ?1",
        )?
        .execute((site, epoch.cast_signed(), bytes, until))?;
    Ok(Some(site.clone()))
}

/// What an operator is told of it.
pub(super) fn told(connection: &Connection, site: SiteId) -> Result<SiteRoster, Refusal> {
    let signed = signed(connection, &site)?;
    let line = |kept: Kept| RosterMember {
        name: kept.name,
        device: kept.device,
        key: kept.key,
        since: kept.since,
    };
    let members = keys::of_members(connection, &site)?;
    let former = keys::of_former(connection, &site)?;
    Ok(SiteRoster {
        epoch: signed.as_ref().map_or(0, |signed| signed.epoch),
        key: signed.as_ref().map(|signed| signed.public),
        until: signed.map(|signed| signed.until),
        members: members.into_iter().map(line).collect(),
        former: former.into_iter().map(line).collect(),
        site,
    })
}

fn is_due(until: Timestamp, now: Timestamp) -> bool {
    until.since(now) < ROSTER_RENEWED
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis() / 1_000).unwrap_or_default()
}

fn date(roster: &mut neighbours::Roster, epoch: u64, until: Timestamp) {
    roster.epoch = epoch;
    for member in &mut roster.members {
        member.not_after = seconds(until);
    }
}

/// Who belongs to a site, without an epoch or an end.
fn compose(connection: &Connection, site: &SiteId) -> Result<neighbours::Roster, Refusal> {
    let members = keys::of_members(connection, site)?;
    let members = members.iter().map(|kept| {
        let (id, key) = named(kept)?;
        Ok(neighbours::Listed {
            id,
            key,
            roles: Vec::new(),
            priority: 0,
            not_after: 0,
        })
    });
    let former = keys::of_former(connection, site)?;
    let former = former.iter().map(|kept| {
        let (id, key) = named(kept)?;
        Ok(neighbours::Former { id, key })
    });
    Ok(neighbours::Roster {
        site: site.as_str().parse().map_err(|_| DAMAGED)?,
        epoch: 0,
        members: members.collect::<Result<_, Refusal>>()?,
        revoked: former.collect::<Result<_, Refusal>>()?,
    })
}

fn named(kept: &Kept) -> Result<(MemberId, VerifyingKey), Refusal> {
    let name = kept.name.parse().map_err(|_| DAMAGED)?;
    let key = VerifyingKey::from_bytes(&kept.key).map_err(|_| DAMAGED)?;
    Ok((name, key))
}

fn key(connection: &Connection, vault: &Vault, site: &SiteId) -> Result<Signer, Refusal> {
    let sealed: Vec<u8> = connection
        .prepare_cached("SELECT sealed FROM rosters WHERE site = ?1")?
        .query_row([site], |row| row.get(0))?;
    signer(&vault.open_sealed(&place(site), &sealed)?)
}

fn make_key(connection: &Connection, vault: &Vault, site: &SiteId) -> Result<Signer, Refusal> {
    let seed = Secret::random(SEED)?;
    let signer = signer(&seed)?;
    let sealed = vault.seal(&place(site), &seed)?;
    connection
        .prepare_cached(
            "INSERT INTO rosters (site, sealed, public, epoch, signed, until, stale)
             VALUES (?1, ?2, ?3, 0, x'', 0, 1)",
        )?
        .execute((site, sealed, signer.verifying_key().as_bytes()))?;
    Ok(signer)
}

fn signer(seed: &Secret) -> Result<Signer, Refusal> {
    Signer::from_seed("site", seed.expose()).map_err(|_| DAMAGED)
}

/// The place for which the site's key is sealed.
fn place(site: &SiteId) -> String {
    format!("site-key/{site}")
}
