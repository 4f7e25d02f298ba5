//! Through squid, by CONNECT, as whoever has a proxy brings it.

use std::io;
use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use outgate_signalr_client::Transport;
use outgate_signalr_client::connect::{Authority, Connect, Stream};
use outgate_testbed::{Program, free, squid};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::hub::{Stage, exercise, transport, ways};

struct Squid {
    _program: Program,
    address: SocketAddr,
    _folder: TempDir,
}

impl Squid {
    async fn start(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free().unwrap();
        let lines = format!(
            "http_port {address}
            dns_nameservers 127.0.0.1
            {lines}
            http_access allow all"
        );
        let mut command = squid(folder.path(), &lines).unwrap();
        let program = Program::start(&mut command, folder.path(), address).await;
        Self {
            _program: program.unwrap(),
            address,
            _folder: folder,
        }
    }
}

/// Goes through a proxy (RFC 9110 §9.3.6).
struct Through(SocketAddr);

impl Connect for Through {
    fn connect<'a>(&'a self, to: &'a Authority) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let mut stream = TcpStream::connect(self.0).await?;
            let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            if !head.starts_with(b"HTTP/1.1 200") {
                let head = String::from_utf8_lossy(&head).into_owned();
                return Err(io::Error::other(head));
            }
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

#[tokio::test]
async fn every_transport_goes_through_squid() {
    let squid = Squid::start("").await;
    for (only, protocol) in ways() {
        let mut stage = Stage::new().await;
        let builder = stage.client().connect(Through(squid.address));
        let builder = builder.transports(&[only]).protocol(protocol);
        let client = builder.build().unwrap();
        client.start().await.unwrap();
        assert_eq!(transport(&client), only);
        exercise(&mut stage, &client).await;
        client.stop().await;
    }
}

#[tokio::test]
async fn a_squid_that_cuts_what_is_quiet_is_outlasted_by_pings() {
    let squid = Squid::start("read_timeout 2 seconds").await;
    let stage = Stage::new().await;
    let builder = stage.client().connect(Through(squid.address));
    let builder = builder.transports(&[Transport::WebSockets]);
    let builder = builder.keep_alive(std::time::Duration::from_millis(200));
    let client = builder.build().unwrap();
    client.start().await.unwrap();
    // The quiet time that squid does not bear.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    client.invoke::<()>("Nothing", ()).await.unwrap();
}
