//! Tokens for look-ups: a device shows the key of its fleet, then its own, and gets a token for the
//! two.
//!
//! Nothing of it is kept. A token is a text that says by which credential and which fleet key it
//! was got, and until when it holds; the hub signs it with a key that it derives. Whoever shows it
//! is who that credential makes them now, so it ends with the credential, the device, the site and
//! the fleet key, whichever is first.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use rusqlite::Connection;

use super::authenticate::by_name;
use super::fleet_key::{self, FleetKey};
use super::{Identified, Identity, MAX_SKEW, Principal};
use crate::clock::Timestamp;
use crate::id::{CredentialId, DeviceId, FleetKeyId, SiteId};
use crate::refusal::Refusal;
use crate::secret::Secret;

/// How long a device may take to show its own key, once the hub has taken that of its fleet.
pub const CHALLENGE_LASTS: Duration = Duration::from_secs(60);

/// The shortest that a token for look-ups lasts.
pub const MIN_LOOKUP_LIFE: Duration = Duration::from_secs(60);

/// The longest that a token for look-ups lasts.
pub const MAX_LOOKUP_LIFE: Duration = Duration::from_secs(3_600);

/// What sessions are called in which something is looked up.
pub const LOOKUPS: &str = "live";

/// What a token for look-ups begins with.
const PREFIX: &[u8] = b"og_lookup_";

/// The longest text that is looked at as a challenge or a token.
const MAX_TEXT: usize = 512;

/// A device shows the key of its fleet.
#[derive(Clone, Debug)]
pub struct FleetProof {
    /// Which fleet key.
    pub fleet_key: FleetKeyId,
    /// Who it says it is.
    pub device: DeviceId,
    /// When it says it is; within five minutes of ours.
    pub at: Timestamp,
    /// HMAC-SHA256 with the fleet key over [`fleet_text`].
    pub proof: Vec<u8>,
    /// From where it asks.
    pub peer: IpAddr,
}

/// A token for look-ups.
#[derive(Debug)]
pub struct LookupToken {
    /// The token.
    pub token: Secret,
    /// Until when it holds, at the longest.
    pub expires: Timestamp,
}

/// What the proof of a fleet key is made over: a line each of `outgate-live-1`, the device's name
/// and the time (RFC 3339 in UTC with `Z`, no fraction of a second unless there is one).
#[must_use]
pub fn fleet_text(device: &DeviceId, at: Timestamp) -> String {
    format!("outgate-live-1\n{device}\n{at}\n")
}

/// What the proof of a device's own key is made over: a line each of `outgate-live-2` and the
/// challenge.
#[must_use]
pub fn own_text(challenge: &str) -> String {
    format!("outgate-live-2\n{challenge}\n")
}

/// What the hub signs, so that it need not keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    /// That a device has shown its fleet's key.
    Challenge,
    /// That it has shown both.
    Token,
}

/// What a signed text says.
struct Said {
    fleet_key: FleetKeyId,
    /// The device's name in a challenge, the credential's in a token.
    whose: String,
    expires: Timestamp,
}

impl Identity {
    /// The first step: a device shows its fleet's key. It gets a challenge, which its own key is
    /// shown with.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when the proof or its time is no good; and where it is right,
    /// [`Refusal::Forbidden`] when the key is not good for this name or address, or has ended; as
    /// the store.
    pub async fn begin_lookups(&self, shown: FleetProof) -> Result<Secret, Refusal> {
        let now = self.clock.now();
        let skew = now.since(shown.at).max(shown.at.since(now));
        if skew > MAX_SKEW {
            return Err(Refusal::Unauthenticated);
        }
        let vault = self.vault.clone();
        let said = self
            .store
            .read_first(move |connection| {
                let (id, device) = (&shown.fleet_key, &shown.device);
                let sealed = fleet_key::sealed(connection, id)?.ok_or(Refusal::Unauthenticated)?;
                let key = vault.open_sealed(&fleet_key::on(id), &sealed)?;
                let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
                let text = fleet_text(device, shown.at);
                hmac::verify(&key, text.as_bytes(), &shown.proof)
                    .map_err(|_| Refusal::Unauthenticated)?;
                let key = fleet_key::find(connection, id)?.ok_or(Refusal::Unauthenticated)?;
                fleet_key::permit(&key, device, shown.peer, now)?;
                Ok(Said {
                    expires: now.after(CHALLENGE_LASTS),
                    whose: shown.device.to_string(),
                    fleet_key: shown.fleet_key,
                })
            })
            .await?;
        self.sign(Signed::Challenge, &said)
    }

    /// For whom a challenge is: so that it is known whose key to look for.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when it is none of the hub's, or too old.
    pub fn challenged(&self, challenge: &Secret) -> Result<DeviceId, Refusal> {
        let said = self.read_signed(Signed::Challenge, challenge)?;
        said.whose.parse().map_err(|_| Refusal::Unauthenticated)
    }

