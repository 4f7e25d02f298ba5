//! Keys that are called by their names by who shows what they have signed, and keys that last for
//! an hour and are kept nowhere.
//!
//! A key that does not last is made of the master key and of what its token says: whose it is, by
//! which credential, and until when. So it ends with that credential, and a token that was changed
//! is one of another key.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{Connection, OptionalExtension as _};
use zeroize::Zeroizing;

use super::authenticate::{by_name, ended, is_device};
use super::credential::place;
use super::vault::Vault;
use super::{Identified, Identity};
use crate::clock::Timestamp;
use crate::id::{CredentialId, DeviceId};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::sessions::Session;

/// For how long a key that does not last is good.
pub const PASSING_KEY_LASTS: Duration = Duration::from_secs(60 * 60);

/// What the names of such keys begin with: no credential's name does.
const PASSING: &str = "pk-";

/// What their tokens begin with.
const VERSION: &str = "1";

/// The most bytes of a token: of the longest names, in base 64.
const MAX_TOKEN: usize = 1_024;

/// Random bytes of a token.
const NONCE: usize = 12;

/// A key that does not last.
#[derive(Debug)]
pub struct PassingKey {
    /// What it is called.
    pub id: String,
    /// The key. What signs is its text in base 64.
    pub key: Secret,
    /// What is shown beside what it has signed.
    pub token: Secret,
    /// Until when it is good.
    pub expires: Timestamp,
}

/// What a token says.
struct Said {
    expires: Timestamp,
    credential: CredentialId,
    device: DeviceId,
}

impl Identity {
    /// Makes out whose the symmetric key `key` is, by something that it has signed. What signs is
    /// the key's text in base 64, as its holder has it; `proves` says whether it did.
    ///
    /// # Errors
    /// As [`Identity::authenticate`].
    pub async fn by_named_key(
        &self,
        key: &CredentialId,
        proves: impl FnOnce(&[u8]) -> bool + Send + 'static,
    ) -> Result<Identified, Refusal> {
        let (id, vault, now) = (key.clone(), self.vault.clone(), self.clock.now());
        self.store
            .read_first(move |connection| {
                let key = opened(connection, &vault, &id)?.ok_or(Refusal::Unauthenticated)?;
                if !proves(key.to_base64().as_bytes()) {
                    return Err(Refusal::Unauthenticated);
                }
                let held = by_name(connection, &id)?;
                held.ok_or(Refusal::Unauthenticated)?.judge(now)
            })
            .await
    }

    /// A key for the device of a session, good for [`PASSING_KEY_LASTS`] and no longer than what
    /// the device came in by.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when it is no device; as the session when that has ended;
    /// [`Refusal::Randomness`].
    pub fn passing_key(&self, session: &Session) -> Result<PassingKey, Refusal> {
        session.pass().check()?;
        let device = session.device()?;
        let end = self.clock.now().after(PASSING_KEY_LASTS);
        let end = session.expires().map_or(end, |its| its.min(end));
        // As the token says it.
        let end = Timestamp::from_millis(end.as_millis() / 1_000 * 1_000);
        let nonce = Secret::random(NONCE)?.to_base64_url();
        let said = format!(
            "{VERSION}.{}.{}.{}.{device}",
            end.as_millis() / 1_000,
            nonce.as_str(),
            session.presence().credential,
        );
        Ok(PassingKey {
            id: named(&said),
            key: made_of(&self.vault, &said)?,
            token: Secret::new(URL_SAFE_NO_PAD.encode(&said).into_bytes()),
            expires: end,
        })
    }

    /// Makes out who shows something that the key `id` has signed, which does not last, and its
    /// token. As [`Identity::by_named_key`].
    ///
    /// # Errors
    /// As [`Identity::authenticate`].
    pub async fn by_passing_key(
        &self,
        id: &str,
        token: &str,
        proves: impl FnOnce(&[u8]) -> bool + Send + 'static,
    ) -> Result<Identified, Refusal> {
        let text = decoded(token).ok_or(Refusal::Unauthenticated)?;
        let said = Said::read(&text).ok_or(Refusal::Unauthenticated)?;
        let key = made_of(&self.vault, &text)?;
        let is_its = named(&text) == id && proves(key.to_base64().as_bytes());
        if !is_its || ended(Some(said.expires), self.clock.now()) {
            return Err(Refusal::Unauthenticated);
        }
        let mut identified = self.holder(&said.credential, Some(&said.device)).await?;
        is_device(&identified, Some(&said.device))?;
        let end = identified.expires;
        identified.expires = Some(end.map_or(said.expires, |end| end.min(said.expires)));
        Ok(identified)
    }
}

impl Said {
    fn read(text: &str) -> Option<Self> {
        // The name of a device may hold full stops.
        let mut parts = text.splitn(5, '.');
        if parts.next()? != VERSION {
            return None;
        }
        let seconds: i64 = parts.next()?.parse().ok()?;
        let _nonce = parts.next()?;
        Some(Self {
            expires: Timestamp::from_millis(seconds.checked_mul(1_000)?),
            credential: parts.next()?.parse().ok()?,
            device: parts.next()?.parse().ok()?,
        })
    }
}

/// The key of that name, whatever has become of it.
fn opened(
    connection: &Connection,
    vault: &Vault,
    id: &CredentialId,
) -> Result<Option<Secret>, Refusal> {
    let sealed: Option<Vec<u8>> = connection
        .prepare_cached(
            "SELECT sealed FROM credentials
             WHERE id = ?1 AND kind = 'symmetric-key' AND sealed IS NOT NULL",
        )?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let open = |sealed: Vec<u8>| vault.open_sealed(&place(id), &sealed);
    sealed.map(open).transpose()
}

fn decoded(token: &str) -> Option<Zeroizing<String>> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

/// What a key is called whose token says this.
fn named(said: &str) -> String {
    let digest = Secret::new(said.as_bytes().to_vec()).digest();
    let hex = digest.iter().take(10).map(|byte| format!("{byte:02x}"));
    PASSING.to_owned() + &hex.collect::<String>()
}

fn made_of(vault: &Vault, said: &str) -> Result<Secret, Refusal> {
    vault.derived(&format!("passing key {said}"))
}
