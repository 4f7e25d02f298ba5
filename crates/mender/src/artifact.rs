//! Artifacts: a file with an update for some types of devices, and what it takes to trust it.
//!
//! A tar file whose members stand in one order: `version`, `manifest` (the digest of every other
//! part), `manifest.sig`, `header.tar` (what the update is and for whom) and `data/0000.tar` (what
//! is installed), the last two mostly compressed.

mod bounded;
mod header;
mod manifest;
mod members;
mod packing;
mod problem;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tar::Archive;

pub use header::{OneOrMore, TypeInfo};
pub use problem::ArtifactError;

use bounded::Hashed;
use manifest::Manifest;
use members::{Member, Members, only_zeros};
use packing::{Packing, packed};

use crate::VerifyingKey;

/// The most bytes of `version`.
const MAX_VERSION: u64 = 1_024;

/// The most bytes of `manifest`: some eight thousand files.
const MAX_MANIFEST: u64 = 1024 * 1024;

/// The most bytes of `manifest.sig`: an RSA signature of 16,384 bits in base 64, and some more.
const MAX_SIGNATURE: u64 = 4 * 1024;

/// How much of an artifact is read before it is refused.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of the header, unpacked. State scripts stand in it.
    pub header: u64,
    /// Bytes of the payload, unpacked.
    pub payload: u64,
}

impl Default for Bounds {
    /// 16 MiB of header and 16 GiB of payload.
    fn default() -> Self {
        Self {
            header: 16 * 1024 * 1024,
            payload: 16 * 1024 * 1024 * 1024,
        }
    }
}

/// An artifact that is whole: everything in it has the digest that its manifest says.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Its name: what a device that has installed it says it is on. 1 to 256 bytes.
    pub name: String,
    /// The group that a device belongs to afterwards.
    pub provides_group: Option<String>,
    /// The types of devices that it is for; at least one.
    pub device_types: Vec<String>,
    /// The artifacts of which a device must be on one; of any, when it is empty.
    pub depends_name: Vec<String>,
    /// The groups of which a device must be in one; in any, when it is empty.
    pub depends_group: Vec<String>,
    /// The type of its payload, such as `rootfs-image`: who installs it. `None` installs nothing.
    pub payload_type: Option<String>,
    /// What else the payload says of itself.
    pub type_info: TypeInfo,
    /// The state scripts in it.
    pub scripts: Vec<String>,
    /// The files that are installed.
    pub files: Vec<PayloadFile>,
    manifest: Vec<u8>,
    signature: Option<Vec<u8>>,
}

/// A file that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadFile {
    /// Its name, without folders.
    pub name: String,
    /// Its bytes, unpacked.
    pub size: u64,
    /// SHA-256 of them.
    pub sha256: [u8; 32],
}

/// Why an artifact is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Nobody has signed it.
    #[error("nobody has signed the artifact")]
    Unsigned,
    /// None of the keys has signed it.
    #[error("the artifact is signed, and by none of the keys that are trusted")]
    OtherKey,
}

impl Artifact {
    /// Which of `keys` has signed it.
    ///
    /// # Errors
    /// [`Untrusted`].
    pub fn signer<'a>(&self, keys: &'a [VerifyingKey]) -> Result<&'a VerifyingKey, Untrusted> {
        let signature = self.signature.as_deref().ok_or(Untrusted::Unsigned)?;
        let mut keys = keys.iter();
        keys.find(|key| key.verify(&self.manifest, signature).is_ok())
            .ok_or(Untrusted::OtherKey)
    }

    /// Whether somebody has signed it, whoever that is.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.signature.is_some()
    }
}

