//! Push to devices, against a stand-in of Google's two endpoints which verifies with Google's own
//! library what the hub shows.

#![cfg(test)]

mod google;
#[path = "../running/hub.rs"]
mod running;
mod whole;

use std::time::Duration;

use outgate_core::{Clock, Timestamp};
use outgate_hub::metrics::Metrics;
use outgate_hub::push::{Outcome, Push, SHORTEST_WAIT};
use outgate_hub::webhooks::Timer;
use serde_json::{Value, json};

use google::{Pushing, message, registration};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn one_token_serves_all_messages_until_shortly_before_its_end() {
    let mut it = Pushing::new().await;
    let to: Vec<_> = ["a", "b", "c"].map(registration).into();
    // All at once: one asks for a token, the others wait for that.
    let sent = it.push.send(&message(), &to, MINUTE).await;
    assert_eq!(sent, [Outcome::Sent, Outcome::Sent, Outcome::Sent]);
    assert_eq!(
        it.google.next().await,
        json!({"at": "token", "status": 200})
    );
    for _ in &to {
        let told = it.google.message().await;
        assert_eq!(told["bearer"], "ya29.0");
        assert_eq!(told["path"], "/v1/projects/pos-1/messages:send");
        assert_eq!(told["message"]["notification"], json!({"title": "Order"}));
    }
    it.clock.advance(Duration::from_secs(3_599 - 61));
    assert_eq!(it.send().await, Outcome::Sent);
    assert_eq!(it.google.message().await["bearer"], "ya29.0");
    it.clock.advance(Duration::from_secs(2));
    assert_eq!(it.send().await, Outcome::Sent);
    assert_eq!(it.google.next().await["at"], "token");
    assert_eq!(it.google.message().await["bearer"], "ya29.1");
    let counted = it.metrics.text();
    assert!(
        counted.contains(r#"outgate_pushes_total{outcome="sent"} 5"#),
        "{counted}"
    );
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_asked_for_again_once() {
    let mut it = Pushing::new().await;
    assert_eq!(it.send().await, Outcome::Sent);
    it.google.pass_over_two().await;
    it.google.plan(&json!({"forget": "all"})).await;
    assert_eq!(it.send().await, Outcome::Sent);
    assert_eq!(it.google.message().await["status"], 401);
    assert_eq!(it.google.next().await["at"], "token");
    assert_eq!(it.google.message().await["status"], 200);
    for _ in 0..2 {
        it.google.refuse(401, "UNAUTHENTICATED", json!({})).await;
    }
    let failed = Outcome::Failed("HTTP 401 with a new token too".to_owned());
    assert_eq!(it.send().await, failed);
}

#[tokio::test]
async fn a_registration_that_is_no_more_is_gone_and_one_that_is_refused_stays() {
    let mut it = Pushing::new().await;
    it.google.refuse(404, "UNREGISTERED", json!({})).await;
    assert_eq!(it.send().await, Outcome::Gone);
    it.google.pass_over_two().await;
    it.google.refuse(403, "SENDER_ID_MISMATCH", json!({})).await;
    assert_eq!(it.send().await, Outcome::Gone);
    it.google.next().await;
    it.google.refuse(400, "INVALID_ARGUMENT", json!({})).await;
    let failed = Outcome::Failed("HTTP 400 INVALID_ARGUMENT no".to_owned());
    assert_eq!(it.send().await, failed);
    it.google.next().await;
    // Not Google: an address that is wrong.
    let plan = json!({"at": "send", "status": 404, "body": "<h1>Not Found</h1>"});
    it.google.plan(&plan).await;
    assert_eq!(it.send().await, Outcome::Failed("HTTP 404".to_owned()));
}

#[tokio::test]
async fn what_is_too_busy_is_tried_again_after_what_it_asks_for() {
    let mut it = Pushing::new().await;
    it.google
        .refuse(429, "QUOTA_EXCEEDED", json!({"Retry-After": "77"}))
        .await;
    it.google.refuse(429, "QUOTA_EXCEEDED", json!({})).await;
    it.google.refuse(503, "UNAVAILABLE", json!({})).await;
    it.google.refuse(500, "INTERNAL", json!({})).await;
    let (push, mut waits) = (it.push.clone(), it.waits);
    let sending = tokio::spawn(async move {
        let half_an_hour = 30 * MINUTE;
        push.send(&message(), &[registration("a")], half_an_hour)
            .await
    });
    let mut length = async || Pushing::pass(&mut waits).await;
    assert_eq!(length().await, Duration::from_secs(77));
    assert_eq!(length().await, MINUTE);
    let (third, fourth) = (length().await, length().await);
    let between =
        |wait: Duration, middle: f64| (0.8..=1.2).contains(&(wait.as_secs_f64() / middle));
    assert!(between(third, 20.0), "{third:?}");
    assert!(between(fourth, 40.0), "{fourth:?}");
    assert_eq!(sending.await.unwrap(), [Outcome::Sent]);
    assert!(it.metrics.text().contains("outgate_pushes_again_total 4"));
}

#[tokio::test]
async fn what_would_come_after_the_deadline_is_told_at_once() {
    let mut it = Pushing::new().await;
    it.google
        .refuse(429, "QUOTA_EXCEEDED", json!({"Retry-After": "60"}))
        .await;
    let late = Outcome::Late("HTTP 429 QUOTA_EXCEEDED no".to_owned());
    assert_eq!(it.send_within(MINUTE).await, late);
    assert!(it.waits.try_recv().is_err(), "it waits for nothing");
    it.google.pass_over_two().await;
    let deadline = SHORTEST_WAIT;
    it.google.refuse(503, "UNAVAILABLE", json!({})).await;
    let Outcome::Late(why) = it.send_within(deadline).await else {
        panic!("it might be sent later");
    };
    assert_eq!(why, "HTTP 503 UNAVAILABLE no");
}

#[tokio::test]
async fn a_peer_that_is_slow_or_says_too_much_costs_no_more_than_the_deadline() {
    let mut it = Pushing::new().await;
    assert_eq!(it.send().await, Outcome::Sent);
    it.google.pass_over_two().await;
    let slow = json!({"at": "send", "status": 200, "body": {}, "after": 600});
    it.google.plan(&slow).await;
    let failed = it.send_within(Duration::from_millis(300)).await;
    assert_eq!(failed, Outcome::Late("not in time".to_owned()));
    let long = "a".repeat(1 << 20);
    it.google
        .plan(&json!({"at": "send", "status": 200, "body": long}))
        .await;
    let failed = it.send_within(SHORTEST_WAIT).await;
    assert_eq!(
        failed,
        Outcome::Late("an answer that is too long".to_owned())
    );
}

#[tokio::test]
async fn who_gets_no_token_sends_nothing_and_asks_once_for_all_who_wait() {
    let mut it = Pushing::new().await;
    let no = json!({"at": "token", "status": 401, "body": {"error": "invalid_client"}});
    it.google.plan(&no).await;
    let to: Vec<_> = ["a", "b", "c"].map(registration).into();
    let failed = Outcome::Failed("no token: HTTP 401 invalid_client".to_owned());
    let sent = it.push.send(&message(), &to, MINUTE).await;
    assert_eq!(sent, [failed.clone(), failed.clone(), failed]);
    assert_eq!(it.google.next().await["status"], 401);
    let none = json!({"at": "token", "status": 200, "body": {"expires_in": 9}});
    it.google.plan(&none).await;
    let late = Outcome::Late("no token in the answer".to_owned());
    assert_eq!(it.send_within(SHORTEST_WAIT).await, late);
    assert_eq!(it.google.next().await["at"], "token");
    assert_eq!(it.send().await, Outcome::Sent);
}

#[tokio::test]
async fn a_file_that_is_no_account_is_refused_and_its_key_never_told() {
    let it = Pushing::new().await;
    let (mut fcm, folder) = (it.google.fcm(), it.google.folder.path());
    let good: Value = serde_json::from_slice(&std::fs::read(&fcm.account).unwrap()).unwrap();
    let key = good["private_key"].as_str().unwrap().to_owned();
    let secret = key.lines().nth(2).unwrap();
    let new = |fcm: &_| {
        let now = Clock::held(Timestamp::from_millis(0));
        Push::new(Some(fcm), Metrics::default(), now, Timer::default())
    };
    let debugged = format!("{:?}", new(&fcm).unwrap());
    assert!(
        !debugged.contains(secret) && debugged.contains("pos-1"),
        "{debugged}"
    );
    fcm.account = folder.join("other.json");
    let cut = format!("{}-----END PRIVATE KEY-----\n", &key[..400]);
    for (name, value, right) in [
        ("type", json!("authorized_user"), "service_account"),
        ("private_key", json!(cut), "private_key"),
        ("private_key", json!("none"), "PEM"),
        ("project_id", json!("../x"), "project_id"),
        ("token_uri", json!("http://oauth2.example/token"), "HTTPS"),
        ("client_email", json!(7), "client_email"),
    ] {
        let mut other = good.clone();
        other[name] = value;
        std::fs::write(&fcm.account, other.to_string()).unwrap();
        let error = new(&fcm).unwrap_err();
        assert!(error.to_string().contains(right), "{error}");
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
    std::fs::remove_file(&fcm.account).unwrap();
    assert!(
        new(&fcm)
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}
