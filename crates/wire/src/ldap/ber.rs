//! The basic encoding rules as LDAP restricts them (RFC 4511 §5.1): definite lengths, one byte of
//! tag.

use super::LdapError;

/// The most bytes that a length may have after its first; four say more than is ever read.
const LENGTH_BYTES_MAX: usize = 4;

/// Writes an element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let digits = &length[zeros..];
    let mut element = vec![tag];
    match digits {
        [] => element.push(0),
        [short] if *short < 0x80 => element.push(*short),
        // Eight bytes at the most, as many as a length of this machine has.
        _ => {
            element.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            element.extend_from_slice(digits);
        }
    }
    element.extend_from_slice(content);
    element
}

/// A tag and what it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads an element, and what comes after it; `None` until it is complete. `max` bounds the
    /// whole of it.
    pub(super) fn read(bytes: &'a [u8], max: usize) -> Result<Option<(Self, &'a [u8])>, LdapError> {
        let [tag, first, rest @ ..] = bytes else {
            return Ok(None);
        };
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            let digits = usize::from(first & 0x7f);
            if digits == 0 || digits > LENGTH_BYTES_MAX {
                return Err(LdapError::Length);
            }
            let Some((digits, rest)) = rest.split_at_checked(digits) else {
                return Ok(None);
            };
            let fold = |length: usize, digit: &u8| length << 8 | usize::from(*digit);
            (digits.iter().fold(0, fold), rest)
        };
        if bytes.len() - rest.len() + length > max {
            return Err(LdapError::TooLong);
        }
        let Some((content, rest)) = rest.split_at_checked(length) else {
            return Ok(None);
        };
        let tag = *tag;
        Ok(Some((Self { tag, content }, rest)))
    }

    /// Itself, if it has this tag.
    pub(super) fn expect(self, expected: u8) -> Result<Self, LdapError> {
        let found = self.tag;
        if found == expected {
            Ok(self)
        } else {
            Err(LdapError::Tag { found, expected })
        }
    }

    /// What it is made of.
    pub(super) fn children(self) -> Children<'a> {
        Children(self.content)
    }
}

/// The elements in an element, one after the other.
pub(super) struct Children<'a>(&'a [u8]);

impl<'a> Children<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next one, whatever it is.
    pub(super) fn any(&mut self) -> Result<Element<'a>, LdapError> {
        if self.0.is_empty() {
            return Err(LdapError::Short);
        }
        let read = Element::read(self.0, self.0.len()).map_err(|_| LdapError::Length)?;
        let (element, rest) = read.ok_or(LdapError::Length)?;
        self.0 = rest;
        Ok(element)
    }

    /// The next one, which has this tag.
    pub(super) fn next(&mut self, tag: u8) -> Result<Element<'a>, LdapError> {
        self.any()?.expect(tag)
    }
}

/// A whole number of at most eight bytes.
pub(super) fn integer(element: Element<'_>) -> Result<i64, LdapError> {
    let [first, rest @ ..] = element.content else {
        return Err(LdapError::Number);
    };
    if rest.len() > 7 {
        return Err(LdapError::Number);
    }
    let sign = i64::from(i8::from_be_bytes([*first]));
    let fold = |number: i64, byte: &u8| number << 8 | i64::from(*byte);
    Ok(rest.iter().fold(sign, fold))
}
