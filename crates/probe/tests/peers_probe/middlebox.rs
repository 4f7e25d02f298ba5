//! nginx between a probe and its server, set up as proxies are that get in the way.

use std::{net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use outgate_probe::{Ask, Outcome, Trouble};
use outgate_testbed::nginx;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    asks::{ask, run},
    authority::Authority,
    peer::{Peer, free_port, write},
};

/// How far apart the server sends its events.
const APART: Duration = Duration::from_millis(300);

/// nginx with TLS before what is at this URL, with these directives.
pub(crate) fn proxy(authority: &Authority, upstream: &str, directives: &str) -> Peer {
    let directory = TempDir::new().unwrap();
    let root = directory.path().display().to_string();
    let identity = authority.right();
    write(&directory, "certificate.pem", &identity.certificate);
    write(&directory, "key.pem", &identity.key);
    let port = free_port();
    let server = format!(
        "server {{
                listen 127.0.0.1:{port} ssl; listen [::1]:{port} ssl;
                ssl_certificate {root}/certificate.pem; ssl_certificate_key {root}/key.pem;
                location / {{ proxy_pass {upstream}; proxy_http_version 1.1; {directives} }}
        }}",
    );
    let mut command = nginx(directory.path(), &server).unwrap();
    Peer::tcp_on_both(&mut command, port, directory)
}

/// A server of events, and of polls that it holds for ever; stops when dropped.
struct Behind {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Behind {
    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
        Self { address, task }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let said: &[u8] = if head.starts_with(b"HEAD ") {
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    } else if head.starts_with(b"GET /events ") {
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    } else {
        b""
    };
    if said.is_empty() {
        let _ = stream.read_to_end(&mut Vec::new()).await;
        return;
    }
    let _ = stream.write_all(said).await;
    while head.starts_with(b"GET ") && stream.write_all(b"data: now\n\n").await.is_ok() {
        tokio::time::sleep(APART).await;
    }
}

/// A WebSocket server that sends back what it hears, by the PyPI package websockets.
fn echo() -> Peer {
    let server = "
import asyncio, sys
from websockets.asyncio.server import serve

async def talk(socket):
    async for message in socket:
        await socket.send(message)

async def main():
    async with serve(talk, '127.0.0.1', int(sys.argv[1])):
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
";
    let peers = std::env::var_os("OUTGATE_PEERS")
        .expect("OUTGATE_PEERS names the folder that holds the Python and Node clients");
    let directory = TempDir::new().unwrap();
    let script = write(&directory, "server.py", server);
    let port = free_port();
    let python = PathBuf::from(peers).join("python/bin/python");
    Peer::tcp(
        Command::new(python).arg(script).arg(port.to_string()),
        port,
        directory,
    )
}

/// Lets WebSockets through.
pub(crate) const UPGRADE: &str =
    "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;";

fn events() -> Ask {
    let mut ask = ask("server-sent-events");
    ask.http.path = "/events".to_owned();
    ask.http.events_apart = Some(APART);
    ask
}

#[tokio::test]
async fn events_pass_a_proxy_that_does_not_buffer_and_not_one_that_does() {
    let authority = Authority::new("Vendor CA");
    let server = Behind::start().await;
    for (directives, expected) in [
        ("proxy_buffering off;", (Outcome::Pass, None)),
        (
            "proxy_buffering on;",
            (Outcome::Fail, Some(Trouble::StreamBuffered)),
        ),
    ] {
        let peer = proxy(&authority, &server.url(), directives);
        for at in peer.addresses() {
            let finding = run(&events(), authority.config_to(at)).await;
            let ended = (finding.outcome, finding.trouble);
            assert_eq!(ended, expected, "{directives} at {at}");
        }
    }
}

#[tokio::test]
async fn a_poll_is_held_by_a_patient_proxy_and_cut_by_one_that_is_not() {
    let authority = Authority::new("Vendor CA");
    let server = Behind::start().await;
    let patient = proxy(&authority, &server.url(), "");
    let mut ask = Ask {
        hold: Duration::from_millis(300),
        ..ask("long-polling")
    };
    for at in patient.addresses() {
        let finding = run(&ask, authority.config_to(at)).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    }
    let hasty = proxy(&authority, &server.url(), "proxy_read_timeout 1s;");
    ask.hold = Duration::from_secs(60);
    let finding = run(&ask, authority.config_to(hasty.address)).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let cut = matches!(
        finding.trouble,
        Some(Trouble::PollCut {
            status: Some(504),
            ..
        })
    );
    assert!(cut, "{:?}", finding.trouble);
}

#[tokio::test]
async fn a_websocket_is_stripped_let_through_or_cut_as_the_proxy_has_it() {
    let authority = Authority::new("Vendor CA");
    let server = echo();
    let upstream = format!("http://{}", server.address);
    let mut ask = ask("wss");
    let stripping = proxy(&authority, &upstream, "");
    let finding = run(&ask, authority.config_to(stripping.address)).await;
    // What the server says that has heard of no WebSocket.
    let refused = Some(Trouble::UpgradeRefused { status: 426 });
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Warn, refused));
    let open = proxy(&authority, &upstream, UPGRADE);
    let finding = run(&ask, authority.config_to(open.address)).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let hasty = proxy(
        &authority,
        &upstream,
        &format!("{UPGRADE} proxy_read_timeout 1s;"),
    );
    ask.hold = Duration::from_secs(60);
    let finding = run(&ask, authority.config_to(hasty.address)).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let cut = matches!(
        finding.trouble,
        Some(Trouble::WebSocketClosed { answered: true, .. })
    );
    assert!(cut, "{:?}", finding.trouble);
}
