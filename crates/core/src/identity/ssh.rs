//! Certificates by which people log in to a device over SSH.
//!
//! Each device has an authority of its own, made from the hub's master key and the device's name. So
//! what is signed for one device counts at no other, and a device needs to know nothing but a public
//! key. Nobody takes such a certificate back: it ends soon, and the device's SSH is off but for a
//! while.

use std::ops::RangeInclusive;
use std::time::Duration;

use outgate_wire::ssh::{Certificate, PublicKey};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rusqlite::Connection;
use serde_json::json;

use super::act::{Act, Done};
use super::{Actor, Identity, Role, device};
use crate::clock::Timestamp;
use crate::id::DeviceId;
use crate::refusal::Refusal;
use crate::secret::Secret;

/// How long such a certificate lasts.
pub const SSH_CERTIFICATE_LIFE: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(12 * 3_600);

/// How far they begin in the past, for devices whose clock is slow.
const BACK_DATED: Duration = Duration::from_secs(3_600);

/// The most bytes of an account's name.
const MAX_ACCOUNT: usize = 32;

/// A certificate by which somebody can log in to a device.
#[derive(Clone, Debug)]
pub struct SshCertificate {
    /// The line that `ssh` reads.
    pub certificate: String,
    /// Its number, as the audit log and the device's own log have it.
    pub serial: u64,
    /// Whom it is of, as the device's own log has it.
    pub id: String,
    /// Until when it counts.
    pub expires: Timestamp,
}

impl Identity {
    /// The public key of the authority whose certificates count at that device. Whether there is
    /// such a device is not asked.
    ///
    /// # Errors
    /// [`Refusal::Internal`].
    pub fn ssh_authority(&self, device: &DeviceId) -> Result<PublicKey, Refusal> {
        Ok(self.ssh_authority_of(device)?.1)
    }

    /// Signs a certificate for a key in OpenSSH's form, by which its holder can log in to the
    /// `account` of a device from an hour ago until `lasts` from now.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers, [`Refusal::NotFound`], [`Refusal::Invalid`]; as the store.
    pub async fn sign_ssh(
        &self,
        actor: &Actor,
        device: &DeviceId,
        (account, key): (&str, &str),
        lasts: Duration,
    ) -> Result<SshCertificate, Refusal> {
        let on = device::on(device);
        let act = Act::new(actor, Role::Operator, "device.ssh-certificate", on);
        let (account, key) = (account.to_owned(), key.to_owned());
        let (device, identity) = (device.clone(), self.clone());
        let work = move |connection: &Connection, actor: &Actor, now: Timestamp| {
            device::seen_by(connection, actor, &device)?;
            if !is_account(&account) {
                return Err(Refusal::invalid(
                    "account",
                    "1 to 32 of A-Z a-z 0-9 - _ ., the first a letter, a digit or _",
                ));
            }
            if !SSH_CERTIFICATE_LIFE.contains(&lasts) {
                return Err(Refusal::invalid("lasts", "a minute to 12 hours"));
            }
            let key = PublicKey::read(&key)
                .map_err(|error| Refusal::invalid("key", format!("a public key: {error}")))?;
            let of = (&device, &*account, &key);
            let signed = identity.signed_for_ssh(of, &actor.name(), (now, lasts))?;
            let digest = ring::digest::digest(&ring::digest::SHA256, key.bytes());
            let detail = json!({
                "account": account,
                "key": Secret::new(digest.as_ref().to_vec()).to_base64().as_str(),
                "serial": format!("{:016x}", signed.serial),
                "expires": signed.expires,
            });
            Ok(Done::new(signed).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    fn signed_for_ssh(
        &self,
        (device, account, key): (&DeviceId, &str, &PublicKey),
        who: &str,
        (now, lasts): (Timestamp, Duration),
    ) -> Result<SshCertificate, Refusal> {
        let (pair, authority) = self.ssh_authority_of(device)?;
        let random = Secret::random(8 + 32)?;
        let broken = Refusal::Internal("random bytes are missing");
        let (serial, nonce) = random.expose().split_first_chunk::<8>().ok_or(broken)?;
        let nonce = nonce.try_into().map_err(|_| Refusal::Randomness)?;
        let serial = u64::from_be_bytes(*serial);
        let id = format!("{who} for {account} of {device}, {serial:016x}");
        let expires = now.after(lasts);
        let certificate = Certificate {
            key,
            serial,
            id: &id,
            account,
            valid: &(seconds(now.before(BACK_DATED))..seconds(expires)),
            nonce,
        };
        let certificate = certificate.signed(&authority, |bytes| {
            let signature = pair.sign(bytes);
            let signature = signature.as_ref().try_into();
            signature.map_err(|_| Refusal::Internal("a signature has another length"))
        })?;
        Ok(SshCertificate {
            certificate,
            serial,
            id,
            expires,
        })
    }

    fn ssh_authority_of(&self, device: &DeviceId) -> Result<(Ed25519KeyPair, PublicKey), Refusal> {
        const FAILED: Refusal = Refusal::Internal("the authority for SSH could not be made");
        let seed = self.vault.derived(&format!("ssh-authority/{device}"))?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| FAILED)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| FAILED)?;
        let public = PublicKey::ed25519(public);
        Ok((pair, public))
    }
}

/// Whether it can be the name of an account on a device, and no list or pattern of several.
fn is_account(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let starts = text.starts_with(|sign: char| sign.is_ascii_alphanumeric() || sign == '_');
    starts && text.len() <= MAX_ACCOUNT && text.bytes().all(fits)
}

/// Since 1970; nothing before it.
fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis() / 1_000).unwrap_or(0)
}
