//! Answers on one network: what the responder says, done.

use std::net::SocketAddr;
use std::time::Instant;

use outgate_wire::llmnr::{Claim as Known, Link, READ_MAX, Reaction, Responder};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::sockets::Sockets;

/// Answers on one network.
pub(super) struct Stand {
    /// Its interface.
    pub(super) name: String,
    pub(super) responder: Responder,
    pub(super) sockets: Sockets,
    pub(super) link: Link,
    /// Hears whose the name is, whenever that changes.
    pub(super) tell: mpsc::Sender<(String, Known)>,
}

/// What has come to a network.
enum Came {
    Question { length: usize, from: SocketAddr },
    Answer { length: usize, from: SocketAddr },
    Due,
}

impl Stand {
    /// Asks for the name, and answers for it from then on.
    pub(super) async fn serve(mut self) {
        let mut told = self.responder.claim();
        self.responder.ask(id(), Instant::now());
        let mut buffer = [0; READ_MAX];
        loop {
            self.ask_if_due().await;
            let known = self.responder.claim();
            if known != told {
                told = known;
                if self.tell.send((self.name.clone(), known)).await.is_err() {
                    return;
                }
            }
            match self.next(&mut buffer).await {
                Came::Due => {}
                Came::Question { length, from } => self.answer(&buffer[..length], from).await,
                Came::Answer { length, from } => {
                    let bytes = &buffer[..length];
                    let now = Instant::now();
                    self.responder
                        .handle_answer(bytes, from.ip(), &self.link, now);
                }
            }
        }
    }

    async fn ask_if_due(&mut self) {
        let now = Instant::now();
        if self.responder.is_due(now) {
            self.responder.ask(id(), now);
        }
        if let Some(question) = self.responder.poll_question(now) {
            for pair in self.sockets.pairs() {
                // It is asked several times, and an interface that is gone is noticed elsewhere.
                let _ = pair.asks.send_to(&question, pair.group).await;
            }
        }
    }

    async fn answer(&mut self, question: &[u8], from: SocketAddr) {
        let now = Instant::now();
        let reaction = self
            .responder
            .handle_question(question, from.ip(), &self.link, now);
        match reaction {
            Reaction::Silence => {}
            Reaction::Doubt => self.responder.ask(id(), now),
            Reaction::Answer(answer) => {
                let mut pairs = self.sockets.pairs();
                let through = pairs.find(|pair| pair.group.is_ipv4() == from.is_ipv4());
                if let Some(through) = through {
                    // A lost answer is the asker's to notice: UDP promises nothing.
                    let _ = through.hears.send_to(&answer, from).await;
                }
            }
        }
    }

    async fn next(&self, buffer: &mut [u8; READ_MAX]) -> Came {
        let due = self.responder.poll_timeout();
        let timer = async {
            match due {
                Some(due) => sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        // Which has something is waited for first: each writes into the same buffer.
        let (v4, v6) = (self.sockets.v4.as_ref(), self.sockets.v6.as_ref());
        tokio::select! {
            () = timer => return Came::Due,
            () = readable(v4.map(|pair| &pair.hears)) => {}
            () = readable(v6.map(|pair| &pair.hears)) => {}
            () = readable(v4.map(|pair| &pair.asks)) => {}
            () = readable(v6.map(|pair| &pair.asks)) => {}
        }
        for pair in self.sockets.pairs() {
            if let Ok((length, from)) = pair.asks.try_recv_from(buffer) {
                return Came::Answer { length, from };
            }
            if let Ok((length, from)) = pair.hears.try_recv_from(buffer) {
                return Came::Question { length, from };
            }
        }
        Came::Due
    }
}

async fn readable(socket: Option<&UdpSocket>) {
    match socket {
        // An error is met again, and forgotten, when it is read.
        Some(socket) => drop(socket.readable().await),
        None => std::future::pending().await,
    }
}

/// What nobody can guess; the agent has not started without random numbers.
fn id() -> u16 {
    let mut bytes = [0; 2];
    let _ = getrandom::fill(&mut bytes);
    u16::from_be_bytes(bytes)
}
