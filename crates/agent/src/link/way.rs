//! How the link's connections are made: the way that a check goes, so that both see the same proxies,
//! names and certificates.

use std::io;

use futures_util::future::BoxFuture;
use outgate_probe::{Ask, Host, Path, Transport, Trouble};
use outgate_signalr_client::connect::{Authority, Connect, Stream};

use crate::clock::Keeper;

/// The way of one climb. The next one has its own, since networks, name servers and proxies change.
pub(super) struct Way {
    pub(super) path: Path,
    /// Whoever is told when it is the dates of a certificate that keep the device from its hub.
    pub(super) clock: Option<Keeper>,
}

impl Way {
    /// What happened, and by which clock that is so.
    fn why(&self, trouble: &Trouble) -> String {
        let clock = self.clock.as_ref();
        match clock.and_then(|clock| clock.on_trouble(trouble)) {
            Some(clock) => format!("{trouble}; {clock}"),
            None => trouble.to_string(),
        }
    }
}

impl Connect for Way {
    fn connect<'a>(&'a self, to: &'a Authority) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let protocol = if to.secure { "https" } else { "http" };
            let host = to
                .host
                .parse()
                .map_or_else(|_| Host::Name(to.host.clone()), Host::Address);
            let ask = Ask::new(protocol, host, Some(to.port), Transport::Tcp);
            let opened = outgate_probe::open(&ask, &self.path, to.secure).await;
            let stream = opened.map_err(|trouble| io::Error::other(self.why(&trouble)))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
