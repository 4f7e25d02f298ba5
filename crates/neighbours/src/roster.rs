//! Who belongs to a site: a list that the hub signs with the site's key.

use outgate_signed_http::{Signer, VerifyingKey};

use crate::codec::{Reader, Unreadable, Writer, ascending};
use crate::name::{MemberId, Name, SiteId};

#[cfg(test)]
mod tests;

/// Most members of a site, and most former ones that are listed.
pub const MEMBERS_MAX: usize = 64;
/// Most roles of one member.
pub const ROLES_MAX: usize = 8;
/// Longest signed roster, in bytes: all names as long as they may be.
pub const ROSTER_MAX_BYTES: usize = 1 << 17;

/// What a signature by the site's key is of, so that no other text can be taken for a roster.
const CONTEXT: &[u8] = b"outgate-neighbours roster 1\0";
const SIGNATURE_BYTES: usize = 64;

/// One who belongs to the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, which stays its own: who comes with another key comes under another name.
    pub id: MemberId,
    /// Its public key.
    pub key: VerifyingKey,
    /// What it does at the site, in ascending order.
    pub roles: Vec<Name>,
    /// Who coordinates: the lowest of those who are there, and of equals the first by name.
    pub priority: u16,
    /// The last second at which it is believed, in seconds since 1970 (UTC).
    pub not_after: u64,
}

/// One who belonged to the site. It is not spoken to any more; what it wrote before, and believed
/// members pass on, still counts, as long as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// Its name.
    pub id: MemberId,
    /// Its public key.
    pub key: VerifyingKey,
}

/// A roster. Lists are in the order of names, and no name or key is there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The site.
    pub site: SiteId,
    /// A higher one takes the place of a lower one.
    pub epoch: u64,
    /// Who belongs to the site.
    pub members: Vec<Listed>,
    /// Who does not any more.
    pub revoked: Vec<Former>,
}

/// Why a roster is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// Not the bytes of a roster.
    #[error("the roster cannot be read")]
    Unreadable(#[from] Unreadable),
    /// Another site's.
    #[error("the roster is another site's")]
    Foreign,
    /// Not signed by the site's key.
    #[error("the roster is not signed by the site's key")]
    Forged,
    /// A newer one is known.
    #[error("a newer roster is known")]
    Old,
    /// Another one of the same epoch is known: the hub must give each its own.
    #[error("another roster of the same epoch is known")]
    Twice,
}

/// Why somebody is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotBelieved {
    /// Nobody of this site.
    #[error("it is no member of this site")]
    Unknown,
    /// Revoked.
    #[error("it was revoked")]
    Revoked,
    /// Listed until a time that is over.
    #[error("its membership is over")]
    Expired,
}

impl Roster {
    /// The bytes of it with the signature of the site's key.
    ///
    /// # Errors
    /// [`Unreadable`] for what no reader would take: lists too long, out of order, or with the
    /// same name or key twice.
    pub fn signed(&self, site_key: &Signer) -> Result<Vec<u8>, Unreadable> {
        self.check()?;
        let mut bytes = self.encoded();
        let signature = site_key.signature_of(&[CONTEXT, &bytes].concat());
        bytes.extend_from_slice(&signature);
        Ok(bytes)
    }

    /// The roster of bytes that the site's key signed.
    ///
    /// # Errors
    /// [`RosterError`], but not for its age.
    pub fn open(bytes: &[u8], site: &SiteId, site_key: &VerifyingKey) -> Result<Self, RosterError> {
        if bytes.len() > ROSTER_MAX_BYTES {
            return Err(Unreadable::TooMuch.into());
        }
        let (text, signature) = bytes
            .split_last_chunk::<SIGNATURE_BYTES>()
            .ok_or(Unreadable::Short)?;
        if !site_key.verifies(&[CONTEXT, text].concat(), signature) {
            return Err(RosterError::Forged);
        }
        let roster = Self::decoded(text)?;
        if roster.site != *site {
            return Err(RosterError::Foreign);
        }
        Ok(roster)
    }

    /// The member of this name, if it is believed at `time` (seconds since 1970, UTC).
    ///
    /// # Errors
    /// [`NotBelieved`].
    pub fn member(&self, id: &MemberId, time: u64) -> Result<&Listed, NotBelieved> {
        match self.members.iter().find(|member| member.id == *id) {
            Some(member) if member.not_after < time => Err(NotBelieved::Expired),
            Some(member) => Ok(member),
            None if self.revoked.iter().any(|former| former.id == *id) => Err(NotBelieved::Revoked),
            None => Err(NotBelieved::Unknown),
        }
    }

