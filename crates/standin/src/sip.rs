//! A SIP echo: it answers OPTIONS, and says what it received.

use std::{net::SocketAddr, time::Duration};

use outgate_wire::sip::{BODY_MAX, HEAD_MAX, echo, message_end};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    time,
};

use crate::listen::{self, MAX_SILENCE};

/// The longest that a peer may leave an answer unread.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers datagrams until dropped.
pub(crate) async fn serve_udp(socket: UdpSocket) {
    let mut heard = vec![0; HEAD_MAX + BODY_MAX];
    loop {
        let (length, peer) = listen::receive(&socket, &mut heard).await;
        if let Some(answer) = echo(&heard[..length], peer) {
            // A lost answer is the asker's to notice: UDP promises nothing.
            let _sent = socket.send_to(&answer, peer).await;
        }
    }
}

/// Answers connections until dropped.
pub(crate) async fn serve_tcp(listener: TcpListener) {
    listen::serve_each(listener, |stream| async move {
        if let Ok(peer) = stream.peer_addr() {
            connection(stream, peer).await;
        }
    })
    .await;
}

/// Answers a connection until the peer goes, is silent for too long, or talks nonsense.
pub(crate) async fn connection(mut stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr) {
    let mut heard = Vec::new();
    let mut chunk = [0; 2048];
    while let Ok(Ok(length @ 1..)) = time::timeout(MAX_SILENCE, stream.read(&mut chunk)).await {
        heard.extend(&chunk[..length]);
        loop {
            let end = match message_end(&heard) {
                Ok(Some(end)) => end,
                Ok(None) => break,
                Err(_) => return,
            };
            let message: Vec<u8> = heard.drain(..end).collect();
            if let Some(answer) = echo(&message, peer) {
                let sending = async {
                    stream.write_all(&answer).await?;
                    stream.flush().await
                };
                if !matches!(time::timeout(SEND_TIMEOUT, sending).await, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use outgate_wire::sip::{Carrier, Head, Method, Question, echoed, rewritten};
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn a_question_in_pieces_is_echoed_and_nonsense_ends_the_connection() {
        let peer = ([127, 0, 0, 1], 40000).into();
        let (mut near, far) = duplex(64);
        let serving = tokio::spawn(connection(far, peer));
        let question = Question {
            method: Method::Invite,
            to: "pbx.example",
            carrier: Carrier::Tcp,
            local: peer,
            token: "abc",
        };
        let message = question.encode();
        let (mut from, mut to) = tokio::io::split(&mut near);
        let sent = message.clone();
        let sending = async move { to.write_all(&sent).await.unwrap() };
        let reading = async move {
            let mut answer = Vec::new();
            while message_end(&answer).is_ok_and(|end| end.is_none()) {
                answer.push(from.read_u8().await.unwrap());
            }
            answer
        };
        let ((), answer) = tokio::join!(sending, reading);
        let head = Head::read(&answer).unwrap().unwrap();
        let arrived = echoed(&head, &answer[head.length..]).unwrap();
        assert_eq!(rewritten(&message, &arrived), []);
        near.write_all(b"nonsense\r\n\r\n").await.unwrap();
        serving.await.unwrap();
    }
}
