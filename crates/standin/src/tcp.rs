//! A bare TCP server: sends back what it gets.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time,
};

use crate::listen::{self, MAX_SILENCE};

/// The longest that a peer may leave an answer unread.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// What a bare TCP stand-in does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TcpFault {
    /// Nothing: it sends back what it gets.
    #[default]
    None,
    /// Accepts, listens, says nothing.
    Silent,
    /// Accepts and closes.
    CloseAtOnce,
}

pub(crate) async fn serve(listener: TcpListener, fault: TcpFault) {
    listen::serve_each(listener, move |stream| connection(stream, fault)).await;
}

async fn connection(stream: TcpStream, fault: TcpFault) {
    match fault {
        TcpFault::None => echo(stream).await,
        TcpFault::Silent => listen::hold_silently(stream).await,
        TcpFault::CloseAtOnce => listen::close(stream).await,
    }
}

async fn echo(mut stream: TcpStream) {
    let mut heard = [0; 4096];
    while let Ok(Ok(length @ 1..)) = time::timeout(MAX_SILENCE, stream.read(&mut heard)).await {
        let sending = stream.write_all(&heard[..length]);
        if !matches!(time::timeout(SEND_TIMEOUT, sending).await, Ok(Ok(()))) {
            return;
        }
    }
}
