//! How much is kept of the files that the device should hold.

use serde::Deserialize;

use super::ConfigError;
use super::file::within;

const MEBIBYTE: u64 = 1024 * 1024;
/// What is kept unless something else is said: 512 MiB.
const MEBIBYTES: u64 = 512;

/// How much is kept of the files that the device should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assets {
    /// The most bytes, 1 MiB to 64 GiB.
    pub bytes: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    mebibytes: Option<u64>,
}

impl Written {
    pub(super) fn checked(self) -> Result<Assets, ConfigError> {
        let mebibytes = self.mebibytes.unwrap_or(MEBIBYTES);
        let bytes = within("assets.mebibytes", mebibytes, 1..=64 * 1024)? * MEBIBYTE;
        Ok(Assets { bytes })
    }
}
