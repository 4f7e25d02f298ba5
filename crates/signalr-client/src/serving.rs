//! Serves a connection: one half hears the hub, the other talks to it, and neither waits for the
//! other.

use std::time::Duration;

use bytes::Bytes;
use outgate_signalr::framing::Records;
use outgate_signalr::negotiate::Transport;
use outgate_signalr::{Message, Protocol};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use crate::client::Core;
use crate::counted::Counted;
use crate::driver::stopped;
use crate::error::Cause;
use crate::link::{self, Link};
use crate::outgoing::{Queue, outgoing};
use crate::session::Flow;
use crate::state::State;
use crate::transport::{Reader, Writer};

/// Bytes that are sent in one request, beside the record that goes beyond.
const BATCH_MAX: usize = 64 * 1024;
/// How long the goodbye may take.
const GOODBYE_LIMIT: Duration = Duration::from_secs(5);
/// How long a client is silent that polls, at least. Its polls say that it lives; what it sends
/// shows only that the server still knows it.
const POLLING_KEEP_ALIVE: Duration = Duration::from_secs(60);
/// How often in a row a connection is taken up again on which neither end gets on: what breaks it
/// may come again with it.
const RESUMPTIONS_MAX: u32 = 5;

/// How a connection ended.
pub(crate) enum Ended {
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

/// Serves a connection until it ends. Then nobody waits for anything from it.
pub(crate) async fn serve(core: &Core, link: Link, stop: &mut watch::Receiver<bool>) -> Ended {
    let (outgoing, queue) = outgoing();
    core.session.attach(outgoing);
    core.state.send_replace(State::Connected {
        transport: link.transport,
        connection_id: link.connection_id.clone(),
    });
    let counted = link
        .again
        .is_some()
        .then(|| Counted::new(core.session.protocol));
    let mut serving = Serving {
        core,
        link,
        queue,
        counted,
    };
    let ended = serving.run(stop).await;
    core.session.detach();
    let mut writer = serving.link.writer;
    if matches!(ended, Ended::Lost(_)) {
        // The server learns of it and need not wait for a time-out; nobody here waits for that.
        tokio::spawn(async move { timeout(GOODBYE_LIMIT, writer.close()).await });
        return ended;
    }
    let mut queue = serving.queue;
    let goodbye = async {
        if matches!(ended, Ended::Stopped) {
            let _ = finish(core.settings.protocol, &mut writer, &mut queue).await;
        }
        writer.close().await;
    };
    let _ = timeout(GOODBYE_LIMIT, goodbye).await;
    ended
}

struct Serving<'a> {
    core: &'a Core,
    link: Link,
    queue: Queue,
    /// What is counted on a connection that outlives its transport.
    counted: Option<Counted>,
}

impl Serving<'_> {
    async fn run(&mut self, stop: &mut watch::Receiver<bool>) -> Ended {
        let mut resumptions = 0;
        loop {
            let ended = tokio::select! {
                biased;
                () = stopped(stop) => return Ended::Stopped,
                ended = self.listen_and_talk() => ended,
            };
            let got_on = self.counted.as_ref().is_some_and(Counted::has_got_on);
            resumptions = if got_on { 1 } else { resumptions + 1 };
            let Ended::Lost(cause) = ended else {
                return ended;
            };
            if resumptions > RESUMPTIONS_MAX || !is_of_the_way(&cause) {
                return Ended::Lost(cause);
            }
            let resumed = tokio::select! {
                biased;
                () = stopped(stop) => return Ended::Stopped,
                resumed = self.resume() => resumed,
            };
            if !resumed {
                return Ended::Lost(cause);
            }
            debug!(%cause, "taken up again");
        }
    }

    async fn listen_and_talk(&mut self) -> Ended {
        let counted = self.counted.as_ref();
        let Link {
            transport,
            reader,
            writer,
            records,
            ..
        } = &mut self.link;
        let transport = *transport;
        tokio::select! {
            biased;
            ended = listen(self.core, transport, (reader, records), counted) => ended,
            cause = talk(self.core, transport, (writer, &mut self.queue), counted) => {
                Ended::Lost(cause)
            }
        }
    }

    /// Takes the connection up again over another transport of the same kind, if it is one that can
    /// be; whether that was done.
    async fn resume(&mut self) -> bool {
        let (Some(again), Some(counted)) = (&self.link.again, &self.counted) else {
            return false;
        };
        let Some((reader, mut writer)) = again.open(&self.core.settings).await else {
            return false;
        };
        let sequence = counted.handle_resumed();
        if writer.send(&[sequence]).await.is_err() {
            return false;
        }
        self.link.reader = reader;
        self.link.writer = writer;
        self.link.records = Records::new(self.core.settings.message_max);
        true
    }
}

