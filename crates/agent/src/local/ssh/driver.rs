//! Does what the switch says.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::machine::{Machine, State};
use super::sshd::Sshd;
use super::{SwitchError, said};
use crate::chain::chain;
use crate::clock::Keeper;
use crate::device::Device;
use crate::local::page::{doors, lan};
use crate::status::{self, SshState};

/// The most connections at a time. One takes a process, and whoever has not logged in is given half a
/// minute for it.
const MAX_CONNECTIONS: usize = 8;

/// How long it is waited after a connection could not be taken, as there are too many open files.
const AGAIN: Duration = Duration::from_millis(100);

/// Who is named when the time is over.
const CLOCK: &str = "the time was over";

/// What somebody wants.
#[derive(Debug)]
pub(super) struct Ask {
    /// For how long it is to be on; off when there is none.
    pub(super) on: Option<Duration>,
    pub(super) by: String,
    pub(super) told: oneshot::Sender<Result<(), SwitchError>>,
}

/// Has the switch, who listens and who is in.
#[derive(Debug)]
pub(super) struct Driver {
    machine: Machine,
    sshd: Arc<Sshd>,
    device: Device,
    clock: Keeper,
    listeners: Vec<TcpListener>,
    connections: JoinSet<()>,
    /// True when whoever is in is to be thrown out.
    over: watch::Sender<bool>,
    /// Who has switched it on, until when as far as the agent knows what time it is.
    on: Option<(String, OffsetDateTime)>,
}

impl Driver {
    pub(super) fn new(machine: Machine, sshd: Sshd, device: Device, clock: Keeper) -> Self {
        Self {
            machine,
            sshd: Arc::new(sshd),
            device,
            clock,
            listeners: Vec::new(),
            connections: JoinSet::new(),
            over: watch::Sender::new(false),
            on: None,
        }
    }

    /// Goes on until nobody has the switch any more.
    pub(super) async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        said::started(&self.device).await;
        loop {
            self.show();
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(ask) => {
                        let done = self.handle(ask.on, &ask.by).await;
                        self.show();
                        // Who has asked may have gone away.
                        let _ = ask.told.send(done);
                    }
                    None => break,
                },
                () = at(self.machine.poll_timeout().map(Instant::from_std)) => {
                    self.machine.handle_timeout(Instant::now().into_std());
                    self.end(CLOCK).await;
                }
                (stream, from) = accept(&self.listeners) => self.admit(stream, from),
                Some(_) = self.connections.join_next() => {}
            }
        }
        self.machine.off();
        self.end("the agent ended").await;
    }

    async fn handle(&mut self, on: Option<Duration>, by: &str) -> Result<(), SwitchError> {
        match on {
            Some(time) => self.switch_on(time, by).await,
            None => {
                self.machine.off();
                self.end(by).await;
                Ok(())
            }
        }
    }

    async fn switch_on(&mut self, time: Duration, by: &str) -> Result<(), SwitchError> {
        let now = Instant::now().into_std();
        let switched = self.machine.on(time, now);
        switched.map_err(|_| SwitchError::Time {
            most_minutes: self.machine.most().as_secs() / 60,
        })?;
        if self.listeners.is_empty() {
            match self.open().await {
                Ok(listeners) => self.listeners = listeners,
                Err(error) => {
                    self.machine.ended();
                    self.note(&chain(&error));
                    return Err(error);
                }
            }
        }
        self.over.send_replace(false);
        let until = self.clock.time() + time;
        tracing::info!(%until, by, "SSH is on");
        self.on = Some((by.to_owned(), until));
        said::switched(&self.device, Some(until), by).await;
        Ok(())
    }

    /// Has everything ready, and listens.
    async fn open(&self) -> Result<Vec<TcpListener>, SwitchError> {
        self.sshd.prepare().await?;
        let mut listeners = Vec::new();
        for address in &self.sshd.config().listen {
            let listening = doors::listen(*address);
            let listener = listening.map_err(|source| SwitchError::listen(*address, source))?;
            listeners.push(listener);
        }
        Ok(listeners)
    }

    /// Throws out whoever is in, if it is ending.
    async fn end(&mut self, by: &str) {
        if self.machine.state() != State::Ending {
            return;
        }
        self.listeners.clear();
        self.show();
        self.over.send_replace(true);
        while self.connections.join_next().await.is_some() {}
        self.machine.ended();
        self.on = None;
        tracing::info!(by, "SSH is off");
        said::switched(&self.device, None, by).await;
    }

    /// Lets somebody speak with OpenSSH's server, if there is room.
    fn admit(&mut self, stream: TcpStream, from: SocketAddr) {
        if !lan::is_near(from.ip(), &lan::own(), &self.sshd.config().networks) {
            self.note(&format!(
                "{from} was sent away: it is not on the local network"
            ));
            return;
        }
        if self.connections.len() >= MAX_CONNECTIONS {
            self.note(&format!(
                "{from} was sent away: there are {MAX_CONNECTIONS} connections"
            ));
            return;
        }
        tracing::info!(%from, "a connection to SSH");
        let (sshd, over) = (Arc::clone(&self.sshd), self.over.subscribe());
        let device = self.device.clone();
        self.connections.spawn(async move {
            if let Err(error) = sshd.serve(stream, over).await {
                note(&device, &format!("{from} could not be served: {error}"));
            }
            tracing::info!(%from, "a connection to SSH is over");
        });
    }

    /// Writes how it is onto the board.
    fn show(&self) {
        let state = match self.machine.state() {
            State::Off => SshState::Off,
            State::On { .. } => SshState::On,
            State::Ending => SshState::Ending,
        };
        let config = self.sshd.config();
        let addresses = self.listeners.iter();
        let addresses = addresses.filter_map(|listener| listener.local_addr().ok());
        let column = status::Ssh {
            state,
            until: self.on.as_ref().map(|(_, until)| *until),
            by: self.on.as_ref().map(|(by, _)| by.clone()),
            listen: addresses.map(|address| address.to_string()).collect(),
            connections: self.connections.len(),
            users: config.users.clone(),
            most_minutes: self.machine.most().as_secs() / 60,
            host_key: self.sshd.host_key(),
            hub_certificates: self.sshd.has_hubs_word(),
        };
        self.device.board.write(|status| status.ssh = Some(column));
    }

    fn note(&self, text: &str) {
        note(&self.device, text);
    }
}

fn note(device: &Device, text: &str) {
    tracing::warn!(text, "SSH");
    device.board.note("ssh", text.to_owned());
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => pending().await,
    }
}

/// Whoever comes next.
async fn accept(listeners: &[TcpListener]) -> (TcpStream, SocketAddr) {
    loop {
        let accepted = std::future::poll_fn(|context| {
            let mut ready = listeners.iter().map(|one| one.poll_accept(context));
            ready.find(Poll::is_ready).unwrap_or(Poll::Pending)
        });
        match accepted.await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be taken");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