/// Reads an artifact to its end, and judges everything but who signed it. Memory is bounded by the
/// header and what the compression wants, whatever the size of the payload.
///
/// # Errors
/// [`ArtifactError`]: the first fault in the order of the file.
pub fn read(source: impl Read, bounds: &Bounds) -> Result<Artifact, ArtifactError> {
    let mut archive = Archive::new(source);
    let mut members = Members::of(&mut archive)?;
    let version = expect(&mut members, "version")?.small(MAX_VERSION)?;
    header::check_version(&version)?;
    let text = expect(&mut members, "manifest")?.small(MAX_MANIFEST)?;
    let mut manifest = Manifest::parse(&text)?;
    manifest.check("version", &bounded::sha256(&version))?;
    let mut next = some(members.next()?, "header.tar")?;
    let mut signature = None;
    if next.name == "manifest.sig" {
        signature = Some(decoded(&next.small(MAX_SIGNATURE)?)?);
        next = some(members.next()?, "header.tar")?;
    }
    let header = read_header(next, &mut manifest, bounds.header)?;
    let data = some(members.next()?, "data/0000.tar")?;
    let files = read_data(data, &mut manifest, bounds.payload)?;
    if let Some(more) = members.next()? {
        return Err(ArtifactError::Order {
            found: more.name,
            expected: "the end",
        });
    }
    only_zeros(archive)?;
    manifest.nothing_left()?;
    let info = header.info;
    Ok(Artifact {
        payload_type: info.payload_type(),
        name: info.artifact_provides.artifact_name,
        provides_group: info.artifact_provides.artifact_group,
        device_types: info.artifact_depends.device_type,
        depends_name: info.artifact_depends.artifact_name,
        depends_group: info.artifact_depends.artifact_group,
        type_info: header.type_info,
        scripts: header.scripts,
        files,
        manifest: text,
        signature,
    })
}

fn expect<'a, R: Read>(
    members: &mut Members<'a, R>,
    name: &'static str,
) -> Result<Member<'a, R>, ArtifactError> {
    let member = some(members.next()?, name)?;
    if member.name == name {
        Ok(member)
    } else {
        Err(ArtifactError::Order {
            found: member.name,
            expected: name,
        })
    }
}

fn some<T>(member: Option<T>, expected: &'static str) -> Result<T, ArtifactError> {
    member.ok_or(ArtifactError::Missing(expected))
}

/// A signature is kept in base 64.
fn decoded(text: &[u8]) -> Result<Vec<u8>, ArtifactError> {
    STANDARD
        .decode(text.trim_ascii())
        .map_err(|_| ArtifactError::Signature)
}

fn read_header<R: Read>(
    member: Member<'_, R>,
    manifest: &mut Manifest,
    most: u64,
) -> Result<header::Header, ArtifactError> {
    let packing = Packing::of(&member.name, "header.tar").ok_or_else(|| ArtifactError::Order {
        found: member.name.clone(),
        expected: "header.tar",
    })?;
    let name = member.name.clone();
    let mut hashed = Hashed::new(member);
    let header = header::read(packed(&mut hashed, packing, most)?)?;
    let (_, digest) = hashed.finish().map_err(ArtifactError::Cut)?;
    manifest.check(&name, &digest)?;
    Ok(header)
}

fn read_data<R: Read>(
    member: Member<'_, R>,
    manifest: &mut Manifest,
    most: u64,
) -> Result<Vec<PayloadFile>, ArtifactError> {
    let packing = Packing::of(&member.name, "data/0000.tar");
    let packing = packing.ok_or_else(|| ArtifactError::Order {
        found: member.name.clone(),
        expected: "data/0000.tar",
    })?;
    let mut archive = Archive::new(packed(member, packing, most)?);
    let mut members = Members::of(&mut archive)?;
    let mut files = BTreeMap::new();
    while let Some(member) = members.next()? {
        let name = member.name.clone();
        if !name.chars().all(is_in_file_name) {
            return Err(ArtifactError::Name(name));
        }
        let (size, sha256) = Hashed::new(member).finish().map_err(ArtifactError::Cut)?;
        manifest.check(&format!("data/0000/{name}"), &sha256)?;
        let file = PayloadFile {
            name: name.clone(),
            size,
            sha256,
        };
        // The manifest has each name once, so a second one of this name was refused above.
        files.insert(name, file);
    }
    only_zeros(archive)?;
    Ok(files.into_values().collect())
}

/// Whether Mender's tool lets `c` stand in the name of a file that is installed.
fn is_in_file_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ',' | '_' | '-')
}
