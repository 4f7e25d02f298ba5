//! A way to the hub that can be cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A way to the hub, until this is dropped.
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    passing: JoinHandle<()>,
}

impl Drop for Way {
    fn drop(&mut self) {
        self.passing.abort();
    }
}

impl Way {
    pub(crate) async fn to(hub: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let passing = tokio::spawn(async move {
            let mut ways = JoinSet::new();
            loop {
                let (mut from, _) = listener.accept().await.unwrap();
                ways.spawn(async move {
                    let mut to = TcpStream::connect(hub).await.unwrap();
                    // Either end may go.
                    let _ = copy_bidirectional(&mut from, &mut to).await;
                });
            }
        });
        Self { address, passing }
    }
}
