//! The document of what devices ask, and that a whole hub keeps to it.

use http::StatusCode;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use outgate_core::identity::{Actor, Scope};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::document::operations_of;
use crate::running::Running;
use crate::site::token;

/// What `till` answers with and no one else may learn.
const SECRET: &str = "vat-25";

#[test]
fn the_committed_document_for_devices_is_the_one_the_code_gives() {
    let place = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/openapi-device.json"
    );
    let committed = std::fs::read_to_string(place).unwrap();
    let given = outgate_hub::api::document_text(&outgate_hub::dialects::document());
    assert!(committed == given, "run `cargo xtask openapi`");
}

/// A whole hub with the device `till`, and its token.
async fn whole() -> (Running, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let text = "[[listen]]\naddress = '127.0.0.1:0'\ntls = false\n";
    let running = Running::on(tempfile::tempdir().unwrap(), text).await;
    running.furnish().await;
    let token = running.device("till").await;
    let till = "till".parse().unwrap();
    let (patch, twins) = (json!({ "tax": SECRET }), &running.core().twins);
    let desired = twins.desire(&Actor::hub(), &till, patch, None).await;
    desired.unwrap();
    (running, token)
}

/// Each operation as it is asked of `running`, with a body that it takes, and its name.
fn requests(running: &Running) -> Vec<(String, RequestBuilder)> {
    let (client, address) = (Client::new(), running.hub.listening()[0].address);
    let operations = operations_of(&outgate_hub::dialects::document()).into_iter();
    let ask = |(method, path, operation): (String, String, Value)| {
        let path = path
            .replace("{name}", "a/b")
            .replace("{path}", "flow/a")
            .replace("{command}", "cm-0123456789abcdefghjk")
            .replace("{settled}", "complete")
            .replace("{digest}", &"0".repeat(64));
        let method: Method = method.parse().unwrap();
        let request = client.request(method, format!("http://{address}{path}"));
        let bodies = operation["requestBody"]["content"].as_object();
        let kind = bodies.and_then(|bodies| bodies.keys().next().cloned());
        let request = match kind {
            Some(kind) => request.header(CONTENT_TYPE, kind).body("{}"),
            None => request,
        };
        let name = operation["operationId"].as_str().unwrap();
        (name.to_owned(), request)
    };
    operations.map(ask).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_devices_credential_no_operation_for_devices_tells_anything() {
    let (running, _) = whole().await;
    let operator = std::fs::read_to_string(running.hub.first_token().unwrap()).unwrap();
    let (hub, identity) = (Actor::hub(), &running.core().identity);
    let service = identity.create_service(&hub, "erp".parse().unwrap(), Scope::All);
    let service = token(service.await.unwrap().1);
    let refused = async |request: RequestBuilder, name: &str, right: StatusCode| {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.text().await.unwrap();
        assert_eq!(status, right, "{name}: {body}");
        assert!(!body.contains(SECRET) && !body.contains("till"), "{body}");
        headers
    };
    // What shows the keys for look-ups shows them in its body.
    let shows_a_key = |name: &str| name.starts_with("show_");
    let asked = requests(&running).into_iter();
    for (name, request) in asked.filter(|(name, _)| !shows_a_key(name)) {
        let copy = || request.try_clone().unwrap();
        let wrong = [
            copy(),
            copy().bearer_auth("og_de_wrong"),
            copy().basic_auth("till", Some("d3Jvbmc=")),
        ];
        for request in wrong {
            let headers = refused(request, &name, StatusCode::UNAUTHORIZED).await;
            assert!(headers.contains_key(WWW_AUTHENTICATE), "{name}");
        }
        // Whoever asks for a certificate has one, and no token is one; whoever looks something up
        // shows a token of another kind.
        let other = match name.as_str() {
            "renew" | "look_up" => StatusCode::UNAUTHORIZED,
            _ => StatusCode::FORBIDDEN,
        };
        for token in [operator.trim(), &service] {
            let request = copy().bearer_auth(token);
            refused(request, &name, other).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_answered_by_each_operation_that_the_document_tells() {
    let (running, token) = whole().await;
    let mut answers = Vec::new();
    for (name, request) in requests(&running) {
        let answer = request.bearer_auth(&token).send().await.unwrap();
        answers.push((name, answer.status().as_u16()));
    }
    answers.sort_unstable();
    let right = [
        ("commands", 200),
        ("evaluate", 400),
        ("evaluate_several", 400),
        ("evaluate_several_by_another_name", 400),
        ("fetch_asset", 404),
        ("list_assets", 200),
        ("log", 200),
        ("look_up", 401),
        ("renew", 401),
        ("replace_registrations", 422),
        ("report", 200),
        ("say", 204),
        ("settle", 404),
        ("show_fleet_key", 422),
        ("show_own_key", 422),
        ("spaces_version", 200),
        ("twin", 200),
    ];
    assert_eq!(
        answers,
        right.map(|(name, status)| (name.to_owned(), status))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_serves_the_document_for_devices_without_a_login() {
    let (running, _) = whole().await;
    let address = running.hub.listening()[0].address;
    let served = reqwest::get(format!("http://{address}/device/openapi.json"));
    let served = served.await.unwrap();
    assert_eq!(served.status(), StatusCode::OK);
    let served: Value = served.json().await.unwrap();
    assert_eq!(served, outgate_hub::dialects::document());
}
