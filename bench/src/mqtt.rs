//! Throughput, handshakes and memory of an MQTT server, side by side.

use std::sync::Arc;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;

use crate::durable;
use crate::process::Measured;
use crate::raw::{Link, Packet, puback, publish, to_acknowledge};
use crate::report::{Figure, Report};
use crate::servers::{Programs, Server, Stage};

/// Bytes of every payload.
const PAYLOAD: [u8; 100] = [b'x'; 100];

/// Publishers of the fan-in.
const PUBLISHERS: usize = 50;

/// Subscribers of the fan-out.
const SUBSCRIBERS: usize = 1_000;

/// Messages on their way at a time, of one publisher with QoS 1.
const WINDOW: usize = 100;

/// Connections that are opened at a time.
const OPENING: usize = 64;

/// Measures all servers, one after the other, and prints the ratios. Of each only what has `only`
/// in its name.
pub(crate) async fn run(programs: &Programs, share: usize, only: &str) -> anyhow::Result<()> {
    let mut report = Report::new("mosquitto");
    for name in ["mosquitto", "aedes", "outgate"] {
        let stage = Stage::new()?;
        let server = match name {
            "mosquitto" => stage.mosquitto(programs).await?,
            "aedes" => stage.aedes(programs).await?,
            _ => stage.hub(programs).await?,
        };
        for what in Measurement::ALL {
            let name = what.name();
            if !name.contains(only) || what.is_of_a_hub() && server.administration.is_none() {
                continue;
            }
            report.add(name, server.name, what.of(&server, share).await?);
            if what == Measurement::Durable {
                let figure = durable::raw_limit(stage.folder(), 200_000 / share)?;
                report.add(name, "append and fdatasync", figure);
            }
        }
    }
    report.print()
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measurement {
    Idle,
    FanIn { qos: u8 },
    FanOut { qos: u8 },
    Handshakes,
    Durable,
}

impl Measurement {
    /// Idle connections first: memory that was in use once is not given back, and would hide what
    /// they take.
    const ALL: [Self; 7] = [
        Self::Idle,
        Self::FanIn { qos: 0 },
        Self::FanIn { qos: 1 },
        Self::FanOut { qos: 0 },
        Self::FanOut { qos: 1 },
        Self::Handshakes,
        Self::Durable,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle TLS connection",
            Self::FanIn { qos: 0 } => "fan-in 50 to 1, QoS 0",
            Self::FanIn { .. } => "fan-in 50 to 1, QoS 1",
            Self::FanOut { qos: 0 } => "fan-out 1 to 1,000, QoS 0",
            Self::FanOut { .. } => "fan-out 1 to 1,000, QoS 1",
            Self::Handshakes => "TLS handshakes with login",
            Self::Durable => "durable events",
        }
    }

    fn is_of_a_hub(self) -> bool {
        self == Self::Durable
    }

    async fn of(self, server: &Server, share: usize) -> anyhow::Result<Figure> {
        match self {
            Self::Idle => idle(server, 10_000 / share).await,
            Self::FanIn { qos } => fan_in(server, qos, 200_000 / share).await,
            Self::FanOut { qos } => fan_out(server, qos, 400 / share).await,
            Self::Handshakes => handshakes(server, 2_000 / share).await,
            Self::Durable => durable::events(server, 100_000 / share).await,
        }
    }
}

/// Many publish, one hears it all. Messages heard a second.
async fn fan_in(server: &Server, qos: u8, messages: usize) -> anyhow::Result<Figure> {
    let mut subscriber = open(server, "sub").await?;
    subscriber
        .subscribe(&format!("bench/in{qos}/#"), qos)
        .await?;
    let each = messages / PUBLISHERS;
    let links =
        try_join_all((0..PUBLISHERS).map(|number| open_numbered(server, "pub", number))).await?;
    let measured = Measured::begin(&server.running)?;
    let publishing = links.into_iter().enumerate().map(|(number, link)| {
        let topic = format!("bench/in{qos}/{number}");
        tokio::spawn(publish_all(link, topic, qos, each))
    });
    let publishing: Vec<_> = publishing.collect();
    hear(&mut subscriber, each * PUBLISHERS).await?;
    let figure = measured.rate(&server.running, each * PUBLISHERS)?;
    for publisher in publishing {
        publisher.await??;
    }
    Ok(figure)
}

