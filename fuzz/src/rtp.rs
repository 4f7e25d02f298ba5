//! Anybody can send a datagram to the ports from which speech is tried, or to a reflector.

use outgate_wire::rtp::{PACKET_MAX, Packet, reflect};

/// Reads `data` as a packet, and reflects it.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, an answer that is longer than its
/// question, or one that another reflector would answer.
pub fn rtp_packet(data: &[u8]) {
    let packet = Packet::read(data);
    if let Some(packet) = packet {
        assert!(data.len() <= PACKET_MAX);
        assert_eq!(Packet::read(&packet.encode(data.len())), Some(packet));
    }
    if let Some(answer) = reflect(data) {
        assert_eq!(answer.len(), data.len(), "the reflector amplifies");
        assert_eq!(reflect(&answer), None, "two reflectors would never end");
        assert_eq!(Packet::read(&answer), packet);
    }
}
