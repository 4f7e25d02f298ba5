//! One way up to the hub, and the connection that comes of it: a client of SignalR that connects once.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use outgate_check::CauseKind;
use outgate_probe::Path;
use outgate_signalr_client::{CallError, Cause, Client, Policy, State, Transport};
use outgate_wire::agent::{ALIVE, Alive};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::driver::{Plan, Told};
use super::way::{self, Way};
use super::{Dial, Down};
use crate::chain::chain;
use crate::proof::Shown;

/// How long the client may be silent by itself: for ever, since the link asks, at times of its own.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A client, and who waits for its end.
pub(super) struct Climb {
    client: Option<Client>,
    watcher: JoinHandle<()>,
}

/// How a way up or a connection ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) down: Down,
    /// What happened, with nothing secret in it.
    pub(super) why: String,
    /// The kind of its cause, if it was the way to the hub that failed.
    pub(super) cause: Option<CauseKind>,
    /// The transports that have not led to the hub, and why.
    pub(super) tried: Vec<(Transport, String)>,
}

impl Climb {
    /// Begins to climb. What comes of it is told.
    pub(super) fn begin(
        plan: &Plan,
        dial: Dial,
        rungs: &[Transport],
        tell: mpsc::Sender<Told>,
    ) -> Self {
        let client = client(plan, &plan.hub, rungs);
        let (client, failed) = match client {
            Ok(client) => (Some(client), None),
            Err(why) => (None, Some(why)),
        };
        let watched = client.clone();
        let watcher = tokio::spawn(async move {
            let ended = match (watched, failed) {
                (Some(client), _) => watch(&client, dial, &tell).await,
                (None, why) => Ended::failed(why.unwrap_or_default()),
            };
            // Whoever drives the link may have stopped.
            let _ = tell.send(Told::Down(dial, ended)).await;
        });
        Self { client, watcher }
    }

    /// The connection.
    pub(super) fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// Asks the hub for an answer, which is told. Nothing is told if none comes.
    pub(super) fn ask(&self, dial: Dial, tell: mpsc::Sender<Told>) {
        let Some(client) = self.client.clone() else {
            return;
        };
        tokio::spawn(async move {
            let wishes = match client.invoke::<Alive>(ALIVE, ()).await {
                Ok(wishes) => Some(wishes),
                // It has answered, too.
                Err(CallError::Hub { .. } | CallError::Read { .. }) => None,
                Err(_) => return,
            };
            let _ = tell.send(Told::Answered(dial, wishes)).await;
        });
    }

    /// Ends the connection in good order, within a few seconds. Nothing more is told of it.
    pub(super) async fn end(self) {
        self.watcher.abort();
        if let Some(client) = self.client {
            client.stop().await;
        }
    }
}

/// A client of the hub at a URL that connects once, by a way of its own.
pub(super) fn client(plan: &Plan, hub: &str, rungs: &[Transport]) -> Result<Client, String> {
    let mut way = plan.way.clone();
    let mut builder = Client::builder(hub);
    match (plan.shows)().map_err(|error| chain(&error))? {
        Shown::Token(token) => builder = builder.token(token),
        Shown::Certificate(identity) => way.client_identity = Some(identity),
    }
    let path = Path::new(way).map_err(|error| chain(&error))?;
    let built = builder
        .connect(Way {
            path,
            clock: plan.clock.clone(),
        })
        .transports_in_order(rungs)
        .retry(Policy::Never)
        .keep_alive(NEVER)
        .build();
    let client = built.map_err(|error| chain(&error))?;
    (plan.prepare)(&client);
    Ok(client)
}

/// Waits for a client's connection, tells of it, and waits for its end.
async fn watch(client: &Client, dial: Dial, tell: &mpsc::Sender<Told>) -> Ended {
    let mut states = client.state();
    if let Err(cause) = client.start().await {
        return Ended::of(&cause, false);
    }
    let transport = match &*states.borrow() {
        State::Connected { transport, .. } => Some(*transport),
        State::Idle | State::Connecting | State::Reconnecting { .. } | State::Closed { .. } => None,
    };
    if let Some(transport) = transport {
        let _ = tell.send(Told::Up(dial, transport)).await;
    }
    match states.wait_for(State::is_over).await.as_deref() {
        Ok(State::Closed { cause: Some(cause) }) => Ended::of(cause, true),
        Ok(_) | Err(_) => Ended::of(&Cause::CutOff, true),
    }
}

impl Ended {
    fn failed(why: String) -> Self {
        Self {
            down: Down::Failed { retry_after: None },
            why,
            cause: None,
            tried: Vec::new(),
        }
    }

    fn of(cause: &Cause, was_up: bool) -> Self {
        let tried = tried(cause);
        let mut causes = iter::once(cause).chain(tried.iter().map(|(_, cause)| &**cause));
        let reason = |(transport, cause): &(Transport, Arc<Cause>)| (*transport, chain(&**cause));
        Self {
            down: down(cause, was_up),
            why: chain(cause),
            cause: causes.find_map(|cause| way::cause(cause)),
            tried: tried.iter().map(reason).collect(),
        }
    }
}

/// The transports that were tried, and what has become of each.
fn tried(cause: &Cause) -> &[(Transport, Arc<Cause>)] {
    if let Cause::NoTransport { tried } = cause {
        tried
    } else {
        &[]
    }
}

/// What a cause means for the link.
fn down(cause: &Cause, was_up: bool) -> Down {
    if was_up {
        return if let Cause::Closed {
            allow_reconnect, ..
        } = cause
        {
            match allow_reconnect {
                true => Down::Closed,
                false => Down::Refused,
            }
        } else {
            Down::Cut
        };
    }
    // There may be a proxy where the hub's words should be, so only these are taken for the hub's.
    let refused = matches!(
        cause,
        Cause::Status {
            status: 401 | 403,
            ..
        } | Cause::Refused { .. }
    );
    if refused {
        return Down::Refused;
    }
    let of_transports = tried(cause).iter().filter_map(|(_, it)| it.retry_after());
    Down::Failed {
        retry_after: cause.retry_after().or(of_transports.max()),
    }
}
