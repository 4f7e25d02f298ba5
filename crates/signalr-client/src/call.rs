//! Calls to the hub.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use outgate_signalr::payload::Payload;
use outgate_signalr::{self as signalr, Completed, Headers, Message};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;

use crate::arguments::{Arguments, Values};
use crate::client::Core;
use crate::error::CallError;
use crate::http::locked;
use crate::outgoing::Outgoing;
use crate::session::{Item, StreamEnd};
use crate::value::{self, ValueError};

/// Items of a stream to the hub; an error ends it.
type Upload = BoxStream<'static, Result<Payload, String>>;

/// A call that is being put together.
#[must_use = "nothing is sent before it is invoked, sent or streamed"]
pub struct Call {
    core: Arc<Core>,
    target: String,
    arguments: Result<Values, ValueError>,
    uploads: Vec<Upload>,
    items_max: usize,
}

impl Call {
    pub(crate) fn new(core: Arc<Core>, target: &str) -> Self {
        let items_max = core.settings.items_max;
        Self {
            core,
            target: target.to_owned(),
            arguments: Ok(Values(Vec::new())),
            uploads: Vec::new(),
            items_max,
        }
    }

    /// With these arguments.
    pub fn arguments(mut self, arguments: impl Arguments) -> Self {
        self.arguments = arguments.write(self.core.settings.protocol);
        self
    }

    /// With a stream from here to the hub, for the method's next parameter that is one. It ends
    /// with the call at the latest.
    pub fn upload<T: Serialize + 'static>(
        self,
        items: impl Stream<Item = T> + Send + 'static,
    ) -> Self {
        self.try_upload(items.map(Ok::<T, String>))
    }

    /// As [`Call::upload`]; an error ends the stream at the hub with its words.
    pub fn try_upload<T: Serialize, E: ToString>(
        mut self,
        items: impl Stream<Item = Result<T, E>> + Send + 'static,
    ) -> Self {
        let protocol = self.core.settings.protocol;
        let items = items.map(move |item| {
            let item = item.map_err(|error| error.to_string())?;
            value::of(protocol, &item).map_err(|error| error.to_string())
        });
        self.uploads.push(items.boxed());
        self
    }

    /// Lets so many items of a stream from the hub wait to be taken, in place of what the client was
    /// built with. When one more comes the stream ends with [`CallError::Overflow`].
    pub fn items_max(mut self, items_max: usize) -> Self {
        self.items_max = items_max;
        self
    }

    /// Calls, and waits for the result: `()` for none, [`IgnoredAny`](serde::de::IgnoredAny) for
    /// whatever it is. Dropped, it no longer waits; the hub goes on.
    ///
    /// # Errors
    /// There is no connection or it ends first, the hub answers with an error, or something is not
    /// of the type that was wanted.
    pub async fn invoke<R: DeserializeOwned>(self) -> Result<R, CallError> {
        let core = self.core.clone();
        let id = core.session.id();
        let answer = core.session.await_call(&id)?;
        let waiting = Waiting {
            core: &core,
            id: &id,
        };
        let named = id.clone();
        self.go(Some(&id), move |call| Message::Invocation {
            id: Some(named),
            call,
        })
        .await?;
        let answered = answer.await.map_err(|_| CallError::Lost)??;
        drop(waiting);
        let nothing = || value::nothing(core.settings.protocol);
        let read = value::to(answered.unwrap_or_else(nothing));
        read.map_err(|source| CallError::Read { source })
    }

    /// Calls without waiting for anything. That it is well means only that the call was taken to be
    /// sent.
    ///
    /// # Errors
    /// There is no connection, or the arguments cannot be written.
    pub async fn send(self) -> Result<(), CallError> {
        self.go(None, |call| Message::Invocation { id: None, call })
            .await
    }

    /// Calls a method that answers with a stream. Dropping the stream makes the hub stop it.
    ///
    /// # Errors
    /// There is no connection, or the arguments cannot be written. What goes wrong later is the
    /// stream's last item.
    pub async fn stream<T: DeserializeOwned>(self) -> Result<Items<T>, CallError> {
        let core = self.core.clone();
        let id = core.session.id();
        let (values, end) = core.session.await_stream(&id, self.items_max)?;
        let items = Items {
            core,
            id: id.clone(),
            values: Some(values),
            end,
            item: std::marker::PhantomData,
        };
        let named = id.clone();
        self.go(Some(&id), move |call| Message::StreamInvocation {
            id: named,
            call,
        })
        .await?;
        Ok(items)
    }

    async fn go(
        self,
        id: Option<&str>,
        message: impl FnOnce(signalr::Call<Payload>) -> Message<Payload>,
    ) -> Result<(), CallError> {
        let session = &self.core.session;
        let outgoing = session.outgoing()?;
        let arguments = self.arguments;
        let arguments = arguments.map_err(|source| CallError::Write { source })?;
        let stream_ids: Vec<String> = self.uploads.iter().map(|_| session.id()).collect();
        let record = session.write(message(signalr::Call {
            headers: Headers::new(),
            target: self.target,
            arguments: arguments.0,
            stream_ids: stream_ids.clone(),
        }));
        outgoing.send(record).await?;
        let uploads = stream_ids.into_iter().zip(self.uploads).map(|(id, items)| {
            let upload = upload(self.core.clone(), outgoing.clone(), id, items);
            tokio::spawn(upload).abort_handle()
        });
        let uploads = uploads.collect();
        if let Some(id) = id {
            session.bind_uploads(id, uploads);
        }
        Ok(())
    }
}

/// Forgets a call when nobody waits for it any more.
struct Waiting<'a> {
    core: &'a Core,
    id: &'a str,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.core.session.forget(self.id);
    }
}

/// Sends a stream to its end, or to the connection's.
async fn upload(core: Arc<Core>, outgoing: Outgoing, id: String, mut items: Upload) {
    let headers = Headers::new;
    let mut completed = Completed::Void;
    while let Some(item) = items.next().await {
        match item {
            Ok(item) => {
                let item = Message::StreamItem {
                    headers: headers(),
                    id: id.clone(),
                    item,
                };
                if outgoing.send(core.session.write(item)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                completed = Completed::Error(error);
                break;
            }
        }
    }
    let end = Message::Completion {
        headers: headers(),
        id,
        completed,
    };
    // Without a connection nobody waits for it.
    let _ = outgoing.send(core.session.write(end)).await;
}

/// A stream from the hub. After an error nothing more comes.
pub struct Items<T> {
    core: Arc<Core>,
    id: String,
    /// Nothing once it has ended.
    values: Option<mpsc::Receiver<Item>>,
    end: StreamEnd,
    item: std::marker::PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Items")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Stream for Items<T> {
    type Item = Result<T, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(values) = &mut self.values else {
            return Poll::Ready(None);
        };
        let Some((value, _room)) = std::task::ready!(values.poll_recv(context)) else {
            self.values = None;
            let end = locked(&self.end).take();
            return Poll::Ready(end.map(Err));
        };
        let item = value::to(value);
        if item.is_err() {
            self.values = None;
            self.core.session.cancel(&self.id);
        }
        Poll::Ready(Some(item.map_err(|source| CallError::Read { source })))
    }
}

impl<T> Drop for Items<T> {
    fn drop(&mut self) {
        self.core.session.cancel(&self.id);
    }
}
