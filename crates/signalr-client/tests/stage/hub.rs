//! Outgate's own hub on loopback, and everything that a client can do with it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse as _;
use futures_util::{StreamExt, stream};
use outgate_signalr_client::{
    Binary, Builder, CallError, Client, Protocol, State, Timestamp, Token, Transport,
};
use outgate_signalr_server::{
    Args, Connection, Hub, HubError, Identity, SignalR, State as Known, Upload,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Long enough for everything on this machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The only token that the hub takes.
const TOKEN: &str = "user-ada";

pub(crate) struct Stage {
    pub(crate) hub: Hub,
    pub(crate) address: SocketAddr,
    /// A message for each stream that was dropped.
    dropped: mpsc::UnboundedReceiver<()>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone)]
struct Ears(mpsc::UnboundedSender<()>);

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(
        change: impl FnOnce(outgate_signalr_server::Builder<()>) -> outgate_signalr_server::Builder<()>,
    ) -> Self {
        let (sender, dropped) = mpsc::unbounded_channel();
        let builder = change(SignalR::builder().authenticate(by_token));
        let (service, hub) = streams(calls(builder.with_state(Ears(sender)))).build();
        let app = Router::new().nest_service("/hub", service);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self {
            hub,
            address,
            dropped,
            server,
        }
    }

    /// A client of the hub, directly.
    pub(crate) fn client(&self) -> Builder {
        self.client_at(self.address)
    }

    /// A client of the hub as it is seen at another address.
    pub(crate) fn client_at(&self, address: SocketAddr) -> Builder {
        Client::builder(&format!("http://{address}/hub")).token(Token::new(TOKEN.to_owned()))
    }
}

async fn by_token(parts: http::request::Parts) -> Result<Identity, axum::response::Response> {
    let header = parts.headers.get(http::header::AUTHORIZATION);
    let by_header = header.is_some_and(|header| *header == format!("Bearer {TOKEN}"));
    // Microsoft's client puts it there for events.
    let query = parts.uri.query().unwrap_or_default();
    if !by_header && !query.contains(&format!("access_token={TOKEN}")) {
        return Err(http::StatusCode::UNAUTHORIZED.into_response());
    }
    Ok(Identity {
        user: Some("ada".into()),
        extension: None,
    })
}

fn calls(builder: outgate_signalr_server::Builder<Ears>) -> outgate_signalr_server::Builder<Ears> {
    builder
        .on("Echo", async |Args((order,)): Args<(Order,)>| {
            Ok::<_, HubError>(order)
        })
        .on("Nothing", async || Ok::<_, HubError>(()))
        .on("Refuse", async || Err::<(), _>(HubError::new("not today")))
        .on("WhoAmI", async |connection: Connection| {
            Ok::<_, HubError>(connection.user().map(str::to_owned))
        })
        .on(
            "AskMe",
            async |connection: Connection, Args((question,)): Args<(String,)>| {
                let answer = connection.invoke::<String>("Answer", (question,), PATIENCE);
                Ok::<_, HubError>(format!("you said {}", answer.await?))
            },
        )
        .on(
            "Say",
            async |connection: Connection, Args((user, text)): Args<(String, String)>| {
                let clients = connection.hub().clients();
                clients.all().send("Said", (user, text))?;
                Ok::<_, HubError>(())
            },
        )
}

fn streams(
    builder: outgate_signalr_server::Builder<Ears>,
) -> outgate_signalr_server::Builder<Ears> {
    builder
        .on_stream("Count", async |Args((count,)): Args<(u32,)>| {
            Ok::<_, HubError>(stream::iter((0..count).map(Ok::<_, HubError>)))
        })
        .on_stream("Broken", async || {
            let items = [Ok(1), Err(HubError::new("torn"))];
            Ok::<_, HubError>(stream::iter(items))
        })
        .on_stream("Forever", async |Known(ears): Known<Ears>| {
            let tell = Tell(ears);
            let first = stream::iter([Ok::<_, HubError>(0_u32)]);
            Ok::<_, HubError>(first.chain(stream::pending()).map(move |item| {
                let _held = &tell;
                item
            }))
        })
        .on("Sum", async |mut numbers: Upload<i64>| {
            let mut sum = 0;
            while let Some(number) = numbers.next().await {
                sum += number?;
            }
            Ok::<_, HubError>(sum)
        })
        .on_stream("Double", async |numbers: Upload<i64>| {
            Ok::<_, HubError>(numbers.map(|number| Ok::<_, HubError>(2 * number?)))
        })
}

/// Tells when a stream is dropped.
struct Tell(Ears);

