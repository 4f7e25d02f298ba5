//! One session: the connection for it, what it leads to, and the bytes between.

use std::sync::Arc;

use outgate_signalr_client::Client;
use outgate_wire::agent::{
    Blob, MAX_SUPPORT_CHUNK, SUPPORT_END, SUPPORT_JOIN, SUPPORT_OVER, SUPPORT_REFUSE, SUPPORT_SEND,
    SUPPORT_TAKE, SupportChunk, SupportEnd, SupportFlow, SupportJoin, SupportPlace, SupportTaken,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::ground::{Ground, Opened, Reader, Writer};
use super::{Desk, Handle, Job, State, SupportError};
use crate::chain::chain;
use crate::link::driver::Plan;
use crate::link::support::{self, Declared, Support};

/// How the agent comes to the hub for a session.
pub(crate) struct Way {
    /// As the link does.
    pub(crate) plan: Plan,
    /// What is declared, in order.
    pub(crate) declared: Vec<Declared>,
    /// The link's own connection.
    pub(crate) current: watch::Receiver<Option<Client>>,
}

/// What ends a session from within.
type End = (&'static str, String);

/// Does what there is to do, for ever.
pub(crate) async fn run(desk: Desk, mut jobs: mpsc::Receiver<Job>, way: Way) {
    let way = Arc::new(way);
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some(Job::Open(session)) => {
                    let (desk, way) = (desk.clone(), Arc::clone(&way));
                    sessions.spawn(async move { open(&desk, &session, &way).await });
                }
                Some(Job::Refuse(session)) => {
                    let way = Arc::clone(&way);
                    sessions.spawn(async move { refuse(&session, &way).await });
                }
                None => std::future::pending().await,
            },
            Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
        }
    }
}

/// Tells the hub, over the link, how a session that was not opened is over.
async fn refuse(session: &Handle, way: &Way) {
    let client = way.current.borrow().clone();
    let Some(client) = client else { return };
    let told: Result<(), _> = client.invoke(SUPPORT_REFUSE, (session.end(true),)).await;
    if let Err(error) = told {
        tracing::debug!(%error, "the hub does not hear that support is refused");
    }
}

async fn open(desk: &Desk, session: &Handle, way: &Way) {
    let opened = tokio::select! {
        opened = support::open(&way.plan, &way.declared) => opened,
        () = session.over() => return refuse(session, way).await,
    };
    let Support {
        port,
        tried,
        client,
    } = match opened {
        Ok(opened) => opened,
        Err(unreachable) => {
            session.0.finish("the agent", &unreachable.to_string());
            return refuse(session, way).await;
        }
    };
    tracing::info!(
        session = session.name(),
        port,
        "a support session has its way to the hub"
    );
    let told = session.clone();
    client.on(SUPPORT_OVER, move |(name, why): (String, String)| {
        if name == told.name() {
            told.0.finish("the hub", &why);
        }
        std::future::ready(())
    });
    let joined: Result<(), _> = client
        .invoke(SUPPORT_JOIN, (session.join(port, &tried),))
        .await;
    match joined {
        Ok(()) => carry(desk, session, (port, tried), &client).await,
        Err(error) => session.0.finish("the hub", &chain(&error)),
    }
    client.stop().await;
}

/// Has the session go on until it is over, which the hub is told.
async fn carry(desk: &Desk, session: &Handle, (port, tried): (u16, Vec<String>), client: &Client) {
    let open = session.0.turn(|state| match state {
        State::Opening { .. } => Ok(State::Open { port, tried }),
        State::Asked | State::Open { .. } | State::Over { .. } => Err(SupportError::Unknown),
    });
    if open.is_ok() {
        let ground = Ground::of(desk.config(), &session.0.asked.what);
        // What is recorded already is opened now.
        let opened = match &ground {
            Ok(ground) => ground.open().await,
            Err(why) => Err(why.clone()),
        };
        match opened {
            Ok(opened) => between(session, client, opened).await,
            Err(why) => session.0.finish("the agent", &why),
        }
    }
    // The hub may have said so itself.
    let _: Result<(), _> = client.invoke(SUPPORT_END, (session.end(false),)).await;
    tracing::info!(session = session.name(), "a support session is over");
}

