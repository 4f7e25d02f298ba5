//! How long a line stands to a machine that does not answer, or not soon.

use http::Method;
use socket2::{SockFilter, SockRef};
use tokio::net::TcpListener;

use super::super::call::{Line, UNRECEIVED_MAX, UNTAKEN_MAX, Unsaid};
use super::super::envelope::RELAY_PATH;
use super::*;

/// For a socket: nothing that comes is received (`BPF_RET` of 0 bytes).
const DEAF: SockFilter = SockFilter::new(6, 0, 0, 0);

async fn listener() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), listener)
}

/// Says so much over a line of its own; the status of the answer.
async fn says(to: SocketAddr, unreceived: Duration, bytes: usize) -> Result<u16, Unsaid> {
    let mut line = Line::open(to, to.ip(), unreceived).await.unwrap();
    let said = line.send(Method::POST, RELAY_PATH, HeaderMap::new(), vec![0; bytes]);
    Ok(said.await?.status().as_u16())
}

#[tokio::test]
async fn a_machine_that_goes_away_after_it_has_received_everything_is_noticed() {
    let (address, listener) = listener().await;
    let gone = async {
        let mut streams = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            while !received.ends_with(b"\r\n\r\n\0") {
                received.push(stream.read_u8().await.unwrap());
            }
            SockRef::from(&stream).attach_filter(&[DEAF]).unwrap();
            streams.push(stream);
        }
        streams
    };
    let beat = says(address, UNRECEIVED_MAX, 1);
    let file = says(address, UNTAKEN_MAX, 1);
    let (_streams, beat, file) = soon(async { tokio::join!(gone, beat, file) }).await;
    assert!(matches!(beat, Err(Unsaid::Http(_))), "{beat:?}");
    assert!(matches!(file, Err(Unsaid::Http(_))), "{file:?}");
}

#[tokio::test]
async fn who_reads_slowly_is_said_long_things_to_for_longer_than_beats() {
    // More than waits anywhere on the way.
    const LONG: usize = 32 << 20;
    let (never, never_reads) = listener().await;
    let (slow, slow_reads) = listener().await;
    let reads = async {
        let (mut late, _) = slow_reads.accept().await.unwrap();
        let beat = says(never, UNRECEIVED_MAX, LONG).await;
        assert!(matches!(beat, Err(Unsaid::Http(_))), "{beat:?}");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(late.read_u8().await.unwrap());
        }
        let mut content = vec![0; LONG];
        late.read_exact(&mut content).await.unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        late.write_all(answer).await.unwrap();
        late
    };
    let said = says(slow, UNTAKEN_MAX, LONG);
    let (_late, said) = soon(async { tokio::join!(reads, said) }).await;
    assert_eq!(said.unwrap(), 200);
    drop(never_reads);
}
