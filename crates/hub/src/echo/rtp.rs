//! The reflector: it sends the questions of `outgate check` back, as long as they were.

use std::sync::Arc;

use outgate_wire::rtp::{PACKET_MAX, reflect};
use tokio::net::UdpSocket;

use super::{Bounds, receive};

/// Answers on one port until dropped.
pub(super) async fn reflecting(socket: Arc<UdpSocket>, bounds: Arc<Bounds>) {
    let mut heard = [0; PACKET_MAX + 1];
    loop {
        let (length, peer) = receive(&socket, &mut heard).await;
        let Some(answer) = reflect(&heard[..length]) else {
            continue;
        };
        if bounds.allow(peer) {
            // A lost answer is the asker's to notice: UDP promises nothing.
            let _sent = socket.send_to(&answer, peer).await;
        }
    }
}
