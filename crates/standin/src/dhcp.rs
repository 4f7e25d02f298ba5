//! A DHCP server that tells settings and offers an address that nobody gets: it answers no request
//! for one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use outgate_wire::dhcp::{
    Answer, CLIENT_PORT, Kind, MESSAGE_MAX, Question, Reply, SERVER_PORT, Settings,
};
use tokio::net::UdpSocket;

use crate::listen;

/// How long the address would be lent, in seconds.
const LEASE: u32 = 3600;

/// Answers until dropped, as `server`, and offers `offered`.
pub(crate) async fn serve(
    socket: UdpSocket,
    server: Ipv4Addr,
    offered: Ipv4Addr,
    settings: Settings,
) {
    let mut heard = [0; MESSAGE_MAX + 1];
    loop {
        let (length, peer) = listen::receive(&socket, &mut heard).await;
        let Ok(question) = Question::decode(&heard[..length]) else {
            continue;
        };
        let answer = answer(&question, server, settings.clone()).encode(&question, offered);
        // A lost answer is the asker's to notice: UDP promises nothing.
        let _sent = socket.send_to(&answer, to(&question, peer)).await;
    }
}

fn answer(question: &Question, server: Ipv4Addr, settings: Settings) -> Reply {
    let (answer, lease_seconds) = match question.kind {
        Kind::Inform(_) => (Answer::Acknowledgement, None),
        Kind::Discover => (Answer::Offer, Some(LEASE)),
    };
    Reply {
        answer,
        server,
        settings: Settings {
            lease_seconds,
            ..settings
        },
    }
}

/// Where an answer goes: to the client's port, at its address or at everybody's (RFC 2131 §4.1);
/// but to whoever asks from another port, there.
fn to(question: &Question, peer: SocketAddr) -> SocketAddr {
    match question.kind {
        _ if peer.port() != CLIENT_PORT && peer.port() != SERVER_PORT => peer,
        Kind::Inform(own) => (own, CLIENT_PORT).into(),
        Kind::Discover => (IpAddr::V4(Ipv4Addr::BROADCAST), CLIENT_PORT).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_has_its_answer_and_its_way_back() {
        let own = Ipv4Addr::new(10, 77, 0, 1);
        let peer: SocketAddr = (own, CLIENT_PORT).into();
        let other: SocketAddr = ([127, 0, 0, 1], 40_000).into();
        let everybody: SocketAddr = (Ipv4Addr::BROADCAST, CLIENT_PORT).into();
        for (kind, expected, lease, way) in [
            (Kind::Inform(own), Answer::Acknowledgement, None, peer),
            (Kind::Discover, Answer::Offer, Some(LEASE), everybody),
        ] {
            let question = Question {
                kind,
                id: 1,
                hardware: [2, 0, 0, 0, 0, 1],
            };
            let reply = answer(&question, own, Settings::default());
            assert_eq!(
                (reply.answer, reply.settings.lease_seconds),
                (expected, lease)
            );
            assert_eq!(to(&question, peer), way);
            assert_eq!(to(&question, other), other);
        }
    }
}
