//! Who uses what a device serves.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::refusal::Refusal;

/// The most bytes of a user's name.
pub const MAX_USER: usize = 256;

/// A user, as whoever lets them in calls them: 1 to [`MAX_USER`] bytes without spaces and control
/// characters, compared as they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct User(String);

impl User {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for User {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let is_wrong = |sign: char| sign.is_whitespace() || sign.is_control();
        if (1..=MAX_USER).contains(&text.len()) && !text.contains(is_wrong) {
            Ok(Self(text.to_owned()))
        } else {
            let why = format!("1 to {MAX_USER} bytes, no spaces or control characters");
            Err(Refusal::invalid("user", why))
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ToSql for User {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for User {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(value.as_str()?.to_owned()))
    }
}
