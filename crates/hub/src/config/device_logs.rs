//! What becomes of what devices log: the keys of `[device-logs]`.

use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, value, within};

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    keep_days: Option<u32>,
    keep_mebibytes: Option<u64>,
}

/// What becomes of what devices log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLogs {
    /// How long it is kept.
    pub keep: Duration,
    /// How many bytes of it are kept.
    pub keep_bytes: u64,
}

impl Written {
    /// Fills in the defaults and checks the ranges.
    pub(super) fn checked(self) -> Result<DeviceLogs, ConfigError> {
        let days = within("device-logs.keep-days", self.keep_days, 14, 1..=36_500)?;
        let mebibytes = self.keep_mebibytes.unwrap_or(2 * 1024);
        // A few of the parts that are cleared away at a time.
        if !(64..=1_048_576).contains(&mebibytes) {
            return value("device-logs.keep-mebibytes", "64 to 1,048,576");
        }
        Ok(DeviceLogs {
            keep: Duration::from_secs(u64::from(days) * 86_400),
            keep_bytes: mebibytes * 1024 * 1024,
        })
    }
}
