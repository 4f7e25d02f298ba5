//! A call on its way to its handler, and what handlers may ask to be given of it.

use std::sync::Arc;

use axum::extract::FromRef;
use outgate_signalr::payload::Arguments;

use crate::arguments::FromArguments;
use crate::error::Failure;
use crate::upload::Pieces;
use crate::{Connection, Disconnected, HubError, Upload};

/// A call on its way to its handler.
#[derive(Debug)]
pub struct Call {
    pub(crate) connection: Connection,
    pub(crate) target: String,
    /// By which the client knows the answer, if it waits for one.
    pub(crate) id: Option<String>,
    pub(crate) arguments: Option<Arguments>,
    /// In the order in which the client names them.
    pub(crate) uploads: std::vec::IntoIter<Pieces>,
    pub(crate) disconnected: Option<Arc<Disconnected>>,
}

/// Why a call cannot be made: the handler asks for what the call does not have.
#[derive(Debug)]
pub struct Rejection(pub(crate) Failure);

impl Rejection {
    /// A refusal whose text the client is told.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Failure::Handler(HubError::new(text)))
    }
}

/// What a handler may ask to be given. `S` is the state of
/// [`Builder::with_state`](crate::Builder::with_state).
pub trait FromCall<S>: Sized + Send {
    /// Takes it from a call.
    ///
    /// # Errors
    /// The call does not have it.
    fn from_call(call: &mut Call, state: &S) -> Result<Self, Rejection>;
}

impl Call {
    /// The connection that calls.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The method's name as the client wrote it.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }
}

/// The call's arguments as a tuple.
#[derive(Debug, Clone, Copy)]
pub struct Args<T>(pub T);

/// The call's arguments as they came, for whoever knows no types beforehand.
#[derive(Debug, Clone)]
pub struct RawArgs(pub Arguments);

/// The method's name as the client wrote it.
#[derive(Debug, Clone)]
pub struct Target(pub String);

/// The name that the client has given the call, if it waits for the answer.
#[derive(Debug, Clone)]
pub struct InvocationId(pub Option<String>);

/// The state of [`Builder::with_state`](crate::Builder::with_state), or a part of it, as axum has
/// it.
#[derive(Debug, Clone, Copy)]
pub struct State<T>(pub T);

/// What [`Identity::extension`](crate::Identity::extension) put on the connection.
#[derive(Debug, Clone)]
pub struct Extension<T>(pub Arc<T>);

impl<S> FromCall<S> for Connection {
    fn from_call(call: &mut Call, _: &S) -> Result<Self, Rejection> {
        Ok(call.connection.clone())
    }
}

impl<S, T: FromArguments> FromCall<S> for Args<T> {
    fn from_call(call: &mut Call, _: &S) -> Result<Self, Rejection> {
        let arguments = call.arguments.take().unwrap_or(Arguments::Json(Vec::new()));
        T::from_arguments(arguments)
            .map(Self)
            .map_err(|error| Rejection(Failure::Arguments(error.into())))
    }
}

impl<S> FromCall<S> for RawArgs {
    fn from_call(call: &mut Call, _: &S) -> Result<Self, Rejection> {
        let arguments = call.arguments.take();
        Ok(Self(arguments.unwrap_or(Arguments::Json(Vec::new()))))
    }
}

impl<S> FromCall<S> for Target {
    fn from_call(call: &mut Call, _: &S) -> Result<Self, Rejection> {
        Ok(Self(call.target.clone()))
    }
}

impl<S> FromCall<S> for InvocationId {
    fn from_call(call: &mut Call, _: &S) -> Result<Self, Rejection> {
        Ok(Self(call.id.clone()))
    }
}

impl<S, T: FromRef<S> + Send> FromCall<S> for State<T> {
    fn from_call(_: &mut Call, state: &S) -> Result<Self, Rejection> {
        Ok(Self(T::from_ref(state)))
    }
}

impl<S, T: Send + Sync + 'static> FromCall<S> for Extension<T> {
    fn from_call(call: &mut Call, _: &S) -> Result<Self, Rejection> {
        let missing = || {
            let text = "the connection has no such extension";
            Rejection(Failure::Handler(std::io::Error::other(text).into()))
        };
        call.connection.extension().map(Self).ok_or_else(missing)
    }
}

impl<S, T: serde::de::DeserializeOwned + Send> FromCall<S> for Upload<T> {
    fn from_call(call: &mut Call, _: &S) -> Result<Self, Rejection> {
        let missing = || Rejection::new("Client sent fewer streams than the hub method expects.");
        call.uploads.next().map(Self::new).ok_or_else(missing)
    }
}

/// Why the connection ended: for [`Builder::on_disconnect`](crate::Builder::on_disconnect) alone.
impl<S> FromCall<S> for Arc<Disconnected> {
    fn from_call(call: &mut Call, _: &S) -> Result<Self, Rejection> {
        let missing = || Rejection::new("the connection has not ended");
        call.disconnected.clone().ok_or_else(missing)
    }
}
