//! A whole hub: devices report where they are reached, operators push, and devices that are away are
//! told that commands wait.

use std::time::Duration;

use outgate_core::identity::{Actor, Claim, Given};
use outgate_core::secret::Secret;
use outgate_testbed::PATIENCE;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::google::Google;
use crate::running::Running;

/// A hub that is pointed at Google's stand-in, with the device `till-1`.
struct Place {
    google: Google,
    running: Running,
    device: String,
    operator: String,
    client: reqwest::Client,
}

impl Place {
    async fn new() -> Self {
        Self::with("").await
    }

    /// With more in its configuration.
    async fn with(more: &str) -> Self {
        // Another test of this program may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let google = Google::start().await;
        let fcm = google.fcm();
        let text = format!(
            "listen = [{{ address = '127.0.0.1:0', tls = false }}]
            [push.fcm]
            account = {:?}
            endpoint = {:?}
            authority = {:?}
            {more}",
            fcm.account,
            fcm.endpoint,
            fcm.authority.unwrap(),
        );
        let running = Running::on(tempdir().unwrap(), &text).await;
        let identity = &running.hub.state().core.identity;
        let (actor, till) = (Actor::hub(), "till-1".parse().unwrap());
        let shop = "shop".parse().unwrap();
        let made = identity.create_site(&actor, shop, "Shop".to_owned());
        made.await.unwrap();
        let made = identity.create_device(&actor, till, "shop".parse().unwrap(), None);
        made.await.unwrap();
        let till = "till-1".parse().unwrap();
        let issued = identity
            .add_token(&actor, &till, "test".to_owned(), None)
            .await;
        let Given::Token(token) = issued.unwrap().given else {
            panic!("a token was expected");
        };
        let device = String::from_utf8(token.expose().to_vec()).unwrap();
        let operator = running.folder.path().join("operator.token");
        let operator = std::fs::read_to_string(operator).unwrap().trim().to_owned();
        Self {
            google,
            running,
            device,
            operator,
            client: reqwest::Client::new(),
        }
    }

    fn url(&self, path: &str) -> String {
        let address = self.running.hub.listening()[0].address;
        format!("http://{address}{path}")
    }

    async fn report(&self, token: &str, body: &Value) -> u16 {
        let put = self.client.put(self.url("/push/registrations"));
        let answer = put.bearer_auth(token).json(body).send().await.unwrap();
        answer.status().as_u16()
    }

    /// The names of the device's registrations.
    async fn listed(&self) -> usize {
        let get = self.client.get(self.url("/api/devices/till-1/push"));
        let answer = get.bearer_auth(&self.operator).send().await.unwrap();
        let listed: Value = answer.json().await.unwrap();
        assert!(!listed.to_string().contains("token-"), "{listed}");
        listed["items"].as_array().unwrap().len()
    }

    async fn push(&self, body: &Value) -> (u16, Value) {
        self.post("push?deadline=20", body).await
    }

    async fn command(&self, name: &str) {
        let (status, sent) = self.post("commands", &json!({"name": name})).await;
        assert_eq!(status, 201, "{sent}");
    }

    async fn ten_commands(&self) {
        for number in 0..10 {
            self.command(&format!("door/{number}")).await;
        }
    }

