//! The device's name and services by multicast DNS (RFC 6762, RFC 6763), with a library that runs
//! on a thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mdns_sd::{DaemonEvent, Error, IfKind, Receiver, ServiceDaemon, ServiceInfo};
use outgate_wire::llmnr::Label;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{LOOK, Offer, Way, pause, show, stopped, tell};
use crate::lan::interfaces;
use crate::status::{Board, Claim};

/// How pages are known (RFC 6763 §4.1).
const PAGE: &str = "_http._tcp.local.";
/// How devices of Outgate are known.
const DEVICE: &str = "_outgate._tcp.local.";

/// How long it is waited before it is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// How long the library may take for an answer, and for its leave.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so many looks at a network without having said anything there, something is wrong.
const SILENT_LOOKS: u8 = 3;
/// The most records of others that the library may keep. It puts no bound to them itself; a network
/// with more is flooded, and it is begun anew.
const RECORDS_MAX: i64 = 10_000;

/// Why it goes no further.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("multicast DNS cannot be used")]
    Library(#[from] Error),
    #[error("the thread of multicast DNS has ended by itself")]
    Gone,
    #[error(
        "nothing could be said by multicast DNS: another program may have UDP port 5353 for itself"
    )]
    Silent,
    #[error("the network is flooded with multicast DNS")]
    Flooded,
}

/// Answers until it is to stop. What does not work is tried again.
pub(super) async fn keep(
    host: &Label,
    offer: &Offer,
    only: &[String],
    board: &Board,
    mut end: watch::Receiver<bool>,
) {
    let mut told = None;
    loop {
        show(board, Way::Mdns, Claim::Asking, BTreeSet::new());
        let Err(broken) = once(host, offer, only, board, &mut end).await else {
            return;
        };
        show(board, Way::Mdns, Claim::Failed, BTreeSet::new());
        let text = crate::chain::chain(&broken);
        if told.as_ref() != Some(&text) {
            tell(board, text.clone());
            told = Some(text);
        }
        if !pause(&mut end, AGAIN).await {
            return;
        }
    }
}

/// The library's thread, which takes its leave when this is dropped.
struct Daemon(ServiceDaemon);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.shutdown();
    }
}

async fn once(
    host: &Label,
    offer: &Offer,
    only: &[String],
    board: &Board,
    end: &mut watch::Receiver<bool>,
) -> Result<(), Broken> {
    let daemon = Daemon(ServiceDaemon::new()?);
    let events = daemon.0.monitor()?;
    choose(&daemon.0, only)?;
    for service in services(host, offer)? {
        daemon.0.register(service)?;
    }
    let mut column = Column::new(host, board);
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = stopped(end) => break,
            event = events.recv_async() => column.take(event.map_err(|_| Broken::Gone)?),
            _ = look.tick() => {
                check_room(&daemon.0).await?;
                column.look(only)?;
            }
        }
    }
    let left = daemon.0.shutdown()?;
    // Goodbyes are a courtesy: who does not hear them forgets the name in two minutes.
    let _ = timeout(PATIENCE, left.recv_async()).await;
    Ok(())
}

/// Has it speak on the interfaces that are named, or on all but loopback.
fn choose(daemon: &ServiceDaemon, only: &[String]) -> Result<(), Error> {
    if only.is_empty() {
        return daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6]);
    }
    daemon.disable_interface(IfKind::All)?;
    daemon.enable_interface(only.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The device itself, and each of its pages.
fn services(host: &Label, offer: &Offer) -> Result<Vec<ServiceInfo>, Error> {
    let on = |service: &str, instance: &str, port: u16, told: &[(&str, &str)]| {
        let target = format!("{host}.local.");
        let info = ServiceInfo::new(service, instance, &target, (), port, told);
        Ok(info?.enable_addr_auto())
    };
    let mut told = vec![("txtvers", "1")];
    told.extend(offer.product.as_deref().map(|product| ("product", product)));
    // A device without a page has no port that anybody should go to.
    let port = offer.pages.first().copied().unwrap_or(0);
    let mut services = vec![on(DEVICE, host.as_str(), port, &told)?];
    for (at, port) in offer.pages.iter().enumerate() {
        let instance = match at {
            0 => host.to_string(),
            _ => format!("{host} {port}"),
        };
        services.push(on(PAGE, &instance, *port, &[("path", "/")])?);
    }
    Ok(services)
}

/// Whether it keeps no more of others' records than it may.
async fn check_room(daemon: &ServiceDaemon) -> Result<(), Broken> {
    let metrics = answered(daemon.get_metrics()?).await?;
    let cached = metrics
        .iter()
        .filter(|(name, _)| name.starts_with("cached-"));
    let records: i64 = cached.map(|(_, count)| count).sum();
    if records > RECORDS_MAX {
        return Err(Broken::Flooded);
    }
    Ok(())
}

async fn answered<T>(answer: Receiver<T>) -> Result<T, Broken> {
    let answer = timeout(PATIENCE, answer.recv_async()).await;
    answer.ok().and_then(Result::ok).ok_or(Broken::Gone)
}

/// What the board shows of it.
struct Column<'a> {
    wanted: String,
    board: &'a Board,
    /// The name on each interface, once it has been announced there.
    names: BTreeMap<String, String>,
    silent: u8,
}

impl<'a> Column<'a> {
    fn new(host: &Label, board: &'a Board) -> Self {
        Self {
            wanted: format!("{host}.local"),
            board,
            names: BTreeMap::new(),
            silent: 0,
        }
    }

    fn take(&mut self, event: DaemonEvent) {
        // Told for each service and interface, as `cube.local.:eth0`; what is told of several
        // interfaces at once has another form and nothing new.
        if let DaemonEvent::Announce(_, place) = &event
            && let Some((name, interface)) = place.split_once(".:")
        {
            self.names.insert(interface.to_owned(), name.to_owned());
            self.write();
        }
        if let DaemonEvent::NameChange(change) = &event
            && let original = change.original.trim_end_matches('.')
            && original.eq_ignore_ascii_case(&self.wanted)
        {
            let new = change.new_name.trim_end_matches('.');
            self.rename(&change.intf_name, new);
        }
        if let DaemonEvent::Error(error) = event {
            tracing::warn!(%error, "multicast DNS");
        }
    }

    fn rename(&mut self, interface: &str, name: &str) {
        if self.names.get(interface).is_some_and(|it| it == name) {
            return;
        }
        let wanted = &self.wanted;
        let text = format!("{wanted} is somebody else's on {interface}: it is {name} there");
        tell(self.board, text);
        self.names.insert(interface.to_owned(), name.to_owned());
        self.write();
    }

    /// Looks which interfaces are still there.
    fn look(&mut self, only: &[String]) -> Result<(), Broken> {
        let Ok(usable) = interfaces::usable(only) else {
            return Ok(());
        };
        let before = self.names.len();
        self.names
            .retain(|name, _| usable.iter().any(|one| one.name == *name));
        if self.names.len() != before {
            self.write();
        }
        let speechless = self.names.is_empty() && !usable.is_empty();
        self.silent = if speechless { self.silent + 1 } else { 0 };
        if self.silent > SILENT_LOOKS {
            return Err(Broken::Silent);
        }
        Ok(())
    }

    fn write(&self) {
        let names: BTreeSet<String> = self.names.values().cloned().collect();
        let claim = if names.is_empty() {
            Claim::Asking
        } else if names.iter().all(|name| *name == self.wanted) {
            Claim::Held
        } else {
            Claim::Renamed
        };
        show(self.board, Way::Mdns, claim, names);
    }
}
