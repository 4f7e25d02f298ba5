//! What the two ends are in the middle of: calls that wait for an answer, and streams.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use outgate_signalr::payload::Payload;
use outgate_signalr::{Call, Completed, Headers, Message, Protocol};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::error::{CallError, Cause};
use crate::handlers::{Answer, Handlers};
use crate::http::locked;
use crate::outgoing::Outgoing;
use crate::room::{Room, Taken};
use crate::settings::{PENDING_MAX, Settings};
use crate::value;

/// How a call ended.
pub(crate) type Answered = Result<Option<Payload>, CallError>;

pub(crate) struct Session {
    pub(crate) protocol: Protocol,
    pub(crate) handlers: Handlers,
    /// How many bytes of a stream's items may wait.
    items_bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Ids are never used again, not even over another connection: a late answer meets nobody.
    last_id: u64,
    /// The connection, if there is one.
    outgoing: Option<Outgoing>,
    pending: HashMap<String, Pending>,
}

/// A call or a stream that the hub has not ended.
struct Pending {
    waits: Waits,
    uploads: Uploads,
}

/// Streams that go with a call, and that nobody takes any more when it has ended.
#[derive(Default)]
struct Uploads(Vec<AbortHandle>);

enum Waits {
    Call(oneshot::Sender<Answered>),
    Stream(mpsc::Sender<Item>, Room, StreamEnd),
}

/// An item of a stream, and the room that it takes while it waits.
pub(crate) type Item = (Payload, Taken);

/// Why a stream ended, if it did not end well.
pub(crate) type StreamEnd = Arc<Mutex<Option<CallError>>>;

impl Drop for Uploads {
    fn drop(&mut self) {
        for upload in &self.0 {
            upload.abort();
        }
    }
}

impl Waits {
    fn end(self, ended: Answered) {
        match self {
            // Whoever called may have lost interest.
            Self::Call(sender) => drop(sender.send(ended)),
            Self::Stream(_, _, end) => *locked(&end) = ended.err(),
        }
    }
}

/// What a message means for the connection.
#[derive(Debug)]
pub(crate) enum Flow {
    GoesOn,
    /// The hub has said its last word.
    Closed {
        error: Option<String>,
        allow_reconnect: bool,
    },
}

