//! SIGTERM while other people's clients are connected.

use std::process::{Command, Stdio};
use std::sync::mpsc;

use outgate_testbed::{Ends, python};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::mosquitto::{Shows, Subscribed, subscribe};
use crate::process::{Hub, PATIENCE};
use crate::publisher::{Publisher, Quality, Told};

/// How many messages of each publisher are acknowledged before the hub is told to go.
const ACKNOWLEDGED: usize = 200;

#[test]
fn a_hub_that_is_told_to_go_says_so_to_its_clients_and_keeps_what_it_acknowledged() {
    let folder = TempDir::new().unwrap();
    let hub = Hub::start(folder.path());
    hub.site("s");
    let [sub, paho] = ["sub", "paho"].map(|name| (name, hub.device(name)));
    let mut publishers = [("one", Quality::AtLeastOnce), ("two", Quality::ExactlyOnce)]
        .map(|(name, quality)| Publisher::new(name.to_owned(), hub.device(name), quality));
    let subscribed = subscribe(&hub, sub.0, &Shows::Password(sub.1));
    let paho = paho_client(&hub, paho.0, &paho.1);
    let port = hub.port;
    let ended = std::thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        for publisher in &mut publishers {
            let tell = tell.clone();
            scope.spawn(move || publisher.publish(port, &tell));
        }
        for _ in 0..ACKNOWLEDGED {
            match told.recv_timeout(PATIENCE) {
                Ok(Told::Acknowledged) => {}
                Ok(Told::Ended(why)) => panic!("the hub still runs: {why}"),
                Err(_) => panic!("nothing is acknowledged any more"),
            }
        }
        hub.terminate()
    });
    assert!(ended.success(), "{ended}");
    // 0x8B, the server is shutting down (MQTT 5, section 3.14.2.1).
    subscribed.expect("Received DISCONNECT (139)");
    paho.expect("Server shutting down");
    // What is there is told by a hub that starts on the same folder.
    let hub = Hub::start(folder.path());
    for publisher in &publishers {
        let path = format!("events?device={}&limit=1000", publisher.name);
        let list = hub.ask("GET", &path, &Json::Null);
        let items = list["items"].as_array().unwrap();
        let numbers = items.iter().map(|item| item["name"].as_str().unwrap());
        for (expected, number) in numbers.enumerate() {
            assert_eq!(number, expected.to_string(), "{}", publisher.name);
        }
        let first = usize::try_from(publisher.unacknowledged()).unwrap();
        assert!(first <= items.len(), "{first} of {}", publisher.name);
    }
}

/// A client of paho-mqtt that stays connected and tells why it no longer is.
fn paho_client(hub: &Hub, name: &str, token: &str) -> Subscribed {
    let process = Command::new(python().unwrap())
        .arg("-c")
        .arg(PAHO)
        .args([name, token, &hub.tls_port.to_string()])
        .arg(hub.authority())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let client = Subscribed::of(Ends(process));
    client.expect("connected");
    client
}

const PAHO: &str = "
import sys
import paho.mqtt.client as mqtt
name, token, port, ca = sys.argv[1:5]
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
client.username_pw_set(name, token)
client.tls_set(ca_certs=ca)
client.on_connect = lambda c, u, flags, reason, p: print('connected', reason, flush=True)
def gone(client, userdata, flags, reason, properties):
    print('gone', reason, flush=True)
    sys.exit(0)
client.on_disconnect = gone
client.connect('localhost', int(port))
client.loop_forever()
";
