//! The device's name by LLMNR (RFC 4795), on each local network by itself.

mod sockets;
mod stand;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use outgate_wire::llmnr::{Claim as Known, Label, Link, PORT, Responder};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use self::sockets::Sockets;
use self::stand::Stand;
use super::{LOOK, Way, show, stopped, tell};
use crate::chain::chain;
use crate::lan::interfaces::{self, Interface};
use crate::status::{Board, Claim};

/// News of interfaces that wait to be shown.
const NEWS_MAX: usize = 16;

/// Answers until it is to stop.
pub(super) async fn keep(
    host: &Label,
    only: &[String],
    board: &Board,
    mut end: watch::Receiver<bool>,
) {
    show(board, Way::Llmnr, Claim::Asking, BTreeSet::new());
    let (tell, mut news) = mpsc::channel(NEWS_MAX);
    let mut networks = Networks {
        host,
        board,
        tell,
        tasks: JoinSet::new(),
        there: BTreeMap::new(),
    };
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = stopped(&mut end) => return,
            _ = look.tick() => networks.look(only),
            Some((name, known)) = news.recv() => networks.take(&name, known),
            Some(ended) = networks.tasks.join_next() => {
                tracing::debug!(?ended, "LLMNR on an interface");
            }
        }
    }
}

/// The networks that are answered on.
struct Networks<'a> {
    host: &'a Label,
    board: &'a Board,
    tell: mpsc::Sender<(String, Known)>,
    tasks: JoinSet<()>,
    there: BTreeMap<String, Network>,
}

/// A network, by its interface's name.
struct Network {
    interface: Interface,
    link: Link,
    state: Result<(AbortHandle, Known), String>,
}

impl Networks<'_> {
    /// Follows what has become of the interfaces: one that has other addresses begins anew (RFC
    /// 4795 §4.1), and so does one that could not be used.
    fn look(&mut self, only: &[String]) {
        let usable = match interfaces::usable(only) {
            Ok(usable) => usable,
            Err(error) => {
                tracing::warn!(%error, "the interfaces cannot be listed");
                return;
            }
        };
        let links: Vec<Link> = (0..usable.len()).map(|at| link(&usable, at)).collect();
        let mut before = std::mem::take(&mut self.there);
        for (interface, link) in usable.into_iter().zip(links) {
            let name = interface.name.clone();
            let known = before.remove(&name);
            let same = |it: &Network| it.link == link && it.interface == interface;
            let network = match known {
                Some(network) if same(&network) && network.state.is_ok() => network,
                other => self.begin(interface, link, other),
            };
            self.there.insert(name, network);
        }
        for gone in before.into_values() {
            gone.end();
        }
        self.write();
    }

    fn begin(&mut self, interface: Interface, link: Link, before: Option<Network>) -> Network {
        let told = before.and_then(Network::end);
        let started = Sockets::open(&interface);
        let state = match started {
            Ok(sockets) => {
                let stand = Stand {
                    name: interface.name.clone(),
                    responder: Responder::new(self.host.clone()),
                    sockets,
                    link: link.clone(),
                    tell: self.tell.clone(),
                };
                Ok((self.tasks.spawn(stand.serve()), Known::Asking))
            }
            Err(error) => {
                let name = &interface.name;
                let text = format!("LLMNR cannot be used on {name}: {}", why(&error));
                if told.as_ref() != Some(&text) {
                    tell(self.board, text.clone());
                }
                Err(text)
            }
        };
        Network {
            interface,
            link,
            state,
        }
    }

    fn take(&mut self, name: &str, known: Known) {
        let Some(network) = self.there.get_mut(name) else {
            return;
        };
        let Ok((_, state)) = &mut network.state else {
            return;
        };
        let host = self.host;
        if let (Known::Taken(by), false) = (known, known == *state) {
            let text = format!("{host} is somebody else's on {name} in LLMNR, by {by}");
            tell(self.board, text);
        }
        *state = known;
        self.write();
    }

    fn write(&self) {
        let known = |it: &Network| it.state.as_ref().ok().map(|(_, known)| *known);
        let states: Vec<Option<Known>> = self.there.values().map(known).collect();
        let any = |wanted: fn(&Known) -> bool| states.iter().flatten().any(wanted);
        let (claim, names) = if any(|it| *it == Known::Held) {
            (Claim::Held, BTreeSet::from([self.host.to_string()]))
        } else if any(|it| matches!(it, Known::Taken(_))) {
            (Claim::Taken, BTreeSet::new())
        } else if states.contains(&None) {
            (Claim::Failed, BTreeSet::new())
        } else {
            (Claim::Asking, BTreeSet::new())
        };
        show(self.board, Way::Llmnr, claim, names);
    }
}

impl Network {
    /// Ends it, and gives why it could not be used, if it could not.
    fn end(self) -> Option<String> {
        match self.state {
            Ok((task, _)) => {
                task.abort();
                None
            }
            Err(text) => Some(text),
        }
    }
}

fn link(usable: &[Interface], at: usize) -> Link {
    let mut link = Link::default();
    for (other, interface) in usable.iter().enumerate() {
        if other == at {
            link.addresses.clone_from(&interface.addresses);
        } else {
            let addresses = interface.addresses.iter();
            link.elsewhere.extend(addresses.map(|(own, _)| *own));
        }
    }
    link
}

fn why(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::AddrInUse {
        return format!(
            "another program answers there (UDP port {PORT}), perhaps systemd-resolved: have it \
             leave that (LLMNR=no), or switch names.llmnr off"
        );
    }
    chain(error)
}
