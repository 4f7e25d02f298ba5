//! A vendor's back end, in Python, with PyJWT and requests: tokens for its clients, and the data
//! plane.

use std::path::PathBuf;

use outgate_core::Refusal;
use outgate_core::id::{CredentialId, ServiceId};
use outgate_core::identity::{Actor, Given, Issued, Scope};
use outgate_testbed::{python, run};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::client::{Client, WAYS};
use crate::running::Running;

/// A service with an access key.
pub(crate) struct BackEnd {
    id: ServiceId,
    key: CredentialId,
    connection_string: String,
    authority: PathBuf,
}

impl BackEnd {
    pub(crate) async fn new(running: &Running, name: &str, scope: Scope) -> Self {
        let (hub, identity) = (Actor::hub(), &running.core().identity);
        let id: ServiceId = name.parse().unwrap();
        let made = identity.create_service(&hub, id.clone(), scope);
        made.await.unwrap();
        let issued = identity.add_access_key(&hub, &id).await.unwrap();
        Self::with(running, id, &issued)
    }

    /// The service `id` with that key.
    fn with(running: &Running, id: ServiceId, issued: &Issued) -> Self {
        let Given::Key(key) = &issued.given else {
            panic!("{issued:?}");
        };
        let (url, key) = (running.url(), key.to_base64());
        Self {
            id,
            key: issued.credential.id.clone(),
            connection_string: format!("Endpoint={url};AccessKey={};Version=1.0;", *key),
            authority: running.authority(),
        }
    }

    /// The key, in base 64.
    pub(crate) fn access_key(&self) -> &str {
        let parts = self.connection_string.split(';');
        parts
            .filter_map(|part| part.strip_prefix("AccessKey="))
            .next()
            .unwrap()
    }

    /// What comes of the orders, one after the other.
    async fn does(&self, orders: &[Value]) -> Vec<Value> {
        let mut python = Command::new(python().unwrap());
        // Libraries that other peers bring along are not those that this Python was built with.
        python.env_remove("LD_LIBRARY_PATH");
        python.arg("-c").arg(include_str!("back_end.py"));
        python.arg(&self.connection_string).arg(&self.authority);
        python.args(orders.iter().map(Value::to_string));
        let (_, said) = run(&mut python).await.unwrap();
        let read = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{said}"));
        said.lines().map(read).collect()
    }

    pub(crate) async fn token(&self, path: &str, user: &str) -> String {
        let token = self.does(&[json!(["token", path, user])]).await;
        token[0].as_str().unwrap().to_owned()
    }
}

/// Where clients find their hub.
pub(crate) const CLIENT: &str = "/client/?hub=pos";

