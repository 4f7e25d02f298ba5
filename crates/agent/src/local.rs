//! Where the vendor's own software finds the agent: HTTP over a Unix socket, and on loopback for what
//! cannot use one.
//!
//! Who may open the socket may speak: its mode and its folder's say who that is. On loopback anybody
//! on the machine could, so there a token is shown, which lies in a file of the agent's folder.

mod api;
mod extract;
pub mod page;
mod problem;
mod seats;
mod serving;
pub mod ssh;
#[cfg(test)]
mod tests;
mod token;

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};

use self::seats::Seats;
use self::serving::{Bounds, serve};
pub use self::token::TOKEN_FILE;
use self::token::Token;
use crate::config;
use crate::device::Device;

/// Who may use the socket: its owner and its group.
const MODE: u32 = 0o660;

/// How long somebody may take: longer than anybody may wait for news. Who goes on asking may stay.
const BOUNDS: Bounds = Bounds {
    request: Duration::from_secs(120),
    connection: None,
};

/// Why the agent cannot be found.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The Unix socket cannot be made.
    #[error("failed to listen on the socket {path}")]
    Socket {
        /// Where it would be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address cannot be used.
    #[error("failed to listen on {address}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The token cannot be read or made.
    #[error("failed to read or make the token in {path}")]
    Token {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The places where the device's software finds the agent.
#[derive(Debug)]
pub struct Local {
    socket: Option<Socket>,
    loopback: Option<(TcpListener, Token)>,
}

/// A Unix socket.
#[derive(Debug)]
struct Socket {
    listener: UnixListener,
    _place: Place,
}

/// Where it is; it is taken away with this.
#[derive(Debug)]
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, "the socket could not be taken away");
        }
    }
}

impl Local {
    /// Listens where the configuration says; `data` is where the token lies.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn listen(config: &config::Local, data: &Path) -> Result<Self, ListenError> {
        let socket = config.socket.as_deref().map(socket).transpose()?;
        let loopback = match config.listen {
            None => None,
            Some(address) => {
                let listening = TcpListener::bind(address).await;
                let listener =
                    listening.map_err(|source| ListenError::Address { address, source })?;
                let path = data.join(TOKEN_FILE);
                let token = Token::read_or_make(&path);
                let token = token.map_err(|source| ListenError::Token { path, source })?;
                Some((listener, token))
            }
        };
        Ok(Self { socket, loopback })
    }

    /// The address on loopback, if there is one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        let (listener, _) = self.loopback.as_ref()?;
        listener.local_addr().ok()
    }

    /// Serves the device. It ends when it is dropped.
    pub async fn serve(self, device: Device) {
        let Self { socket, loopback } = self;
        let over_socket = async {
            if let Some(Socket { listener, _place }) = socket {
                let router = api::router(device.clone());
                serve(Seats::new(listener), router, BOUNDS, |_| None).await;
            }
        };
        let over_loopback = async {
            if let Some((listener, token)) = loopback {
                let router = token::asked_for(api::router(device.clone()), token);
                serve(Seats::new(listener), router, BOUNDS, |_| None).await;
            }
        };
        tokio::join!(over_socket, over_loopback);
        // Where nobody may ask there is nothing to serve, for as long as anybody waits for that.
        std::future::pending().await
    }
}

/// What can be asked, as the text of an OpenAPI document.
#[must_use]
pub fn document_text() -> String {
    format!("{:#}\n", api::document())
}

/// Listens on a Unix socket. One that an agent left behind which was killed is taken away first;
/// one that somebody listens on, and anything else of that name, is not.
fn socket(path: &Path) -> Result<Socket, ListenError> {
    let failed = |source| ListenError::Socket {
        path: path.to_owned(),
        source,
    };
    if is_left_behind(path).map_err(failed)? {
        fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    let place = Place(path.to_owned());
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(failed)?;
    Ok(Socket {
        listener,
        _place: place,
    })
}

fn is_left_behind(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            let answered = std::os::unix::net::UnixStream::connect(path);
            let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
            Ok(answered.is_err_and(refused))
        }
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
