//! The echo: it answers OPTIONS, and says what it received.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use outgate_wire::sip::{BODY_MAX, HEAD_MAX, echo, message_end};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Bounds, REST, receive};

/// Connections at a time; more wait in the system's backlog.
const CONNECTIONS: usize = 64;
/// The longest that a connection may say nothing, or leave an answer unread.
const SILENCE: Duration = Duration::from_secs(10);
/// The longest that a connection is held.
const HELD: Duration = Duration::from_secs(60);

/// Answers datagrams until dropped.
pub(super) async fn datagrams(socket: Arc<UdpSocket>, bounds: Arc<Bounds>) {
    let mut heard = vec![0; HEAD_MAX + BODY_MAX];
    loop {
        let (length, peer) = receive(&socket, &mut heard).await;
        let Some(answer) = echo(&heard[..length], peer) else {
            continue;
        };
        if bounds.allow(peer) {
            // A lost answer is the asker's to notice: UDP promises nothing.
            let _sent = socket.send_to(&answer, peer).await;
        }
    }
}

/// Answers connections until dropped; they end with it.
pub(super) async fn connections(listener: Arc<TcpListener>, bounds: Arc<Bounds>) {
    let mut serving = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if serving.len() < CONNECTIONS => match accepted {
                Ok((stream, peer)) => {
                    let bounds = Arc::clone(&bounds);
                    serving.spawn(async move {
                        // However it ends, the connection is dropped.
                        let _ended = timeout(HELD, connection(stream, peer, &bounds)).await;
                    });
                }
                Err(_) => tokio::time::sleep(REST).await,
            },
            Some(_) = serving.join_next() => {}
        }
    }
}

/// Answers a connection until the peer goes, is silent for too long, asks too often or talks
/// nonsense.
async fn connection(mut stream: TcpStream, peer: SocketAddr, bounds: &Bounds) {
    let mut heard = Vec::new();
    let mut chunk = [0; 2048];
    while let Ok(Ok(length @ 1..)) = timeout(SILENCE, stream.read(&mut chunk)).await {
        heard.extend(&chunk[..length]);
        loop {
            let end = match message_end(&heard) {
                Ok(Some(end)) => end,
                Ok(None) => break,
                Err(_) => return,
            };
            let message: Vec<u8> = heard.drain(..end).collect();
            let Some(answer) = echo(&message, peer) else {
                continue;
            };
            if !bounds.allow(peer) {
                return;
            }
            let sending = timeout(SILENCE, stream.write_all(&answer)).await;
            if !matches!(sending, Ok(Ok(()))) {
                return;
            }
        }
    }
}
