//! What is said over a connection, to a hub that is slow or has changed its mind.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use outgate_agent::clock::{self, Keeper};
use outgate_agent::config::Config;
use outgate_agent::conversation;
use outgate_agent::device::Device;
use outgate_agent::inbox::Inbox;
use outgate_agent::queue::{Entry, Limits, MachineClock, Priority, Queue};
use outgate_agent::status::Board;
use outgate_agent::twin::Twin;
use outgate_signalr_client::Client;
use outgate_signalr_server::{Args, Builder, HubError, SignalR};
use outgate_testbed::PATIENCE;
use outgate_wire::agent::{ALIVE, Alive, DELIVER, Delivery, LOG, PATH, REPORT, Reached, TWIN};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A device that talks to a hub of the test's own.
struct Talking {
    device: Device,
    _tasks: JoinSet<()>,
    _folder: TempDir,
}

impl Talking {
    async fn to(hub: Builder) -> Self {
        let hub = hub.on(ALIVE, async || {
            Ok::<_, HubError>(Alive {
                now_millis: 0,
                silence_seconds: 30,
                spread_seconds: 1,
            })
        });
        let (service, _hub) = hub.parallel_calls(8).build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let app = Router::new().nest_service(PATH, service);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let board = Board::new(None);
        let dates = Arc::new(MachineClock::new().unwrap());
        let limits = Limits {
            bytes: 4 << 20,
            keep: Duration::from_secs(3_600),
            reserve: 0,
        };
        let queue = Queue::open(folder.path(), limits, dates.clone()).unwrap();
        let twin = Twin::open(folder.path()).unwrap();
        let inbox = Inbox::open(queue.clone()).await;
        let device = Device::new(queue, inbox, twin, board.clone());
        let config = Config::parse("hub = \"http://127.0.0.1\"\ntoken-file = \"/t\"\n").unwrap();
        let clock = clock::Plan::new(config.clock, folder.path(), dates, board);
        let clock = Keeper::new(clock);
        let client = Client::builder(&format!("http://{at}{PATH}"))
            .build()
            .unwrap();
        client.start().await.unwrap();
        let its = device.clone();
        tasks.spawn(async move {
            let (_current, seen) = watch::channel(Some(client));
            conversation::carry(seen, &its, &clock).await;
        });
        Self {
            device,
            _tasks: tasks,
            _folder: folder,
        }
    }
}

async fn next<T>(told: &mut mpsc::UnboundedReceiver<T>) -> T {
    timeout(PATIENCE, told.recv()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_matters_does_not_wait_for_logs_that_the_hub_has_no_time_for() {
    let (logs, mut logged) = mpsc::unbounded_channel();
    let (events, mut said) = mpsc::unbounded_channel();
    let hub = SignalR::builder()
        .on(LOG, move |Args((delivery,)): Args<(Delivery,)>| {
            logs.send(delivery).unwrap();
            std::future::pending::<Result<Reached, HubError>>()
        })
        .on(DELIVER, move |Args((delivery,)): Args<(Delivery,)>| {
            let place = delivery.entries.last().unwrap().number;
            events.send(delivery).unwrap();
            let refused = Vec::new();
            std::future::ready(Ok::<_, HubError>(Reached { place, refused }))
        });
    let talking = Talking::to(hub).await;
    let log = Entry::log("", vec![1]);
    talking.device.say(log).await.unwrap();
    let waits = next(&mut logged).await;
    assert_eq!(waits.entries.len(), 1);
    for priority in Priority::ALL {
        let event = Entry {
            priority,
            ..Entry::event(priority.name(), Vec::new())
        };
        talking.device.say(event).await.unwrap();
        let heard = next(&mut said).await;
        assert_eq!(heard.entries[0].name, priority.name());
    }
    assert!(
        logged.try_recv().is_err(),
        "it is told while it is under way"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_for_what_the_hub_has_no_more_is_made_anew() {
    let (reports, mut reported) = mpsc::unbounded_channel();
    let (twins, mut asked) = mpsc::unbounded_channel();
    let late = json!({"version": 1, "document": {"late": true}});
    let none = json!({"version": 0, "document": {}});
    let hub = SignalR::builder()
        .on(TWIN, {
            let mut has = [none.clone(), late].into_iter();
            let has = std::sync::Mutex::new(move || has.next().unwrap());
            move || {
                let reported = (has.lock().unwrap())();
                twins.send(reported.clone()).unwrap();
                let twin = json!({"desired": none, "reported": reported});
                std::future::ready(Ok::<Value, HubError>(twin))
            }
        })
        .on(REPORT, move |Args(said): Args<(Value, u64)>| {
            let version = (said.1 == 1).then_some(2);
            reports.send(said).unwrap();
            std::future::ready(Ok::<Option<u64>, HubError>(version))
        });
    let talking = Talking::to(hub).await;
    next(&mut asked).await;
    talking.device.report(json!({"a": 1})).unwrap();
    assert_eq!(next(&mut reported).await, (json!({"a": 1}), 0));
    // What was under way over another connection has come, and is not what the device says now.
    let anew = (json!({"a": 1, "late": null}), 1);
    assert_eq!(next(&mut reported).await, anew);
    let mut twin = talking.device.twin();
    let heard = twin.wait_for(|twin| twin.reported.version == 2);
    timeout(PATIENCE, heard).await.unwrap().unwrap();
}
