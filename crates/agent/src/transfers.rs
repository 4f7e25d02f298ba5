//! Files that the hub tells the device to fetch (`file.download`) and to send (`file.upload`), each
//! by an address with a key of its own.
//!
//! Only the path of that address is used, at the hub that the agent is configured for: nobody can
//! have it ask elsewhere. What comes is visible as a whole, once its digest has been checked; what
//! was cut off goes on where it was, also after a restart. One at a time; what fails for now is tried
//! again, until the command's time is over.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use outgate_wire::agent::{Command, Settlement};
use serde::Deserialize;
use thiserror::Error;
use tokio::time::Instant;

use crate::assets::Hub;
use crate::chain::chain;
use crate::config::Files;
use crate::device::Device;
use crate::inbox::InboxError;
use crate::status::Board;

mod fetch;
mod part;
mod place;
mod send;
#[cfg(test)]
mod tests;
mod web;

/// What the hub calls it.
const DOWNLOAD: &str = "file.download";
const UPLOAD: &str = "file.upload";

/// How long it is waited after something failed; it doubles.
const AGAIN_FIRST: Duration = Duration::from_secs(2);
/// The longest that it is waited.
const AGAIN_MAX: Duration = Duration::from_secs(300);

/// The most bytes of a file's name.
const NAME_MAX: usize = 256;

/// The folder below that for incoming files in which those lie that are not whole.
const PARTS: &str = ".outgate";

/// What there is to do, as the hub says it.
#[derive(Debug, Deserialize)]
struct Told {
    /// The grant by which it is done.
    grant: String,
    /// Which file.
    name: String,
    /// Where, at the hub. It does not show itself: whoever has it may do the same.
    path: Address,
    /// How many bytes it has, of one that is fetched.
    size: Option<u64>,
    /// The SHA-256 of those, in hexadecimal.
    sha256: Option<String>,
}

/// The path and query of an address with a key in it.
#[derive(Clone, Deserialize)]
struct Address(String);

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(…)")
    }
}

/// Why something was not done.
#[derive(Debug, Error)]
enum Failed {
    /// It cannot be done, and trying again does not help.
    #[error("{0}")]
    ForGood(String),
    /// It may go another time.
    #[error("{0}")]
    ForNow(String),
    /// The disk does not do it, now.
    #[error("the disk fails")]
    Disk(#[from] io::Error),
}

/// Fetches and sends.
struct Transfers {
    settings: Files,
    hub: Hub,
    board: Board,
}

/// Does what the hub tells of files, for ever.
pub(crate) async fn keep(device: Device, settings: Files, hub: Hub) {
    let board = device.board.clone();
    let transfers = Transfers {
        settings,
        hub,
        board,
    };
    let mut news = device.inbox.news();
    let mut wait = AGAIN_FIRST;
    // What failed for now: it is not tried again whenever something else comes.
    let mut failed = BTreeSet::new();
    let mut again = Instant::now();
    loop {
        news.mark_unchanged();
        for command in device.inbox.commands() {
            if failed.contains(&command.id) {
                continue;
            }
            let Some(done) = transfers.carry_out(&command).await else {
                continue;
            };
            if !settle(&device, &command, done).await {
                if failed.is_empty() {
                    again = Instant::now() + wait;
                }
                failed.insert(command.id);
            }
        }
        if failed.is_empty() {
            wait = AGAIN_FIRST;
            if news.changed().await.is_err() {
                return;
            }
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep_until(again) => {
                failed.clear();
                wait = (wait * 2).min(AGAIN_MAX);
            }
            changed = news.changed() => if changed.is_err() { return },
        }
    }
}

/// Tells the hub what has become of a command; false if it is to be tried again.
async fn settle(device: &Device, command: &Command, done: Result<(), Failed>) -> bool {
    let how = match done {
        Ok(()) => {
            tracing::info!(
                command = command.id,
                name = command.name,
                "a file is through"
            );
            Settlement::Completed
        }
        Err(failed) => {
            let text = chain(&failed);
            tracing::warn!(command = command.id, error = text, "a file is not through");
            device.board.note("files", text);
            if !matches!(failed, Failed::ForGood(_)) {
                return false;
            }
            Settlement::Rejected
        }
    };
    match device.inbox.settle(&command.id, how).await {
        // Its time may be over, or the device's software may have settled it.
        Ok(()) | Err(InboxError::Gone | InboxError::Otherwise) => true,
        Err(InboxError::Queue(error)) => {
            device.board.note("files", chain(&error));
            false
        }
    }
}

impl Transfers {
    /// What has become of it; nothing if it is not for the agent.
    async fn carry_out(&self, command: &Command) -> Option<Result<(), Failed>> {
        let (settings, name) = (&self.settings, command.name.as_str());
        match (name, &settings.incoming, &settings.outgoing) {
            (DOWNLOAD, Some(folder), _) => Some(self.download(command, folder).await),
            (UPLOAD, _, Some(folder)) => Some(self.upload(command, folder).await),
            _ => None,
        }
    }

    async fn download(&self, command: &Command, folder: &Path) -> Result<(), Failed> {
        let told = Told::of(command, &self.settings)?;
        fetch::fetch(&told, folder, self).await
    }

    async fn upload(&self, command: &Command, folder: &Path) -> Result<(), Failed> {
        let told = Told::of(command, &self.settings)?;
        let file = place::existing(folder, &told.name)?;
        send::send(&told, &file, self).await
    }
}

impl Told {
    fn of(command: &Command, settings: &Files) -> Result<Self, Failed> {
        let told: Self = serde_json::from_slice(&command.payload.0)
            .map_err(|error| Failed::ForGood(format!("the command cannot be read: {error}")))?;
        let is_step = |step: &str| !matches!(step, "" | "." | "..");
        let is_right = told.name.len() <= NAME_MAX
            && told.name.split('/').all(is_step)
            && told.name.split('/').next() != Some(PARTS)
            && !told
                .name
                .contains(|letter: char| letter.is_control() || letter == '\\');
        if !is_right || !settings.allows(&told.name) {
            let name: String = told.name.chars().take(NAME_MAX).collect();
            let why = format!("{name:?} is not among the files that may come and go");
            return Err(Failed::ForGood(why));
        }
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_grant = (1..=128).contains(&told.grant.len()) && told.grant.bytes().all(is_letter);
        let path = &told.path.0;
        // What follows a number sign would not be asked.
        if !is_grant || !path.starts_with("/files/") || path.contains('#') {
            return Err(Failed::ForGood(
                "the command names no file of the hub".to_owned(),
            ));
        }
        Ok(told)
    }
}
