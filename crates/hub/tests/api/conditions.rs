//! Versions, and lists in parts.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::document::operations;
use crate::hub::{Answer, Hub, request};

async fn patch(hub: &Hub, path: &str, tag: &str, body: Value) -> Answer {
    let mut request = request(&hub.admin, Method::PATCH, path, &body);
    request
        .headers_mut()
        .insert("if-match", tag.parse().unwrap());
    hub.tell(request).await
}

#[tokio::test]
async fn of_two_who_write_the_second_is_told() {
    let hub = Hub::furnished().await;
    for (path, first, second) in [
        (
            "/api/sites/a",
            json!({"title": "One"}),
            json!({"title": "Two"}),
        ),
        (
            "/api/devices/till",
            json!({"policy": "own-subtree"}),
            json!({"policy": "own-subtree"}),
        ),
        (
            "/api/devices/till/twin/desired",
            json!({"a": 1}),
            json!({"a": 2}),
        ),
        (
            "/api/devices/till/twin/tags",
            json!({"canary": true}),
            json!({"canary": null}),
        ),
    ] {
        let read = hub.get(path).await;
        let tag = read.headers["etag"].to_str().unwrap().to_owned();
        let one = patch(&hub, path, &tag, first).await;
        assert_eq!(one.status, StatusCode::OK, "{path}: {one:?}");
        assert_ne!(one.headers["etag"].to_str().unwrap(), tag);
        let two = patch(&hub, path, &tag, second.clone()).await;
        assert_eq!(
            two.status,
            StatusCode::PRECONDITION_FAILED,
            "{path}: {two:?}"
        );
        assert_eq!(two.body["type"], "/problems/precondition");
        let any = patch(&hub, path, "*", second).await;
        assert_eq!(any.status, StatusCode::OK, "{path}: {any:?}");
    }
}

#[tokio::test]
async fn whatever_is_said_to_heed_a_version_refuses_what_is_none() {
    let hub = Hub::furnished().await;
    let changing = operations().into_iter().filter(|(_, _, operation)| {
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        parameters.any(|parameter| parameter["$ref"] == "#/components/parameters/IfMatch")
    });
    let mut paths = 0;
    for (method, path, _) in changing {
        let path = path.replace("{site}", "a").replace("{device}", "till");
        let path = path.replace("{webhook}", "wh-0123456789abcdefghjk");
        let method = method.parse().unwrap();
        let mut request = request(&hub.admin, method, &path, &json!({}));
        request
            .headers_mut()
            .insert("if-match", "".parse().unwrap());
        let refused = hub.tell(request).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}");
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.starts_with("If-Match"), "{path}: {detail}");
        paths += 1;
    }
    assert!(paths >= 5, "{paths}");
}

#[tokio::test]
async fn a_policy_that_is_not_configured_is_refused() {
    let hub = Hub::furnished().await;
    let wrong = json!({"policy": "own-subtre"});
    let changed = patch(&hub, "/api/devices/till", "*", wrong).await;
    assert_eq!(changed.status, StatusCode::UNPROCESSABLE_ENTITY);
    let detail = changed.body["detail"].as_str().unwrap();
    assert!(detail.contains("own-subtree"), "{detail}");
    let wrong = json!({"id": "door", "site": "a", "policy": "shop"});
    let made = hub.post("/api/devices", wrong).await;
    assert_eq!(made.status, StatusCode::UNPROCESSABLE_ENTITY, "{made:?}");
}

#[tokio::test]
async fn a_long_list_is_walked_by_its_links() {
    let hub = Hub::furnished().await;
    for number in 0..5 {
        hub.make(
            "/api/devices",
            json!({"id": format!("d{number}"), "site": "b"}),
        )
        .await;
    }
    let mut next = Some("/api/devices?site=b&limit=2".to_owned());
    let mut seen = Vec::new();
    let mut parts = 0;
    while let Some(path) = next {
        let part = hub.get(&path).await;
        assert_eq!(part.status, StatusCode::OK, "{part:?}");
        let items = part.body["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|item| item["id"].clone()));
        let link = part.headers.get("link").map(|link| link.to_str().unwrap());
        assert_eq!(link.is_some(), part.body["next"].is_string());
        next = link.map(|link| link[1..].split('>').next().unwrap().to_owned());
        parts += 1;
    }
    assert_eq!(seen, ["d0", "d1", "d2", "d3", "d4"]);
    assert_eq!(parts, 3);
}
