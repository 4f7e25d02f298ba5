//! The handle on a connection.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use outgate_signalr::connection::{End, Frame};
use outgate_signalr::encode::{self, EncodeError};
use outgate_signalr::negotiate::Transport;
use outgate_signalr::payload::{Payload, PayloadError};
use outgate_signalr::{Completed, Protocol};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::Hub;
use crate::arguments::ToArguments;
use crate::shared::{Life, Shared};

/// Who a client is, as [`Builder::authenticate`](crate::Builder::authenticate) finds out.
#[derive(Clone, Default)]
pub struct Identity {
    /// Whom [`Clients::user`](crate::Clients::user) means: several connections may be one user's.
    pub user: Option<Arc<str>>,
    /// What the program wants to have at hand: [`Connection::extension`].
    pub extension: Option<Arc<dyn Any + Send + Sync>>,
}

/// Without what may be private.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// A connection of a client's. Clones are the same one; it may be kept after its end, and does
/// nothing then.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shared>);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Disconnected {
    /// Its transport broke and did not come back, or the client left without a word.
    #[error("the transport is gone")]
    TransportLost,
    /// Either side ended it.
    #[error(transparent)]
    Ended(#[from] End),
}

/// Why a client's answer is not there.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// An argument has no form in the protocol.
    #[error("an argument cannot be sent")]
    Encode(#[source] EncodeError),
    /// As many answers as may be are waited for.
    #[error("too many answers of this client are waited for: {max}")]
    TooMany {
        /// How many may be.
        max: usize,
    },
    /// The client says that it failed.
    #[error("the client failed: {0}")]
    Client(String),
    /// No answer came in time.
    #[error("the client did not answer within {0:?}")]
    Late(Duration),
    /// The connection ended first.
    #[error("the connection ended before the client answered")]
    Disconnected,
    /// The answer is of another type.
    #[error("the client's answer is of another type")]
    Answer(#[source] PayloadError),
    /// The client gave no result.
    #[error("the client gave no result")]
    NoResult,
}

/// A connection is in as many groups as it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a connection may be in {max} groups")]
pub struct TooManyGroups {
    /// How many that is.
    pub max: usize,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Its public name. Whoever knows it can do nothing with it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.identity.user.as_deref()
    }

    /// What [`Identity::extension`] put on it, if it is of that type.
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.extension()?.downcast().ok()
    }

    /// What carries it, once something has.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        self.0.state().transport
    }

    /// What it speaks; `None` when it has ended.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        self.0.protocol()
    }

    /// The hub that it belongs to.
    #[must_use]
    pub fn hub(&self) -> Hub {
        Hub(Arc::clone(&self.0.hub))
    }

    /// Calls a method of the client's without waiting for an answer.
    ///
    /// # Errors
    /// An argument has no form in its protocol.
    pub fn send(&self, target: &str, arguments: impl ToArguments) -> Result<(), EncodeError> {
        if let Some(protocol) = self.0.protocol() {
            let bytes = encode::invocation(protocol, None, target, &arguments)?;
            self.0.send(Frame::news(bytes, None));
        }
        Ok(())
    }

    /// Calls a method of the client's and waits for its answer.
    ///
    /// Handlers may wait for one too; calls of the same client wait meanwhile, unless
    /// [`Builder::parallel_calls`](crate::Builder::parallel_calls) allows more.
    ///
    /// # Errors
    /// There is no answer, or not one of that type.
    pub async fn invoke<R: DeserializeOwned>(
        &self,
        target: &str,
        arguments: impl ToArguments,
        patience: Duration,
    ) -> Result<R, InvokeError> {
        let answer = self.invoke_raw(target, arguments, patience).await?;
        answer.read().map_err(InvokeError::Answer)
    }

    /// As [`Connection::invoke`], for whoever knows no type beforehand.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn invoke_raw(
        &self,
        target: &str,
        arguments: impl ToArguments,
        patience: Duration,
    ) -> Result<Payload, InvokeError> {
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting::begin(&self.0, sender)?;
        let protocol = self.0.protocol().ok_or(InvokeError::Disconnected)?;
        let bytes = encode::invocation(protocol, Some(&waiting.id), target, &arguments);
        self.0
            .send(Frame::needed(bytes.map_err(InvokeError::Encode)?));
        let answer = tokio::time::timeout(patience, answer).await;
        let answer = answer.map_err(|_| InvokeError::Late(patience))?;
        match answer.map_err(|_| InvokeError::Disconnected)? {
            Completed::Error(error) => Err(InvokeError::Client(error)),
            Completed::Void => Err(InvokeError::NoResult),
            Completed::Result(result) => Ok(result),
        }
    }

    /// Makes it a member of a group. One that has ended becomes none.
    ///
    /// # Errors
    /// It is in as many as it may be.
    pub fn join(&self, group: &str) -> Result<(), TooManyGroups> {
        let max = self.0.hub.options.groups_max;
        let mut state = self.0.state();
        let lives = matches!(state.life, Life::Connecting(None) | Life::Open);
        if !lives || state.groups.iter().any(|one| **one == *group) {
            return Ok(());
        }
        if state.groups.len() >= max {
            return Err(TooManyGroups { max });
        }
        let group: Arc<str> = group.into();
        // While the connection's lock is held, so that it does not end in between.
        self.0.hub.registry.join(&self.0, &group);
        state.groups.push(group);
        Ok(())
    }

    /// Makes it no member of a group any more.
    pub fn leave(&self, group: &str) {
        let mut state = self.0.state();
        state.groups.retain(|one| **one != *group);
        self.0.hub.registry.leave(&self.0, group);
    }

    /// The groups that it is in.
    #[must_use]
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.0.state().groups.clone()
    }

    /// Closes it: `error` is what the client is told, `allow_reconnect` whether it comes back by
    /// itself, where it was made to. What was sent before is still delivered.
    pub fn close(&self, error: Option<&str>, allow_reconnect: bool) {
        self.0.close(error, allow_reconnect);
    }

    /// Waits until little waits for the client, for whoever sends much; false when it has ended.
    pub async fn flow(&self) -> bool {
        self.0.flow().await
    }

    /// Waits until it has ended.
    pub async fn closed(&self) {
        self.0.ended().await;
    }

    /// Ends it at once: its WebSocket is dropped, whatever waits for the client. A response under
    /// way over one of the other transports is the server's to break off.
    pub fn cut(&self) {
        self.0.end(Disconnected::Ended(End::Server));
        self.0.cut.cancel();
    }

    /// Waits until it has ended and nothing carries it any more: its WebSocket or event stream is
    /// dropped, and no poll is held.
    pub async fn let_go(&self) {
        self.0.let_go().await;
    }
}

/// Somebody who waits for an answer of a client's, until it comes or he gives up.
struct Waiting<'a> {
    shared: &'a Arc<Shared>,
    id: String,
}

impl<'a> Waiting<'a> {
    fn begin(
        shared: &'a Arc<Shared>,
        sender: oneshot::Sender<Completed<Payload>>,
    ) -> Result<Self, InvokeError> {
        let mut state = shared.state();
        if state.link.protocol().is_none() {
            return Err(InvokeError::Disconnected);
        }
        let max = shared.hub.options.link.answers_max;
        let id = state.link.wait_for_answer(sender);
        let id = id.map_err(|_| InvokeError::TooMany { max })?;
        Ok(Self { shared, id })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.state().link.forget_answer(&self.id);
    }
}
