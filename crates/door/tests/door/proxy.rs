//! The PROXY protocol.

use outgate_door::{Listener, Refused};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::place::{Place, patient, plain};

/// From 192.0.2.1:12345 to 192.0.2.2:443.
const HEADER: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x30\x39\x01\xbb";

#[tokio::test]
async fn a_trusted_proxy_says_who_is_behind_it() {
    let mut place = Place::with(behind("127.0.0.0/8"), patient());
    let mut connection = TcpStream::connect(place.address).await.unwrap();
    connection
        .write_all(&[HEADER, b"GET"].concat())
        .await
        .unwrap();
    let facts = place.arrival().await.1;
    assert_eq!(facts.peer, "192.0.2.1:12345".parse().unwrap());
    assert_eq!(facts.local, "192.0.2.2:443".parse().unwrap());
    let mut first = [0; 3];
    connection.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"GET");
}

#[tokio::test]
async fn a_trusted_proxy_must_say_so() {
    let mut place = Place::with(behind("127.0.0.0/8"), patient());
    let mut connection = TcpStream::connect(place.address).await.unwrap();
    connection
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(place.refused().await, Refused::BadProxyHeader);
}

#[tokio::test]
async fn from_anybody_else_the_header_is_refused() {
    let mut place = Place::with(behind("198.51.100.0/24"), patient());
    let mut connection = TcpStream::connect(place.address).await.unwrap();
    connection
        .write_all(&[HEADER, b"GET"].concat())
        .await
        .unwrap();
    assert_eq!(connection.read(&mut [0]).await.unwrap(), 0);
    drop(connection);
    assert_eq!(place.refused().await, Refused::UnknownProtocol);
}

fn behind(network: &str) -> Listener {
    Listener {
        proxies: vec![network.parse().unwrap()],
        ..plain()
    }
}