/// One publishes, a thousand hear it. Messages heard a second.
async fn fan_out(server: &Server, qos: u8, messages: usize) -> anyhow::Result<Figure> {
    let topic = format!("bench/out{qos}");
    let mut links = open_many(server, "sub", SUBSCRIBERS).await?;
    for link in &mut links {
        link.subscribe(&topic, qos).await?;
    }
    let publisher = open(server, "pub").await?;
    let measured = Measured::begin(&server.running)?;
    let hearing: Vec<_> = links
        .into_iter()
        .map(|mut link| tokio::spawn(async move { hear(&mut link, messages).await.map(|()| link) }))
        .collect();
    publish_all(publisher, topic, qos, messages).await?;
    for heard in hearing {
        heard.await??;
    }
    measured.rate(&server.running, messages * SUBSCRIBERS)
}

/// Connections opened a second, from nothing to CONNACK.
async fn handshakes(server: &Server, connections: usize) -> anyhow::Result<Figure> {
    let measured = Measured::begin(&server.running)?;
    stream::iter(0..connections)
        .map(|number| async move { open_numbered(server, "hand", number).await.map(drop) })
        .buffer_unordered(OPENING)
        .try_collect::<()>()
        .await?;
    measured.rate(&server.running, connections)
}

/// Bytes of memory for each connection that does nothing, with one subscription.
async fn idle(server: &Server, connections: usize) -> anyhow::Result<Figure> {
    let before = server.running.resident_bytes()?;
    let mut links = open_many(server, "idle", connections).await?;
    for (number, link) in links.iter_mut().enumerate() {
        link.subscribe(&format!("bench/idle/{number}"), 1).await?;
    }
    let grown = server.running.resident_bytes()?.saturating_sub(before);
    Ok(Figure::bytes(grown / u64::try_from(connections)?))
}

/// Publishes `count` messages, with at most [`WINDOW`] unacknowledged if they are acknowledged.
async fn publish_all(link: Link, topic: String, qos: u8, count: usize) -> anyhow::Result<()> {
    let Link {
        mut read,
        mut write,
    } = link;
    if qos == 0 {
        let mut packets = Vec::new();
        for number in 0..count {
            publish(&mut packets, &topic, 0, 0, &PAYLOAD);
            if packets.len() > 8 * 1024 || number + 1 == count {
                write.write_all(&packets).await?;
                packets.clear();
            }
        }
        write.flush().await?;
        return Ok(());
    }
    let room = Arc::new(Semaphore::new(WINDOW));
    let freed = Arc::clone(&room);
    let reading = tokio::spawn(async move {
        for _ in 0..count {
            read.packet().await?.context("closed while publishing")?;
            freed.add_permits(1);
        }
        anyhow::Ok(())
    });
    let (mut sent, mut packets) = (0, Vec::new());
    while sent < count {
        room.acquire().await?.forget();
        let mut free = 1;
        while free < 32
            && sent + free < count
            && room.try_acquire().map(|permit| permit.forget()).is_ok()
        {
            free += 1;
        }
        for _ in 0..free {
            let id = u16::try_from(sent % 60_000 + 1)?;
            publish(&mut packets, &topic, 1, id, &PAYLOAD);
            sent += 1;
        }
        write.write_all(&packets).await?;
        write.flush().await?;
        packets.clear();
    }
    reading.await?
}

/// Waits for `count` messages and acknowledges them.
async fn hear(link: &mut Link, count: usize) -> anyhow::Result<()> {
    let mut acknowledgements = Vec::new();
    for number in 1..=count {
        let packet: Packet = link.read.packet().await?.context("closed while hearing")?;
        if let Some(id) = to_acknowledge(&packet) {
            puback(&mut acknowledgements, id);
        }
        if acknowledgements.len() >= 64 || number == count && !acknowledgements.is_empty() {
            link.write.write_all(&acknowledgements).await?;
            link.write.flush().await?;
            acknowledgements.clear();
        }
    }
    Ok(())
}

async fn open(server: &Server, name: &str) -> anyhow::Result<Link> {
    Link::open(&server.target, &format!("bench/{name}"), &server.login).await
}

async fn open_numbered(server: &Server, name: &str, number: usize) -> anyhow::Result<Link> {
    open(server, &format!("{name}{number}")).await
}

async fn open_many(server: &Server, name: &str, count: usize) -> anyhow::Result<Vec<Link>> {
    stream::iter(0..count)
        .map(|number| open_numbered(server, name, number))
        .buffer_unordered(OPENING)
        .try_collect()
        .await
}