impl Drop for Tell {
    fn drop(&mut self) {
        // The test may have ended.
        let _ = self.0.0.send(());
    }
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    table_name: String,
    amounts: Vec<f64>,
    note: Option<String>,
    state: Kind,
    paid: Option<Timestamp>,
    receipt: Binary,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
enum Kind {
    Open,
    Paid { by: String },
}

/// The transport over which a client is connected.
pub(crate) fn transport(client: &Client) -> Transport {
    let State::Connected { transport, .. } = client.state().borrow().clone() else {
        panic!("not connected");
    };
    transport
}

/// Everything that a client can do with the hub.
pub(crate) async fn exercise(stage: &mut Stage, client: &Client) {
    calls_and_results(client).await;
    streams_both_ways(stage, client).await;
}

async fn calls_and_results(client: &Client) {
    let mut order = Order {
        table_name: "åäö \u{1F600}\n\u{1e}".to_owned(),
        amounts: vec![1.0, -2.5],
        note: None,
        state: Kind::Open,
        paid: None,
        receipt: Binary::default(),
    };
    let echo = client.invoke::<Order>("echo", (&order,)).await.unwrap();
    assert_eq!(echo, order);
    order.table_name = "x".repeat(30_000);
    order.paid = Some(Timestamp(std::time::SystemTime::now().into()));
    order.receipt = vec![0, 30, 255].into();
    order.state = Kind::Paid {
        by: "card".to_owned(),
    };
    let calls = (0..20).map(|_| client.invoke::<Order>("Echo", (&order,)));
    for echo in futures_util::future::join_all(calls).await {
        assert_eq!(echo.unwrap(), order);
    }
    client.invoke::<()>("Nothing", ()).await.unwrap();
    let user = client.invoke::<Option<String>>("WhoAmI", ()).await;
    assert_eq!(user.unwrap().as_deref(), Some("ada"));
    for (method, words) in [
        (
            "Refuse",
            "An unexpected error occurred invoking 'Refuse' on the server. HubException: not today",
        ),
        (
            "Nope",
            "Failed to invoke 'Nope' due to an error on the server. HubException: Method does not exist.",
        ),
    ] {
        let error = client.invoke::<()>(method, ()).await.unwrap_err();
        assert_eq!(error.to_string(), words);
    }
    client.answer("Answer", |(question,): (String,)| async move {
        Ok::<_, CallError>(question.to_uppercase())
    });
    let answer = client.invoke::<String>("AskMe", ("why",)).await.unwrap();
    assert_eq!(answer, "you said WHY");
    let (heard, mut hears) = mpsc::unbounded_channel();
    client.on("said", move |said: (String, String)| {
        heard.send(said).unwrap();
        std::future::ready(())
    });
    for number in 0..50 {
        let text = number.to_string();
        client.send("Say", ("ann", text)).await.unwrap();
    }
    for number in 0..50 {
        let said = hears.recv().await.unwrap();
        assert_eq!(said, ("ann".to_owned(), number.to_string()));
    }
}

async fn streams_both_ways(stage: &mut Stage, client: &Client) {
    let mut items = client.stream::<u32>("Count", (100,)).await.unwrap();
    for number in 0..100 {
        assert_eq!(items.next().await.unwrap().unwrap(), number);
    }
    assert!(items.next().await.is_none());
    let mut broken = client.stream::<u32>("Broken", ()).await.unwrap();
    assert_eq!(broken.next().await.unwrap().unwrap(), 1);
    let error = broken.next().await.unwrap().unwrap_err();
    assert!(matches!(&error, CallError::Hub { .. }), "{error}");
    let mut endless = client.stream::<u32>("Forever", ()).await.unwrap();
    assert_eq!(endless.next().await.unwrap().unwrap(), 0);
    drop(endless);
    let dropped = tokio::time::timeout(PATIENCE, stage.dropped.recv()).await;
    dropped.expect("the hub stops the stream").unwrap();
    let sum = client.call("Sum").upload(stream::iter(1..=100));
    assert_eq!(sum.invoke::<i64>().await.unwrap(), 5050);
    let double = client.call("Double").upload(stream::iter(1..=3));
    let doubled = double.stream::<i64>().await.unwrap();
    let doubled: Vec<_> = doubled.map(Result::unwrap).collect().await;
    assert_eq!(doubled, [2, 4, 6]);
}

/// Every transport and protocol that fit each other.
pub(crate) fn ways() -> impl Iterator<Item = (Transport, Protocol)> {
    let protocols = [Protocol::Json, Protocol::MessagePack];
    let ways = Transport::ALL
        .into_iter()
        .flat_map(move |transport| protocols.map(|protocol| (transport, protocol)));
    ways.filter(|(transport, protocol)| *protocol == Protocol::Json || transport.is_binary())
}
