//! Tickets: texts that a device is given once it has proved who it is, for who can show nothing but
//! a text from then on.
//!
//! Nothing of one is kept. It says by which credential it was got, what it is about and until when
//! it holds, and the hub signs it with a key that it derives. Whoever shows it is who that
//! credential makes them now, so it ends with the credential, the device and the site.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::{Identified, Identity, Principal};
use crate::clock::Timestamp;
use crate::id::CredentialId;
use crate::refusal::Refusal;
use crate::secret::Secret;

/// The longest that a ticket holds: a week.
pub const MAX_TICKET_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// The longest text that is looked at as a ticket.
const MAX_TEXT: usize = 1_024;

/// What a ticket is for; one for the one is none for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketFor {
    /// All that a Mender client asks.
    Updates,
    /// What one deployment brings, and nothing else.
    Download,
}

impl TicketFor {
    fn context(self) -> &'static str {
        match self {
            Self::Updates => "tickets for updates",
            Self::Download => "tickets for downloads",
        }
    }
}

/// A ticket, as it is given.
#[derive(Debug)]
pub struct Ticket {
    /// Its text: letters, digits, `-`, `_` and a `.`.
    pub text: Secret,
    /// Until when it holds, at the longest.
    pub expires: Timestamp,
}

/// What came of showing one.
#[derive(Clone, Debug)]
pub struct Ticketed {
    /// Who shows it.
    pub identified: Identified,
    /// What it is about, as it was when it was given.
    pub about: String,
}

impl Identity {
    /// A ticket for the device that was made out as `by`, about `about`, for `lasts` or
    /// [`MAX_TICKET_LIFE`], whichever is shorter, and not beyond the end of its credential.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no device; [`Refusal::Internal`].
    pub fn ticket(
        &self,
        what_for: TicketFor,
        by: &Identified,
        about: &str,
        lasts: Duration,
    ) -> Result<Ticket, Refusal> {
        match by.principal {
            Principal::Device { .. } => {}
            Principal::Service { .. } | Principal::Operator { .. } => {
                return Err(Refusal::forbidden("a ticket for who is no device"));
            }
        }
        let end = self.clock.now().after(lasts.min(MAX_TICKET_LIFE));
        let expires = by.expires.map_or(end, |own| own.min(end));
        let text = format!("{}\n{}\n{about}", by.credential, expires.as_millis());
        let payload = URL_SAFE_NO_PAD.encode(text);
        let tag = hmac::sign(&self.ticket_key(what_for)?, payload.as_bytes());
        let tag = URL_SAFE_NO_PAD.encode(tag);
        let text = Secret::new(format!("{payload}.{tag}").into_bytes());
        Ok(Ticket { text, expires })
    }

    /// Who shows a ticket.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when it is none of the hub's for that, or too old; and where it
    /// is: [`Refusal::Revoked`]; as the store.
    pub async fn by_ticket(&self, what_for: TicketFor, text: &[u8]) -> Result<Ticketed, Refusal> {
        const NO_GOOD: Refusal = Refusal::Unauthenticated;
        if text.len() > MAX_TEXT {
            return Err(NO_GOOD);
        }
        let text = str::from_utf8(text).map_err(|_| NO_GOOD)?;
        let (payload, tag) = text.split_once('.').ok_or(NO_GOOD)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| NO_GOOD)?;
        let key = self.ticket_key(what_for)?;
        hmac::verify(&key, payload.as_bytes(), &tag).map_err(|_| NO_GOOD)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| NO_GOOD)?;
        let payload = String::from_utf8(payload).map_err(|_| NO_GOOD)?;
        let mut lines = payload.splitn(3, '\n');
        let mut line = || lines.next().ok_or(NO_GOOD);
        let credential: CredentialId = line()?.parse().map_err(|_| NO_GOOD)?;
        let expires = Timestamp::from_millis(line()?.parse().map_err(|_| NO_GOOD)?);
        let about = line()?.to_owned();
        if expires <= self.clock.now() {
            return Err(NO_GOOD);
        }
        let mut identified = self.holder(&credential, None).await?;
        match identified.principal {
            Principal::Device { .. } => {}
            // What a back end came by as a device makes it none here.
            Principal::Service { .. } | Principal::Operator { .. } => return Err(NO_GOOD),
        }
        let own = identified.expires.unwrap_or(expires);
        identified.expires = Some(own.min(expires));
        Ok(Ticketed { identified, about })
    }

    fn ticket_key(&self, what_for: TicketFor) -> Result<hmac::Key, Refusal> {
        let secret = self.vault.derived(what_for.context())?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, secret.expose()))
    }
}
