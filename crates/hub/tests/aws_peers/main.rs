//! AWS's own SDK for devices and its signing libraries, unmodified, against a whole hub: its door,
//! its TLS, its store.
//!
//! They insist on ports 443 and 8883, so each test has a machine of its own.
//!
//! Needs the programs and packages in `xtask/peers`; `cargo xtask test` installs them.

#![cfg(test)]

mod jobs;
#[path = "../running/machine.rs"]
mod machine;
mod posts;
mod refused;
#[path = "../running/hub.rs"]
mod running;
mod shadows;
#[path = "../running/site.rs"]
mod site;
#[path = "../running/told.rs"]
mod told;
mod vendor;
mod ways;

use outgate_testbed::python_program;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::machine::HUB;
use crate::running::Running;
use crate::told::Client;

/// The region for which everything is signed.
const REGION: &str = "eu-north-1";

/// What forts may: connect under their own names, use their own topics of the hub's, tell all
/// forts, and hear them but for what is secret.
const CONFIGURATION: &str = r#"
    [mqtt.policies.plain]
    publish = ['forts/#']
    subscribe = ['forts/#']
    [aws]
    region = 'eu-north-1'
    policies.fort = '''{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect",
         "Resource": "arn:aws:iot:eu-north-1:1:client/${iot:Connection.Thing.ThingName}*"},
        {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": [
         "arn:aws:iot:eu-north-1:1:topic/forts/*",
         "arn:aws:iot:eu-north-1:1:topic/devices/${iot:Connection.Thing.ThingName}/*"]},
        {"Effect": "Deny", "Action": "iot:Receive",
         "Resource": "arn:aws:iot:eu-north-1:1:topic/forts/secret"},
        {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": [
         "arn:aws:iot:eu-north-1:1:topicfilter/forts/*",
         "arn:aws:iot:eu-north-1:1:topicfilter/devices/${iot:Connection.Thing.ThingName}/*"]}]}'''
    policies.thing = '''{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"},
        {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"],
         "Resource": "arn:aws:iot:eu-north-1:1:topic/$aws/things/${iot:Connection.Thing.ThingName}/*"},
        {"Effect": "Allow", "Action": "iot:Subscribe",
         "Resource":
          "arn:aws:iot:eu-north-1:1:topicfilter/$aws/things/${iot:Connection.Thing.ThingName}/*"}]}'''
    policies.wide = '''{"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "iot:*", "Resource": "*"}}'''
    policies.mute = '''{"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}}'''
"#;

/// Runs `test` with a hub on a machine of its own.
fn with_hub<F: Future<Output = ()>>(test: impl FnOnce(Running) -> F) {
    machine::with_hub(CONFIGURATION, test);
}

/// AWS's SDK, which trusts the hub as it is told by its own interface alone.
fn sdk() -> Client {
    let mut command = Command::new(python_program("aws", "python").unwrap());
    command.args([
        "-u",
        "-c",
        concat!(include_str!("services.py"), include_str!("device.py")),
    ]);
    // Libraries that other peers bring along are not those that Python was built with.
    command.env_remove("LD_LIBRARY_PATH");
    Client::start(&mut command)
}

/// What an SDK is told of the hub, with `more`.
fn at(hub: &Running, more: Value) -> Value {
    let mut order = json!({
        "host": HUB,
        "at_host": HUB,
        "region": REGION,
        "authority": hub.folder.path().join("tls/ca.pem"),
        "version": 5,
    });
    let members = more.as_object().unwrap().clone();
    order.as_object_mut().unwrap().extend(members);
    order
}

/// An SDK that has connected.
async fn connected(order: &Value) -> Client {
    let mut client = sdk();
    let done = client.does(json!(["connect", order])).await;
    assert_eq!(done, "connected", "{order}");
    client
}
