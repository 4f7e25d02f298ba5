//! A way between a client and the hub that can be cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// A relay. It breaks all connections that it carries whenever somebody connects to `cutter`.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pub(crate) cutter: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Relay {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Relay {
    pub(crate) async fn to(hub: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let cutter = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (cut, _) = broadcast::channel::<()>(1);
        let addresses = (listener.local_addr().unwrap(), cutter.local_addr().unwrap());
        let cuts = cut.clone();
        let relaying = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut cut = cuts.subscribe();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(hub).await else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.recv() => {}
                    }
                });
            }
        });
        let cutting = tokio::spawn(async move {
            while cutter.accept().await.is_ok() {
                // There may be nothing to cut.
                let _ = cut.send(());
            }
        });
        Self {
            address: addresses.0,
            cutter: addresses.1,
            tasks: [relaying, cutting],
        }
    }
}
