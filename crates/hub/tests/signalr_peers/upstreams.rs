//! A vendor's back end that the hub tells of clients and asks for what they invoke, in Python.

use std::process::Stdio;

use outgate_core::identity::Scope;
use outgate_testbed::{PATIENCE, python};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::back_ends::{BackEnd, CLIENT};
use crate::client::{Client, WAYS};
use crate::running::Running;

/// The back end.
struct Told {
    _child: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl Told {
    async fn start() -> Self {
        let mut child = Command::new(python().unwrap())
            .arg("-c")
            .env_remove("LD_LIBRARY_PATH")
            .arg(include_str!("upstream.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut from = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = from.next_line().await.unwrap().unwrap();
        Self {
            to: child.stdin.take().unwrap(),
            from,
            port: port.parse().unwrap(),
            _child: child,
        }
    }

    /// What it was told next: by which path, with which headers, and what.
    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.from.next_line()).await;
        serde_json::from_str(&line.unwrap().unwrap().unwrap()).unwrap()
    }
}

/// A hub whose back end is told and asked about everything, and that back end's service.
async fn with_back_end(told: &mut Told) -> (Running, BackEnd) {
    let more = format!(
        "methods = {{ '*' = 'upstream' }}\n\
         upstream = {{ url = 'http://127.0.0.1:{}/{{hub}}/{{category}}/{{event}}', \
         service = 'vendor' }}\n[webhooks]\nplain-http-to = ['127.0.0.1/32']\n",
        told.port
    );
    let running = Running::with_pos(&more).await;
    let back_end = BackEnd::new(&running, "vendor", Scope::All).await;
    let key = format!("{}\n", back_end.access_key());
    told.to.write_all(key.as_bytes()).await.unwrap();
    (running, back_end)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_back_end_is_told_of_clients_and_answers_what_they_invoke() {
    let mut told = Told::start().await;
    let (running, back_end) = with_back_end(&mut told).await;
    let token = back_end.token(CLIENT, "ann").await;
    for (way, asked) in [
        (WAYS[0], "?hub=pos"),
        (WAYS[4], "?hub=pos&negotiateVersion=1"),
    ] {
        let mut node = Client::connected(&running, CLIENT, &token, way).await;
        let about = |category: &str, event: &str| {
            json!({
                "hub": "pos", "category": category, "event": event, "user-id": "ann",
                "user-claims": "nameid: ann, role: cashier", "client-query": asked,
                "signed": true,
            })
        };
        let mut heard = told.next().await;
        // Which of the client's requests it was that made it out is not fixed.
        heard[1]["client-query"] = json!(asked);
        let event = about("connections", "connected");
        assert_eq!(heard, json!(["/pos/connections/connected", event, {}]));
        let price = node.does(json!(["invoke", "price", 7])).await;
        assert_eq!(price, json!({"cents": 700}));
        let mut heard = told.next().await;
        heard[1]["client-query"] = json!(asked);
        let body = json!({"InvocationId": true, "Target": "price", "Arguments": [7]});
        let event = about("messages", "price");
        assert_eq!(heard, json!(["/pos/messages/price", event, body]));
        for (target, why) in [("completed", "sold out"), ("forbidden", "status code 403")] {
            let refused = node.does(json!(["invoke", target])).await;
            let refused = refused["error"].as_str().unwrap();
            assert!(refused.contains(why), "{refused}");
            told.next().await;
        }
        node.does(json!(["send", "noted", "x"])).await;
        assert_eq!(told.next().await[2]["InvocationId"], json!(false));
        node.does(json!(["stop"])).await;
        let heard = told.next().await;
        assert_eq!(heard[0], "/pos/connections/disconnected");
        assert_eq!(heard[2], json!({"Error": null}));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_back_end_that_is_slow_or_dead_holds_nobody_else_up() {
    let mut told = Told::start().await;
    let (running, back_end) = with_back_end(&mut told).await;
    let (ann, bob) = (
        back_end.token(CLIENT, "ann").await,
        running.device("bob").await,
    );
    let mut ann = Client::connected(&running, CLIENT, &ann, WAYS[0]).await;
    assert_eq!(told.next().await[1]["user-id"], "ann");
    ann.told(&json!(["invoke", "slow"])).await;
    assert_eq!(told.next().await[2]["Target"], "slow");
    // A device comes, which the back end is too busy to hear of at first, and is answered.
    let mut bob = Client::connected(&running, "/devices", &bob, WAYS[1]).await;
    bob.told(&json!(["invoke", "twin"])).await;
    assert_eq!(bob.says("done").await["desired"]["version"], 0);
    for _ in 0..2 {
        let heard = told.next().await;
        assert_eq!(
            (&heard[1]["event"], &heard[1]["user-id"]),
            (&json!("connected"), &json!("bob"))
        );
    }
    bob.does(json!(["invoke", "quick"])).await;
    ann.says("done").await;
    // Once it is dead, what asks it fails and nothing else.
    drop(told);
    let refused = ann.does(json!(["invoke", "price", 1])).await;
    let said = refused["error"].as_str().unwrap();
    assert!(said.contains("the back end cannot be reached"), "{said}");
    let twin = bob.does(json!(["invoke", "twin"])).await;
    assert_eq!(twin["desired"]["version"], 0);
}
