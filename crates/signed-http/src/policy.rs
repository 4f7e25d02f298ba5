//! What a receiver demands of a signature.

use std::time::{Duration, SystemTime};

use crate::base::{BaseError, signature_base};
use crate::component::Component;
use crate::message::Message;
use crate::sign::{ALGORITHM, VerifyingKey};
use crate::signature::{Parameters, Received, SignatureError, received};

/// What a receiver demands of a signature.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// What it must be for.
    pub tag: &'a str,
    /// What it must cover at the least.
    pub components: &'a [Component],
    /// How old it may be, by `created`, which must be there.
    pub max_age: Duration,
    /// By how much the clocks of the two may differ.
    pub skew: Duration,
    /// Whether it must have a nonce.
    pub nonce: bool,
}

/// A signature that holds.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Its name in the fields.
    pub label: String,
    /// Whose it is.
    pub keyid: String,
    /// Its parameters.
    pub parameters: Parameters,
    /// What it covers.
    pub components: Vec<Component>,
    /// Until when it would be taken once more: as long its nonce is to be remembered.
    pub until: SystemTime,
}

/// Why a message is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No signature that is for this.
    #[error("the message has no signature for `{0}`")]
    Unsigned(String),
    /// More than one that is for this: which one counts must not be the sender's choice.
    #[error("the message has several signatures for `{0}`")]
    Several(String),
    /// Fields that cannot be read.
    #[error(transparent)]
    Unreadable(#[from] SignatureError),
    /// Something that is demanded is not covered.
    #[error("the signature does not cover {0}")]
    NotCovered(String),
    /// A parameter that is demanded is not there.
    #[error("the signature does not say `{0}`")]
    NotSaid(&'static str),
    /// Another algorithm than the key's.
    #[error("the signature is by `{0}`, and the key is for Ed25519")]
    Algorithm(String),
    /// Nobody's key that counts here.
    #[error("nobody here has the key `{0}`")]
    UnknownKey(String),
    /// Made too long ago, or over.
    #[error("the signature is too old")]
    TooOld,
    /// Made in the future.
    #[error("the signature was made in the future: one of the two clocks is wrong")]
    NotYet,
    /// Something covered is not in the message.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The message is another than was signed, or the key is.
    #[error(
        "the signature of `{0}` does not hold: the message was changed, or another key signed it"
    )]
    Forged(String),
}

impl Policy<'_> {
    /// Whether the message bears the signature that is demanded. `keys` finds a key that counts now
    /// by its name. That a nonce comes once only, and the content is that of its digest, is left to
    /// [`Nonces`](crate::Nonces) and [`check_content`](crate::check_content).
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(
        &self,
        message: &Message<'_>,
        now: SystemTime,
        keys: impl Fn(&str) -> Option<VerifyingKey>,
    ) -> Result<Verified, Refused> {
        let mut all = received(message.fields(), self.tag)?.into_iter();
        let one = all
            .next()
            .ok_or_else(|| Refused::Unsigned(self.tag.to_owned()))?;
        if all.next().is_some() {
            return Err(Refused::Several(self.tag.to_owned()));
        }
        for component in self.components {
            if !one.components.contains(component) {
                return Err(Refused::NotCovered(component.to_string()));
            }
        }
        let until = self.in_time(&one.parameters, now)?;
        if self.nonce && one.parameters.nonce().is_none_or(str::is_empty) {
            return Err(Refused::NotSaid("nonce"));
        }
        let Received {
            label,
            components,
            parameters,
            signature,
        } = one;
        let keyid = parameters
            .keyid()
            .ok_or(Refused::NotSaid("keyid"))?
            .to_owned();
        if parameters.has("alg") && parameters.alg() != Some(ALGORITHM) {
            return Err(Refused::Algorithm(
                parameters.alg().unwrap_or_default().to_owned(),
            ));
        }
        let key = keys(&keyid).ok_or_else(|| Refused::UnknownKey(keyid.clone()))?;
        let base = signature_base(message, &components, &parameters)?;
        if !key.verifies(base.as_bytes(), &signature) {
            return Err(Refused::Forged(keyid));
        }
        Ok(Verified {
            label,
            keyid,
            parameters,
            components,
            until,
        })
    }

    /// Until when the signature counts.
    fn in_time(&self, parameters: &Parameters, now: SystemTime) -> Result<SystemTime, Refused> {
        let created = parameters.created().ok_or(Refused::NotSaid("created"))?;
        if parameters.has("expires") && parameters.expires().is_none() {
            return Err(Refused::NotSaid("expires"));
        }
        if created > now + self.skew {
            return Err(Refused::NotYet);
        }
        let by_age = created.checked_add(self.max_age).unwrap_or(created);
        let end = parameters
            .expires()
            .map_or(by_age, |expires| expires.min(by_age));
        let until = end.checked_add(self.skew).unwrap_or(end);
        if now > until {
            Err(Refused::TooOld)
        } else {
            Ok(until)
        }
    }
}
