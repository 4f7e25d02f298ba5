//! A round of rumqttc.

use outgate_testbed::PATIENCE;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, LastWill, MqttOptions};
use rumqttc::{Proxy, ProxyAuth, ProxyType, QoS, Transport, v5};

use crate::Case;
use crate::ways::Carrier;

/// Makes the round and tells of it in the words of the other clients.
pub(crate) async fn round(case: &Case) -> String {
    if case.five {
        trip(case, five).await
    } else {
        trip(case, three).await
    }
}

/// What came in.
enum Heard {
    /// The CONNACK, and whether the session was there.
    In(bool),
    /// A SUBACK, or the acknowledgement of a message.
    Done,
    Message(Vec<u8>, Vec<u8>, bool),
    Other,
}

/// A client of either version.
trait Client {
    async fn next(&mut self) -> Heard;
    async fn publish(&mut self, topic: String, qos: QoS, retain: bool, payload: &str);
    async fn subscribe(&mut self, topic: String);
}

async fn trip<C: Client>(case: &Case, connect: impl Fn(&Case) -> C) -> String {
    let topic = |name: &str| format!("devices/{}/{name}", case.device);
    let mut said = Said {
        own: topic(""),
        lines: String::new(),
    };
    let mut client = connect(case);
    said.expect_in(&mut client, false).await;
    client.subscribe(topic("commands/#")).await;
    client.subscribe(topic("will")).await;
    said.hear(&mut client, "command", 2).await;
    for (number, qos) in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
        .into_iter()
        .enumerate()
    {
        let event = topic(&format!("events/round/{number}"));
        client.publish(event, qos, false, "rumqttc").await;
    }
    client
        .publish(topic("state"), QoS::AtLeastOnce, true, "kept")
        .await;
    // One with each quality of service that is acknowledged, and the state.
    said.hear(&mut client, "", 3).await;
    client.subscribe(topic("state")).await;
    said.hear(&mut client, "state", 1).await;
    // The connection is gone without a word.
    drop(client);
    let mut client = connect(case);
    said.expect_in(&mut client, true).await;
    said.hear(&mut client, "will", 0).await;
    said.lines
}

/// What has been heard, a line a message.
struct Said {
    own: String,
    lines: String,
}

impl Said {
    async fn expect_in<C: Client>(&self, client: &mut C, present: bool) {
        loop {
            if let Heard::In(was) = client.next().await {
                assert_eq!(was, present, "{}", self.own);
                return;
            }
        }
    }

    /// Waits for a message of this name unless it is empty, and for so many acknowledgements.
    async fn hear<C: Client>(&mut self, client: &mut C, name: &str, mut done: usize) {
        let mut come = name.is_empty();
        while !come || done > 0 {
            match client.next().await {
                Heard::Done => done = done.saturating_sub(1),
                Heard::Message(topic, payload, retain) => {
                    let line = self.line(&topic, &payload, retain);
                    come = come || line.starts_with(name);
                    self.lines += &line;
                }
                Heard::In(_) => panic!("{} came in again", self.own),
                Heard::Other => {}
            }
        }
    }

    fn line(&self, topic: &[u8], payload: &[u8], retain: bool) -> String {
        let [topic, payload] = [topic, payload].map(|text| std::str::from_utf8(text).unwrap());
        let name = topic.strip_prefix(&self.own).unwrap();
        match name.split('/').collect::<Vec<_>>().as_slice() {
            ["commands", _, command] => format!("command {command} {payload}\n"),
            ["state"] if retain => format!("state {payload} retained\n"),
            _ => format!("{name} {payload}\n"),
        }
    }
}

struct Three(AsyncClient, EventLoop);

fn three(case: &Case) -> Three {
    let mut options = MqttOptions::new(&case.device, host(case), case.address.port);
    let will = format!("devices/{}/will", case.device);
    options
        .set_credentials(&case.device, &case.token)
        .set_clean_session(false)
        .set_last_will(LastWill::new(will, "gone", QoS::AtLeastOnce, false))
        .set_transport(transport(case));
    if let Some(proxy) = proxy(case) {
        options.set_proxy(proxy);
    }
    let (client, mut events) = AsyncClient::new(options, 16);
    events
        .network_options
        .set_connection_timeout(PATIENCE.as_secs());
    Three(client, events)
}

