//! Connections for the product itself: of several addresses the first that answers wins.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{
    RData, RecordType,
    rdata::{A, AAAA},
};
use outgate_probe::{Path, PathConfig, ResolverChoice, Trouble, open};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::{
    asks::{PATIENCE, ask},
    resolver::{Resolver, Say},
};

fn both(_: &str, record_type: RecordType) -> Say {
    Say::Records(match record_type {
        RecordType::A => vec![RData::A(A(Ipv4Addr::LOCALHOST))],
        RecordType::AAAA => vec![RData::AAAA(AAAA(Ipv6Addr::LOCALHOST))],
        _ => Vec::new(),
    })
}

/// Whether a connection comes about that the listener gets.
async fn reaches(port: u16, listener: &TcpListener) -> Result<(), Trouble> {
    let resolver = Resolver::start(both).await;
    let config = PathConfig {
        resolver: ResolverChoice::at(resolver.address),
        timeout: PATIENCE,
        ..PathConfig::default()
    };
    let path = Path::new(config).unwrap();
    let mut ask = ask("http");
    ask.port = Some(port);
    let mut opened = open(&ask, &path, false).await?;
    drop(listener.accept().await.unwrap());
    // It is this one that has ended.
    assert_eq!(opened.read(&mut [0]).await.unwrap(), 0);
    Ok(())
}

async fn listen(address: &str, port: u16) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn ipv6_goes_first_and_ipv4_does_where_that_is_refused() {
    let (v4, port) = listen("127.0.0.1", 0).await;
    reaches(port, &v4).await.unwrap();
    let (v6, _) = listen("::1", port).await;
    reaches(port, &v6).await.unwrap();
    drop((v4, v6));
    let (other, _) = listen("127.0.0.1", 0).await;
    assert_eq!(reaches(port, &other).await, Err(Trouble::Refused));
}

#[tokio::test]
async fn an_address_that_says_nothing_holds_up_the_next_one_only_for_a_moment() {
    let (v4, port) = listen("127.0.0.1", 0).await;
    // What comes when the queue of a listener is full is dropped.
    let full = TcpSocket::new_v6().unwrap();
    full.bind((Ipv6Addr::LOCALHOST, port).into()).unwrap();
    let _full = full.listen(1).unwrap();
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(
            TcpStream::connect((Ipv6Addr::LOCALHOST, port))
                .await
                .unwrap(),
        );
    }
    reaches(port, &v4).await.unwrap();
}
