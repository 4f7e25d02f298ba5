//! Public keys as OpenSSH writes them in a line: their algorithm, themselves in base 64, and a comment
//! (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"; RFC 4253 §6.6).

use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// The most bytes of a line: an RSA key of 16384 bits, the longest that OpenSSH makes, takes 2.8 KiB.
pub const KEY_LINE_MAX: usize = 8 * 1024;

/// Ed25519 (RFC 8709).
pub(super) const ED25519: &str = "ssh-ed25519";

/// How long one of Ed25519 is.
const ED25519_LEN: usize = 32;

/// The algorithms of users' keys, and how many parts each of them has after its name.
const ALGORITHMS: &[(&str, usize)] = &[
    (ED25519, 1),
    ("ssh-rsa", 2),
    ("ecdsa-sha2-nistp256", 2),
    ("ecdsa-sha2-nistp384", 2),
    ("ecdsa-sha2-nistp521", 2),
    ("sk-ssh-ed25519@openssh.com", 2),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 3),
];

/// How many bits an RSA key has: fewer can be broken, more nobody makes.
const RSA_BITS: RangeInclusive<usize> = 2_048..=16_384;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: &'static str,
    bytes: Vec<u8>,
}

/// Why a line is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoKey {
    /// It is more than a line, or a longer one.
    #[error("a public key is one line of at most {KEY_LINE_MAX} bytes")]
    Line,
    /// Its algorithm is none of those that are known.
    #[error(
        "a public key begins with its algorithm: ssh-ed25519, ssh-rsa, ecdsa-sha2-…, or sk-… for one \
         of a security key"
    )]
    Algorithm,
    /// It is damaged.
    #[error("the public key is damaged")]
    Damaged,
    /// It is an RSA key that can be broken.
    #[error("an RSA key has 2048 to 16384 bits")]
    Bits,
}

impl PublicKey {
    /// Reads a line, without options before the key.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn read(line: &str) -> Result<Self, NoKey> {
        if line.len() > KEY_LINE_MAX {
            return Err(NoKey::Line);
        }
        let line = line.trim();
        if line.contains(char::is_control) {
            return Err(NoKey::Line);
        }
        let mut words = line.split(' ');
        let named = words.next().unwrap_or_default();
        let known = ALGORITHMS.iter().find(|(name, _)| *name == named);
        let &(algorithm, parts) = known.ok_or(NoKey::Algorithm)?;
        let bytes = STANDARD.decode(words.next().unwrap_or_default());
        let bytes = bytes.map_err(|_| NoKey::Damaged)?;
        let key = Self { algorithm, bytes };
        let found = key.parts().ok_or(NoKey::Damaged)?;
        let [name, values @ ..] = found.as_slice() else {
            return Err(NoKey::Damaged);
        };
        let is_whole = match (algorithm, values) {
            (ED25519, [key]) => key.len() == ED25519_LEN,
            ("ssh-rsa", [_, modulus]) => {
                if !RSA_BITS.contains(&bits(modulus)) {
                    return Err(NoKey::Bits);
                }
                true
            }
            _ => values.iter().all(|value| !value.is_empty()),
        };
        let fits = *name == algorithm.as_bytes() && values.len() == parts && is_whole;
        if fits { Ok(key) } else { Err(NoKey::Damaged) }
    }

    /// A key of Ed25519.
    #[must_use]
    pub fn ed25519(key: &[u8; ED25519_LEN]) -> Self {
        let mut bytes = Vec::new();
        put(&mut bytes, ED25519.as_bytes());
        put(&mut bytes, key);
        Self {
            algorithm: ED25519,
            bytes,
        }
    }

    /// What it is called, as `ssh-ed25519`.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The key in bytes; the SHA-256 of them is what it is known by.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key without its name: what a certificate repeats.
    pub(super) fn values(&self) -> &[u8] {
        self.bytes
            .get(4 + self.algorithm.len()..)
            .unwrap_or_default()
    }

    /// Its parts (RFC 4251 §5, `string`), with its name; `None` when they are not all there.
    fn parts(&self) -> Option<Vec<&[u8]>> {
        let mut rest = self.bytes.as_slice();
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (part, after) = after.split_at_checked(length)?;
            parts.push(part);
            rest = after;
        }
        Some(parts)
    }
}

/// How many bits a number has that is not negative (RFC 4251 §5, `mpint`).
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let rest = number.get(zeros..).unwrap_or_default();
    let first = rest.first().map_or(0, |byte| byte.leading_zeros());
    (rest.len() * 8).saturating_sub(usize::try_from(first).unwrap_or_default())
}

/// Writes a `string` (RFC 4251 §5).
pub(super) fn put(into: &mut Vec<u8>, text: &[u8]) {
    into.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    into.extend(text);
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, STANDARD.encode(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of RFC 8709's kind, made by `ssh-keygen`.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

    #[test]
    fn a_line_is_read_and_written_without_its_comment() {
        let key = PublicKey::read(&format!("{KEY} somebody@somewhere else\n")).unwrap();
        assert_eq!(key, PublicKey::ed25519(&[7; 32]));
        assert_eq!(key.to_string(), KEY);
        assert_eq!(key.algorithm(), "ssh-ed25519");
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_reason() {
        let cut = &KEY[..KEY.len() - 4];
        let options = format!("command=\"x\" {KEY}");
        let two = format!("{KEY}\n{KEY}");
        let other = KEY.replacen("ssh-ed25519", "ssh-rsa", 1);
        let long = format!("{KEY} {}", "x".repeat(KEY_LINE_MAX));
        for (line, wanted) in [
            ("", NoKey::Algorithm),
            ("ssh-dss AAAA", NoKey::Algorithm),
            (options.as_str(), NoKey::Algorithm),
            ("ssh-ed25519", NoKey::Damaged),
            ("ssh-ed25519 AAAA", NoKey::Damaged),
            (cut, NoKey::Damaged),
            (&other, NoKey::Damaged),
            (&two, NoKey::Line),
            (&long, NoKey::Line),
        ] {
            assert_eq!(PublicKey::read(line), Err(wanted), "{line}");
        }
    }

    #[test]
    fn an_rsa_key_that_can_be_broken_is_refused() {
        let line = |bits: usize| {
            let mut bytes = Vec::new();
            put(&mut bytes, b"ssh-rsa");
            put(&mut bytes, &[1, 0, 1]);
            let mut modulus = vec![0, 0x80];
            modulus.resize(1 + bits / 8, 1);
            put(&mut bytes, &modulus);
            format!("ssh-rsa {}", STANDARD.encode(bytes))
        };
        assert_eq!(PublicKey::read(&line(1_024)), Err(NoKey::Bits));
        PublicKey::read(&line(2_048)).unwrap();
        PublicKey::read(&line(16_384)).unwrap();
    }
}
