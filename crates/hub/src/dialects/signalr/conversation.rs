//! A connection from its handshake to its end: the session that it is, and what the device model
//! has for the device.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use outgate_core::Refusal;
use outgate_core::calls::{Answer, Call, DEADLINE};
use outgate_core::commands::{Command, Settlement};
use outgate_core::sessions::{Ending, MAX_WAITING_CALLS, Session, Signal};
use outgate_signalr_server::{
    Connection, Disconnected, End, Extension, HubError, InvokeError, Payload, State,
};
use tokio::sync::Notify;

use crate::metrics::Direction;

use super::guest::Guest;
use super::values::{self, told};
use super::{Form, LAST_WORDS, Shared, VIA, agent, neighbours};

/// The most commands fetched at a time.
const COMMANDS: u32 = 16;

/// What the device is told of the desired half of its twin by.
const DESIRED: &str = "Desired";

/// What the device is told by that the spaces of its site have changed.
const SPACES: &str = "Spaces";

/// The status of an answer that is there, and of one that is an error.
const ANSWERED: u16 = 200;
const FAILED: u16 = 500;

/// Makes a connection a session, before anything that its client says is heard.
///
/// # Errors
/// The credential does not hold any more.
pub(super) async fn begin(
    connection: Connection,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<(), HubError> {
    let opened = guest.open_session(&hub.core, VIA).await;
    let session = opened.map_err(told)?;
    if let Some(upstream) = &hub.upstream {
        upstream.connected(connection.id(), &guest);
    }
    tokio::spawn(converse(hub, connection, session, guest.is_device()));
    Ok(())
}

/// Holds a connection's session to its end.
async fn converse(
    hub: Arc<Shared>,
    connection: Connection,
    session: Arc<Session>,
    is_device: bool,
) {
    let hub_name = &hub.settings.name;
    let live = (
        hub.metrics.session(VIA),
        hub.metrics
            .signalr_connection(hub_name, connection.transport()),
    );
    let device = Device {
        hub: &hub,
        connection: &connection,
        session: &session,
    };
    let ending = tokio::select! {
        biased;
        ending = session.ended() => Some(ending),
        () = connection.closed() => None,
        () = Box::pin(device.serve()), if is_device => None,
    };
    if let Some(ending) = ending {
        let (error, may_return) = farewell(ending);
        connection.close(error, may_return);
        let gone = tokio::time::timeout(LAST_WORDS, connection.let_go()).await;
        if gone.is_err() {
            connection.cut();
            connection.let_go().await;
        }
    }
    drop(session);
    drop(live);
}

/// A connection has ended.
pub(super) async fn over(
    connection: Connection,
    why: Arc<Disconnected>,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<(), HubError> {
    hub.metrics.signalr_closed(&hub.settings.name, &why);
    if let Some(upstream) = &hub.upstream {
        let error = match &*why {
            Disconnected::Ended(End::Client { error }) => error.clone(),
            other @ (Disconnected::Ended(_) | Disconnected::TransportLost) => {
                Some(other.to_string())
            }
        };
        upstream.disconnected(connection.id(), &guest, error);
    }
    Ok(())
}

/// What a client is told whose session was ended, and whether it comes back by itself.
fn farewell(ending: Ending) -> (Option<&'static str>, bool) {
    match ending {
        Ending::Revoked => (Some("access has been revoked"), false),
        Ending::Expired => (Some("the credential's time is over"), false),
        Ending::Dismissed => (Some("an operator has ended the session"), false),
        Ending::Replaced | Ending::Draining => (None, true),
    }
}

/// A device over its connection.
#[derive(Clone, Copy)]
struct Device<'a> {
    hub: &'a Shared,
    connection: &'a Connection,
    session: &'a Session,
}

impl<'a> Device<'a> {
    /// Does what there is to do for the device, for ever.
    async fn serve(self) {
        let to_take = Notify::new();
        // What has come while it was away.
        to_take.notify_one();
        let mut delivering = std::pin::pin!(self.deliver(&to_take));
        let mut under_way: FuturesUnordered<BoxFuture<'a, ()>> = FuturesUnordered::new();
        under_way.push(Box::pin(self.tell_desired()));
        loop {
            let room = under_way.len() < MAX_WAITING_CALLS;
            tokio::select! {
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                () = delivering.as_mut() => {}
                signal = self.session.signal(), if room => match signal {
                    Signal::Commands => to_take.notify_one(),
                    Signal::Desired => under_way.push(Box::pin(self.tell_desired())),
                    Signal::Roster if self.hub.form == Form::Agent => {
                        under_way.push(Box::pin(self.tell_roster()));
                    }
                    Signal::Roster | Signal::DesiredOf(_) => {}
                    Signal::Spaces => under_way.push(Box::pin(self.tell_spaces())),
                    Signal::Call(call) => under_way.push(Box::pin(self.call(call))),
                },
            }
        }
    }

    /// Tells what the device is wanted to be, if anybody has said so.
    async fn tell_desired(self) {
        let twin = match self.hub.core.twins.own(self.session).await {
            Ok(twin) => twin,
            Err(refusal) => return unexpected(&refusal, "a twin cannot be read"),
        };
        let desired = twin.desired;
        if desired.version > 0 {
            // JSON has a form in either protocol.
            let arguments = (desired.version, desired.document);
            let _ = self.connection.send(DESIRED, arguments);
        }
    }

    /// Tells by which version of its site's spaces answers about users are given from now on.
    async fn tell_spaces(self) {
        let (spaces, pass) = (&self.hub.core.spaces, self.session.pass());
        match spaces.ask(&pass, Vec::new()).await {
            Ok(answered) => {
                let _ = self.connection.send(SPACES, (answered.version,));
            }
            Err(refusal) => unexpected(&refusal, "the version of spaces cannot be read"),
        }
    }

    /// Tells an agent who its neighbours are now, if it has any.
    async fn tell_roster(self) {
        let identity = &self.hub.core.identity;
        match identity.neighbour(self.session.pass()).await {
            Ok(neighbour) => {
                if let Some(place) = neighbour.place {
                    neighbours::tell(self.connection, place);
                }
            }
            Err(refusal) => unexpected(&refusal, "a roster cannot be read"),
        }
    }

    /// Delivers commands whenever there are some, one after the other, for ever.
    async fn deliver(self, to_take: &Notify) {
        loop {
            to_take.notified().await;
            loop {
                let taken = self.hub.core.commands.take(self.session, COMMANDS).await;
                let commands = match taken {
                    Ok(commands) if commands.is_empty() => break,
                    Ok(commands) => commands,
                    Err(refusal) => {
                        unexpected(&refusal, "commands cannot be read");
                        break;
                    }
                };
                for command in commands {
                    self.command(command).await;
                }
            }
        }
    }

    /// Delivers a command and settles it as the device answers. One that is not answered before
    /// the connection ends goes to the next.
    async fn command(self, command: Command) {
        let patience = command.expires.since(self.hub.core.clock.now());
        let answer = match self.hub.form {
            Form::Plain => {
                let given = (command.content_type.as_str(), &command.payload);
                let done = self.invoke(&command.name, given, patience).await;
                done.map(|_| Settlement::Completed)
            }
            Form::Agent => agent::command(self.hub, self.connection, &command, patience).await,
        };
        let how = match answer {
            Ok(how) => how,
            Err(InvokeError::NoResult) => Settlement::Completed,
            Err(InvokeError::Client(error)) if self.hub.form == Form::Agent => {
                // An agent says in its answer what has become of a command: this one it never saw.
                tracing::debug!(command = %command.id, error, "an agent cannot take a command");
                tokio::time::sleep(agent::TOLD_AGAIN).await;
                Settlement::Abandoned
            }
            Err(InvokeError::Client(error)) => {
                tracing::debug!(command = %command.id, error, "a device rejects a command");
                Settlement::Rejected
            }
            Err(InvokeError::Encode(_) | InvokeError::Answer(_)) => Settlement::Rejected,
            Err(InvokeError::TooMany { .. }) => Settlement::Abandoned,
            // It has expired, which the core sees to.
            Err(InvokeError::Late(_)) => return,
            // The session goes, and with it what it has taken.
            Err(InvokeError::Disconnected) => return std::future::pending().await,
        };
        let commands = &self.hub.core.commands;
        if let Err(refusal) = commands.settle(self.session, &command.id, how).await {
            unexpected(&refusal, "how a command was settled was not noted");
        }
    }

    /// Passes a call on and its answer back.
    async fn call(self, call: Call) {
        let calls = &self.hub.core.calls;
        let answer = match self.hub.form {
            Form::Plain => {
                let given = (call.content_type.as_str(), &call.payload);
                let result = self.invoke(&call.method, given, *DEADLINE.end()).await;
                result.map(|result| answer_of(ANSWERED, values::JSON, values::json(&result)))
            }
            Form::Agent => agent::call(self.hub, self.connection, &call).await,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(InvokeError::NoResult) => answer_of(ANSWERED, "", String::new()),
            Err(InvokeError::Client(error)) => answer_of(FAILED, "text/plain", error),
            Err(
                InvokeError::Encode(_)
                | InvokeError::TooMany { .. }
                | InvokeError::Answer(_)
                | InvokeError::Late(_)
                | InvokeError::Disconnected,
            ) => {
                // Whoever called may have gone.
                let _ = calls.decline(self.session, &call.id);
                return;
            }
        };
        if let Err(refusal) = calls.answer(self.session, &call.id, answer) {
            tracing::debug!(error = %refusal, "an answer was not taken");
            // So that whoever called does not wait for another. Nobody may wait any more.
            let _ = calls.decline(self.session, &call.id);
        }
    }

    /// Calls a method of the device's with a payload of some media type.
    async fn invoke(
        self,
        target: &str,
        (media_type, payload): (&str, &Bytes),
        patience: Duration,
    ) -> Result<Payload, InvokeError> {
        let name = &self.hub.settings.name;
        self.hub.metrics.signalr_invoked(name, Direction::Out, 1);
        let protocol = self.connection.protocol();
        let protocol = protocol.ok_or(InvokeError::Disconnected)?;
        let arguments = values::arguments(media_type, payload, protocol);
        self.connection
            .invoke_raw(target, arguments, patience)
            .await
    }
}

fn answer_of(status: u16, media_type: &str, payload: String) -> Answer {
    Answer {
        status: status.into(),
        content_type: media_type.to_owned(),
        payload: payload.into(),
    }
}

/// Notes what should not have been refused; when the session has ended it should.
fn unexpected(refusal: &Refusal, what: &'static str) {
    if !matches!(refusal, Refusal::Revoked | Refusal::Draining) {
        tracing::warn!(error = %refusal, "{what}");
    }
}
