//! What comes from clients, to handlers; what they give, to clients.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use outgate_signalr::connection::{Called, Event, Frame, Full};
use outgate_signalr::encode::{Plain, plain};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use crate::call::Call;
use crate::error::Failure;
use crate::handler::{Answering, Items};
use crate::hub::Found;
use crate::shared::{Arrived, Life, Shared, UnderWay};
use crate::upload::{Piece, Pieces};
use crate::{Connection, Disconnected, HubError};

/// Whether everything that came was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// It was.
    All,
    /// There is no room; [`Shared::room`] tells when there may be.
    Blocked,
}

/// Takes a piece of what the client says, unless it comes over a transport that a newer one has
/// replaced.
pub(crate) fn hear(shared: &Arc<Shared>, piece: &[u8], generation: Option<u64>) -> Pumped {
    {
        let now = shared.hub.now();
        let mut state = shared.state();
        if generation.is_some_and(|generation| generation != state.generation) {
            return Pumped::All;
        }
        state.link.handle_bytes(piece, now);
        state.spoke |= state.opened.is_some();
    }
    pump(shared)
}

/// Takes what came as long as there is room.
pub(crate) fn pump(shared: &Arc<Shared>) -> Pumped {
    loop {
        let event = {
            let now = shared.hub.now();
            let mut state = shared.state();
            let held = state.held.take();
            held.or_else(|| state.link.poll_event(now))
        };
        let Some(event) = event else {
            return Pumped::All;
        };
        if let Some(event) = take(shared, event) {
            shared.state().held = Some(event);
            return Pumped::Blocked;
        }
    }
}

/// Takes an event, or gives it back where there is no room.
fn take(shared: &Arc<Shared>, event: Event<UnderWay>) -> Option<Event<UnderWay>> {
    match event {
        Event::Opened => opened(shared),
        Event::Called(call) => return called(shared, call).map(Event::Called),
        Event::Item { upload, item } => {
            if let Err(TrySendError::Full(Piece::Item(item))) = upload.try_send(Piece::Item(item)) {
                return Some(Event::Item { upload, item });
            }
        }
        Event::Uploaded { upload, error } => {
            if let Err(TrySendError::Full(Piece::End(error))) = upload.try_send(Piece::End(error)) {
                return Some(Event::Uploaded { upload, error });
            }
        }
        Event::Cancelled { download } => download.cancel(),
        Event::Answered { waiting, completed } => {
            // Whoever waited may have given up.
            let _ = waiting.send(completed);
        }
        Event::Ended(end) => shared.end(Disconnected::Ended(end)),
    }
    None
}

/// The handshake is done: the program is told, and calls wait until it has nothing against it.
fn opened(shared: &Arc<Shared>) {
    let hub = &shared.hub;
    {
        let mut state = shared.state();
        state.life = Life::Connecting(None);
        state.opened = Some(hub.now());
    }
    hub.registry.open(shared);
    shared.outgoing.notify_one();
    let Some(on_connect) = &hub.methods.on_connect else {
        return admitted(shared, Ok(()));
    };
    let call = call(shared, String::new(), None, Vec::new());
    let told = on_connect(call, answering(shared, None));
    let admitting = Arc::clone(shared);
    let mut admission: BoxFuture<'static, ()> = Box::pin(async move {
        let told = caught(told, Failure::Handler).await;
        admitted(&admitting, told.map(|_| ()));
    });
    if (&mut admission).now_or_never().is_none() {
        tokio::spawn(admission);
    }
}

fn admitted(shared: &Arc<Shared>, told: Result<(), Failure>) {
    let mut state = shared.state();
    let ended = match std::mem::replace(&mut state.life, Life::Open) {
        Life::Connecting(Some(reason)) => {
            state.life = Life::Over;
            Some(reason)
        }
        Life::New | Life::Connecting(None) | Life::Open | Life::Over => None,
    };
    drop(state);
    if let Some(reason) = ended {
        shared.told_late(reason);
        return;
    }
    if let Err(failure) = told {
        let detailed = shared.hub.options.link.detailed_errors;
        let error = failure.closing_text(detailed);
        shared.close(Some(&error), false);
        return;
    }
    next_calls(shared);
    shared.room.notify_one();
}

