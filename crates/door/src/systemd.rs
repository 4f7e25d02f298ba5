//! What systemd hands in and wants to know (sd_listen_fds(3), sd_notify(3)). Without systemd all of
//! this does nothing.

use std::io;
use std::net::TcpListener;
use std::sync::LazyLock;
use std::time::Duration;

use listenfd::ListenFd;
use parking_lot::Mutex;
use sd_notify::NotifyState;

/// The sockets that were handed in. The environment tells of them once only, so that children do
/// not take them for theirs.
static SOCKETS: LazyLock<Mutex<ListenFd>> = LazyLock::new(|| Mutex::new(ListenFd::from_env()));

/// Something that systemd wants to know of a service of `Type=notify` or `Type=notify-reload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// Everything listens and works.
    Ready,
    /// The configuration is being read again; [`Notice::Ready`] follows.
    Reloading,
    /// The end has begun.
    Stopping,
    /// A line for `systemctl status`.
    Status(&'a str),
}

/// How many sockets systemd hands in.
#[must_use]
pub fn inherited() -> usize {
    SOCKETS.lock().len()
}

/// The socket at `index` of those that systemd hands in; once taken it is gone.
pub(crate) fn take(index: usize) -> io::Result<TcpListener> {
    SOCKETS
        .lock()
        .take_tcp_listener(index)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such socket was handed in"))
}

/// Tells systemd. That it cannot be told is logged: nothing here depends on it.
pub fn tell(notice: Notice<'_>) {
    let told = match notice {
        Notice::Ready => sd_notify::notify(&[NotifyState::Ready]),
        // systemd takes no reload for new without the moment of its start.
        Notice::Reloading => NotifyState::monotonic_usec_now()
            .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
        Notice::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        Notice::Status(text) => sd_notify::notify(&[NotifyState::Status(text)]),
    };
    if let Err(error) = told {
        tracing::warn!(%error, ?notice, "systemd cannot be told");
    }
}

/// Tells systemd's watchdog (`WatchdogSec=`) that we are alive, twice as often as it wants to hear
/// it, for as long as it is polled. Returns at once when there is none.
pub async fn keep_watchdog() {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut every = tokio::time::interval((within / 2).max(Duration::from_millis(1)));
    loop {
        every.tick().await;
        if let Err(error) = sd_notify::notify(&[NotifyState::Watchdog]) {
            tracing::warn!(%error, "systemd's watchdog cannot be told");
        }
    }
}
