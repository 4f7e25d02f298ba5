//! A whole hub: devices report where they are reached, operators push.

use outgate_core::identity::{Actor, Given};
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
        // Another test of this program may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let google = Google::start().await;
        let fcm = google.fcm();
        let text = format!(
            "listen = [{{ address = '127.0.0.1:0', tls = false }}]
            [push.fcm]
            account = {:?}
            endpoint = {:?}
            authority = {:?}",
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
        let post = self
            .client
            .post(self.url("/api/devices/till-1/push?deadline=20"));
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