/// Takes a call, or gives it back where too many wait.
fn called(shared: &Arc<Shared>, called: Called) -> Option<Called> {
    let options = &shared.hub.options;
    let mut state = shared.state();
    let connecting = matches!(state.life, Life::Connecting(_));
    let counts = counts(&called);
    let waits = connecting || (counts && state.running >= options.parallel_calls);
    if waits && state.calls.len() >= options.calls_waiting_max {
        return Some(called);
    }
    let mut opened = Vec::new();
    for id in &called.stream_ids {
        let (sender, pieces) = mpsc::channel(options.stream_buffer.max(1));
        if let Err(full) = state.link.open_upload(id, sender) {
            drop(state);
            drop(opened);
            refuse(shared, &called, full);
            return None;
        }
        opened.push(Pieces {
            id: id.clone(),
            pieces,
            shared: Arc::clone(shared),
        });
    }
    let arrived = Arrived {
        called,
        uploads: opened,
    };
    if waits {
        state.calls.push_back(arrived);
        return None;
    }
    state.running += usize::from(counts);
    drop(state);
    start(shared, arrived, counts);
    None
}

fn refuse(shared: &Arc<Shared>, called: &Called, full: Full) {
    let failure = match full {
        Full::Taken => Failure::Taken(called.id.clone().unwrap_or_default()),
        Full::TooMany { .. } => Failure::Handler(HubError::new(full.to_string())),
    };
    answer(shared, called.id.as_deref(), &called.target, Err(failure));
}

/// Runs a call as far as it goes at once, and the rest of it beside; true when it is done.
fn start(shared: &Arc<Shared>, arrived: Arrived, counts: bool) -> bool {
    let mut call = invoke(Arc::clone(shared), arrived);
    if (&mut call).now_or_never().is_some() {
        done(shared, counts);
        return true;
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        call.await;
        done(&shared, counts);
        next_calls(&shared);
        shared.room.notify_one();
    });
    false
}

fn done(shared: &Shared, counts: bool) {
    if counts {
        shared.state().running -= 1;
    }
}

/// Starts the calls that wait, as many as may run.
fn next_calls(shared: &Arc<Shared>) {
    while let Some((arrived, counts)) = next_call(shared) {
        start(shared, arrived, counts);
    }
}

fn next_call(shared: &Shared) -> Option<(Arrived, bool)> {
    let mut state = shared.state();
    if !matches!(state.life, Life::Open) {
        return None;
    }
    let counts = counts(&state.calls.front()?.called);
    if counts && state.running >= shared.hub.options.parallel_calls {
        return None;
    }
    state.running += usize::from(counts);
    let arrived = state.calls.pop_front()?;
    Some((arrived, counts))
}

/// What streams may take as long as it likes, and would hold up everything else.
fn counts(called: &Called) -> bool {
    !called.streamed && called.stream_ids.is_empty()
}

fn call(
    shared: &Arc<Shared>,
    target: String,
    arguments: Option<outgate_signalr::payload::Arguments>,
    uploads: Vec<Pieces>,
) -> Call {
    Call {
        connection: Connection::new(Arc::clone(shared)),
        target,
        id: None,
        arguments,
        uploads: uploads.into_iter(),
        disconnected: None,
    }
}

fn answering(shared: &Shared, id: Option<String>) -> Answering {
    let protocol = shared.protocol();
    Answering {
        // Whoever has ended hears no answer, in whatever protocol.
        protocol: protocol.unwrap_or(outgate_signalr::Protocol::Json),
        id,
    }
}

