//! Keys and paths (<https://firebase.google.com/docs/database/web/structure-data>).

use std::cmp::Ordering;
use std::fmt;

/// The most bytes of a key, as Firebase has it.
pub const KEY_MAX: usize = 768;

/// The most keys of a path, as Firebase has it: how deep values may stand in each other.
pub const DEPTH_MAX: usize = 32;

/// What may not stand in a key, beside control characters.
const FORBIDDEN: [char; 6] = ['.', '$', '#', '[', ']', '/'];

/// What keys are made of, in the order of ASCII.
const LETTERS: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// A name of a child: 1 to [`KEY_MAX`] bytes without control characters and `. $ # [ ] /`.
///
/// Keys that are numbers of 32 bits come first, by their value; the others in the order of their
/// UTF-16, which is that of the clients.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    text: Box<str>,
    integer: Option<i32>,
}

/// Why a text is not a key or a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A key is empty, too long, or has what may not stand in it.
    #[error(
        "a key has 1 to {KEY_MAX} bytes, without control characters and without . $ # [ ] and /"
    )]
    Key,
    /// More keys than are taken.
    #[error("a path has at most {DEPTH_MAX} keys")]
    TooDeep,
    /// A percent sign that two hexadecimal digits of UTF-8 do not follow.
    #[error("a path in an address is UTF-8, percent-encoded")]
    Encoding,
}

impl Key {
    /// Checks a key.
    ///
    /// # Errors
    /// [`PathError::Key`].
    pub fn new(text: &str) -> Result<Self, PathError> {
        let wrong =
            |character: char| character.is_ascii_control() || FORBIDDEN.contains(&character);
        if text.is_empty() || text.len() > KEY_MAX || text.chars().any(wrong) {
            return Err(PathError::Key);
        }
        Ok(Self {
            text: text.into(),
            integer: integer(text),
        })
    }

    /// The key of an array's element.
    #[must_use]
    pub fn of_index(index: usize) -> Self {
        let text = index.to_string();
        Self {
            integer: integer(&text),
            text: text.into(),
        }
    }

    /// A key that comes after those made before, as the clients make theirs: of the time in
    /// milliseconds since 1970, and of random bytes.
    #[must_use]
    pub fn made(now: u64, random: [u8; 12]) -> Self {
        let letter = |place: u64| char::from(LETTERS[usize::try_from(place % 64).unwrap_or(0)]);
        let time = (0..8).rev().map(|place| letter(now >> (6 * place)));
        let text: String = time.chain(random.map(|byte| letter(byte.into()))).collect();
        Self {
            integer: None,
            text: text.into(),
        }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its number, if it is one of 32 bits.
    #[must_use]
    pub fn integer(&self) -> Option<i32> {
        self.integer
    }
}

/// The number that a key is: up to ten digits behind zeros and a sign, if it has 32 bits.
fn integer(text: &str) -> Option<i32> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: i32 = match digits.trim_start_matches('0') {
        "" => 0,
        significant if text.starts_with('-') => format!("-{significant}").parse().ok()?,
        significant => significant.parse().ok()?,
    };
    Some(value)
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.integer, other.integer) {
            (Some(mine), Some(its)) => mine
                .cmp(&its)
                .then_with(|| self.text.len().cmp(&other.text.len()))
                // "-0" and "00": the clients leave their order open.
                .then_with(|| self.text.cmp(&other.text)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.text.encode_utf16().cmp(other.text.encode_utf16()),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Where a value stands: at most [`DEPTH_MAX`] keys from the root on.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Key>);

impl Path {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads keys with slashes between; empty ones mean nothing.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn read(text: &str) -> Result<Self, PathError> {
        let mut path = Self::root();
        for key in text.split('/').filter(|key| !key.is_empty()) {
            path = path.child(Key::new(key)?)?;
        }
        Ok(path)
    }

    /// As [`Path::read`], for a path of an address: each key is percent-encoded.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn read_encoded(text: &str) -> Result<Self, PathError> {
        let mut path = Self::root();
        for key in text.split('/').filter(|key| !key.is_empty()) {
            path = path.child(Key::new(&decoded(key)?)?)?;
        }
        Ok(path)
    }

    /// The path of a child.
    ///
    /// # Errors
    /// [`PathError::TooDeep`].
    pub fn child(&self, key: Key) -> Result<Self, PathError> {
        self.join(&[key])
    }

    /// The path of what stands at `below` from here.
    ///
    /// # Errors
    /// [`PathError::TooDeep`].
    pub fn join(&self, below: &[Key]) -> Result<Self, PathError> {
        if self.0.len() + below.len() > DEPTH_MAX {
            return Err(PathError::TooDeep);
        }
        Ok(Self([&self.0[..], below].concat()))
    }

    /// Its first `length` keys; all of them if it has no more.
    #[must_use]
    pub fn beginning(&self, length: usize) -> Self {
        Self(self.0.iter().take(length).cloned().collect())
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.0
    }

    /// What is left of it below `other`, if it is there or below.
    #[must_use]
    pub fn below(&self, other: &Self) -> Option<&[Key]> {
        self.0.strip_prefix(&other.0[..])
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.0))
    }
}