impl Session {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            protocol: settings.protocol,
            handlers: Handlers::new(settings),
            items_bytes_max: settings.items_bytes_max,
            state: Mutex::default(),
        }
    }

    /// There is a connection.
    pub(crate) fn attach(&self, outgoing: Outgoing) {
        locked(&self.state).outgoing = Some(outgoing);
    }

    /// There is none any more: who waits is told so.
    pub(crate) fn detach(&self) {
        let pending = {
            let mut state = locked(&self.state);
            state.outgoing = None;
            std::mem::take(&mut state.pending)
        };
        for (_, pending) in pending {
            pending.waits.end(Err(CallError::Lost));
        }
    }

    /// The connection's way out.
    pub(crate) fn outgoing(&self) -> Result<Outgoing, CallError> {
        let outgoing = locked(&self.state).outgoing.clone();
        outgoing.ok_or(CallError::NotConnected)
    }

    /// An id that was never used.
    pub(crate) fn id(&self) -> String {
        let mut state = locked(&self.state);
        state.last_id += 1;
        state.last_id.to_string()
    }

    pub(crate) fn write(&self, message: Message<Payload>) -> Bytes {
        value::write(self.protocol, message).into()
    }

    pub(crate) fn await_call(&self, id: &str) -> Result<oneshot::Receiver<Answered>, CallError> {
        let (sender, receiver) = oneshot::channel();
        self.wait(id, Waits::Call(sender))?;
        Ok(receiver)
    }

    pub(crate) fn await_stream(
        &self,
        id: &str,
        items_max: usize,
    ) -> Result<(mpsc::Receiver<Item>, StreamEnd), CallError> {
        let (sender, receiver) = mpsc::channel(items_max.max(1));
        let end = StreamEnd::default();
        let room = Room::new(self.items_bytes_max);
        self.wait(id, Waits::Stream(sender, room, end.clone()))?;
        Ok((receiver, end))
    }

    fn wait(&self, id: &str, waits: Waits) -> Result<(), CallError> {
        let mut state = locked(&self.state);
        if state.outgoing.is_none() {
            return Err(CallError::NotConnected);
        }
        if state.pending.len() >= PENDING_MAX {
            return Err(CallError::TooMany { limit: PENDING_MAX });
        }
        let pending = Pending {
            waits,
            uploads: Uploads::default(),
        };
        state.pending.insert(id.to_owned(), pending);
        Ok(())
    }

    /// Ends uploads together with the call that they go with; at once if that has ended.
    pub(crate) fn bind_uploads(&self, id: &str, uploads: Vec<AbortHandle>) {
        let uploads = Uploads(uploads);
        if let Some(pending) = locked(&self.state).pending.get_mut(id) {
            pending.uploads = uploads;
        }
    }

    /// Nobody waits any more; whether somebody did.
    pub(crate) fn forget(&self, id: &str) -> bool {
        locked(&self.state).pending.remove(id).is_some()
    }

    /// Nobody takes a stream any more, and the hub need not go on.
    pub(crate) fn cancel(&self, id: &str) {
        if self.forget(id)
            && let Ok(outgoing) = self.outgoing()
        {
            let cancel = Message::CancelInvocation {
                headers: Headers::new(),
                id: id.to_owned(),
            };
            // No more of them wait than there were calls.
            outgoing.send_soon(self.write(cancel));
        }
    }

    /// The message in a record, unless it is of a kind that is not known.
    pub(crate) fn read(&self, record: &[u8]) -> Result<Option<Message<Payload>>, Cause> {
        Ok(value::read(self.protocol, record)?)
    }

    /// Takes a message of the hub, of so many bytes.
    pub(crate) fn handle_message(
        &self,
        message: Message<Payload>,
        length: usize,
    ) -> Result<Flow, Cause> {
        match message {
            Message::Invocation { id, call } => self.handle_call(id, call, length)?,
            Message::StreamItem { id, item, .. } => self.handle_item(&id, item, length),
            Message::Completion { id, completed, .. } => self.handle_completion(&id, completed),
            Message::Close {
                error,
                allow_reconnect,
            } => {
                return Ok(Flow::Closed {
                    error,
                    allow_reconnect,
                });
            }
            // Hubs do not ask clients for streams, and what a stateful connection needs is for
            // those alone.
            Message::StreamInvocation { .. }
            | Message::CancelInvocation { .. }
            | Message::Ping
            | Message::Ack { .. }
            | Message::Sequence { .. } => {}
        }
        Ok(Flow::GoesOn)
    }

    fn handle_call(
        &self,
        id: Option<String>,
        call: Call<Payload>,
        length: usize,
    ) -> Result<(), Cause> {
        let outgoing = self.outgoing().ok();
        let answer = id.zip(outgoing).map(|(id, outgoing)| Answer {
            id,
            protocol: self.protocol,
            outgoing,
        });
        self.handlers.handle(call, length, answer)
    }

    fn handle_item(&self, id: &str, item: Payload, length: usize) {
        {
            let state = locked(&self.state);
            let Some(Pending {
                waits: Waits::Stream(items, room, end),
                ..
            }) = state.pending.get(id)
            else {
                return;
            };
            let (waiting, bytes) = (items.max_capacity() - items.capacity(), room.taken());
            // Items are put into it only here.
            let place = items.try_reserve();
            match (place, room.try_take(length)) {
                (Ok(place), Some(taken)) => return place.send((item, taken)),
                (Err(mpsc::error::TrySendError::Closed(())), _) => {}
                (Ok(_) | Err(mpsc::error::TrySendError::Full(())), _) => {
                    let items = waiting;
                    *locked(end) = Some(CallError::Overflow { items, bytes });
                }
            }
        }
        self.cancel(id);
    }

    fn handle_completion(&self, id: &str, completed: Completed<Payload>) {
        let pending = locked(&self.state).pending.remove(id);
        if let Some(pending) = pending {
            pending.waits.end(match completed {
                Completed::Void => Ok(None),
                Completed::Result(value) => Ok(Some(value)),
                Completed::Error(error) => Err(CallError::Hub { error }),
            });
        }
    }
}