impl Client for Three {
    async fn next(&mut self) -> Heard {
        let Event::Incoming(packet) = self.1.poll().await.unwrap() else {
            return Heard::Other;
        };
        if let Incoming::ConnAck(answer) = packet {
            Heard::In(answer.session_present)
        } else if let Incoming::Publish(it) = packet {
            Heard::Message(it.topic.into_bytes(), it.payload.to_vec(), it.retain)
        } else if let Incoming::SubAck(_) | Incoming::PubAck(_) | Incoming::PubComp(_) = packet {
            Heard::Done
        } else {
            Heard::Other
        }
    }

    async fn publish(&mut self, topic: String, qos: QoS, retain: bool, payload: &str) {
        self.0.publish(topic, qos, retain, payload).await.unwrap();
    }

    async fn subscribe(&mut self, topic: String) {
        self.0.subscribe(topic, QoS::AtLeastOnce).await.unwrap();
    }
}

struct Five(v5::AsyncClient, v5::EventLoop);

fn five(case: &Case) -> Five {
    use v5::mqttbytes::{QoS, v5::LastWill};
    let mut options = v5::MqttOptions::new(&case.device, host(case), case.address.port);
    let will = format!("devices/{}/will", case.device);
    options
        .set_credentials(&case.device, &case.token)
        .set_clean_start(false)
        .set_session_expiry_interval(Some(300))
        .set_connection_timeout(PATIENCE.as_secs())
        .set_last_will(LastWill::new(will, "gone", QoS::AtLeastOnce, false, None))
        .set_transport(transport(case));
    if let Some(proxy) = proxy(case) {
        options.set_proxy(proxy);
    }
    let (client, events) = v5::AsyncClient::new(options, 16);
    Five(client, events)
}

impl Client for Five {
    async fn next(&mut self) -> Heard {
        use v5::Incoming;
        let v5::Event::Incoming(packet) = self.1.poll().await.unwrap() else {
            return Heard::Other;
        };
        if let Incoming::ConnAck(answer) = packet {
            Heard::In(answer.session_present)
        } else if let Incoming::Publish(it) = packet {
            Heard::Message(it.topic.to_vec(), it.payload.to_vec(), it.retain)
        } else if let Incoming::SubAck(_) | Incoming::PubAck(_) | Incoming::PubComp(_) = packet {
            Heard::Done
        } else {
            Heard::Other
        }
    }

    async fn publish(&mut self, topic: String, qos: QoS, retain: bool, payload: &str) {
        let payload = payload.to_owned();
        let qos = v5::mqttbytes::qos(qos as u8).unwrap();
        self.0.publish(topic, qos, retain, payload).await.unwrap();
    }

    async fn subscribe(&mut self, topic: String) {
        let qos = v5::mqttbytes::QoS::AtLeastOnce;
        self.0.subscribe(topic, qos).await.unwrap();
    }
}

/// What rumqttc takes for the host: for WebSocket it is the whole URL.
fn host(case: &Case) -> String {
    match case.carrier {
        Carrier::Tcp | Carrier::Tls => "localhost".to_owned(),
        Carrier::Wss => format!("wss://localhost:{}/mqtt", case.address.port),
    }
}

fn transport(case: &Case) -> Transport {
    let authority = || std::fs::read(&case.authority).unwrap();
    match case.carrier {
        Carrier::Tcp => Transport::tcp(),
        Carrier::Tls => Transport::tls(authority(), None, Some(vec![b"mqtt".to_vec()])),
        Carrier::Wss => Transport::wss(authority(), None, None),
    }
}

/// The proxy that it asks by itself.
fn proxy(case: &Case) -> Option<Proxy> {
    (case.address.proxy != 0).then(|| Proxy {
        ty: ProxyType::Http,
        auth: ProxyAuth::None,
        addr: "127.0.0.1".to_owned(),
        port: case.address.proxy,
    })
}
