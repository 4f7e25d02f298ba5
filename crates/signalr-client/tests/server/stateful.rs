//! Connections that outlive their WebSocket, over a way that is cut again and again.

use std::io;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, join_all};
use outgate_signalr_client::connect::{Authority, Connect, Direct, Stream};
use outgate_signalr_client::{CallError, Client, Policy, Protocol, State};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::hub::{Stage, exercise, ways};

/// A way that can be cut.
#[derive(Clone, Default)]
struct Way {
    open: Arc<Mutex<Vec<AbortHandle>>>,
    /// Whether nothing gets through any more.
    closed: watch::Sender<bool>,
}

impl Way {
    /// Cuts everything that goes over it now.
    fn cut(&self) {
        for connection in self.open.lock().unwrap().drain(..) {
            connection.abort();
        }
    }
}

impl Connect for Way {
    fn connect<'a>(&'a self, to: &'a Authority) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            if *self.closed.borrow() {
                return Err(io::ErrorKind::NetworkUnreachable.into());
            }
            let mut far = Direct::default().connect(to).await?;
            // Small, so that much is under way when it is cut.
            let (near, mut middle) = tokio::io::duplex(512);
            let copying = tokio::spawn(async move {
                // Whatever ends it ends the connection.
                let _ = tokio::io::copy_bidirectional(&mut middle, &mut far).await;
            });
            self.open.lock().unwrap().push(copying.abort_handle());
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    }
}

async fn connected(stage: &Stage, way: &Way, protocol: Protocol) -> Client {
    let builder = stage.client().connect(way.clone()).stateful(true);
    let client = builder.protocol(protocol).retry(Policy::default());
    let client = client.build().unwrap();
    client.start().await.unwrap();
    client
}

fn connection_id(client: &Client) -> Option<String> {
    let State::Connected { connection_id, .. } = client.state().borrow().clone() else {
        return None;
    };
    connection_id
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_however_often_the_way_is_cut() {
    const COUNT: u32 = 300;
    for protocol in [Protocol::Json, Protocol::MessagePack] {
        let stage = Stage::with(|builder| builder.stateful_reconnect(true)).await;
        let way = Way::default();
        let client = connected(&stage, &way, protocol).await;
        let id = connection_id(&client);
        let (heard, mut hears) = mpsc::channel(COUNT as usize);
        client.on("Said", move |(_, text): (String, String)| {
            let heard = heard.clone();
            async move { heard.send(text).await.unwrap() }
        });
        let saying = async {
            for number in 0..COUNT {
                let said = client.invoke::<()>("Say", ("ann", number.to_string()));
                said.await.unwrap();
            }
        };
        let hearing = async {
            for number in 0..COUNT {
                assert_eq!(hears.recv().await.unwrap(), number.to_string());
                if number % 50 == 25 {
                    way.cut();
                }
            }
        };
        let counting = async {
            let items = client.stream::<u32>("Count", (COUNT,)).await.unwrap();
            let items: Vec<_> = items.map(Result::unwrap).collect().await;
            assert_eq!(items, (0..COUNT).collect::<Vec<_>>());
        };
        tokio::join!(saying, hearing, counting);
        assert_eq!(connection_id(&client), id);
        assert_eq!(stage.hub.count(), 1);
        assert!(hears.try_recv().is_err());
        client.stop().await;
    }
}

#[tokio::test]
async fn what_is_not_acknowledged_waits_in_a_bounded_room_and_all_of_it_arrives() {
    let stage = Stage::with(|builder| builder.stateful_reconnect(true)).await;
    let way = Way::default();
    let client = connected(&stage, &way, Protocol::Json).await;
    let text = "x".repeat(10_000);
    let calls = (0..50).map(|_| client.invoke::<()>("Say", ("ann", &text)));
    let cut = async {
        tokio::task::yield_now().await;
        way.cut();
    };
    let (answers, ()) = tokio::join!(join_all(calls), cut);
    for answer in answers {
        answer.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_the_server_has_dropped_is_made_anew() {
    let stage = Stage::with(|builder| builder.stateful_reconnect(true)).await;
    let way = Way::default();
    let client = connected(&stage, &way, Protocol::Json).await;
    let id = connection_id(&client).unwrap();
    let mut states = client.state();
    way.closed.send_replace(true);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.invoke::<String>("AskMe", ("why",)).await }
    });
    way.cut();
    assert!(stage.hub.close_connection(&id, None, false));
    way.closed.send_replace(false);
    let state = states.wait_for(|it| matches!(it, State::Reconnecting { .. }));
    drop(state.await.unwrap());
    drop(states.wait_for(State::is_connected).await.unwrap());
    let lost = waiting.await.unwrap();
    assert!(matches!(lost, Err(CallError::Lost)), "{lost:?}");
    assert_ne!(connection_id(&client).unwrap(), id);
}

#[tokio::test]
async fn a_server_that_has_no_such_connections_is_used_as_it_is() {
    for stateful in [true, false] {
        for (only, protocol) in ways() {
            let mut stage = Stage::with(|builder| builder.stateful_reconnect(stateful)).await;
            let builder = stage.client().stateful(true).transports(&[only]);
            let client = builder.protocol(protocol).build().unwrap();
            client.start().await.unwrap();
            exercise(&mut stage, &client).await;
            client.stop().await;
        }
    }
}

#[tokio::test]
async fn a_stop_while_the_way_is_cut_does_not_wait_for_it() {
    let stage = Stage::with(|builder| builder.stateful_reconnect(true)).await;
    let way = Way::default();
    let client = connected(&stage, &way, Protocol::Json).await;
    way.closed.send_replace(true);
    way.cut();
    client.stop().await;
    assert!(matches!(
        &*client.state().borrow(),
        State::Closed { cause: None }
    ));
}
