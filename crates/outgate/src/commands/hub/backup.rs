//! `outgate hub backup`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use outgate_hub::backup::{BackupError, back_up};

use super::Place;
use crate::output::{Failure, counted, say};

/// `outgate hub backup`.
#[derive(Args)]
#[command(
    after_help = "Run it on the hub's machine as whoever may read the data folder. The copy has \
all that was acknowledged before, and the keys, so keep it as safe as the folder itself. To \
restore, start a hub on a copy of it.

Examples:
  outgate hub backup --data /var/lib/outgate /backup/outgate-monday
  outgate hub backup --config /etc/outgate/hub.toml /backup/outgate-monday"
)]
pub(super) struct BackupArgs {
    /// The new folder for the copy
    to: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl BackupArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let folder = self.place.read(&[])?.data;
        let files = back_up(&folder, &self.to).map_err(|error| {
            let input = matches!(
                error,
                BackupError::Exists { .. }
                    | BackupError::Inside { .. }
                    | BackupError::Nothing { .. }
            );
            match input {
                true => Failure::Input(error.into()),
                false => Failure::Internal(error.into()),
            }
        })?;
        let (files, to) = (counted(files, "file"), self.to.display());
        say(&format!("{files} of {} copied to {to}", folder.display()));
        Ok(ExitCode::SUCCESS)
    }
}
