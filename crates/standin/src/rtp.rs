//! An RTP reflector: it sends questions back as answers.

use socket2::SockRef;
use tokio::net::UdpSocket;

use outgate_wire::rtp::{PACKET_MAX, reflect};

use crate::listen;

/// What may wait to be read, in bytes, if the system allows as much: a sweep asks thousands of ports
/// in a second, and what a busy machine drops would look blocked.
const WAITING: usize = 4 << 20;

/// Answers until dropped.
pub(crate) async fn serve(socket: UdpSocket) {
    // With less it works too, on a machine that has nothing else to do.
    let _widened = SockRef::from(&socket).set_recv_buffer_size(WAITING);
    let mut heard = [0; PACKET_MAX + 1];
    loop {
        let (length, peer) = listen::receive(&socket, &mut heard).await;
        if let Some(answer) = reflect(&heard[..length]) {
            // A lost answer is the asker's to notice: UDP promises nothing.
            let _sent = socket.send_to(&answer, peer).await;
        }
    }
}
