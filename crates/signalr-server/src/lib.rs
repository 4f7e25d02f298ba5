//! SignalR hubs for axum, which Microsoft's clients cannot tell from ASP.NET Core's.

mod arguments;
mod builder;
mod call;
mod clients;
mod connection;
mod dispatch;
mod error;
mod handler;
mod hub;
mod memory;
mod negotiation;
mod polling;
mod post;
mod registry;
mod service;
mod shared;
mod sse;
mod sweep;
mod upload;
mod websocket;

pub use outgate_signalr::connection::{End, SlowPeer};
pub use outgate_signalr::encode::EncodeError;
pub use outgate_signalr::negotiate::{Token, Transport};
pub use outgate_signalr::payload::{Arguments, Payload};
pub use outgate_signalr::{Completed, Protocol};

pub use arguments::{ArgumentsError, FromArguments, ToArguments};
pub use builder::{Builder, Redirection};
pub use call::{Args, Call, Extension, FromCall, RawArgs, Rejection, State, Target};
pub use clients::Clients;
pub use connection::{Connection, Disconnected, Identity, InvokeError, TooManyGroups};
pub use error::HubError;
pub use handler::{Handler, Reply, StreamReply};
pub use hub::Hub;
pub use service::SignalRService;
pub use upload::{Upload, UploadError};

/// Begins a hub.
#[derive(Debug)]
pub struct SignalR;

impl SignalR {
    /// A hub that can do nothing yet.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }
}