/// Whether a connection ended because of what is between the two ends, and not of what they said.
fn is_of_the_way(cause: &Cause) -> bool {
    use tokio_tungstenite::tungstenite::Error;

    match cause {
        Cause::CutOff | Cause::Silent { .. } => true,
        Cause::WebSocket { source } => !matches!(**source, Error::Capacity(_)),
        Cause::Connect { .. }
        | Cause::TimedOut { .. }
        | Cause::Status { .. }
        | Cause::Unexpected { .. }
        | Cause::Http { .. }
        | Cause::Protocol { .. }
        | Cause::Negotiation { .. }
        | Cause::Redirection
        | Cause::NoTransport { .. }
        | Cause::Refused { .. }
        | Cause::Closed { .. }
        | Cause::Token { .. }
        | Cause::SlowHandler { .. }
        | Cause::SlowHub { .. }
        | Cause::Gap { .. } => false,
    }
}

/// Hears the hub until it ends the connection or is silent for too long.
async fn listen(
    core: &Core,
    transport: Transport,
    (reader, records): (&mut Reader, &mut Records),
    counted: Option<&Counted>,
) -> Ended {
    let limit = core.settings.server_limit;
    // What comes from the hub may be waiting behind its answer to the handshake already.
    loop {
        match hear(core, records, counted) {
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
fn hear(core: &Core, records: &mut Records, counted: Option<&Counted>) -> Result<Flow, Cause> {
    while let Some(record) = link::poll(records, core.settings.protocol)? {
        let length = record.len();
        let Some(message) = core.session.read(record)? else {
            continue;
        };
        if let Some(counted) = counted
            && !counted.handle_message(&message, length)?
        {
            continue;
        }
        let flow = core.session.handle_message(message, length)?;
        if matches!(flow, Flow::Closed { .. }) {
            return Ok(flow);
        }
    }
    Ok(Flow::GoesOn)
}

/// What is to be said next.
enum Next {
    Record(Bytes),
    Ping,
    /// What has come is to be acknowledged, or there is room for more.
    Counted(Option<Bytes>),
    /// Nobody can say anything any more.
    Nothing,
}

/// Says what is to be said, and a ping when there is nothing for a while.
async fn talk(
    core: &Core,
    transport: Transport,
    (writer, queue): (&mut Writer, &mut Queue),
    counted: Option<&Counted>,
) -> Cause {
    let patience = match transport {
        Transport::WebSockets | Transport::ServerSentEvents => core.settings.keep_alive,
        Transport::LongPolling => core.settings.keep_alive.max(POLLING_KEEP_ALIVE),
    };
    let ping = core.session.write(Message::Ping);
    let mut silent_since = Instant::now();
    let mut records = Vec::new();
    while let Some(record) = counted.and_then(Counted::poll_again) {
        records.push(record);
    }
    loop {
        if !records.is_empty() {
            if let Err(cause) = writer.send(&records).await {
                return cause;
            }
            silent_since = Instant::now();
            records.clear();
        }
        let next = tokio::select! {
            record = queue.recv(), if counted.is_none_or(Counted::has_room) => {
                record.map_or(Next::Nothing, Next::Record)
            }
            due = Counted::due(counted) => Next::Counted(due),
            () = sleep_until(silent_since + patience) => Next::Ping,
        };
        match next {
            Next::Record(record) => {
                records = batch(record, queue);
                if let Some(counted) = counted {
                    counted.keep(&records);
                }
            }
            Next::Counted(acknowledgement) => records.extend(acknowledgement),
            Next::Ping => {
                if let Err(cause) = writer.ping(ping.clone()).await {
                    return cause;
                }
                silent_since = Instant::now();
            }
            Next::Nothing => return Cause::CutOff,
        }
    }
}

/// A record, and what waits behind it.
fn batch(first: Bytes, queue: &mut Queue) -> Vec<Bytes> {
    let mut length = first.len();
    let mut batch = vec![first];
    while length < BATCH_MAX
        && let Some(record) = queue.try_recv()
    {
        length += record.len();
        batch.push(record);
    }
    batch
}

/// Sends what was taken to be sent, and a close.
async fn finish(protocol: Protocol, writer: &mut Writer, queue: &mut Queue) -> Result<(), Cause> {
    queue.close();
    while let Some(record) = queue.try_recv() {
        writer.send(&batch(record, queue)).await?;
    }
    let close = Message::Close {
        error: None,
        allow_reconnect: false,
    };
    let close = crate::value::write(protocol, close);
    writer.send(&[close.into()]).await
}
