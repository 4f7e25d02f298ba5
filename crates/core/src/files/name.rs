//! What a file is called.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use crate::limits::check_file_name;
use crate::refusal::Refusal;

/// A path of 1 to [`MAX_PATH`](crate::limits::MAX_PATH) bytes below a device's drop folder, as
/// `logs/2026-11-23.txt`: steps with slashes between them, none of them empty, `.` or `..`; no
/// control characters and no backslashes, so that it can be the name of a file on a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

impl FileName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileName {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        check_file_name("file", text)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for FileName {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        text.parse()
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ToSql for FileName {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for FileName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let parsed = value.as_str()?.parse();
        parsed.map_err(|refusal: Refusal| FromSqlError::Other(refusal.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_drop_folder() {
        for name in [
            "../other/secret",
            "a/../../b",
            "..",
            ".",
            "/etc/passwd",
            "a//b",
            "a/",
            "a\\..\\b",
            "a\0b",
            "",
        ] {
            assert!(name.parse::<FileName>().is_err(), "{name:?}");
        }
        for name in ["..a", "logs/a..b", "ansatte 1.csv", "a%2F..%2Fb"] {
            assert!(name.parse::<FileName>().is_ok(), "{name:?}");
        }
    }
}