/// Passes bytes on both ways. That the service or shell has ended is told with its last bytes; the
/// operator ends the session then, once they have them.
async fn between(session: &Handle, client: &Client, mut opened: Opened) {
    let (reader, writer) = (&mut opened.reader, &mut opened.writer);
    let up = async {
        match up(session.name(), client, reader).await {
            Ok(()) => std::future::pending().await,
            Err(end) => end,
        }
    };
    let ended = tokio::select! {
        end = up => Some(end),
        end = down(session.name(), client, writer) => Some(end),
        () = session.over() => None,
        () = sleep_until(session.0.until) => Some(("the agent", "its time is over".to_owned())),
    };
    if let Some((by, why)) = ended {
        session.0.finish(by, &why);
    }
    opened.end().await;
}

/// From the device to the operator.
async fn up(name: &str, client: &Client, reader: &mut Reader) -> Result<(), End> {
    let mut buffer = vec![0; MAX_SUPPORT_CHUNK];
    let mut at = 0;
    loop {
        let bytes = reader.read(&mut buffer).await;
        let (size, last) = (bytes.len(), bytes.is_empty());
        let chunk = SupportChunk {
            session: name.to_owned(),
            at,
            bytes: Blob(bytes),
            last,
        };
        let flow: Result<SupportFlow, _> = client.invoke(SUPPORT_SEND, (chunk,)).await;
        let flow = flow.map_err(|error| ("the hub", chain(&error)))?;
        if let Some(why) = flow.over {
            return Err(("the hub", why));
        }
        if last {
            return Ok(());
        }
        at += u64::try_from(size).unwrap_or(0);
    }
}

/// From the operator to the device, until the session is over.
async fn down(name: &str, client: &Client, writer: &mut Writer) -> End {
    let (mut after, mut closed) = (0, false);
    loop {
        let place = SupportPlace {
            session: name.to_owned(),
            after,
        };
        let taken: Result<SupportTaken, _> = client.invoke(SUPPORT_TAKE, (place,)).await;
        let taken = match taken {
            Ok(taken) => taken,
            Err(error) => return ("the hub", chain(&error)),
        };
        if let Some(why) = taken.over {
            return ("the hub", why);
        }
        let bytes = taken.bytes.0;
        after += u64::try_from(bytes.len()).unwrap_or(0);
        // One that takes nothing any more may still have something to say.
        let _ = writer.write(&bytes).await;
        if taken.last && !closed {
            closed = true;
            let _ = writer.close().await;
        }
    }
}

impl Handle {
    fn name(&self) -> &str {
        &self.0.asked.session
    }

    /// Waits until it is over.
    async fn over(&self) {
        let mut state = self.0.state.subscribe();
        // The sender is in this.
        let _ = state
            .wait_for(|state| matches!(state, State::Over { .. }))
            .await;
    }

    fn join(&self, port: u16, tried: &[String]) -> SupportJoin {
        let by = match &*self.0.state.borrow() {
            State::Opening { by } => by.clone(),
            State::Asked | State::Open { .. } | State::Over { .. } => String::new(),
        };
        SupportJoin {
            session: self.0.asked.session.clone(),
            key: self.0.asked.key.clone(),
            port,
            tried: tried.to_vec(),
            by,
        }
    }

    fn end(&self, by_key: bool) -> SupportEnd {
        let (by, why) = match &*self.0.state.borrow() {
            State::Over { by, why } => (by.clone(), why.clone()),
            State::Asked | State::Opening { .. } | State::Open { .. } => {
                ("the agent".to_owned(), "it has ended".to_owned())
            }
        };
        SupportEnd {
            session: self.0.asked.session.clone(),
            key: by_key.then(|| self.0.asked.key.clone()),
            by,
            why,
        }
    }
}
