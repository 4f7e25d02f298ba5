//! The end of serving.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::place::{Place, patient, plain};

#[tokio::test]
async fn draining_closes_the_listeners_and_leaves_connections() {
    let mut place = Place::with(plain(), patient());
    let mut connection = TcpStream::connect(place.address).await.unwrap();
    connection.write_all(b"GET").await.unwrap();
    place.arrival().await;
    place.door.drain();
    place.served().await;
    TcpStream::connect(place.address).await.unwrap_err();
    let mut echo = [0; 3];
    connection.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"GET");
    assert_eq!(place.door.connections(), 1);
    drop(connection);
    place.door.emptied().await;
}
