//! Accepting TCP connections, at most so many at a time.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
    time,
};

/// Connections a server holds at a time; more wait in the system's backlog.
pub(crate) const MAX_CONNECTIONS: usize = 256;

/// The longest that a connection on which nothing is said is held.
pub(crate) const MAX_SILENCE: Duration = Duration::from_secs(10 * 60);

/// Pause after an error of the system (such as: out of file descriptors), so as not to spin.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// Serves every connection in a task of its own, until dropped; the tasks end with it.
pub(crate) async fn serve_each<S, F>(listener: TcpListener, serve: S)
where
    S: Fn(TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(serve(stream));
                    }
                    Err(_) => time::sleep(ERROR_PAUSE).await,
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The next datagram. An error, such as a message that an earlier answer found no listener, ends
/// nothing.
pub(crate) async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> (usize, SocketAddr) {
    loop {
        match socket.recv_from(buffer).await {
            Ok(received) => return received,
            Err(_) => time::sleep(ERROR_PAUSE).await,
        }
    }
}

/// Listens to everything and says nothing, until the peer goes or [`MAX_SILENCE`] is over.
pub(crate) async fn hold_silently(mut stream: impl AsyncRead + Unpin) {
    let mut heard = [0; 1024];
    let listening = async { while matches!(stream.read(&mut heard).await, Ok(1..)) {} };
    // However it ends, the connection is dropped.
    let _: Result<(), time::error::Elapsed> = time::timeout(MAX_SILENCE, listening).await;
}

/// Closes in good order: says that nothing more will come, then waits for the peer to go. Dropping
/// a connection with unread bytes would reset it, and the reset may overtake what was sent.
pub(crate) async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if let Ok(Ok(())) = time::timeout(MAX_SILENCE, stream.shutdown()).await {
        hold_silently(stream).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_an_error_the_socket_rests_and_then_hears_on() {
        let own = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let peer = gone.local_addr().unwrap();
        drop(gone);
        own.connect(peer).await.unwrap();
        own.send(b"nobody is there").await.unwrap();

        // The refusal waits on the socket by now, before what is sent next.
        let peer = UdpSocket::bind(peer).await.unwrap();
        peer.send_to(b"now", own.local_addr().unwrap())
            .await
            .unwrap();

        let start = time::Instant::now();
        let received = receive(&own, &mut [0; 8]).await;
        assert_eq!(received, (3, peer.local_addr().unwrap()));
        assert!(start.elapsed() >= ERROR_PAUSE);
    }
}
