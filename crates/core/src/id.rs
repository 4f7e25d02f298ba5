//! Names of things. Every one is checked when it is made, so what holds one need not ask again.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// The most characters of a name that people or devices choose.
pub const MAX_NAME: usize = 128;

/// Letters of a made-up name: Crockford's base 32, lower case, without what is misread.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Random characters of a made-up name: 100 bits, so that none is ever made twice.
pub(crate) const RANDOM_CHARACTERS: usize = 20;

/// Declares a kind of name.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to [`MAX_NAME`] characters out of `A-Z a-z 0-9 - . _ : @ = ~`, the first a letter or a
        /// digit: what every dialect, topic and path can carry without quoting.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Refusal;

            fn from_str(text: &str) -> Result<Self, Refusal> {
                if well_formed(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(Refusal::invalid($what, "1 to 128 of A-Z a-z 0-9 - . _ : @ = ~, the first a letter or a digit"))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Refusal;

            fn try_from(text: String) -> Result<Self, Refusal> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                self.0.as_ref().to_sql()
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                Ok(Self(value.as_str()?.into()))
            }
        }
    };
}

name!(
    /// A customer's place where devices stand.
    SiteId,
    "site"
);
name!(
    /// A device, one in the whole hub.
    DeviceId,
    "device"
);
impl DeviceId {
    /// The device that this one is a part of: what stands before the first `~` of its name. A part
    /// is a device like any other, and besides it is out as long as the whole is revoked.
    #[must_use]
    pub fn whole(&self) -> Option<&str> {
        self.as_str().split_once('~').map(|(whole, _)| whole)
    }
}

name!(
    /// A twin that a device has beside its own.
    TwinName,
    "twin"
);
name!(
    /// What operators say of devices to each other, and find them by: `canary`, `ring=first`.
    Tag,
    "tag"
);
name!(
    /// A way for somebody to prove who they are.
    CredentialId,
    "credential"
);
name!(
    /// A person, or a program that administers.
    OperatorId,
    "operator"
);
name!(
    /// A back end that takes events.
    ServiceId,
    "service"
);
name!(
    /// A customer's certificate authority.
    AuthorityId,
    "authority"
);
name!(
    /// A key with which new devices enrol.
    FleetKeyId,
    "fleet key"
);
name!(
    /// A command in a device's queue.
    CommandId,
    "command"
);
name!(
    /// A call that waits for its answer.
    CallId,
    "call"
);
name!(
    /// One live connection.
    SessionId,
    "session"
);
name!(
    /// A session of remote support.
    SupportId,
    "support session"
);
name!(
    /// Somebody who takes events and has their own place among them.
    ConsumerId,
    "consumer"
);

name!(
    /// The right to read or to write one file for a while.
    GrantId,
    "grant"
);

name!(
    /// A back end to whom events are pushed.
    WebhookId,
    "webhook"
);

name!(
    /// What devices are updated to: the name that a device is on afterwards.
    ReleaseName,
    "release"
);

name!(
    /// A key by which releases are signed.
    ReleaseKeyId,
    "release key"
);

name!(
    /// A release on its way to some devices.
    DeploymentId,
    "deployment"
);

name!(
    /// What the vendor's applications stand in, at a site.
    SpaceId,
    "space"
);

name!(
    /// What users may be in a space.
    RoleName,
    "role"
);

name!(
    /// What users may do in a space.
    ActionName,
    "action"
);

name!(
    /// What is sent to devices at times that are written down once.
    ScheduleName,
    "schedule"
);

name!(
    /// A moment of a schedule.
    FiringId,
    "firing"
);

macro_rules! made_up {
    ($($name:ident $prefix:literal),*) => {$(
        impl $name {
            /// A name never used before.
            ///
            /// # Errors
            /// [`Refusal::Randomness`] when the system has none.
            pub fn made_up() -> Result<Self, Refusal> {
                Ok(Self(random($prefix)?.into()))
            }
        }
    )*};
}

made_up!(CredentialId "cr-", AuthorityId "au-", FleetKeyId "fk-", CommandId "cm-", CallId "ca-", SessionId "se-", SupportId "su-", OperatorId "op-", ServiceId "sv-", ConsumerId "co-", WebhookId "wh-", GrantId "gr-", ReleaseKeyId "rk-", DeploymentId "dp-", FiringId "fi-");

impl GrantId {
    /// The grant as that by which a session came in, so that whatever ends sessions of a
    /// credential ends those of a grant.
    #[must_use]
    pub fn credential(&self) -> CredentialId {
        CredentialId(std::sync::Arc::clone(&self.0))
    }
}

/// `prefix` and 100 random bits.
pub(crate) fn random(prefix: &str) -> Result<String, Refusal> {
    let mut bytes = [0; RANDOM_CHARACTERS];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Refusal::Randomness)?;
    let letters = bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Ok(prefix.chars().chain(letters).collect())
}

/// Whether `text` may be a name.
fn well_formed(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:@=~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_need_quoting_in_a_topic_is_refused() {
        for text in [
            "",
            "a/b",
            "a+b",
            "#",
            "a b",
            "å",
            "-a",
            ".a",
            "$a",
            &"a".repeat(129),
        ] {
            assert!(text.parse::<DeviceId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn made_up_names_are_well_formed_and_differ() {
        let one = CommandId::made_up().unwrap();
        assert!(well_formed(one.as_str()), "{one}");
        assert_ne!(one, CommandId::made_up().unwrap());
    }
}