    /// The key by which what this member wrote is verified, also after it was revoked.
    pub fn author(&self, id: &MemberId) -> Option<&VerifyingKey> {
        let members = self.members.iter().map(|one| (&one.id, &one.key));
        let former = self.revoked.iter().map(|one| (&one.id, &one.key));
        members
            .chain(former)
            .find(|(it, _)| *it == id)
            .map(|(_, key)| key)
    }

    fn encoded(&self) -> Vec<u8> {
        let mut to = Writer::default();
        self.site.write(&mut to);
        to.number64(self.epoch);
        to.list(self.members.iter(), |to, member| {
            member.id.write(to);
            to.plain(member.key.as_bytes());
            to.list(member.roles.iter(), |to, role| role.write(to));
            to.number16(member.priority);
            to.number64(member.not_after);
        });
        to.list(self.revoked.iter(), |to, former| {
            former.id.write(to);
            to.plain(former.key.as_bytes());
        });
        to.into_bytes()
    }

    fn decoded(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut from = Reader::new(bytes);
        let roster = Self {
            site: SiteId::read(&mut from)?,
            epoch: from.number64()?,
            members: from.list(MEMBERS_MAX, |from| {
                Ok(Listed {
                    id: MemberId::read(from)?,
                    key: key(from)?,
                    roles: from.list(ROLES_MAX, Name::read)?,
                    priority: from.number16()?,
                    not_after: from.number64()?,
                })
            })?,
            revoked: from.list(MEMBERS_MAX, |from| {
                Ok(Former {
                    id: MemberId::read(from)?,
                    key: key(from)?,
                })
            })?,
        };
        from.end()?;
        roster.check()?;
        Ok(roster)
    }

    fn check(&self) -> Result<(), Unreadable> {
        if self.members.len() > MEMBERS_MAX || self.revoked.len() > MEMBERS_MAX {
            return Err(Unreadable::TooMuch);
        }
        ascending(self.members.iter().map(|member| &member.id))?;
        ascending(self.revoked.iter().map(|former| &former.id))?;
        let mut all: Vec<_> = self.members.iter().map(|one| (&one.id, &one.key)).collect();
        all.extend(self.revoked.iter().map(|one| (&one.id, &one.key)));
        all.sort_unstable_by_key(|(id, _)| *id);
        ascending(all.iter().map(|(id, _)| *id))?;
        let mut keys: Vec<_> = all.iter().map(|(_, key)| key.as_bytes()).collect();
        keys.sort_unstable();
        ascending(keys)?;
        for member in &self.members {
            if member.roles.len() > ROLES_MAX {
                return Err(Unreadable::TooMuch);
            }
            ascending(&member.roles)?;
        }
        Ok(())
    }
}

fn key(from: &mut Reader<'_>) -> Result<VerifyingKey, Unreadable> {
    let bytes = from.array::<32>()?;
    VerifyingKey::from_bytes(&bytes).map_err(|_| Unreadable::Short)
}

/// Whom a member believes: the newest roster that it has met.
#[derive(Debug)]
pub struct Trust {
    site: SiteId,
    site_key: VerifyingKey,
    signed: Vec<u8>,
    roster: Roster,
}

impl Trust {
    /// With the first roster, which came with the site's key.
    ///
    /// # Errors
    /// [`RosterError`].
    pub fn new(site: SiteId, site_key: VerifyingKey, signed: Vec<u8>) -> Result<Self, RosterError> {
        let roster = Roster::open(&signed, &site, &site_key)?;
        Ok(Self {
            site,
            site_key,
            signed,
            roster,
        })
    }

    /// The roster.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The roster as the hub signed it, to be kept and passed on.
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// Takes a roster, from whomever it comes, if it is newer; says whether it was.
    ///
    /// # Errors
    /// [`RosterError`].
    pub fn adopt(&mut self, signed: &[u8]) -> Result<bool, RosterError> {
        if signed == self.signed {
            return Ok(false);
        }
        let roster = Roster::open(signed, &self.site, &self.site_key)?;
        if roster.epoch < self.roster.epoch {
            return Err(RosterError::Old);
        }
        if roster.epoch == self.roster.epoch {
            return Err(RosterError::Twice);
        }
        self.roster = roster;
        self.signed = signed.to_vec();
        Ok(true)
    }
}
