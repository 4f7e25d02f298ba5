//! What becomes of what devices log: the keys of `[device-logs]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, is_collector, value, within};

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    keep_days: Option<u32>,
    keep_mebibytes: Option<u64>,
    forward: Option<Forward>,
}

/// What becomes of what devices log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLogs {
    /// How long it is kept.
    pub keep: Duration,
    /// How many bytes of it are kept.
    pub keep_bytes: u64,
    /// Where it is sent on to, if anywhere.
    pub forward: Option<Forward>,
}

/// Where logs are sent on to, by OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Forward {
    /// The collector's address, to which `/v1/logs` is added.
    pub endpoint: String,
    /// A file with headers for it, `Name: value`, one a line.
    pub headers: Option<PathBuf>,
    /// Authorities in PEM that are trusted beside the system's.
    pub authority: Option<PathBuf>,
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
        let is_wrong = |forward: &Forward| !is_collector(&forward.endpoint);
        if self.forward.as_ref().is_some_and(is_wrong) {
            let right = "an address like https://collector:4318";
            return value("device-logs.forward.endpoint", right);
        }
        Ok(DeviceLogs {
            keep: Duration::from_secs(u64::from(days) * 86_400),
            keep_bytes: mebibytes * 1024 * 1024,
            forward: self.forward,
        })
    }
}