/// A call from its beginning to its answer.
fn invoke(shared: Arc<Shared>, arrived: Arrived) -> BoxFuture<'static, ()> {
    let Called {
        id,
        target,
        arguments,
        streamed,
        ..
    } = arrived.called;
    let hub = Arc::clone(&shared.hub);
    let mut call = call(&shared, target.clone(), Some(arguments), arrived.uploads);
    call.id.clone_from(&id);
    let answering = answering(&shared, id.clone());
    Box::pin(async move {
        match (hub.methods.find(&target, streamed), streamed) {
            (Found::Method(method), false) => {
                let given = async { method(call, answering).await };
                let given = caught(given, Failure::Handler).await;
                answer(&shared, id.as_deref(), &target, given);
            }
            (Found::Stream(method), true) => {
                let id = id.unwrap_or_default();
                let items = async { method(call, answering).await };
                let ended = stream(&shared, &id, items).await;
                answer(&shared, Some(&id), &target, ended);
            }
            (Found::Method(_), true) => {
                answer(&shared, id.as_deref(), &target, Err(Failure::DoesNotStream));
            }
            (Found::Stream(_), false) => {
                answer(&shared, id.as_deref(), &target, Err(Failure::Streams));
            }
            (Found::Nothing, _) => {
                answer(&shared, id.as_deref(), &target, Err(Failure::NoMethod));
            }
        }
    })
}

/// What a handler gives, or that it panicked.
async fn caught<T>(
    handler: impl Future<Output = Result<T, Failure>>,
    failure: fn(HubError) -> Failure,
) -> Result<T, Failure> {
    let caught = AssertUnwindSafe(handler).catch_unwind().await;
    caught.unwrap_or_else(|panic| {
        tracing::error!("a hub's handler panicked");
        Err(failure(HubError::panic(&*panic)))
    })
}

/// Sends what a handler gave, if anybody waits for it.
fn answer(
    shared: &Arc<Shared>,
    id: Option<&str>,
    target: &str,
    given: Result<Option<Bytes>, Failure>,
) {
    let bytes = match given {
        Ok(bytes) => bytes,
        Err(failure) => {
            tracing::debug!(connection = &*shared.id, ?failure, "call failed");
            let error = failure.text(target, shared.hub.options.link.detailed_errors);
            id.zip(shared.protocol())
                .map(|(id, protocol)| plain(protocol, &Plain::Failed { id, error: &error }))
        }
    };
    if let Some(bytes) = bytes {
        shared.send(Frame::needed(bytes));
    }
}

/// A stream to the client from its first item to its last; what it gives is how it ended.
async fn stream(
    shared: &Arc<Shared>,
    id: &str,
    items: impl Future<Output = Result<Items, Failure>>,
) -> Result<Option<Bytes>, Failure> {
    let cancelled = CancellationToken::new();
    let opened = shared.state().link.open_download(id, cancelled.clone());
    opened.map_err(|full| match full {
        Full::Taken => Failure::Taken(id.to_owned()),
        Full::TooMany { .. } => Failure::Handler(HubError::new(full.to_string())),
    })?;
    let ended = tokio::select! {
        ended = caught(items_sent(shared, items), Failure::Stream) => ended,
        // The client has had enough of it, which is no error.
        () = cancelled.cancelled() => Ok(()),
    };
    shared.state().link.close_download(id);
    ended?;
    let protocol = shared.protocol();
    Ok(protocol.map(|protocol| plain(protocol, &Plain::Done { id })))
}

/// Sends item after item, no faster than the client takes them.
async fn items_sent(
    shared: &Arc<Shared>,
    items: impl Future<Output = Result<Items, Failure>>,
) -> Result<(), Failure> {
    let mut items = items.await?;
    while let Some(item) = items.next().await {
        shared.send(Frame::needed(item?));
        if !shared.flow().await {
            break;
        }
    }
    Ok(())
}
