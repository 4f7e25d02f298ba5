//! Handlers: asynchronous functions that take what they need and give what the client gets.

use std::any::TypeId;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt as _};
use outgate_signalr::{Protocol, encode};
use serde::Serialize;

use crate::HubError;
use crate::call::{Call, FromCall, Rejection};
use crate::error::Failure;

/// An asynchronous function or closure whose parameters are [`FromCall`].
///
/// `P` is its parameters, and `R` what it gives.
pub trait Handler<P, R, S>: Send + Sync + 'static {
    /// Calls it.
    ///
    /// # Errors
    /// The call does not have what it asks for.
    fn call(&self, call: Call, state: &S) -> Result<BoxFuture<'static, R>, Rejection>;
}

impl<Fun, Fut, R, S> Handler<(), R, S> for Fun
where
    Fun: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    fn call(&self, _: Call, _: &S) -> Result<BoxFuture<'static, R>, Rejection> {
        Ok(Box::pin(self()))
    }
}

macro_rules! handler {
    ($($kind:ident $value:ident),+) => {
        impl<Fun, Fut, R, S, $($kind),+> Handler<($($kind,)+), R, S> for Fun
        where
            Fun: Fn($($kind),+) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            $($kind: FromCall<S>,)+
        {
            fn call(&self, mut call: Call, state: &S) -> Result<BoxFuture<'static, R>, Rejection> {
                $(let $value = $kind::from_call(&mut call, state)?;)+
                Ok(Box::pin(self($($value),+)))
            }
        }
    };
}

handler!(A a);
handler!(A a, B b);
handler!(A a, B b, C c);
handler!(A a, B b, C c, D d);
handler!(A a, B b, C c, D d, E e);
handler!(A a, B b, C c, D d, E e, F f);
handler!(A a, B b, C c, D d, E e, F f, G g);
handler!(A a, B b, C c, D d, E e, F f, G g, H h);

/// What a handler gives: a [`Result`] of a value and [`HubError`]. `()` is an answer without a
/// result.
pub trait Reply: Send + 'static {
    /// What the value is.
    type Value: Serialize + Send + 'static;

    /// The value, or why there is none.
    ///
    /// # Errors
    /// As the handler says.
    fn reply(self) -> Result<Self::Value, HubError>;
}

impl<T: Serialize + Send + 'static> Reply for Result<T, HubError> {
    type Value = T;

    fn reply(self) -> Self {
        self
    }
}

/// A handler of calls without its types. What it gives is the answer to send, if anybody waits.
pub(crate) type Method<S> = Box<
    dyn Fn(Call, &S, Answering) -> BoxFuture<'static, Result<Option<Bytes>, Failure>> + Send + Sync,
>;

/// A handler of streams without its types.
pub(crate) type StreamMethod<S> =
    Box<dyn Fn(Call, &S, Answering) -> BoxFuture<'static, Result<Items, Failure>> + Send + Sync>;

/// Items of a stream, ready to send.
pub(crate) type Items = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>;

/// How an answer is to be written.
#[derive(Debug, Clone)]
pub(crate) struct Answering {
    pub(crate) protocol: Protocol,
    pub(crate) id: Option<String>,
}

pub(crate) fn method<F, P, R, S>(handler: F) -> Method<S>
where
    F: Handler<P, R, S>,
    R: Reply,
{
    Box::new(
        move |call, state, answering| match handler.call(call, state) {
            Err(rejection) => Box::pin(async { Err(rejection.0) }),
            Ok(future) => Box::pin(async move {
                let value = future.await.reply().map_err(Failure::Handler)?;
                let Some(id) = &answering.id else {
                    return Ok(None);
                };
                let protocol = answering.protocol;
                if TypeId::of::<R::Value>() == TypeId::of::<()>() {
                    return Ok(Some(encode::plain(protocol, &encode::Plain::Done { id })));
                }
                let answer = encode::completion(protocol, id, &value);
                answer
                    .map(Some)
                    .map_err(|error| Failure::Handler(error.into()))
            }),
        },
    )
}

/// What a streaming handler gives: a [`Result`] of a stream and [`HubError`], whose items are
/// results too.
pub trait StreamReply: Send + 'static {
    /// The stream.
    type Stream: Stream<Item: Reply> + Send + 'static;

    /// The stream, or why there is none.
    ///
    /// # Errors
    /// As the handler says.
    fn stream(self) -> Result<Self::Stream, HubError>;
}

impl<T: Stream<Item: Reply> + Send + 'static> StreamReply for Result<T, HubError> {
    type Stream = T;

    fn stream(self) -> Self {
        self
    }
}

pub(crate) fn stream_method<F, P, R, S>(handler: F) -> StreamMethod<S>
where
    F: Handler<P, R, S>,
    R: StreamReply,
{
    Box::new(
        move |call, state, answering| match handler.call(call, state) {
            Err(rejection) => Box::pin(async { Err(rejection.0) }),
            Ok(future) => Box::pin(async move {
                let stream = future.await.stream().map_err(Failure::Handler)?;
                let items = stream.map(move |item| {
                    let item = item.reply().map_err(Failure::Stream)?;
                    let id = answering.id.as_deref().unwrap_or_default();
                    encode::stream_item(answering.protocol, id, &item)
                        .map_err(|error| Failure::Stream(error.into()))
                });
                Ok(Box::pin(items) as Items)
            }),
        },
    )
}
