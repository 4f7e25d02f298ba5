//! Something between the agent and the hub that does what networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outgate_testbed::free;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What it does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Passes everything on.
    Passes,
    /// Takes the upgrade to a WebSocket out of requests.
    Strips,
    /// Cuts what is silent for so long.
    Cuts(Duration),
    /// Takes everything and passes on nothing; connections stay open.
    Swallows,
    /// Is not there.
    Gone,
}

pub(crate) struct Middlebox {
    pub(crate) address: SocketAddr,
    manner: watch::Sender<Manner>,
    cuts: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl Drop for Middlebox {
    fn drop(&mut self) {
        self.listening.abort();
        self.manner.send_replace(Manner::Gone);
    }
}

impl Middlebox {
    /// In front of a server.
    pub(crate) fn start(server: SocketAddr, manner: Manner) -> Self {
        let address = free().unwrap();
        let (manner, seen) = watch::channel(manner);
        let cuts = Arc::new(AtomicUsize::new(0));
        let listening = tokio::spawn(listen(address, server, seen, cuts.clone()));
        Self {
            address,
            manner,
            cuts,
            listening,
        }
    }

    /// Changes what it does with new connections, and with those that are there.
    pub(crate) fn becomes(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// How many connections it has cut for their silence.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

async fn listen(
    address: SocketAddr,
    server: SocketAddr,
    manner: watch::Receiver<Manner>,
    cuts: Arc<AtomicUsize>,
) {
    let mut changes = manner.clone();
    loop {
        let there = changes.wait_for(|it| *it != Manner::Gone).await.map(drop);
        if there.is_err() {
            return;
        }
        let listener = TcpListener::bind(address).await.unwrap();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted.unwrap().0,
                gone = changes.wait_for(|it| *it == Manner::Gone) => match gone {
                    Ok(_) => break,
                    Err(_) => return,
                },
            };
            let (manner, cuts) = (manner.clone(), cuts.clone());
            tokio::spawn(async move { pass(accepted, server, manner, cuts).await });
        }
    }
}

/// Passes a connection on until either end, or what is in between, has had enough.
async fn pass(
    mut near: TcpStream,
    server: SocketAddr,
    mut changes: watch::Receiver<Manner>,
    cuts: Arc<AtomicUsize>,
) {
    let Ok(mut far) = TcpStream::connect(server).await else {
        return;
    };
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        let manner = *changes.borrow_and_update();
        let patience = match manner {
            Manner::Cuts(patience) => patience,
            Manner::Passes | Manner::Strips | Manner::Swallows => Duration::MAX,
            Manner::Gone => return,
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                return;
            },
            () = tokio::time::sleep(patience) => {
                cuts.fetch_add(1, Ordering::Relaxed);
                return;
            }
            read = near.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                if manner == Manner::Strips {
                    strip(&mut up[..count]);
                }
                if manner != Manner::Swallows && far.write_all(&up[..count]).await.is_err() {
                    return;
                }
            }
            read = far.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                if manner != Manner::Swallows && near.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Makes of `Upgrade: websocket` a header that says nothing.
fn strip(bytes: &mut [u8]) {
    let wanted = b"\r\nupgrade: websocket";
    let found = bytes
        .windows(wanted.len())
        .position(|window| window.eq_ignore_ascii_case(wanted));
    if let Some(place) = found {
        bytes[place + 2] = b'x';
    }
}
