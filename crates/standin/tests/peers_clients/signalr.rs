//! Microsoft's own client in JavaScript against the hub that echoes.

use outgate_standin::{HttpFault, TlsFault};
use outgate_testbed::packages;

use crate::{https, path, run, stage};

/// As `HttpTransportType` has them.
const WEB_SOCKETS: &str = "1";
const SERVER_SENT_EVENTS: &str = "2";
const LONG_POLLING: &str = "4";
const ANY: &str = "7";

#[tokio::test]
async fn microsofts_client_hears_its_own_words_over_every_transport_in_both_protocols() {
    for (transport, name) in [
        (WEB_SOCKETS, "WebSockets"),
        (SERVER_SENT_EVENTS, "ServerSentEvents"),
        (LONG_POLLING, "LongPolling"),
    ] {
        let heard = format!("{name} echoed refused Disconnected\n");
        assert_eq!(talk(transport, "json", HttpFault::None).await, heard);
        // Events carry text alone, and the client does not try them.
        if transport != SERVER_SENT_EVENTS {
            assert_eq!(talk(transport, "messagepack", HttpFault::None).await, heard);
        }
    }
}

#[tokio::test]
async fn microsofts_client_falls_back_where_the_websocket_is_stripped() {
    let heard = talk(ANY, "json", HttpFault::WebSocketStripped).await;
    assert_eq!(heard, "ServerSentEvents echoed refused Disconnected\n");
    let packed = talk(ANY, "messagepack", HttpFault::WebSocketStripped).await;
    assert_eq!(packed, "LongPolling echoed refused Disconnected\n");
}

/// What the check calls stranded.
#[tokio::test]
async fn microsofts_client_gives_up_where_the_websocket_is_accepted_and_dropped() {
    let heard = talk(ANY, "json", HttpFault::WebSocketDropped).await;
    assert!(heard.starts_with("WebSockets failed:"), "{heard}");
}

async fn talk(transports: &str, protocol: &str, fault: HttpFault) -> String {
    let (mut stage, authority) = stage();
    let address = https(&mut stage, TlsFault::Http(fault)).await;
    let trusted = format!("NODE_EXTRA_CA_CERTS={}", path(&authority));
    let modules = packages().unwrap().join("node/node_modules");
    let modules = modules.to_str().unwrap();
    let port = address.port().to_string();
    let script = include_str!("signalr.js");
    let arguments = [
        &trusted, "node", "-e", script, modules, &port, transports, protocol,
    ];
    run("env", &arguments).await.text
}
