//! The SSH switch: off until somebody at the device switches it on, and off again by itself.
//!
//! Whoever comes in speaks with OpenSSH's server, one process a connection, but the connection is the
//! agent's: it takes it and carries its bytes. So nothing has to be found in order to be ended. When
//! the time is over, when somebody switches it off, and when the agent is killed, there is nobody who
//! listens, and every session has lost its connection. It is never on when the agent starts.
//!
//! Nobody can switch it on from afar: the local page has the [`Switch`], the local API has not.

mod driver;
mod files;
mod machine;
mod processes;
mod said;
mod sshd;
mod trust;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outgate_signalr_client::Client;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use self::driver::{Ask, Driver};
use self::machine::Machine;
use self::sshd::Sshd;
use crate::clock::Keeper;
use crate::config;
use crate::device::Device;

/// Its folder in the agent's.
const FOLDER: &str = "ssh";

/// So many wait for what was asked before; it is a person who asks.
const WAITING_MAX: usize = 8;

/// The most bytes of who has switched it.
const MAX_BY: usize = 128;

/// Why it is not on.
#[derive(Clone, Debug, Error)]
pub enum SwitchError {
    /// It can be on for less time only.
    #[error("SSH can be switched on for 1 to {most_minutes} minutes at a time")]
    Time {
        /// For how long.
        most_minutes: u64,
    },
    /// The address cannot be listened on.
    #[error("failed to listen on {address} for SSH; {what_to_do}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// By somebody who can change it.
        what_to_do: &'static str,
        /// Why.
        source: Arc<io::Error>,
    },
    /// OpenSSH's server cannot be used.
    #[error("OpenSSH's server cannot be used: {0}")]
    Server(String),
    /// A file in the agent's folder cannot be used.
    #[error("failed to keep what SSH needs in the agent's folder")]
    Folder(#[source] Arc<io::Error>),
    /// The agent is going down.
    #[error("the agent is going down")]
    Gone,
}

/// The switch. Cloned freely; all clones are the same. How it is stands on the board.
#[derive(Clone, Debug)]
pub struct Switch(mpsc::Sender<Ask>);

impl SwitchError {
    fn listen(address: SocketAddr, source: io::Error) -> Self {
        let what_to_do = if source.kind() == ErrorKind::AddrInUse {
            "another program has that port, perhaps the machine's own SSH: end it, or give ssh.listen"
        } else if source.kind() == ErrorKind::PermissionDenied {
            "give the agent CAP_NET_BIND_SERVICE, or ssh.listen a port from 1024"
        } else {
            "ssh.listen says where"
        };
        Self::Listen {
            address,
            what_to_do,
            source: Arc::new(source),
        }
    }
}

impl Switch {
    /// Switches it on for `time` from now; while it is on, for another time. It listens when this
    /// returns. `by` is who has done it, as it is shown and told to the hub.
    ///
    /// # Errors
    /// [`SwitchError`]; then it is as it was.
    pub async fn on(&self, time: Duration, by: &str) -> Result<(), SwitchError> {
        self.ask(Some(time), by).await
    }

    /// Switches it off. Nobody listens, and nothing of a session goes on, when this returns.
    ///
    /// # Errors
    /// [`SwitchError::Gone`].
    pub async fn off(&self, by: &str) -> Result<(), SwitchError> {
        self.ask(None, by).await
    }

    async fn ask(&self, on: Option<Duration>, by: &str) -> Result<(), SwitchError> {
        let (told, done) = oneshot::channel();
        let by = by.chars().filter(|sign| !sign.is_control());
        let ask = Ask {
            on,
            by: by.take(MAX_BY).collect(),
            told,
        };
        let asked = self.0.send(ask).await;
        asked.map_err(|_| SwitchError::Gone)?;
        done.await.map_err(|_| SwitchError::Gone)?
    }
}

/// Has a switch, which is off, in the agent's folder `data`; `current` is the connection to the hub.
/// Without a configuration there is none, and the hub is told so if it knew of one.
pub(crate) fn start(
    config: Option<&config::Ssh>,
    data: &Path,
    (device, clock): (&Device, &Keeper),
    current: watch::Receiver<Option<Client>>,
    tasks: &mut JoinSet<()>,
) -> Option<Switch> {
    let Some(config) = config else {
        said::nothing(device);
        return None;
    };
    let folder = data.join(FOLDER);
    let (asks, asked) = mpsc::channel(WAITING_MAX);
    let machine = Machine::new(config.most);
    let sshd = Sshd::new(config.clone(), folder.clone());
    let driver = Driver::new(machine, sshd, device.clone(), clock.clone());
    tasks.spawn(driver.run(asked));
    if config.certificates == config::Certificates::Hub {
        tasks.spawn(trust::learn(current, folder, device.board.clone()));
    }
    Some(Switch(asks))
}
