//! Names of sites, members and of what they share.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::codec::{Reader, Unreadable, Writer};

/// Longest name, in bytes: that of a device at the hub, and what tells its keys apart.
pub const NAME_MAX_BYTES: usize = 136;

/// A name: 1 to [`NAME_MAX_BYTES`] letters, digits and `-._~/:@=` of ASCII, so that it can stand in
/// the fields of HTTP and on a receipt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.bytes(self.0.as_bytes());
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(from.bytes(NAME_MAX_BYTES)?);
        text.map_err(|_| Unreadable::Name)?.parse()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@=".contains(&byte);
        if text.is_empty() || text.len() > NAME_MAX_BYTES || !text.bytes().all(good) {
            return Err(Unreadable::Name);
        }
        Ok(Self(text.into()))
    }
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Name);

        impl $name {
            /// As text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            pub(crate) fn write(&self, to: &mut Writer) {
                self.0.write(to);
            }

            pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
                Name::read(from).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = Unreadable;

            fn from_str(text: &str) -> Result<Self, Unreadable> {
                text.parse().map(Self)
            }
        }
    };
}

name! {
    /// A site.
    SiteId
}

name! {
    /// A member of a site.
    MemberId
}
