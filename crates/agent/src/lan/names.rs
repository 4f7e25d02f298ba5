//! Under which names the device is found on its networks: multicast DNS with its services, and
//! LLMNR where it is switched on.

mod llmnr;
mod mdns;

use std::collections::BTreeSet;
use std::time::Duration;

use outgate_wire::llmnr::Label;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config;
use crate::status::{Board, Claim, Status};

/// How often it is looked whether interfaces and addresses have changed.
const LOOK: Duration = Duration::from_secs(5);

/// What the device offers to its networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The ports of its pages, the diagnostics page's first.
    pub pages: Vec<u16>,
    /// The product that it is.
    pub product: Option<String>,
}

/// The device's names, kept until they are stopped.
#[derive(Debug)]
pub struct Names {
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Names {
    /// Begins to answer for the device's name, and shows on the board what became of it. What does
    /// not work is told there too; nothing else waits for it.
    #[must_use]
    pub fn start(config: &config::Names, offer: Offer, board: &Board) -> Self {
        let (end, ended) = watch::channel(false);
        let (config, board) = (config.clone(), board.clone());
        let task = tokio::spawn(async move { keep(&config, &offer, &board, ended).await });
        Self { end, task }
    }

    /// Takes leave of the networks, within seconds.
    pub async fn stop(self) {
        let _ = self.end.send(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the device's names have ended by themselves");
        }
    }
}

/// The two ways of being found by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Mdns,
    Llmnr,
}

async fn keep(config: &config::Names, offer: &Offer, board: &Board, end: watch::Receiver<bool>) {
    if !config.mdns && !config.llmnr {
        return;
    }
    let Some(host) = config.host.clone().or_else(of_machine) else {
        let text = "the machine has no name that a network knows it by: give it names.host";
        tell(board, text.to_owned());
        for way in [Way::Mdns, Way::Llmnr] {
            show(board, way, Claim::Failed, BTreeSet::new());
        }
        return;
    };
    board.write(|status| status.network.naming.wanted = Some(host.to_string()));
    let mdns = async {
        if config.mdns {
            mdns::keep(&host, offer, &config.interfaces, board, end.clone()).await;
        }
    };
    let llmnr = async {
        if config.llmnr {
            llmnr::keep(&host, &config.interfaces, board, end.clone()).await;
        }
    };
    tokio::join!(mdns, llmnr);
}

/// The machine's name, if it is one: what it is called before somebody has named it is none.
fn of_machine() -> Option<Label> {
    let machine = rustix::system::uname();
    let (label, _) = machine
        .nodename()
        .to_str()
        .ok()?
        .split_once('.')
        .unwrap_or((machine.nodename().to_str().ok()?, ""));
    let label = Label::new(label).ok()?;
    (!label.as_str().eq_ignore_ascii_case("localhost")).then_some(label)
}

/// Writes what became of a way, and the names by it: those of multicast DNS end in `.local`, those
/// of LLMNR have one label.
fn show(board: &Board, way: Way, claim: Claim, names: BTreeSet<String>) {
    board.write(|status: &mut Status| {
        let network = &mut status.network;
        let of_mdns = |name: &str| name.contains('.');
        network
            .names
            .retain(|name| of_mdns(name) != (way == Way::Mdns));
        network.names.extend(names);
        network.names.sort_unstable();
        match way {
            Way::Mdns => network.naming.mdns = claim,
            Way::Llmnr => network.naming.llmnr = claim,
        }
    });
}

/// Notes something that went wrong.
fn tell(board: &Board, text: String) {
    tracing::warn!("{text}");
    board.note("names", text);
}

/// Waits until the names are to be stopped.
async fn stopped(end: &mut watch::Receiver<bool>) {
    // Nobody is there any more who could say so.
    let _ = end.wait_for(|end| *end).await;
}

/// Waits so long, and gives whether to go on.
async fn pause(end: &mut watch::Receiver<bool>, how_long: Duration) -> bool {
    tokio::select! {
        () = stopped(end) => false,
        () = tokio::time::sleep(how_long) => true,
    }
}
