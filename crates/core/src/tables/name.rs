//! What a table is called.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// The most characters of a name.
const MAX_NAME: usize = 64;

/// Names that mean something else where devices look things up.
const TAKEN: [&str; 2] = ["fleet", "token"];

/// The name of what is looked up: 1 to 64 of `a-z`, `0-9`, `-` and `_`, a letter first, and neither
/// `fleet` nor `token`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName(String);

impl TableName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TableName {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for TableName {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        let is_of_name = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
        };
        let good = text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.len() <= MAX_NAME
            && text.bytes().all(is_of_name)
            && !TAKEN.contains(&text.as_str());
        if good {
            return Ok(Self(text));
        }
        let why = "1 to 64 of a-z 0-9 - and _, a letter first; not fleet or token";
        Err(Refusal::invalid("name", why))
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.0
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ToSql for TableName {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for TableName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = String::column_result(value)?;
        text.try_into()
            .map_err(|refusal: Refusal| FromSqlError::Other(refusal.into()))
    }
}