fn send(path: &str, target: &str, what: Value) -> Value {
    json!(["POST", path, {"target": target, "arguments": [what]}])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_back_end_reaches_devices_and_its_clients_over_every_transport() {
    let running = Running::with_pos("").await;
    let back_end = BackEnd::new(&running, "vendor", Scope::All).await;
    let mut nodes = Vec::new();
    for (at, way) in WAYS.into_iter().enumerate() {
        let user = format!("cashier-{at}");
        let token = back_end.token(CLIENT, &user).await;
        nodes.push((user, Client::connected(&running, CLIENT, &token, way).await));
    }
    let token = running.device("till-1").await;
    let device = Client::connected(&running, "/devices", &token, WAYS[0]).await;
    nodes.push(("till-1".to_owned(), device));
    let mut orders = vec![
        send("/api/v1/hubs/pos", "news", json!("first")),
        send(
            "/api/hubs/pos/:send?api-version=2022-06-01",
            "news",
            json!({"n": 2}),
        ),
    ];
    for (user, node) in &mut nodes {
        let id = node.does(json!(["id"])).await;
        let id = id.as_str().unwrap();
        orders.push(json!([
            "PUT",
            format!("/api/hubs/pos/groups/own-{user}/connections/{id}"),
            null
        ]));
        let user_path = format!("/api/hubs/pos/users/{user}/:send");
        orders.push(send(&user_path, "news", json!(user)));
        let group = format!("/api/v1/hubs/pos/groups/own-{user}");
        orders.push(send(&group, "news", json!("group")));
        orders.push(send(
            &format!("/api/v1/hubs/pos/connections/{id}"),
            "news",
            json!(id),
        ));
        orders.push(json!(["HEAD", format!("/api/hubs/pos/users/{user}"), null]));
        let except = format!("/api/hubs/pos/:send?excluded={id}");
        orders.push(send(&except, "news", json!(format!("not {user}"))));
    }
    orders.push(json!(["HEAD", "/api/hubs/pos/users/nobody", null]));
    let answers = back_end.does(&orders).await;
    let one: [u16; 6] = [200, 202, 202, 202, 200, 202];
    let all = one.repeat(nodes.len());
    let expected: Vec<u16> = [202, 202].into_iter().chain(all).chain([404]).collect();
    assert_eq!(json!(answers), json!(expected));
    let everyone: Vec<String> = nodes.iter().map(|(user, _)| user.clone()).collect();
    for (user, node) in &mut nodes {
        hears_what_is_for_it(user, node, &everyone).await;
    }
}

/// That a client hears everything that was for it, and nothing else in between.
async fn hears_what_is_for_it(user: &str, node: &mut Client, everyone: &[String]) {
    let id = node.does(json!(["id"])).await;
    let mut expected = vec![json!("first"), json!({"n": 2})];
    for other in everyone {
        if other == user {
            expected.extend([json!(user), json!("group"), id.clone()]);
        } else {
            expected.push(json!(format!("not {other}")));
        }
    }
    for expected in expected {
        assert_eq!(node.says("news").await, json!([expected]), "{user}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_an_access_key_is_revoked_its_clients_are_closed_and_its_signatures_are_nothing() {
    let running = Running::with_pos("").await;
    let back_end = BackEnd::new(&running, "vendor", Scope::All).await;
    let mut nodes = Vec::new();
    for way in WAYS {
        let token = back_end.token(CLIENT, "ann").await;
        nodes.push(Client::connected(&running, CLIENT, &token, way).await);
    }
    let (hub, identity) = (Actor::hub(), &running.core().identity);
    let next = identity.add_access_key(&hub, &back_end.id).await.unwrap();
    let third = identity.add_access_key(&hub, &back_end.id).await;
    assert!(matches!(third, Err(Refusal::TooMany { limit: 2, .. })));
    let next = BackEnd::with(&running, back_end.id.clone(), &next);
    let revoked = identity.revoke_access_key(&hub, &back_end.id, &back_end.key);
    let ended = revoked.await.unwrap().connections;
    assert_eq!((ended.ended, ended.lingering), (WAYS.len(), 0));
    for node in &mut nodes {
        let why = node.says("closed").await;
        assert!(why.as_str().unwrap().contains("revoked"), "{why}");
    }
    let sent = send("/api/hubs/pos/:send", "news", json!(1));
    assert_eq!(
        back_end.does(std::slice::from_ref(&sent)).await,
        [json!(401)]
    );
    assert_eq!(next.does(&[sent]).await, [json!(202)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_another_place_or_time_is_refused_and_no_service_reaches_anothers() {
    let running = Running::with_pos("").await;
    let (all, site) = (Scope::All, Scope::Site("other".parse().unwrap()));
    let (hub, identity) = (Actor::hub(), &running.core().identity);
    let other = identity.create_site(&hub, "other".parse().unwrap(), "Other".to_owned());
    other.await.unwrap();
    let vendor = BackEnd::new(&running, "vendor", all).await;
    let stranger = BackEnd::new(&running, "stranger", site).await;
    let tokens = vendor
        .does(&[
            json!(["token", "/client/?hub=other", "ann"]),
            json!(["token", "/devices/", "ann"]),
            json!(["expired", CLIENT, "ann"]),
        ])
        .await;
    let mut node = Client::microsoft(&running);
    let url = format!("{}{CLIENT}", running.url());
    for token in &tokens {
        let refused = node
            .does(json!(["start", url, token, "WebSockets", "json"]))
            .await;
        let place_of_its_own = *token == tokens[1];
        let is_refused = refused["error"]
            .as_str()
            .is_some_and(|error| error.contains("401"));
        assert_ne!(is_refused, place_of_its_own, "{refused}");
    }
    let till = running.device("till-1").await;
    let _device = Client::connected(&running, "/devices", &till, WAYS[0]).await;
    let to = |user| json!(["HEAD", format!("/api/hubs/pos/users/{user}"), null]);
    let whole = json!(["POST", "/api/hubs/pos/:closeConnections", null]);
    let elsewhere = json!([
        "HEAD",
        "/api/hubs/pos/users/ann",
        null,
        "https://localhost/api/hubs/pos"
    ]);
    let asked = [to("ann"), to("till-1"), whole];
    let theirs = stranger.does(&asked).await;
    assert_eq!(json!(theirs), json!([404, 404, 204]));
    let asked = [to("ann"), to("till-1"), elsewhere];
    let own = vendor.does(&asked).await;
    assert_eq!(json!(own), json!([200, 200, 401]));
}
