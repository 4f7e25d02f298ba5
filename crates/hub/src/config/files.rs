//! How much is kept of the files of devices: the keys of `[files]`.

use std::time::Duration;

use outgate_core::files::FileLimits;
use serde::Deserialize;

use super::depot::{Elsewhere, WrittenAzure, WrittenS3};
use super::{ConfigError, depot, value, within};

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    file_mebibytes: Option<u64>,
    device_mebibytes: Option<u64>,
    device_files: Option<u32>,
    keep_days: Option<u32>,
    s3: Option<WrittenS3>,
    azure: Option<WrittenAzure>,
}

/// What becomes of the files of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// How much is kept of them.
    pub limits: FileLimits,
    /// Where, if not on the hub's own disk.
    pub elsewhere: Option<Elsewhere>,
}

impl Written {
    /// Fills in the defaults and checks the ranges.
    pub(super) fn checked(self) -> Result<Files, ConfigError> {
        let default = FileLimits::default();
        let of_file = mebibytes(
            "files.file-mebibytes",
            self.file_mebibytes,
            default.file_bytes,
        )?;
        let of_device = mebibytes(
            "files.device-mebibytes",
            self.device_mebibytes,
            default.device_bytes,
        )?;
        if of_device < of_file {
            let right = "no less than files.file-mebibytes";
            return value("files.device-mebibytes", right);
        }
        let files = within("files.device-files", self.device_files, 1_000, 1..=100_000)?;
        let days = within("files.keep-days", self.keep_days, 30, 1..=36_500)?;
        Ok(Files {
            limits: FileLimits {
                file_bytes: of_file,
                device_bytes: of_device,
                device_files: files.into(),
                keep: Duration::from_secs(u64::from(days) * 86_400),
            },
            elsewhere: depot::checked(self.s3, self.azure)?,
        })
    }
}

/// What `key` says in mebibytes, in bytes.
fn mebibytes(key: &'static str, written: Option<u64>, default: u64) -> Result<u64, ConfigError> {
    match written {
        None => Ok(default),
        Some(mebibytes @ 1..=1_048_576) => Ok(mebibytes << 20),
        Some(_) => value(key, "1 to 1,048,576"),
    }
}
