//! Tokens: random text that is shown as it is, and of which only the digest is kept.
//!
//! A digest without salt is enough, because nobody can guess 160 random bits to compare with it.
//! For the same reason tokens are looked up by their digest without regard to time: how far a
//! wrong digest agrees with a right one tells nothing about the token behind the right one.

use crate::refusal::Refusal;
use crate::secret::Secret;

/// Random characters of a token: 160 bits.
const RANDOM_CHARACTERS: usize = 32;

/// The longest text that is looked at as a token.
const MAX_TOKEN: usize = 64;

/// Letters of a token: Crockford's base 32, lower case, without what is misread.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Whose a token is, by its prefix: so that people and secret scanners can tell what leaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Device,
    Operator,
    Service,
}

impl Holder {
    fn prefix(self) -> &'static str {
        match self {
            Self::Device => "og_device_",
            Self::Operator => "og_operator_",
            Self::Service => "og_service_",
        }
    }
}

/// A token never made before.
pub(super) fn made_up(holder: Holder) -> Result<Secret, Refusal> {
    let random = Secret::random(RANDOM_CHARACTERS)?;
    let prefix = holder.prefix().bytes();
    let letters = random
        .expose()
        .iter()
        .map(|byte| ALPHABET[usize::from(byte % 32)]);
    Ok(Secret::new(prefix.chain(letters).collect()))
}

/// Whether `token` looks like one, so that anything else need not be looked up.
pub(super) fn well_formed(token: &Secret) -> bool {
    let bytes = token.expose();
    bytes.len() <= MAX_TOKEN
        && [Holder::Device, Holder::Operator, Holder::Service]
            .into_iter()
            .filter_map(|holder| bytes.strip_prefix(holder.prefix().as_bytes()))
            .any(|rest| {
                rest.len() == RANDOM_CHARACTERS && rest.iter().all(|byte| ALPHABET.contains(byte))
            })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_says_whose_it_is_and_differs_from_the_next() {
        for (holder, prefix) in [
            (Holder::Device, "og_device_"),
            (Holder::Operator, "og_operator_"),
            (Holder::Service, "og_service_"),
        ] {
            let token = made_up(holder).unwrap();
            assert!(token.expose().starts_with(prefix.as_bytes()));
            assert!(well_formed(&token));
            assert!(!token.matches(made_up(holder).unwrap().expose()));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_token_or_not_but_never_a_panic(bytes: Vec<u8>) {
            prop_assert!(!well_formed(&Secret::new(bytes)));
        }

        #[test]
        fn a_changed_token_is_another(at in 0_usize..42, to: u8) {
            let token = made_up(Holder::Device).unwrap();
            let mut bytes = token.expose().to_vec();
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            prop_assert_ne!(Secret::new(bytes).digest(), token.digest());
        }
    }
}
