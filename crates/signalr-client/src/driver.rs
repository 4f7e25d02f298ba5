//! Keeps a client connected: climbs, serves the connection, comes back.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use outgate_signalr::framing::Records;
use outgate_signalr::ladder::Ladder;
use outgate_signalr::negotiate::Transport;
use outgate_signalr::retry::Retries;
use outgate_signalr::{Message, Protocol};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use crate::client::Core;
use crate::climb::climb;
use crate::error::Cause;
use crate::http::locked;
use crate::link::{self, Link};
use crate::session::Flow;
use crate::settings::OUTGOING_MAX;
use crate::state::State;
use crate::transport::{Reader, Writer};

/// Bytes that are sent in one request, beside the record that goes beyond.
const BATCH_MAX: usize = 64 * 1024;
/// How long the goodbye may take.
const GOODBYE_LIMIT: Duration = Duration::from_secs(5);
/// How long a client is silent that polls, at least. Its polls say that it lives; what it sends
/// shows only that the server still knows it.
const POLLING_KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How a connection ended.
enum Ended {
    /// The application has stopped the client.
    Stopped,
    /// The hub has said so.
    Closed {
        error: Option<String>,
        allow_reconnect: bool,
    },
    /// Something went wrong.
    Lost(Cause),
}

/// Runs until the client is stopped or gives up.
pub(crate) async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let cause = keep_connected(&core, &mut stop).await;
    core.state.send_replace(State::Closed { cause });
}

async fn keep_connected(core: &Core, stop: &mut watch::Receiver<bool>) -> Option<Cause> {
    let settings = &core.settings;
    let memory = locked(&core.memory).clone();
    let mut ladder = Ladder::new(settings.rules.clone(), memory);
    let mut retries = Retries::new(settings.retry.clone());
    let mut come_back = settings.retry_start;
    loop {
        let climbed = tokio::select! {
            biased;
            () = stopped(stop) => return None,
            climbed = climb(settings, &mut ladder) => climbed,
        };
        let cause = match climbed {
            Err(cause) => cause,
            Ok(link) => {
                come_back = true;
                remember(core, &ladder);
                let start = Instant::now();
                let ended = serve(core, link, stop).await;
                let stood = start.elapsed();
                retries.on_lost(stood);
                match ended {
                    Ended::Stopped => return None,
                    Ended::Closed {
                        error,
                        allow_reconnect,
                    } => {
                        come_back = allow_reconnect || settings.return_always;
                        Cause::Closed { error }
                    }
                    Ended::Lost(cause) => {
                        ladder.on_cut_off(stood, Instant::now().into_std());
                        remember(core, &ladder);
                        cause
                    }
                }
            }
        };
        debug!(%cause, "not connected");
        if !come_back {
            return Some(cause);
        }
        let Some(delay) = retries.next(cause.retry_after(), random()) else {
            return Some(cause);
        };
        let attempt = retries.count();
        core.state
            .send_replace(State::Reconnecting { attempt, cause });
        tokio::select! {
            biased;
            () = stopped(stop) => return None,
            () = sleep(delay) => {}
        }
    }
}

fn remember(core: &Core, ladder: &Ladder) {
    *locked(&core.memory) = ladder.memory().clone();
}

/// Whoever told it to stop may be gone by then.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Any number: the keys of a hash come from the system's randomness.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// Serves a connection until it ends. Then nobody waits for anything from it.
async fn serve(core: &Core, link: Link, stop: &mut watch::Receiver<bool>) -> Ended {
    let Link {
        transport,
        connection_id,
        mut reader,
        mut writer,
        mut records,
    } = link;
    let (outgoing, mut queue) = mpsc::channel(OUTGOING_MAX);
    core.session.attach(outgoing);
    core.state.send_replace(State::Connected {
        transport,
        connection_id,
    });
    let ended = tokio::select! {
        biased;
        () = stopped(stop) => Ended::Stopped,
        ended = listen(core, transport, &mut reader, &mut records) => ended,
        cause = talk(core, transport, &mut writer, &mut queue) => Ended::Lost(cause),
    };
    core.session.detach();
    // The server learns of it even where something went wrong, and need not wait for a time-out.
    let goodbye = async {
        if matches!(ended, Ended::Stopped) {
            let _ = finish(core.settings.protocol, &mut writer, &mut queue).await;
        }
        writer.close().await;
    };
    let _ = timeout(GOODBYE_LIMIT, goodbye).await;
    ended
}

/// Hears the hub until it ends the connection or is silent for too long.
async fn listen(
    core: &Core,
    transport: Transport,
    reader: &mut Reader,
    records: &mut Records,
) -> Ended {
    let limit = core.settings.server_limit;
    // What comes from the hub may be waiting behind its answer to the handshake already.
    loop {
        match hear(core, records) {
            Ok(Flow::GoesOn) => {}
            Ok(Flow::Closed {
                error,
                allow_reconnect,
            }) => {
                return Ended::Closed {
                    error,
                    allow_reconnect,
                };
            }
            Err(cause) => return Ended::Lost(cause),
        }
        // Servers do not ping whoever polls; each poll has a limit of its own.
        let piece = if transport == Transport::LongPolling {
            reader.next().await
        } else {
            let heard = timeout(limit, reader.next()).await;
            heard.unwrap_or(Err(Cause::Silent { limit }))
        };
        match piece {
            Ok(Some(piece)) => records.handle_bytes(&piece),
            Ok(None) => return Ended::Lost(Cause::CutOff),
            Err(cause) => return Ended::Lost(cause),
        }
    }
}

/// Takes the records that are there.
fn hear(core: &Core, records: &mut Records) -> Result<Flow, Cause> {
    while let Some(record) = link::poll(records, core.settings.protocol)? {
        let flow = core.session.handle_record(record)?;
        if matches!(flow, Flow::Closed { .. }) {
            return Ok(flow);
        }
    }
    Ok(Flow::GoesOn)
}

/// Says what is to be said, and a ping when there is nothing for a while.
async fn talk(
    core: &Core,
    transport: Transport,
    writer: &mut Writer,
    queue: &mut mpsc::Receiver<Bytes>,
) -> Cause {
    let patience = match transport {
        Transport::WebSockets | Transport::ServerSentEvents => core.settings.keep_alive,
        Transport::LongPolling => core.settings.keep_alive.max(POLLING_KEEP_ALIVE),
    };
    let ping = core.session.write(Message::Ping);
    loop {
        let sent = match timeout(patience, queue.recv()).await {
            Ok(Some(record)) => writer.send(&batch(record, queue)).await,
            // Nobody can say anything any more.
            Ok(None) => return Cause::CutOff,
            Err(_) => writer.ping(ping.clone()).await,
        };
        if let Err(cause) = sent {
            return cause;
        }
    }
}

/// A record, and what waits behind it.
fn batch(first: Bytes, queue: &mut mpsc::Receiver<Bytes>) -> Vec<Bytes> {
    let mut length = first.len();
    let mut batch = vec![first];
    while length < BATCH_MAX
        && let Ok(record) = queue.try_recv()
    {
        length += record.len();
        batch.push(record);
    }
    batch
}

/// Sends what was taken to be sent, and a close.
async fn finish(
    protocol: Protocol,
    writer: &mut Writer,
    queue: &mut mpsc::Receiver<Bytes>,
) -> Result<(), Cause> {
    queue.close();
    while let Ok(record) = queue.try_recv() {
        writer.send(&batch(record, queue)).await?;
    }
    let close = Message::Close {
        error: None,
        allow_reconnect: false,
    };
    writer
        .send(&[crate::value::write(protocol, close).into()])
        .await
}
