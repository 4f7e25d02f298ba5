//! What Outgate's agents and the hub say to each other, over each transport.

#![cfg(test)]

#[expect(dead_code, reason = "other tests look at where its data lies")]
#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use outgate_core::commands::{CommandState, NewCommand};
use outgate_core::events::EventFilter;
use outgate_core::id::DeviceId;
use outgate_core::identity::{Actor, Scope};
use outgate_signalr_client::{Cause, Client, Token, Transport};
use outgate_wire::agent::{
    ALIVE, Alive, Answer, Blob, CALL, COMMAND, Call, Command, DELIVER, DESIRED, Delivery, Entry,
    PATH, REPORT, Reached, Settlement, TWIN,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::running::Running;

const CONFIG: &str = "
[[listen]]
address = '127.0.0.1:0'
tls = false
";

const WAYS: [Transport; 3] = [
    Transport::WebSockets,
    Transport::ServerSentEvents,
    Transport::LongPolling,
];

async fn start() -> Running {
    let running = Running::on(tempfile::tempdir().unwrap(), CONFIG).await;
    running.furnish().await;
    running
}

fn client(running: &Running, token: &str, way: Transport) -> Client {
    let address = running.hub.listening()[0].address;
    Client::builder(&format!("http://{address}{PATH}"))
        .token(Token::new(token.to_owned()))
        .transports(&[way])
        .build()
        .unwrap()
}

/// The token of a service.
async fn service(running: &Running) -> String {
    let (hub, identity) = (Actor::hub(), &running.core().identity);
    let id = "billing".parse().unwrap();
    let (_, issued) = identity.create_service(&hub, id, Scope::All).await.unwrap();
    site::token(issued)
}

fn entry(number: u64) -> Entry {
    Entry {
        number,
        name: format!("sale/{number}"),
        content_type: "application/octet-stream".to_owned(),
        properties: BTreeMap::from([("till".to_owned(), "7".to_owned())]),
        payload: Blob(vec![0xff, 0, 7]),
    }
}

fn delivery(numbers: impl IntoIterator<Item = u64>) -> Delivery {
    Delivery {
        stream: "q-1".to_owned(),
        entries: numbers.into_iter().map(entry).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_a_queue_is_taken_once_however_often_it_is_sent() {
    let running = start().await;
    let core = running.core();
    for (at, way) in WAYS.into_iter().enumerate() {
        let name = format!("till-{at}");
        let token = running.device(&name).await;
        let device: DeviceId = name.parse().unwrap();
        for numbers in [1..=3, 1..=3, 2..=5] {
            // Each over a connection of its own, as after a cut.
            let client = client(&running, &token, way);
            client.start().await.unwrap();
            let upto = *numbers.end();
            let reached: Reached = client.invoke(DELIVER, (delivery(numbers),)).await.unwrap();
            assert_eq!((reached.place, reached.refused), (upto, vec![]));
            client.stop().await;
        }
        let filter = EventFilter {
            scope: Scope::All,
            device: Some(device),
            prefix: None,
        };
        let events = core.events.after(&filter, 0, 100).await.unwrap().events;
        let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(names, ["sale/1", "sale/2", "sale/3", "sale/4", "sale/5"]);
        assert_eq!(events[0].payload, Bytes::from_static(b"\xff\x00\x07"));
        assert_eq!(events[0].properties["till"], "7");
    }
}

/// Has the client abandon each command the first time, complete it the second, and know no
/// articles; gives the commands.
fn answering(client: &Client) -> mpsc::UnboundedReceiver<Command> {
    let (told, commands) = mpsc::unbounded_channel();
    client.answer(COMMAND, move |(command,): (Command,)| {
        let first = command.deliveries == 1;
        told.send(command).unwrap();
        let settled = [Settlement::Completed, Settlement::Abandoned][usize::from(first)];
        std::future::ready(Ok::<_, String>(settled))
    });
    client.answer(CALL, |(call,): (Call,)| async move {
        assert_eq!(
            (call.method.as_str(), call.payload.0.as_slice()),
            ("price", &b"7"[..])
        );
        Ok::<_, String>(Answer {
            status: 404,
            content_type: "text/plain".to_owned(),
            payload: Blob(b"no such article".to_vec()),
        })
    });
    commands
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_and_calls_come_with_all_that_there_is_to_know() {
    let running = start().await;
    let (core, hub) = (running.core(), Actor::hub());
    for (at, way) in WAYS.into_iter().enumerate() {
        let name = format!("till-{at}");
        let token = running.device(&name).await;
        let device: DeviceId = name.parse().unwrap();
        let new = NewCommand {
            name: "print".to_owned(),
            content_type: "image/png".to_owned(),
            properties: BTreeMap::from([("copies".to_owned(), "2".to_owned())]),
            payload: Bytes::from_static(b"\x89PNG"),
            lasts: Duration::from_secs(600),
        };
        let mut changes = core.commands.changes();
        let sent = core.commands.send(&hub, &device, new).await.unwrap();
        let client = client(&running, &token, way);
        let mut commands = answering(&client);
        client.start().await.unwrap();
        for deliveries in [1, 2] {
            let command = commands.recv().await.unwrap();
            assert_eq!(
                (&command.id, command.deliveries),
                (&sent.id.to_string(), deliveries)
            );
            assert_eq!(
                (command.name.as_str(), command.content_type.as_str()),
                ("print", "image/png")
            );
            assert_eq!(
                (command.properties["copies"].as_str(), command.payload.0),
                ("2", b"\x89PNG".to_vec())
            );
        }
        let payload = Bytes::from_static(b"7");
        let (method, patience) = ("price".to_owned(), Duration::from_secs(30));
        let call = core
            .calls
            .call(&hub, &device, method, String::new(), payload, patience);
        let answer = call.await.unwrap();
        assert_eq!(
            (answer.status, answer.payload),
            (404, Bytes::from_static(b"no such article"))
        );
        while core
            .commands
            .get(&hub, &device, &sent.id)
            .await
            .unwrap()
            .state
            != CommandState::Completed
        {
            changes.recv().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_told_what_its_device_is_wanted_to_be_and_reports_what_it_is() {
    let running = start().await;
    let token = running.device("till").await;
    let client = client(&running, &token, Transport::WebSockets);
    let (told, mut desired) = mpsc::unbounded_channel();
    client.on(DESIRED, move |(version, document): (u64, Value)| {
        told.send((version, document)).unwrap();
        std::future::ready(())
    });
    client.start().await.unwrap();
    let (hub, device) = (Actor::hub(), "till".parse().unwrap());
    let wanted = running
        .core()
        .twins
        .desire(&hub, &device, json!({"a": 1}), None);
    wanted.await.unwrap();
    assert_eq!(desired.recv().await.unwrap(), (1, json!({"a": 1})));
    let version: u64 = client.invoke(REPORT, (json!({"b": 2}),)).await.unwrap();
    assert_eq!(version, 1);
    // One that comes late, as over a connection that was left, undoes nothing.
    let late: Option<u64> = client.invoke(REPORT, (json!({"b": 1}), 0)).await.unwrap();
    assert_eq!(late, None);
    let twin: Value = client.invoke(TWIN, ()).await.unwrap();
    assert_eq!(
        twin["reported"],
        json!({"version": 1, "document": {"b": 2}})
    );
    let next: Option<u64> = client.invoke(REPORT, (json!({"b": 3}), 1)).await.unwrap();
    assert_eq!(next, Some(2));
    for bad in [json!("1"), json!(-1)] {
        let refused = client.invoke::<Option<u64>>(REPORT, (json!({}), bad)).await;
        refused.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_device_has_no_place_there_and_nothing_else_can_be_asked() {
    let running = start().await;
    for (token, status) in [(service(&running).await, 403), ("nobody".to_owned(), 401)] {
        let refused = client(&running, &token, Transport::WebSockets)
            .start()
            .await;
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, Cause::Status { status: found, .. } if found == status),
            "{refused}"
        );
    }
    let token = running.device("till").await;
    let client = client(&running, &token, Transport::WebSockets);
    client.start().await.unwrap();
    client
        .invoke::<Value>("sale/closed", (1,))
        .await
        .unwrap_err();
    let bad = Delivery {
        stream: "no/name".to_owned(),
        entries: vec![entry(1)],
    };
    client.invoke::<Reached>(DELIVER, (bad,)).await.unwrap_err();
    let newest = *running.core().events.newest().borrow();
    assert_eq!(newest, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_asks_whether_it_is_heard_is_told_what_the_hub_wishes() {
    let running = start().await;
    let token = running.device("till").await;
    let client = client(&running, &token, Transport::LongPolling);
    client.start().await.unwrap();
    let alive: Alive = client.invoke(ALIVE, ()).await.unwrap();
    // One device is taken back at once.
    assert_eq!((alive.silence_seconds, alive.spread_seconds), (30, 1));
}
