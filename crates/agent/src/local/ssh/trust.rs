//! Whose certificates count, as the hub tells: the public key of the authority that signs for this
//! device and for no other.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use outgate_signalr_client::{CallError, Client};
use outgate_wire::agent::{SSH_AUTHORITY, SshAuthority};
use outgate_wire::ssh::PublicKey;
use tokio::sync::watch;

use super::files::make_folder;
use crate::chain::chain;
use crate::disk;
use crate::status::Board;

/// The file in the folder.
pub(super) const FILE: &str = "hub-authority.pub";

/// How long it is waited after the hub did not tell; it doubles.
const AGAIN_FIRST: Duration = Duration::from_secs(5);
/// The longest that it is waited.
const AGAIN_MAX: Duration = Duration::from_secs(60 * 60);

/// Asks the hub over each connection, and keeps what it tells.
pub(super) async fn learn(
    mut current: watch::Receiver<Option<Client>>,
    folder: PathBuf,
    board: Board,
) {
    loop {
        let client = current.borrow_and_update().clone();
        let asking = async {
            if let Some(client) = client {
                ask(&client, &folder, &board).await;
            }
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            changed = current.changed() => if changed.is_err() { return },
            never = asking => match never {},
        }
    }
}

/// Asks until it is told or the connection is over.
async fn ask(client: &Client, folder: &Path, board: &Board) {
    let mut wait = AGAIN_FIRST;
    loop {
        match client.invoke(SSH_AUTHORITY, ()).await {
            Ok(SshAuthority { authority }) => {
                match keep(folder, &authority) {
                    Ok(()) => board.write(|status| {
                        if let Some(ssh) = &mut status.ssh {
                            ssh.hub_certificates = Some(true);
                        }
                    }),
                    Err(error) => board.note(
                        "ssh",
                        format!("the hub's authority cannot be kept: {}", chain(&error)),
                    ),
                }
                return;
            }
            Err(CallError::NotConnected | CallError::Lost) => return,
            // An older hub has none.
            Err(error) => tracing::debug!(%error, "the hub does not tell its authority for SSH"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(AGAIN_MAX);
    }
}

/// Keeps it if it is one and another than before.
fn keep(folder: &Path, line: &str) -> io::Result<()> {
    let key = PublicKey::read(line).map_err(io::Error::other)?;
    let (path, text) = (folder.join(FILE), format!("{key}\n"));
    if std::fs::read_to_string(&path).is_ok_and(|kept| kept == text) {
        return Ok(());
    }
    make_folder(folder)?;
    disk::write(&path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_is_kept_and_nothing_that_comes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let key = PublicKey::ed25519(&[7; 32]);
        keep(folder.path(), &format!("{key} from the hub")).unwrap();
        let kept = || std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(kept(), format!("{key}\n"));
        for wrong in [
            "",
            "a hub's",
            &format!("{key}\n{key}"),
            &format!("permit-pty {key}"),
        ] {
            keep(folder.path(), wrong).unwrap_err();
        }
        assert_eq!(kept(), format!("{key}\n"));
    }
}
