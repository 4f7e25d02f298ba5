//! WebSocket, served by the PyPI package websockets.

use std::{process::Command, time::Duration};

use outgate_probe::{Ask, Outcome, Trouble};
use outgate_testbed::python;
use tempfile::TempDir;

use crate::{
    asks::{ask, run},
    authority::Authority,
    peer::{Peer, free_port, write},
};

const SERVER: &str = "
import asyncio, http, ssl, sys
from websockets.asyncio.server import serve

async def talk(socket):
    if socket.request.path == '/away':
        await socket.close(1013, 'try again later')
    async for message in socket:
        await socket.send(message)

def gate(connection, request):
    if request.path == '/closed':
        return connection.respond(http.HTTPStatus.FORBIDDEN, 'no')

async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain('certificate.pem', 'key.pem')
    async with serve(talk, '127.0.0.1', int(sys.argv[1]), ssl=context, process_request=gate):
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
";

fn serve(authority: &Authority) -> Peer {
    let directory = TempDir::new().unwrap();
    let identity = authority.right();
    write(&directory, "certificate.pem", &identity.certificate);
    write(&directory, "key.pem", &identity.key);
    let script = write(&directory, "server.py", SERVER);
    let port = free_port();
    Peer::tcp(
        Command::new(python().unwrap())
            .arg(script)
            .arg(port.to_string()),
        port,
        directory,
    )
}

#[tokio::test]
async fn a_real_server_answers_pings_stays_open_and_says_goodbye() {
    let authority = Authority::new("Vendor CA");
    let peer = serve(&authority);
    let ask = Ask {
        hold: Duration::from_millis(300),
        ..ask("wss")
    };
    let finding = run(&ask, authority.config_to(peer.address)).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let websocket = finding.attempts[0].websocket.clone().unwrap();
    assert!(websocket.pong.is_some());
    assert!(websocket.held >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_server_that_refuses_or_closes_is_quoted() {
    let authority = Authority::new("Vendor CA");
    let peer = serve(&authority);
    let mut ask = ask("wss");
    ask.http.path = "/closed".to_owned();
    let finding = run(&ask, authority.config_to(peer.address)).await;
    let expected = (Outcome::Warn, Some(Trouble::UpgradeRefused { status: 403 }));
    assert_eq!((finding.outcome, finding.trouble), expected);
    ask.http.path = "/away".to_owned();
    let finding = run(&ask, authority.config_to(peer.address)).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let closed = matches!(
        finding.trouble,
        Some(Trouble::WebSocketClosed {
            code: Some(1013),
            ..
        })
    );
    assert!(closed, "{:?}", finding.trouble);
}
