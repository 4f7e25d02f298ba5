//! The client and the stand-in hub, which Microsoft's own client judges: every transport, both
//! protocols, and what falls back on what.

#![cfg(test)]

use outgate_signalr_client::{CallError, Cause, Client, Protocol, State, Transport};
use outgate_standin::{Authority, HttpFault, Place, Stage, SystemClock};

struct Hub {
    _stage: Stage,
    url: String,
}

impl Hub {
    async fn start(fault: HttpFault) -> Self {
        let now = std::time::SystemTime::now();
        let authority = Authority::new(now).unwrap();
        let mut stage = Stage::new(authority, SystemClock);
        let address = stage.http(Place::v4(), fault).await.unwrap();
        Self {
            _stage: stage,
            url: format!("http://{address}/any/hub?tenant=7"),
        }
    }
}

fn transport(client: &Client) -> Transport {
    let State::Connected { transport, .. } = client.state().borrow().clone() else {
        panic!("not connected");
    };
    transport
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Order {
    text: String,
    amounts: Vec<f64>,
    note: Option<String>,
}

async fn talk(client: &Client) {
    let order = Order {
        text: "åäö \u{1F600}\n".to_owned(),
        amounts: vec![1.0, -2.5],
        note: None,
    };
    let long = "x".repeat(20_000);
    let (one, other): (Result<Order, _>, Result<String, _>) = tokio::join!(
        client.invoke("Echo", (&order,)),
        client.invoke("echo", (&long,)),
    );
    assert_eq!((one.unwrap(), other.unwrap()), (order, long));
    let wrong = client.invoke::<()>("Nope", ()).await.unwrap_err();
    assert!(matches!(&wrong, CallError::Hub { error } if error == "there is no method Nope"));
    assert_eq!(wrong.to_string(), "there is no method Nope");
    let text = client.invoke::<u8>("Echo", ("x",)).await;
    assert!(matches!(text, Err(CallError::Read { .. })), "{text:?}");
    client.send("Echo", (1,)).await.unwrap();
}

#[tokio::test]
async fn every_transport_carries_calls_in_both_protocols() {
    let hub = Hub::start(HttpFault::None).await;
    for protocol in [Protocol::Json, Protocol::MessagePack] {
        for only in Transport::ALL {
            let client = Client::builder(&hub.url)
                .protocol(protocol)
                .transports(&[only])
                .build()
                .unwrap();
            if protocol == Protocol::MessagePack && !only.is_binary() {
                let cause = client.start().await.unwrap_err();
                assert!(matches!(cause, Cause::Negotiation { .. }), "{cause}");
                continue;
            }
            client.start().await.unwrap();
            assert_eq!(transport(&client), only);
            talk(&client).await;
            client.stop().await;
            let closed = client.state().borrow().clone();
            assert!(
                matches!(closed, State::Closed { cause: None }),
                "{closed:?}"
            );
            let after = client.invoke::<()>("Echo", (1,)).await;
            assert!(matches!(after, Err(CallError::NotConnected)));
        }
    }
}

#[tokio::test]
async fn a_websocket_that_echoes_is_no_hub() {
    // The stand-in has no connection without a name, and takes the WebSocket for one of its echo.
    let hub = Hub::start(HttpFault::None).await;
    let client = Client::builder(&hub.url)
        .skip_negotiation()
        .build()
        .unwrap();
    let cause = client.start().await.unwrap_err();
    assert!(matches!(cause, Cause::NoTransport { .. }), "{cause}");
    assert!(cause.to_string().contains("it echoes"), "{cause}");
}

#[tokio::test]
async fn a_stripped_or_dropped_websocket_leads_to_the_next_transport() {
    for fault in [HttpFault::WebSocketStripped, HttpFault::WebSocketDropped] {
        let hub = Hub::start(fault).await;
        for (protocol, next) in [
            (Protocol::Json, Transport::ServerSentEvents),
            (Protocol::MessagePack, Transport::LongPolling),
        ] {
            let builder = Client::builder(&hub.url).protocol(protocol);
            let client = builder.build().unwrap();
            client.start().await.unwrap();
            assert_eq!(transport(&client), next);
            talk(&client).await;
            client.stop().await;
            // What was learnt is kept for the next start.
            let failed = client.memory().failed(std::time::Instant::now()).next();
            assert_eq!(failed.unwrap().0, Transport::WebSockets);
            client.start().await.unwrap();
            client.stop().await;
        }
    }
}

#[tokio::test]
async fn what_is_no_hub_is_told_with_its_status() {
    for (status, advice) in [
        (
            404,
            "the server answered the negotiation with status 404: this is no hub, or a proxy is in its place",
        ),
        (
            503,
            "the server answered the negotiation with status 503: it has too much to do",
        ),
        (500, "the server answered the negotiation with status 500"),
    ] {
        let status = outgate_standin::StatusCode::from_u16(status).unwrap();
        let hub = Hub::start(HttpFault::Status(status)).await;
        let client = Client::builder(&hub.url).build().unwrap();
        assert_eq!(client.start().await.unwrap_err().to_string(), advice);
    }
    let gone = format!("http://{}/", outgate_testbed::free().unwrap());
    let client = Client::builder(&gone).build().unwrap();
    let cause = client.start().await.unwrap_err();
    assert!(matches!(cause, Cause::Connect { .. }), "{cause}");
}
