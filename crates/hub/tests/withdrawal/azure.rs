//! Channels as devices of Azure's have them: MQTT with tokens of the terminal's own key, HTTPS, and
//! the provisioning service.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use outgate_azure::sas;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::Site;
use crate::channels::{Login, half_sent, mqtt, until_requests_are};

/// What the hub is called in tokens.
const HUB: &str = "vendor.azure-devices.net";

/// The scope of the provisioning service.
const SCOPE: &str = "0ne00SCOPE";

/// What is said over HTTPS.
const SAID: &str = "/devices/T7/messages/events?api-version=2021-04-12";

/// What the hub is told of it.
pub(crate) fn configured() -> String {
    format!("[azure]\nhub-names = ['{HUB}']\n[azure.provisioning]\nscopes = ['{SCOPE}']\n")
}

/// Messages, over TCP or over WebSocket.
pub(crate) async fn messages(site: &Site, path: Option<&str>) -> Option<JoinHandle<()>> {
    let login = Login {
        client: "T7",
        user: &format!("{HUB}/T7/?api-version=2021-04-12&DeviceClientType=test"),
        password: &token(site, &format!("{HUB}/devices/T7")),
    };
    mqtt(site, login, path).await
}

/// A message over HTTPS of which half has been sent, and which nobody gets.
pub(crate) async fn https(site: &Site) -> Option<JoinHandle<()>> {
    let terminal = &site.terminal;
    let own = token(site, &format!("{HUB}/devices/T7"));
    let post = terminal.client.post(format!("{}{SAID}", terminal.hub));
    let whole = post.header("authorization", &own).body("whole");
    let status = whole.send().await.unwrap().status();
    if status != StatusCode::NO_CONTENT {
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        return None;
    }
    until_requests_are(site, "azure-http", 0).await;
    let request = format!("POST {SAID} HTTP/1.1\r\nhost: hub\r\nauthorization: {own}\r\n");
    Some(half_sent(site, request, "azure-http").await)
}

/// A connection to the provisioning service, over which the terminal is assigned. It is known at the
/// hub by the key that it shows there.
pub(crate) async fn provisioning(site: &Site) -> Option<JoinHandle<()>> {
    let resource = format!("{SCOPE}/registrations/T7");
    let login = Login {
        client: "T7",
        user: &format!("{resource}/api-version=2019-03-31&ClientVersion=test"),
        password: &token(site, &resource),
    };
    let status = registered(site, &token(site, &resource)).await;
    let connection = mqtt(site, login, None).await;
    assert_eq!(status.is_success(), connection.is_some(), "{status}");
    connection
}

/// How the terminal's registration over HTTPS is answered.
async fn registered(site: &Site, token: &str) -> StatusCode {
    let (hub, version) = (&site.terminal.hub, "api-version=2019-03-31");
    let register = format!("{hub}/{SCOPE}/registrations/T7/register?{version}");
    let about: Value = json!({ "registrationId": "T7" });
    let put = site.terminal.client.put(register).json(&about);
    let answer = put.header("authorization", token).send().await.unwrap();
    answer.status()
}

/// A token for `resource` by the terminal's own key, for an hour.
fn token(site: &Site, resource: &str) -> String {
    let end = SystemTime::now() + Duration::from_secs(3_600);
    let end = end.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    sas::sign(resource, end.as_secs(), &site.terminal.own_key, None)
}
