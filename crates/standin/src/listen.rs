//! Accepting TCP connections, at most so many at a time.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time,
};

/// Connections a server holds at a time; more wait in the system's backlog.
pub(crate) const MAX_CONNECTIONS: usize = 256;

/// The longest that a connection on which nothing is said is held.
pub(crate) const MAX_SILENCE: Duration = Duration::from_secs(10 * 60);

/// Pause after a failed accept (such as: out of file descriptors), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
                    Err(_) => time::sleep(ACCEPT_PAUSE).await,
                }
            }
            Some(_) = connections.join_next() => {}
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
