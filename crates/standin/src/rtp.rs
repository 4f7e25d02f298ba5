//! An RTP reflector: it sends questions back as answers.

use tokio::net::UdpSocket;

use outgate_wire::rtp::{PACKET_MAX, reflect};

use crate::listen;

/// Answers until dropped.
pub(crate) async fn serve(socket: UdpSocket) {
    let mut heard = [0; PACKET_MAX + 1];
    loop {
        let (length, peer) = listen::receive(&socket, &mut heard).await;
        if let Some(answer) = reflect(&heard[..length]) {
            // A lost answer is the asker's to notice: UDP promises nothing.
            let _sent = socket.send_to(&answer, peer).await;
        }
    }
}
