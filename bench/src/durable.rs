//! Events that are on the disk before they are acknowledged, beside what the disk itself can do.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use tokio::io::AsyncWriteExt as _;

use crate::process::Measured;
use crate::raw::{Link, Login, publish};
use crate::report::Figure;
use crate::servers::Server;

/// Devices that report at the same time.
const DEVICES: usize = 16;

/// Events of one device that wait for their acknowledgement.
const WINDOW: usize = 500;

/// Bytes of an event.
const PAYLOAD: [u8; 256] = [b'x'; 256];

/// Events acknowledged a second.
pub(crate) async fn events(server: &Server, count: usize) -> anyhow::Result<Figure> {
    let administration = server.administration.as_ref().context("not a hub")?;
    let mut links = Vec::new();
    for number in 0..DEVICES {
        let device = format!("durable-{number}");
        let password = administration.make_device(&device).await?;
        let login = Login {
            user: device.clone(),
            password,
        };
        links.push((Link::open(&server.target, &device, &login).await?, device));
    }
    let each = count / DEVICES;
    let measured = Measured::begin(&server.running)?;
    try_join_all(
        links
            .into_iter()
            .map(|(link, device)| report(link, device, each)),
    )
    .await?;
    measured.rate(&server.running, each * DEVICES)
}

/// Reports `count` events, [`WINDOW`] at a time.
async fn report(mut link: Link, device: String, count: usize) -> anyhow::Result<()> {
    let topic = format!("devices/{device}/events/bench");
    let mut left = count;
    while left > 0 {
        let now = left.min(WINDOW);
        let mut packets = Vec::new();
        for id in 1..=now {
            publish(&mut packets, &topic, 1, u16::try_from(id)?, &PAYLOAD);
        }
        link.write.write_all(&packets).await?;
        link.write.flush().await?;
        for _ in 0..now {
            let answer = link
                .read
                .packet()
                .await?
                .context("closed while reporting")?;
            anyhow::ensure!(answer.first == 0x40, "no PUBACK but {:#x}", answer.first);
        }
        left -= now;
    }
    Ok(())
}

/// What the disk can do at best: the same bytes appended to a file, flushed as often as so many
/// events wait at a time.
pub(crate) fn raw_limit(folder: &Path, count: usize) -> anyhow::Result<Figure> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("raw"))?;
    let at_a_time = DEVICES * WINDOW;
    let batch = PAYLOAD.repeat(at_a_time);
    let (since, mut written) = (Instant::now(), 0);
    while written < count {
        file.write_all(&batch)?;
        file.sync_data()?;
        written += at_a_time;
    }
    Ok(Figure::rate(written, since.elapsed(), 0.0))
}