    async fn post(&self, at: &str, body: &Value) -> (u16, Value) {
        let post = self
            .client
            .post(self.url(&format!("/api/devices/till-1/{at}")));
        let answer = post
            .bearer_auth(&self.operator)
            .json(body)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

#[tokio::test]
async fn what_an_operator_pushes_reaches_each_registration_and_those_that_are_no_more_are_forgotten()
 {
    let mut place = Place::new().await;
    let tokens = json!({"tokens": ["token-1:a", "token-2:b"]});
    assert_eq!(place.report(&place.device, &tokens).await, 204);
    assert_eq!(place.listed().await, 2);
    let message = json!({"title": "Order 7", "data": {"order": "7"}, "urgent": true});
    let sent = json!({"sent": 2, "gone": 0, "failed": []});
    assert_eq!(place.push(&message).await, (200, sent));
    assert_eq!(place.google.next().await["at"], "token");
    for _ in 0..2 {
        let told = place.google.message().await["message"].clone();
        assert_eq!(told["data"], json!({"order": "7"}));
        assert_eq!(told["android"]["priority"], "HIGH");
        assert!(told["token"].as_str().unwrap().starts_with("token-"));
    }
    place.google.refuse(404, "UNREGISTERED", json!({})).await;
    let sent = json!({"sent": 1, "gone": 1, "failed": []});
    assert_eq!(place.push(&message).await, (200, sent));
    assert_eq!(place.listed().await, 1);
    assert_eq!(
        place.report(&place.device, &json!({"tokens": []})).await,
        204
    );
    let none = json!({"sent": 0, "gone": 0, "failed": []});
    assert_eq!(place.push(&message).await, (200, none));
}

#[tokio::test]
async fn only_a_device_reports_registrations_and_only_until_it_is_revoked() {
    let place = Place::new().await;
    let tokens = json!({"tokens": ["token-1"]});
    assert_eq!(place.report("og_dt_wrong", &tokens).await, 401);
    assert_eq!(place.report(&place.operator, &tokens).await, 403);
    for wrong in [
        json!({}),
        json!({"tokens": [""]}),
        json!({"tokens": "token-1"}),
        json!({"tokens": [], "device": "till-2"}),
    ] {
        assert_eq!(place.report(&place.device, &wrong).await, 422, "{wrong}");
    }
    let long = json!({"tokens": ["a".repeat(1_025)]});
    assert_eq!(place.report(&place.device, &long).await, 413);
    let many: Vec<String> = (0..9).map(|n| n.to_string()).collect();
    assert_eq!(
        place.report(&place.device, &json!({"tokens": many})).await,
        409
    );
    assert_eq!(place.listed().await, 0);
    assert_eq!(place.report(&place.device, &tokens).await, 204);
    let revoke = place.client.post(place.url("/api/devices/till-1/revoke"));
    let revoked = revoke.bearer_auth(&place.operator).send().await.unwrap();
    assert!(revoked.status().is_success());
    assert_eq!(place.report(&place.device, &tokens).await, 401);
    let (status, problem) = place.push(&json!({"title": "a"})).await;
    assert_eq!((status, &problem["field"]), (422, &json!("device")));
}

/// Once in so long nobody waits for it twice in a test.
const REMINDERS: &str = "[push.reminders]
commands = ['door/*']
after-seconds = 1
every-seconds = 86400
title = 'Look'
";

#[tokio::test]
async fn ten_commands_for_a_device_that_is_away_make_one_push_which_says_nothing_of_them() {
    let mut place = Place::with(REMINDERS).await;
    let tokens = json!({"tokens": ["token-1"]});
    assert_eq!(place.report(&place.device, &tokens).await, 204);
    place.command("print").await;
    place.ten_commands().await;
    assert_eq!(place.google.next().await["at"], "token");
    let told = place.google.message().await["message"].clone();
    assert_eq!(told["token"], "token-1");
    assert_eq!(told["data"], json!({"outgate": "commands"}));
    assert_eq!(told["notification"], json!({"title": "Look"}));
    assert_eq!(told["android"]["priority"], "HIGH");
    assert_eq!(told["android"]["collapse_key"], "outgate-commands");
    assert!(!told.to_string().contains("door"), "{told}");
    place.ten_commands().await;
    let (status, _) = place.push(&json!({"title": "Mine"})).await;
    assert_eq!(status, 200);
    // Nothing came between.
    let told = place.google.message().await["message"].clone();
    assert_eq!(told["notification"], json!({"title": "Mine"}));
}

#[tokio::test]
async fn a_registration_that_is_no_more_is_forgotten_when_its_device_is_reminded() {
    let mut place = Place::with(REMINDERS).await;
    let tokens = json!({"tokens": ["token-1", "token-2"]});
    assert_eq!(place.report(&place.device, &tokens).await, 204);
    place.google.refuse(404, "UNREGISTERED", json!({})).await;
    let reminders = &place.running.hub.state().core.reminders;
    let mut changes = reminders.changes();
    place.command("door/open").await;
    while place.listed().await == 2 {
        let change = tokio::time::timeout(PATIENCE, changes.changed());
        change.await.expect("it is forgotten").unwrap();
    }
    assert_eq!(place.google.next().await["at"], "token");
    for _ in 0..2 {
        place.google.message().await;
    }
}

#[tokio::test]
async fn a_device_that_is_there_is_not_pushed_to_and_no_command_waits_for_google() {
    let reminders = REMINDERS.replace("after-seconds = 1", "after-seconds = 0");
    let mut place = Place::with(&reminders).await;
    let tokens = json!({"tokens": ["token-1"]});
    assert_eq!(place.report(&place.device, &tokens).await, 204);
    let core = &place.running.hub.state().core;
    let token = &Secret::new(place.device.clone().into_bytes());
    let claim = Claim::Token {
        token,
        device: None,
    };
    let who = core.identity.authenticate(claim).await.unwrap();
    let peer = ([127, 0, 0, 1], 1).into();
    let session = core.open_session(&who, "test", peer).await.unwrap();
    place.command("door/open").await;
    let due = core.reminders.due(1).await.unwrap();
    assert!(due.reminders.is_empty(), "{due:?}");
    assert!(due.next.unwrap() > Duration::from_secs(60), "{due:?}");
    drop(session);
    let slow = json!({"at": "token", "status": 200, "body": {}, "after": 600});
    place.google.plan(&slow).await;
    for _ in 0..3 {
        place.command("door/open").await;
    }
}
