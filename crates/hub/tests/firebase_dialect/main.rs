//! Firebase's protocol against a whole hub, message by message; npm `firebase` and firebase-admin
//! themselves are in `tests/hub_process`.

#![cfg(test)]

#[cfg(feature = "peers")]
mod browser;
#[cfg(feature = "peers")]
#[expect(dead_code, reason = "the console's tests do more with it")]
#[path = "../console/chromium.rs"]
mod chromium;
mod remote_config;
#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _, poll};
use outgate_core::identity::{Actor, Scope};
use outgate_core::sessions::{Ending, Selector};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use self::running::Running;
use self::site::token;

/// What must come comes within this.
const SOON: Duration = Duration::from_secs(30);

const CONFIG: &str = "
[[listen]]
address = '127.0.0.1:0'
tls = false
[firebase]
namespaces = ['pos', 'other']
names = ['*.base.example']
waiting-kibibytes = 64
[[firebase.rules]]
path = 'sites/{site}/tills/{device}'
read = ['device', 'service']
write = ['device', 'service']
[[firebase.rules]]
path = 'board'
read = ['operator']
";

async fn start() -> Running {
    let running = Running::on(tempfile::tempdir().unwrap(), CONFIG).await;
    running.furnish().await;
    running
}

/// A client of the WebSocket protocol.
struct Client {
    socket: WebSocketStream<TcpStream>,
    number: u64,
}

impl Client {
    async fn dial(running: &Running, query: &str) -> Result<Self, Error> {
        let address = running.hub.listening()[0].address;
        let stream = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}/.ws?{query}");
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await?;
        let mut client = Self { socket, number: 0 };
        let hello = client.hears().await.unwrap();
        assert_eq!(hello["d"]["d"]["h"], address.to_string());
        Ok(client)
    }

    /// One that has shown its token.
    async fn of(running: &Running, token: &str) -> Self {
        let mut client = Self::dial(running, "v=5&ns=pos").await.unwrap();
        let status = client.asks("appcheck", json!({"token": token})).await;
        assert_eq!(status, "ok");
        client
    }

    async fn says(&mut self, action: &str, body: Value) {
        self.number += 1;
        let message = json!({"t": "d", "d": {"r": self.number, "a": action, "b": body}});
        self.socket
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    /// The next message; nothing when the connection is closed.
    async fn hears(&mut self) -> Option<Value> {
        let next = tokio::time::timeout(SOON, self.socket.next())
            .await
            .unwrap();
        let text = next?.ok()?.into_text().unwrap();
        Some(serde_json::from_str(&text).unwrap())
    }

    /// Says something and gives the status of its answer; what else is told meanwhile is dropped.
    async fn asks(&mut self, action: &str, body: Value) -> String {
        self.says(action, body).await;
        loop {
            let heard = self.hears().await.unwrap();
            if heard["d"]["r"] == self.number {
                return heard["d"]["b"]["s"].as_str().unwrap().to_owned();
            }
        }
    }
}

/// Asks over REST: the status and the body.
async fn rest(
    running: &Running,
    method: &str,
    path: &str,
    token: &str,
    body: &str,
) -> (u16, Value) {
    rest_at(
        running.hub.listening()[0].address,
        method,
        path,
        token,
        body,
    )
    .await
}

