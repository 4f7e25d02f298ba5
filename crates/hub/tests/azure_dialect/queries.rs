//! Queries over twins.

use std::collections::BTreeSet;

use outgate_core::identity::{Actor, Scope};
use serde_json::{Value, json};

use crate::{Bench, HUB, key, token};

/// More than fit into one answer.
const DEVICES: usize = 60;

#[tokio::test]
async fn a_page_ends_when_it_has_many_bytes_and_goes_on_behind_that() {
    let bench = Bench::configured("policies.reader = ['registry-read']").await;
    let (actor, core) = (Actor::hub(), bench.running.core());
    let service = core
        .identity
        .create_service(&actor, "reader".parse().unwrap(), Scope::All);
    let service = service.await.unwrap().0.id;
    let signs = key(core
        .identity
        .add_access_key(&actor, &service)
        .await
        .unwrap());
    let token = token(HUB, 60, &signs, Some("reader"));
    let text = "x".repeat(30_000);
    for number in 0..DEVICES {
        let device = format!("till-{number:02}");
        bench.running.device(&device).await;
        let patch = json!({ "text": text });
        let id = device.parse().unwrap();
        core.twins.desire(&actor, &id, patch, None).await.unwrap();
    }
    let (mut found, mut after, mut pages) = (BTreeSet::new(), String::new(), 0);
    loop {
        let address = bench.running.hub.listening()[0].address;
        let url = format!("http://{address}/devices/query?api-version=2021-04-12");
        let asked = bench.client.post(url).header("authorization", &token);
        let asked = asked.header("x-ms-max-item-count", "1000");
        let asked = asked.header("x-ms-continuation", &after);
        let told = asked.body("{\"query\": \"SELECT * FROM devices\"}").send();
        let told = told.await.unwrap();
        assert_eq!(told.status(), 200);
        let next = told.headers().get("x-ms-continuation").cloned();
        let body = told.bytes().await.unwrap();
        assert!(body.len() < 1_200_000, "{}", body.len());
        let twins: Vec<Value> = serde_json::from_slice(&body).unwrap();
        found.extend(twins.iter().map(|twin| twin["deviceId"].to_string()));
        pages += 1;
        match next {
            Some(next) => after = next.to_str().unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!((found.len(), pages), (DEVICES, 2));
}
