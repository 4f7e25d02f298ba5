//! A STUN server with one address: it says whom it sees.

use tokio::net::UdpSocket;

use outgate_wire::stun::{Answer, Class, ErrorCode, MESSAGE_MAX, Message, write_answer};

use crate::listen;

/// Answers until dropped.
pub(crate) async fn serve(socket: UdpSocket) {
    let mut heard = [0; MESSAGE_MAX + 1];
    loop {
        let (length, peer) = listen::receive(&socket, &mut heard).await;
        if let Some(answer) = answer(&heard[..length], peer) {
            // A lost answer is the asker's to notice: UDP promises nothing.
            let _sent = socket.send_to(&answer, peer).await;
        }
    }
}

fn answer(datagram: &[u8], peer: std::net::SocketAddr) -> Option<Vec<u8>> {
    let message = Message::read(datagram).ok()?;
    if message.class != Class::Request {
        return None;
    }
    let answer = if message.unknown.is_empty() {
        Answer::Success {
            reflexive: peer,
            response_origin: None,
            other_address: None,
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
        let answer = answer(&request, peer).unwrap();
        assert_eq!(Message::read(&answer).unwrap().reflexive, Some(peer));
        assert_eq!(super::answer(&answer, peer), None);
        assert_eq!(super::answer(b"rubbish", peer), None);
    }

    #[test]
    fn what_has_to_be_known_and_is_not_is_refused() {
        let mut request = binding_request(TransactionId([1; 12]), None);
        // PRIORITY, which belongs to ICE (RFC 8445 §7.1.1).
        request.extend([0, 0x24, 0, 4, 0, 0, 0, 1]);
        request[3] += 8;
        let answer = answer(&request, ([127, 0, 0, 1], 40000).into()).unwrap();
        assert_eq!(Message::read(&answer).unwrap().error.unwrap().code, 420);
    }
}
