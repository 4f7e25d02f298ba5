//! A STUN server: it says whom it sees. With two addresses it also answers from where it is asked
//! to (RFC 5780 §7.2), so that it tells how a NAT behaves.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tokio::net::UdpSocket;

use outgate_wire::stun::{Answer, Change, Class, ErrorCode, MESSAGE_MAX, Message, write_answer};

use crate::{
    Place, Stage, StageError, listen,
    stage::{bind, spare},
};

impl Stage {
    /// Starts STUN over UDP at two addresses and, at both, two ports: that of the place and the
    /// next one.
    ///
    /// # Errors
    /// One of the four places is taken, or there is no next port.
    pub async fn stun_at_two(
        &mut self,
        place: Place,
        other: IpAddr,
    ) -> Result<SocketAddr, StageError> {
        let own = place.address();
        let other_port = own.port().checked_add(1).ok_or_else(|| spare(own))?;
        let mut sockets = Vec::new();
        for address in [own.ip(), other] {
            for port in [own.port(), other_port] {
                let end = SocketAddr::new(address, port);
                let place = place.beside(end).ok_or_else(|| spare(end))?;
                sockets.push(bind(place).await?.0);
            }
        }
        let sockets: Arc<[UdpSocket]> = sockets.into();
        for at in 0..sockets.len() {
            self.servers.spawn(serve_one_of_four(sockets.clone(), at));
        }
        Ok(own)
    }
}

/// Answers what comes to one of four sockets until dropped. Their numbers are two bits: the other
/// address, and the other port.
async fn serve_one_of_four(sockets: Arc<[UdpSocket]>, at: usize) {
    let ends = [at, at ^ 0b11].map(|at| sockets.get(at)?.local_addr().ok());
    let (Some(socket), [Some(_), other]) = (sockets.get(at), ends) else {
        return;
    };
    let mut heard = [0; MESSAGE_MAX + 1];
    loop {
        let (length, peer) = listen::receive(socket, &mut heard).await;
        let from = heard
            .get(..length)
            .map_or(at, |datagram| at ^ moved(datagram));
        let Some(answering) = sockets.get(from) else {
            continue;
        };
        let origin = answering.local_addr().ok();
        if let Some(answer) = answer(&heard[..length], peer, origin, other) {
            // A lost answer is the asker's to notice: UDP promises nothing.
            let _sent = answering.send_to(&answer, peer).await;
        }
    }
}

/// From where else a request wants to be answered, as the two bits of a socket's number.
fn moved(datagram: &[u8]) -> usize {
    let change = Message::read(datagram).map_or(Change::default(), |message| message.change);
    usize::from(change.address) << 1 | usize::from(change.port)
}

/// Answers until dropped.
pub(crate) async fn serve(socket: UdpSocket) {
    let mut heard = [0; MESSAGE_MAX + 1];
    loop {
        let (length, peer) = listen::receive(&socket, &mut heard).await;
        if let Some(answer) = answer(&heard[..length], peer, None, None) {
            // A lost answer is the asker's to notice: UDP promises nothing.
            let _sent = socket.send_to(&answer, peer).await;
        }
    }
}

fn answer(
    datagram: &[u8],
    peer: SocketAddr,
    response_origin: Option<SocketAddr>,
    other_address: Option<SocketAddr>,
) -> Option<Vec<u8>> {
    let message = Message::read(datagram).ok()?;
    if message.class != Class::Request {
        return None;
    }
    let answer = if message.unknown.is_empty() {
        Answer::Success {
            reflexive: peer,
            response_origin,
            other_address,
        }
    } else {
        // RFC 8489 §6.3.1.
        Answer::Error {
            error: ErrorCode {
                code: 420,
                reason: "Unknown Attribute".to_owned(),
            },
            unknown: message.unknown,
        }
    };
    Some(write_answer(message.id, &answer))
}

#[cfg(test)]
mod tests {
    use outgate_wire::stun::{TransactionId, binding_request};

    use super::*;

    #[test]
    fn who_asks_is_told_as_whom_it_is_seen_and_answers_are_not_answered() {
        let peer = ([127, 0, 0, 1], 40000).into();
        let request = binding_request(TransactionId([1; 12]), None);
        let answer = answer(&request, peer, None, None).unwrap();
        assert_eq!(Message::read(&answer).unwrap().reflexive, Some(peer));
        assert_eq!(super::answer(&answer, peer, None, None), None);
        assert_eq!(super::answer(b"rubbish", peer, None, None), None);
    }

    #[test]
    fn what_has_to_be_known_and_is_not_is_refused() {
        let mut request = binding_request(TransactionId([1; 12]), None);
        // PRIORITY, which belongs to ICE (RFC 8445 §7.1.1).
        request.extend([0, 0x24, 0, 4, 0, 0, 0, 1]);
        request[3] += 8;
        let answer = answer(&request, ([127, 0, 0, 1], 40000).into(), None, None).unwrap();
        assert_eq!(Message::read(&answer).unwrap().error.unwrap().code, 420);
    }

    #[tokio::test]
    async fn with_two_addresses_it_answers_from_where_it_is_asked_to() {
        let now = std::time::SystemTime::now();
        let mut stage = Stage::new(crate::Authority::new(now).unwrap(), crate::SystemClock);
        let free = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let other: IpAddr = [127, 0, 0, 2].into();
        let place = Place::v4().port(port);
        let server = stage.stun_at_two(place, other).await.unwrap();
        let own = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        for (address, port) in [(false, false), (false, true), (true, false), (true, true)] {
            let change = Change { address, port };
            let request = binding_request(TransactionId([7; 12]), Some(change));
            own.send_to(&request, server).await.unwrap();
            let mut heard = [0; MESSAGE_MAX];
            let (length, from) = own.recv_from(&mut heard).await.unwrap();
            assert_eq!(from.ip() == other, address);
            assert_eq!(from.port() == server.port() + 1, port);
            let message = Message::read(&heard[..length]).unwrap();
            assert_eq!(message.response_origin, Some(from));
            let elsewhere = SocketAddr::new(other, server.port() + 1);
            assert_eq!(message.other_address, Some(elsewhere));
        }
    }
}
