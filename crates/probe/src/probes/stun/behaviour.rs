//! How the NAT between treats one socket that talks to several places (RFC 5780 §4.3, §4.4).

use std::{io, net::SocketAddr, time::Duration};

use futures_util::future::join;
use outgate_wire::stun::{
    Change, Class, MESSAGE_MAX, Message, TransactionId, binding_request, filtering, mapping,
    usable_other_address,
};
use tokio::time::{Instant, timeout_at};

use super::same_place;
use crate::{
    datagram,
    evidence::{NatBehaviour, PhaseName},
    path::Source,
    run::{Run, Stop},
};

/// How often each request is sent.
const TIMES_SENT: u32 = 3;
/// How many requests there are.
const REQUESTS: u32 = 5;
/// Most datagrams that are sent.
pub(super) const REQUESTS_MAX: u32 = REQUESTS * TIMES_SENT;
/// How long answers are waited for, if the attempt's time-out leaves as much. That nothing comes
/// back is one of the good answers, so it must not be taken for one too soon.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most datagrams that are looked at on one socket.
const DATAGRAMS_MAX: u32 = 200;

/// Asks the server's other address, and has it answer from there, if it has one. What is found
/// goes into the evidence; that nothing is found is no trouble.
pub(super) async fn find(run: &mut Run<'_>, local: SocketAddr) -> Result<(), Stop> {
    let server = crate::stream::socket_address(run)?;
    let other = run
        .attempt
        .stun
        .as_ref()
        .and_then(|stun| stun.other_address);
    let found = match other.map(|other| (usable_other_address(server, other), other)) {
        None => Err("the server has no other address".to_owned()),
        Some((Err(error), _)) => Err(error.to_string()),
        Some((Ok(()), other)) => {
            let mut ids = [TransactionId([0; 12]); REQUESTS as usize];
            for id in &mut ids {
                id.0 = run.path.tls().random()?;
            }
            let patience = run.deadline().min(Instant::now() + PATIENCE);
            let tests = Tests {
                server,
                other,
                source: run.path.source(),
                local,
                ids,
                patience,
            };
            // A wait that ends with the attempt's time-out has ended before it.
            run.phase(PhaseName::Nat, async { Ok(tests.run().await) })
                .await
                .unwrap_or_else(|_| Err("there was no time for it".to_owned()))
        }
    };
    let Some(evidence) = &mut run.attempt.stun else {
        return Ok(());
    };
    match found {
        Ok(found) => {
            evidence.mapping = found.mapping;
            evidence.filtering = found.filtering;
            evidence.not_known = found.not_known;
        }
        Err(why) => evidence.not_known = Some(why),
    }
    Ok(())
}

struct Found {
    mapping: NatBehaviour,
    filtering: NatBehaviour,
    not_known: Option<String>,
}

struct Tests<'a> {
    server: SocketAddr,
    other: SocketAddr,
    source: &'a Source,
    local: SocketAddr,
    ids: [TransactionId; REQUESTS as usize],
    patience: Instant,
}

