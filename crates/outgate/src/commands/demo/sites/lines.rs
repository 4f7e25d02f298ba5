//! A site's line to the internet where there are no networks: a relay on loopback that can be cut.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

/// A line. It ends when it is dropped.
pub(super) struct Line {
    up: watch::Sender<bool>,
    relays: Mutex<JoinSet<()>>,
}

impl Line {
    /// One that is up, and leads nowhere yet.
    pub(super) fn new() -> Self {
        Self {
            up: watch::Sender::new(true),
            relays: Mutex::new(JoinSet::new()),
        }
    }

    /// Leads to there from the address that this gives.
    pub(super) async fn to(&self, there: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let relay = relay(listener, there, self.up.subscribe());
        self.relays.lock().await.spawn(relay);
        Ok(address)
    }

    /// Cuts it, or mends it.
    pub(super) fn connect(&self, connected: bool) {
        self.up.send_replace(connected);
    }
}

/// Carries connections as long as the line is up.
async fn relay(listener: TcpListener, there: SocketAddr, up: watch::Receiver<bool>) {
    let mut carried = JoinSet::new();
    // A listener that fails is a line that is cut for good, and is seen by whoever waits for it.
    while let Ok((near, _)) = listener.accept().await {
        while carried.try_join_next().is_some() {}
        if *up.borrow() {
            carried.spawn(carry(near, there, up.clone()));
        }
    }
}

async fn carry(mut near: TcpStream, there: SocketAddr, mut up: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(there).await else {
        return;
    };
    // However it ends, both ends are let go.
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = up.wait_for(|up| !up) => {}
    }
}
