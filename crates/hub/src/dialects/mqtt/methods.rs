//! Enhanced authentication (MQTT 5.0, section 4.12): methods beside user name and password.
//!
//! A method is registered by its name. A client that names it in its CONNECT goes through an
//! exchange of it, and may go through another at any time while it is connected. What an exchange
//! proves, it proves to the core: its result is a credential of the core's, so that revoking that
//! ends the connection like any other.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use outgate_core::identity::{Identified, Principal};
use outgate_core::limits::Attempt;
use outgate_door::Facts;
use outgate_mqtt::connection::{Connection, Event};
use outgate_mqtt::packet::{Authentication, ReasonCode};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Inner;
use super::welcome::next_event;

/// The most times that a client is asked in one exchange.
pub const MAX_STEPS: usize = 16;

/// Methods by their names.
pub type Methods = BTreeMap<String, Arc<dyn Method>>;

/// A method of enhanced authentication.
pub trait Method: Debug + Send + Sync {
    /// Begins an exchange with one client.
    fn begin(&self) -> Box<dyn Exchange>;
}

/// An exchange with one client.
pub trait Exchange: Debug + Send {
    /// Takes what the client says next. May be dropped at any time: the client has gone, or has
    /// taken too long.
    fn step(&mut self, said: Option<Bytes>) -> Answering<'_>;
}

/// An answer on its way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Step> + Send + 'a>>;

/// What comes of what a client has said.
#[derive(Debug)]
pub enum Step {
    /// It is asked for more.
    Challenge(Option<Bytes>),
    /// It has proved who it is.
    Proved {
        /// Who, as [`outgate_core::identity::Identity::authenticate`] said just now.
        identified: Box<Identified>,
        /// What it is told at the end.
        data: Option<Bytes>,
    },
    /// It has not, and is turned away.
    Refused,
}

/// What holds for a connection that was authenticated by a method.
#[derive(Debug)]
pub(super) struct Agreed {
    /// As the client named it.
    pub(super) authentication: Authentication,
    pub(super) method: Arc<dyn Method>,
    pub(super) identified: Identified,
    /// An exchange that waits for the client to answer, and how often it was asked.
    pub(super) exchange: Option<(Box<dyn Exchange>, usize)>,
}

/// Goes through an exchange before a client is let in.
///
/// # Errors
/// With what the CONNACK says.
pub(super) async fn log_in<S>(
    hub: &Inner,
    connection: &mut Connection,
    stream: &mut S,
    asked: &Authentication,
    facts: &Facts,
) -> Result<Agreed, ReasonCode>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let method = hub
        .methods
        .get(asked.method.as_str())
        .ok_or(ReasonCode::BadAuthenticationMethod)?;
    let attempt = Attempt::new(facts.peer.ip(), Some(asked.method.as_str()));
    hub.core
        .failed_logins
        .check(&attempt)
        .map_err(|_| ReasonCode::ServerBusy)?;
    let mut exchange = method.begin();
    let mut said = asked.data.clone();
    for _ in 0..MAX_STEPS {
        let until = connection.poll_timeout();
        let until = until.ok_or(ReasonCode::NotAuthorized)?;
        let step = tokio::time::timeout_at(until.into(), exchange.step(said)).await;
        match step.unwrap_or(Step::Refused) {
            Step::Challenge(data) => connection.challenge(data),
            Step::Proved { identified, data } if is_let_in(&identified) => {
                return Ok(Agreed {
                    authentication: Authentication {
                        method: asked.method.clone(),
                        data,
                    },
                    method: Arc::clone(method),
                    identified: *identified,
                    exchange: None,
                });
            }
            Step::Proved { .. } | Step::Refused => break,
        }
        let Some(Event::Auth(auth)) = next_event(connection, stream).await else {
            return Err(ReasonCode::NotAuthorized);
        };
        said = auth.authentication.and_then(|answer| answer.data);
    }
    // Whether this one is one too many is asked the next time.
    let _ = hub.core.failed_logins.count(&attempt);
    Err(ReasonCode::NotAuthorized)
}

fn is_let_in(identified: &Identified) -> bool {
    match identified.principal {
        Principal::Device { .. } | Principal::Service { .. } => true,
        Principal::Operator { .. } => false,
    }
}