    /// The second step: a device that has a challenge, and has shown its own key as `own`, gets a
    /// token, which holds for `lasts` at the longest.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when the challenge is not for that device, or too old;
    /// [`Refusal::Forbidden`] when the fleet's key is not good for it or has ended meanwhile;
    /// [`Refusal::Invalid`] for a life out of bounds; as the store.
    pub async fn lookup_token(
        &self,
        challenge: &Secret,
        own: &Identified,
        lasts: Duration,
        peer: IpAddr,
    ) -> Result<LookupToken, Refusal> {
        if !(MIN_LOOKUP_LIFE..=MAX_LOOKUP_LIFE).contains(&lasts) {
            return Err(Refusal::invalid("lasts", "a minute to an hour"));
        }
        let said = self.read_signed(Signed::Challenge, challenge)?;
        let Principal::Device { device, site, .. } = &own.principal else {
            return Err(Refusal::Unauthenticated);
        };
        if said.whose != device.as_str() {
            return Err(Refusal::Unauthenticated);
        }
        let now = self.clock.now();
        let (id, device, site) = (said.fleet_key.clone(), device.clone(), site.clone());
        let ends = self
            .store
            .read_first(move |connection| {
                let key = vouching(connection, &id, &device, &site, now)?;
                fleet_key::permit(&key, &device, peer, now)?;
                Ok(key.expires)
            })
            .await?;
        let expires = [Some(ends), own.expires].into_iter().flatten();
        let expires = expires.fold(now.after(lasts), Timestamp::min);
        let text = self.sign(
            Signed::Token,
            &Said {
                fleet_key: said.fleet_key,
                whose: own.credential.to_string(),
                expires,
            },
        )?;
        let token = Secret::new([PREFIX, text.expose()].concat());
        Ok(LookupToken { token, expires })
    }

    /// Who shows a token for look-ups.
    pub(super) async fn by_lookup(&self, token: &Secret) -> Result<Identified, Refusal> {
        let text = token.expose().strip_prefix(PREFIX);
        let text = Secret::new(text.ok_or(Refusal::Unauthenticated)?.to_vec());
        let said = self.read_signed(Signed::Token, &text)?;
        let digest = token.digest();
        if let Some(identified) = self.cache.by_token(&digest) {
            return Ok(identified);
        }
        let (read, now) = (self.cache.generation(), self.clock.now());
        let credential: CredentialId = said.whose.parse().map_err(|_| Refusal::Unauthenticated)?;
        let identified = self
            .store
            .read_first(move |connection| {
                let held = by_name(connection, &credential)?.ok_or(Refusal::Unauthenticated)?;
                let mut identified = held.judge(now)?;
                let Principal::Device { device, site, .. } = &identified.principal else {
                    return Err(Refusal::Unauthenticated);
                };
                vouching(connection, &said.fleet_key, device, site, now)?;
                let own = identified.expires.unwrap_or(said.expires);
                identified.expires = Some(own.min(said.expires));
                Ok(identified)
            })
            .await?;
        self.cache.remember_token(read, digest, &identified);
        Ok(identified)
    }

    fn key_of(&self, signed: Signed) -> Result<hmac::Key, Refusal> {
        let secret = self.vault.derived(match signed {
            Signed::Challenge => "challenges of look-ups",
            Signed::Token => "tokens for look-ups",
        })?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, secret.expose()))
    }

    fn sign(&self, signed: Signed, said: &Said) -> Result<Secret, Refusal> {
        let until = said.expires.as_millis();
        let text = format!("{}\n{}\n{until}", said.fleet_key, said.whose);
        let payload = URL_SAFE_NO_PAD.encode(text);
        let tag = hmac::sign(&self.key_of(signed)?, payload.as_bytes());
        let tag = URL_SAFE_NO_PAD.encode(tag);
        Ok(Secret::new(format!("{payload}.{tag}").into_bytes()))
    }

    /// What a text that the hub has signed says, if it has and it still holds.
    fn read_signed(&self, signed: Signed, text: &Secret) -> Result<Said, Refusal> {
        const NO_GOOD: Refusal = Refusal::Unauthenticated;
        if text.expose().len() > MAX_TEXT {
            return Err(NO_GOOD);
        }
        let text = str::from_utf8(text.expose()).map_err(|_| NO_GOOD)?;
        let (payload, tag) = text.split_once('.').ok_or(NO_GOOD)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| NO_GOOD)?;
        hmac::verify(&self.key_of(signed)?, payload.as_bytes(), &tag).map_err(|_| NO_GOOD)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| NO_GOOD)?;
        let payload = String::from_utf8(payload).map_err(|_| NO_GOOD)?;
        let mut lines = payload.split('\n');
        let mut line = || lines.next().ok_or(NO_GOOD);
        let said = Said {
            fleet_key: line()?.parse().map_err(|_| NO_GOOD)?,
            whose: line()?.to_owned(),
            expires: Timestamp::from_millis(line()?.parse().map_err(|_| NO_GOOD)?),
        };
        if said.expires <= self.clock.now() {
            return Err(NO_GOOD);
        }
        Ok(said)
    }
}

/// The fleet key of that name, if it vouches for `device` of `site` still.
fn vouching(
    connection: &Connection,
    id: &FleetKeyId,
    device: &DeviceId,
    site: &SiteId,
    now: Timestamp,
) -> Result<FleetKey, Refusal> {
    let key = fleet_key::find(connection, id)?.ok_or(Refusal::Unauthenticated)?;
    if key.revoked.is_some() || key.expires <= now {
        return Err(Refusal::Unauthenticated);
    }
    if key.site != *site || !fleet_key::fits(&key.ids, device.as_str()) {
        return Err(Refusal::forbidden("look-ups with the key of another fleet"));
    }
    Ok(key)
}
