//! WebSocket, served by the PyPI package websockets.

use std::{net::SocketAddr, process::Command, time::Duration};

use outgate_probe::{Ask, Outcome, Trouble};
use outgate_testbed::python;
use tempfile::TempDir;

use crate::{
    asks::{ask, run},
    authority::Authority,
    middlebox::proxy,
    peer::{Peer, by_name_and_address, free_port, write},
};

const SERVER: &str = "
import asyncio, http, ssl, sys
from websockets.asyncio.server import serve

async def talk(socket):
    if socket.request.path == '/away':
        await socket.close(1013, 'try again later')
    async for message in socket:
        await socket.send(message[::-1] if socket.request.path == '/changed' else message)

def gate(connection, request):
    if request.path == '/closed':
        return connection.respond(http.HTTPStatus.FORBIDDEN, 'no')

async def main():
    context = None
    if sys.argv[2] == 'wss':
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain('certificate.pem', 'key.pem')
    both = ['127.0.0.1', '::1']
    async with serve(talk, both, int(sys.argv[1]), ssl=context, process_request=gate):
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
";

fn serve(authority: &Authority) -> Peer {
    serve_as(authority, "wss")
}

/// With TLS or, as `ws`, in the clear.
fn serve_as(authority: &Authority, protocol: &str) -> Peer {
    let directory = TempDir::new().unwrap();
    let identity = authority.right();
    write(&directory, "certificate.pem", &identity.certificate);
    write(&directory, "key.pem", &identity.key);
    let script = write(&directory, "server.py", SERVER);
    let port = free_port();
    Peer::tcp_on_both(
        Command::new(python().unwrap())
            .arg(script)
            .arg(port.to_string())
            .arg(protocol),
        port,
        directory,
    )
}

#[tokio::test]
async fn a_real_server_answers_pings_stays_open_and_says_goodbye() {
    let authority = Authority::new("Vendor CA");
    for protocol in ["ws", "wss"] {
        let peer = serve_as(&authority, protocol);
        let held = Ask {
            hold: Duration::from_millis(300),
            ..ask(protocol)
        };
        for at in peer.addresses() {
            for ask in by_name_and_address(&held, at) {
                let finding = run(&ask, authority.config_to(at)).await;
                let ended = (finding.outcome, finding.trouble);
                assert_eq!(ended, (Outcome::Pass, None), "{ask:?} at {at}");
                let websocket = finding.attempts[0].websocket.clone().unwrap();
                assert!(websocket.pong.is_some());
                assert!(websocket.held >= Duration::from_millis(300));
            }
        }
    }
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

/// nginx in front of a server, as RFC 6455 is handed on by it.
fn behind_nginx(authority: &Authority, server: SocketAddr) -> Peer {
    proxy(
        authority,
        &format!("https://{server}"),
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection Upgrade;",
    )
}

#[tokio::test]
async fn a_text_comes_back_from_a_real_server_and_through_a_real_proxy() {
    let authority = Authority::new("Vendor CA");
    let server = serve(&authority);
    let proxy = behind_nginx(&authority, server.address);
    let mut ask = Ask {
        hold: Duration::from_millis(100),
        ..ask("wss")
    };
    ask.http.echo = true;
    for address in [server.address, proxy.address] {
        let finding = run(&ask, authority.config_to(address)).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        let websocket = finding.attempts[0].websocket.clone().unwrap();
        assert!(websocket.echo.is_some());
    }
    ask.http.path = "/changed".to_owned();
    let finding = run(&ask, authority.config_to(proxy.address)).await;
    let altered = matches!(
        finding.trouble,
        Some(Trouble::WebSocketAltered { came: Some(_) })
    );
    assert!(altered, "{:?}", finding.trouble);
}