/// Keys with slashes between.
#[must_use]
pub fn joined(keys: &[Key]) -> String {
    let texts: Vec<&str> = keys.iter().map(Key::as_str).collect();
    texts.join("/")
}

/// What is percent-encoded (RFC 3986, section 2.1).
fn decoded(text: &str) -> Result<String, PathError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>().ok_or(PathError::Encoding)?;
        let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(PathError::Encoding);
        let byte = digit(digits[0])? * 16 + digit(digits[1])?;
        bytes.push(u8::try_from(byte).map_err(|_| PathError::Encoding)?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| PathError::Encoding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    #[test]
    fn numbers_come_first_by_value_and_other_keys_as_the_clients_order_them() {
        let in_order = [
            "-2147483648",
            "-5",
            "0",
            "00",
            "7",
            "007",
            "10",
            "2147483647",
            // Not of 32 bits, or no number.
            "-",
            "2147483648",
            "B",
            "a",
            "a1",
            "\u{1f600}",
            "\u{ffee}",
        ];
        for pair in in_order.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn what_firebase_forbids_in_a_key_is_refused() {
        for wrong in [
            "",
            "a.b",
            "$a",
            "a#",
            "[",
            "]",
            "a/b",
            "\n",
            "\u{7f}",
            &"a".repeat(769),
        ] {
            assert_eq!(Key::new(wrong), Err(PathError::Key), "{wrong:?}");
        }
        assert!(Key::new(&"a".repeat(768)).is_ok());
        assert!(Path::read(&"a/".repeat(32)).is_ok());
        assert_eq!(Path::read(&"a/".repeat(33)), Err(PathError::TooDeep));
    }

    #[test]
    fn keys_that_are_made_stand_in_the_order_of_their_times() {
        let made = |now, byte| Key::made(now, [byte; 12]);
        // The example of Firebase's "The 2^120 Ways to Ensure Unique Identifiers".
        assert!(made(1_423_712_438_871, 0).as_str().starts_with("-J"));
        assert_eq!(made(1_423_712_438_871, 1).as_str().len(), 20);
        assert!(made(1_790_000_000_000, 255) < made(1_790_000_000_001, 0));
        assert_eq!(Key::new(made(7, 63).as_str()), Ok(made(7, 63)));
    }

    #[test]
    fn slashes_too_many_mean_nothing_and_what_is_encoded_is_decoded_within_a_key() {
        assert_eq!(Path::read("//a//b/").unwrap().to_string(), "a/b");
        assert_eq!(
            Path::read_encoded("/%C3%A5%20b/c").unwrap().to_string(),
            "å b/c"
        );
        assert_eq!(Path::read_encoded("a%2Fb"), Err(PathError::Key));
        for wrong in ["%", "%4", "%zz", "%ff", "%+1"] {
            assert_eq!(
                Path::read_encoded(wrong),
                Err(PathError::Encoding),
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn keys_are_in_one_order(texts in prop::collection::vec("-?0{0,2}[0-9]{0,11}|[a-z]{1,3}", 3)) {
            let keys: Vec<Key> = texts.iter().filter_map(|text| Key::new(text).ok()).collect();
            for a in &keys {
                for b in &keys {
                    prop_assert_eq!(a.cmp(b), b.cmp(a).reverse());
                    prop_assert_eq!(a == b, a.cmp(b) == Ordering::Equal);
                    for c in &keys {
                        prop_assert!(!(a <= b && b <= c) || a <= c);
                    }
                }
            }
        }

        #[test]
        fn any_text_is_a_path_or_refused(text in ".{0,60}") {
            let _ = Path::read_encoded(&text);
            if let Ok(path) = Path::read(&text) {
                prop_assert_eq!(Path::read(&path.to_string()), Ok(path));
            }
        }
    }
}