impl Tests<'_> {
    async fn run(&self) -> Result<Found, String> {
        // Two sockets: the first opens the filter for the other address by talking to it.
        let (seen, heard) = join(self.seen_as(), self.heard_from()).await;
        let wrong = |error: io::Error| error.to_string();
        let (seen, heard) = (seen.map_err(wrong)?, heard.map_err(wrong)?);
        let mapping = match seen {
            [Some(first), Some(address), Some(both)] => {
                Ok(NatBehaviour::from(mapping(first, address, both)))
            }
            _ => Err("the server's other address does not answer"),
        };
        let filtering = match (mapping, heard) {
            (_, Err(why)) => Err(why),
            (_, Ok((both, port))) if both || port => Ok(filtering(both, port).into()),
            // That nothing came means something only if there was somebody to send it.
            (Err(why), Ok(_)) => Err(why),
            (Ok(_), Ok(_)) => Ok(NatBehaviour::AddressAndPortDependent),
        };
        Ok(Found {
            mapping: mapping.unwrap_or(NatBehaviour::NotKnown),
            filtering: filtering.unwrap_or(NatBehaviour::NotKnown),
            not_known: mapping.err().or(filtering.err()).map(str::to_owned),
        })
    }

    /// As whom one socket is seen by the server, by its other address, and by that address's
    /// other port.
    async fn seen_as(&self) -> io::Result<[Option<SocketAddr>; 3]> {
        let [first, address, both, ..] = self.ids;
        let address_of_other = SocketAddr::new(self.other.ip(), self.server.port());
        let asked = [
            (self.server, first, None),
            (address_of_other, address, None),
            (self.other, both, None),
        ];
        let answers = self.ask(&asked).await?;
        Ok([0, 1, 2].map(|at| {
            let (message, from) = answers.get(at)?.as_ref()?;
            let from_there = same_place(*from, asked[at].0);
            message.reflexive.filter(|_| from_there)
        }))
    }

    /// Whether a socket hears from another address and port, and from another port, than those
    /// it has talked to. Fails when the server does not do as it is asked.
    async fn heard_from(&self) -> io::Result<Result<(bool, bool), &'static str>> {
        let [.., both, port] = self.ids;
        let change = |address| {
            Some(Change {
                address,
                port: true,
            })
        };
        let asked = [
            (self.server, both, change(true)),
            (self.server, port, change(false)),
        ];
        let answers = self.ask(&asked).await?;
        let other_port = SocketAddr::new(self.server.ip(), self.other.port());
        let mut heard = [false; 2];
        for (at, expected) in [self.other, other_port].into_iter().enumerate() {
            match answers.get(at).and_then(Option::as_ref) {
                None => {}
                Some((_, from)) if same_place(*from, expected) => heard[at] = true,
                Some(_) => {
                    return Ok(Err("the server does not answer from where it is asked to"));
                }
            }
        }
        Ok(Ok((heard[0], heard[1])))
    }

    /// Sends the requests from one socket, again and again until all are answered or the patience
    /// is at its end.
    async fn ask(
        &self,
        asked: &[(SocketAddr, TransactionId, Option<Change>)],
    ) -> io::Result<Vec<Option<(Message, SocketAddr)>>> {
        let socket = datagram::unconnected(self.source, self.local.ip())?;
        let mut answers: Vec<Option<(Message, SocketAddr)>> = vec![None; asked.len()];
        let mut datagrams = 0;
        let between = self.patience.saturating_duration_since(Instant::now()) / (TIMES_SENT + 1);
        for time in 1..=TIMES_SENT {
            for ((to, id, change), answer) in asked.iter().zip(&answers) {
                if answer.is_none() {
                    // What cannot be sent is not answered.
                    let _ = socket.send_to(&binding_request(*id, *change), to).await;
                }
            }
            let until = if time == TIMES_SENT {
                self.patience
            } else {
                Instant::now() + between
            };
            let mut buffer = [0; MESSAGE_MAX + 1];
            while answers.iter().any(Option::is_none) && datagrams < DATAGRAMS_MAX {
                let Ok(received) = timeout_at(until, socket.recv_from(&mut buffer)).await else {
                    break;
                };
                datagrams += 1;
                // An error here is about an earlier request, such as a port that is closed.
                let Ok((length, from)) = received else {
                    continue;
                };
                let Ok(message) = Message::read(&buffer[..length]) else {
                    continue;
                };
                let place = asked.iter().position(|(_, id, _)| *id == message.id);
                if let Some(place) = place
                    && answers[place].is_none()
                {
                    answers[place] = Some((message, from));
                }
            }
        }
        answers.iter_mut().for_each(|answer| {
            // An error says that the server did not do it.
            answer.take_if(|(message, _)| message.class != Class::Success);
        });
        Ok(answers)
    }
}
