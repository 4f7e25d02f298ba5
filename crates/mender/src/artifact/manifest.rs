//! The manifest: a line for each part, as `sha256sum` writes them.

use std::collections::BTreeMap;

use super::ArtifactError;

/// What is between the digest and the name.
const BETWEEN: &str = "  ";

/// The digests that are still to be met.
#[derive(Debug)]
pub(super) struct Manifest(BTreeMap<String, [u8; 32]>);

impl Manifest {
    pub(super) fn parse(text: &[u8]) -> Result<Self, ArtifactError> {
        let text = str::from_utf8(text).map_err(|_| ArtifactError::Manifest(1))?;
        let mut parts = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let wrong = || ArtifactError::Manifest(index + 1);
            let (digest, name) = line.split_once(BETWEEN).ok_or_else(wrong)?;
            let digest = from_hex(digest).ok_or_else(wrong)?;
            if name.is_empty() || parts.insert(name.to_owned(), digest).is_some() {
                return Err(wrong());
            }
        }
        Ok(Self(parts))
    }

    /// That the part `name` has the digest that the manifest says; it is not asked for again.
    pub(super) fn check(&mut self, name: &str, digest: &[u8; 32]) -> Result<(), ArtifactError> {
        match self.0.remove(name) {
            None => Err(ArtifactError::Unnamed(name.to_owned())),
            Some(said) if said == *digest => Ok(()),
            Some(_) => Err(ArtifactError::Digest(name.to_owned())),
        }
    }

    /// That every part has been there.
    pub(super) fn nothing_left(mut self) -> Result<(), ArtifactError> {
        match self.0.pop_first() {
            None => Ok(()),
            Some((name, _)) => Err(ArtifactError::Absent(name)),
        }
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let bytes: Vec<u8> = digits?
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect();
    let whole = text.len() == 64;
    bytes.try_into().ok().filter(|_| whole)
}