/// The same of whoever listens there.
async fn rest_at(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
    body: &str,
) -> (u16, Value) {
    let url = format!("http://{address}/{path}");
    // Whoever was first has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request = reqwest::Client::new()
        .request(method.parse().unwrap(), url)
        .bearer_auth(token)
        .body(body.to_owned());
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

async fn service(running: &Running) -> String {
    let identity = &running.core().identity;
    let (hub, id) = (Actor::hub(), "bill".parse().unwrap());
    let made = identity.create_service(&hub, id, Scope::All);
    token(made.await.unwrap().1)
}

#[tokio::test]
async fn nothing_is_served_unless_a_database_is_named() {
    let config = "[[listen]]\naddress = '127.0.0.1:0'\ntls = false";
    let running = Running::on(tempfile::tempdir().unwrap(), config).await;
    running.furnish().await;
    let token = running.device("till").await;
    assert!(Client::dial(&running, "v=5").await.is_err());
    let (status, _) = rest(&running, "GET", "sites/s/tills/till.json", &token, "").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn each_namespace_is_a_tree_of_its_own_and_who_names_none_gets_the_first() {
    let running = start().await;
    let token = running.device("till").await;
    let at = "sites/s/tills/till.json";
    for (query, value) in [("?ns=pos", "1"), ("?ns=other", "2")] {
        let (status, _) = rest(&running, "PUT", &format!("{at}{query}"), &token, value).await;
        assert_eq!(status, 200);
    }
    for (query, expected) in [("", 1), ("?ns=pos-default-rtdb", 1), ("?ns=other", 2)] {
        let (_, value) = rest(&running, "GET", &format!("{at}{query}"), &token, "").await;
        assert_eq!(value, expected, "{query}");
    }
    let (status, _) = rest(&running, "GET", &format!("{at}?ns=third"), &token, "").await;
    assert_eq!(status, 404);
    assert!(Client::dial(&running, "v=5&ns=third").await.is_err());
    assert!(Client::dial(&running, "v=4&ns=pos").await.is_err());
}

/// The files of a hub as they lie there at this moment, as if it had been killed.
fn copied(running: &Running) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(running.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    copy
}

#[tokio::test]
async fn what_is_acknowledged_is_on_the_disk_and_what_was_replaced_is_not() {
    let running = start().await;
    let token = running.device("till").await;
    let mut client = Client::of(&running, &token).await;
    let at = "sites/s/tills/till";
    for (path, data) in [
        ("", json!({"a": {"b": 1, "c": 2}, "gone": {"with": "all"}})),
        ("/a", json!({".value": 3, ".priority": "p"})),
        ("/gone/with", Value::Null),
        ("/list", json!(["x", "y"])),
    ] {
        let put = json!({"p": format!("{at}{path}"), "d": data});
        assert_eq!(client.asks("p", put).await, "ok");
    }
    let again = Running::on(copied(&running), CONFIG).await;
    let path = format!("{at}.json?format=export");
    let (_, kept) = rest(&again, "GET", &path, &token, "").await;
    let expected = json!({"a": {".value": 3, ".priority": "p"}, "list": {"0": "x", "1": "y"}});
    assert_eq!(kept, expected);
}

#[tokio::test]
async fn who_shows_no_token_or_a_wrong_one_may_do_nothing() {
    let running = start().await;
    let mut client = Client::dial(&running, "v=5&ns=pos&ac=made-up")
        .await
        .unwrap();
    let at = "sites/s/tills/till";
    assert_eq!(
        client.asks("p", json!({"p": at, "d": 1})).await,
        "permission_denied"
    );
    assert_eq!(
        client.asks("gauth", json!({"cred": "made-up"})).await,
        "invalid_token"
    );
    for action in ["q", "g", "p", "m", "o", "om"] {
        let status = client
            .asks(action, json!({"p": at, "d": {"a": 1}, "h": ""}))
            .await;
        assert_eq!(status, "permission_denied", "{action}");
    }
    let (status, _) = rest(&running, "GET", &format!("{at}.json"), "made-up", "").await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn over_rest_a_token_may_stand_anywhere_and_operators_come_in_as_rules_let_them() {
    let running = start().await;
    let till = running.device("till").await;
    let operator = running.folder.path().join("operator.token");
    let operator = std::fs::read_to_string(operator).unwrap();
    let address = running.hub.listening()[0].address;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let get = |path: &str| reqwest::Client::new().get(format!("http://{address}/{path}.json"));
    let (own, board) = ("sites/s/tills/till", "board");
    for (request, expected) in [
        (get(own).query(&[("auth", &till)]), 200),
        (get(own).query(&[("access_token", &till)]), 200),
        (get(own).header("x-firebase-appcheck", &till), 200),
        (get(own).bearer_auth(&till), 200),
        (get(own).basic_auth("till", Some(&till)), 200),
        (get(own).basic_auth("other", Some(&till)), 401),
        (get(own), 401),
        (get(own).query(&[("auth", "")]), 401),
        (get(own).bearer_auth(operator.trim()), 401),
        (get(board).bearer_auth(operator.trim()), 200),
        (get(board).bearer_auth(&till), 401),
    ] {
        let request = request.build().unwrap();
        let shown = format!("{request:?}");
        let answer = reqwest::Client::new().execute(request).await.unwrap();
        assert_eq!(answer.status(), expected, "{shown}");
    }
    let mut client = Client::of(&running, operator.trim()).await;
    let board = json!({"p": "board", "h": ""});
    assert_eq!(client.asks("q", board).await, "ok");
}

#[tokio::test]
async fn when_a_revocation_returns_the_connection_is_closed_and_nothing_more_is_done() {
    let running = start().await;
    let (till, bill) = (running.device("till").await, service(&running).await);
    let mut client = Client::of(&running, &till).await;
    let at = "sites/s/tills/till";
    let last_words = json!({"p": at, "d": "last words"});
    assert_eq!(client.asks("o", last_words).await, "ok");
    // While nothing can be written the hub takes more than it writes at once.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let store = &running.core().store;
    let mut blocking = pin!(store.write(move |_| {
        let _ = held.recv();
        Ok(())
    }));
    assert!(poll!(blocking.as_mut()).is_pending());
    for number in 0..1_000 {
        client.says("p", json!({"p": at, "d": number})).await;
    }
    let ping = json!({"t": "c", "d": {"t": "p", "d": {}}});
    let ping = Message::text(ping.to_string());
    client.socket.send(ping).await.unwrap();
    assert_eq!(client.hears().await.unwrap()["d"]["t"], "o");
    let identity = &running.core().identity;
    let (hub, device) = (Actor::hub(), "till".parse().unwrap());
    let mut revoking = pin!(identity.revoke_device(&hub, &device));
    assert!(poll!(revoking.as_mut()).is_pending());
    release.send(()).unwrap();
    revoking.await.unwrap();
    let on_the_disk = || running.core().trees.load("firebase/pos".to_owned());
    let then = on_the_disk().await.unwrap();
    while client.hears().await.is_some() {}
    // What is asked now is answered after all that was asked before.
    let path = format!("{at}.json");
    let (_, left) = rest(&running, "GET", &path, &bill, "").await;
    assert_eq!(on_the_disk().await.unwrap(), then);
    assert_eq!(then, [(at.to_owned(), left.to_string())]);
    let (status, _) = rest(&running, "GET", &path, &till, "").await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn what_is_left_for_the_end_of_a_connection_is_written_also_when_the_hub_goes_down() {
    let running = start().await;
    let (till, bill) = (running.device("till").await, service(&running).await);
    let mut watching = Client::of(&running, &bill).await;
    let at = "sites/s/tills/till";
    watching
        .asks("p", json!({"p": at, "d": {"here": true}}))
        .await;
    watching.asks("q", json!({"p": at, "h": ""})).await;
    for end in ["closed", "drained"] {
        let mut client = Client::of(&running, &till).await;
        assert_eq!(
            client.asks("om", json!({"p": at, "d": {"end": end}})).await,
            "ok"
        );
        if end == "closed" {
            drop(client);
        } else {
            let this = Selector::Device("till".parse().unwrap());
            let sessions = &running.core().sessions;
            sessions.end(&this, Ending::Draining, SOON).await;
        }
        let heard = watching.hears().await.unwrap();
        assert_eq!(heard["d"]["b"]["d"], end, "{heard}");
    }
}

#[tokio::test]
async fn who_proves_to_be_somebody_else_hears_no_more_of_what_that_one_may_not() {
    let running = start().await;
    let [one, two] = [running.device("one").await, running.device("two").await];
    let mut client = Client::of(&running, &one).await;
    let query = json!({"i": ".key", "l": 1, "vf": "l"});
    let listen = json!({"p": "/sites/s/tills/one", "q": query, "t": 7, "h": ""});
    assert_eq!(client.asks("q", listen).await, "ok");
    client.says("auth", json!({"cred": two})).await;
    let revoked = client.hears().await.unwrap();
    let expected = json!({"a": "c", "b": {"p": "sites/s/tills/one", "q": [query]}});
    assert_eq!(revoked["d"], expected);
    assert_eq!(client.hears().await.unwrap()["d"]["b"]["s"], "ok");
    let own = json!({"p": "/sites/s/tills/two", "h": ""});
    assert_eq!(client.asks("q", own).await, "ok");
}

#[tokio::test]
async fn who_does_not_take_what_it_is_told_is_disconnected_and_holds_nobody_up() {
    let running = start().await;
    let (till, bill) = (running.device("till").await, service(&running).await);
    let mut slow = Client::of(&running, &till).await;
    let mut fast = Client::of(&running, &bill).await;
    let at = "sites/s/tills/till";
    assert_eq!(slow.asks("q", json!({"p": at, "h": ""})).await, "ok");
    let live = || running.core().sessions.is_present(&"till".parse().unwrap());
    let large = "x".repeat(10_000);
    let mut rounds = 0;
    while live() {
        rounds += 1;
        assert!(rounds < 5_000, "it is still there");
        let write = json!({"p": at, "d": format!("{rounds}{large}")});
        assert_eq!(fast.asks("p", write).await, "ok");
    }
    while slow.hears().await.is_some() {}
}

#[tokio::test]
async fn what_all_are_told_at_once_is_bounded_and_who_wants_more_comes_again() {
    let config = CONFIG.replace(
        "waiting-kibibytes = 64",
        "mebibytes = 16\nrequest-kibibytes = 16384",
    );
    let running = Running::on(tempfile::tempdir().unwrap(), &config).await;
    running.furnish().await;
    let (till, bill) = (running.device("till").await, service(&running).await);
    let at = "sites/s/tills/till";
    let (all, news) = (format!("{at}.json"), format!("{at}/news.json"));
    let mut quick = Client::of(&running, &till).await;
    let listen = json!({"p": format!("{at}/news"), "h": ""});
    assert_eq!(quick.asks("q", listen).await, "ok");
    // More than a connection that is not read takes along its way.
    let large = "x".repeat(1_000_000);
    let parts: serde_json::Map<_, _> = (0..11)
        .map(|number| (number.to_string(), large.clone().into()))
        .collect();
    let large = json!({"large": parts}).to_string();
    assert_eq!(rest(&running, "PUT", &all, &bill, &large).await.0, 200);
    let mut slow = Client::of(&running, &till).await;
    slow.says("q", json!({"p": at, "h": ""})).await;
    // The number of the pieces: it is being told, and takes no more of it.
    assert!(slow.hears().await.unwrap().is_u64());
    assert_eq!(rest(&running, "GET", &all, &till, "").await.0, 429);
    let mut other = Client::of(&running, &till).await;
    let status = other.asks("g", json!({"p": at, "q": {}})).await;
    assert_eq!(status, "unavailable");
    let stale = json!({"p": at, "d": 1, "h": "of something else"});
    assert_eq!(other.asks("p", stale).await, "unavailable");
    // What is small has room, and so has whoever else asks.
    assert_eq!(
        rest(&running, "PUT", &news, &till, "1").await,
        (200, json!(1))
    );
    assert_eq!(quick.hears().await.unwrap()["d"]["b"]["d"], 1);
    assert_eq!(rest(&running, "GET", &all, &bill, "").await.0, 200);
    // Who listens and wants too much is to come again.
    other.says("q", json!({"p": at, "h": ""})).await;
    while other.hears().await.is_some() {}
    let news_of_5 = format!("{:?}", "x".repeat(5_000_000));
    assert_eq!(rest(&running, "PUT", &news, &bill, &news_of_5).await.0, 200);
    while quick.hears().await.is_some() {}
    let absence = running.core().sessions.absence(&"till".parse().unwrap());
    drop(slow);
    absence.await;
    assert_eq!(rest(&running, "GET", &all, &till, "").await.0, 200);
}
