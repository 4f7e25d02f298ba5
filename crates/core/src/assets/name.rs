//! What an asset is called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::check_file_name;
use crate::refusal::Refusal;

/// A path of 1 to [`MAX_PATH`](crate::limits::MAX_PATH) bytes, as `images/logo.png`: steps with slashes between them, none
/// of them empty, `.` or `..`; no control characters and no backslashes, so that it can be the
/// name of a file on a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AssetName(String);

impl AssetName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AssetName {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for AssetName {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        check_file_name("asset", &text)?;
        Ok(Self(text))
    }
}

impl From<AssetName> for String {
    fn from(name: AssetName) -> Self {
        name.0
    }
}

impl fmt::Display for AssetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_PATH;

    #[test]
    fn a_name_can_be_that_of_a_file_below_a_folder() {
        for (name, right) in [
            ("logo.png", true),
            ("images/Größe 1.png", true),
            ("", false),
            ("/logo.png", false),
            ("images//logo.png", false),
            ("images/", false),
            ("../logo.png", false),
            ("images/./logo.png", false),
            ("images\\logo.png", false),
            ("logo\n.png", false),
            (&"a".repeat(MAX_PATH), true),
            (&"a".repeat(MAX_PATH + 1), false),
        ] {
            assert_eq!(name.parse::<AssetName>().is_ok(), right, "{name:?}");
        }
    }
}
