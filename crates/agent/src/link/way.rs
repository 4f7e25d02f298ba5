//! How the link's connections are made: the way that a check goes, so that both see the same proxies,
//! names and certificates.

use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use outgate_check::CauseKind;
use outgate_probe::{Ask, Host, Path, Transport, Trouble};
use outgate_signalr_client::connect::{Authority, Connect, Stream};
use thiserror::Error;

use crate::clock::Keeper;

/// Why there is no way to the hub.
#[derive(Debug, Error)]
#[error("{text}")]
struct Unreached {
    text: String,
    /// The kind of its cause, as a check of this one lane has it.
    cause: CauseKind,
}

/// The kind of cause of what failed, if it was the way to the hub that did.
pub(super) fn cause(error: &(dyn std::error::Error + 'static)) -> Option<CauseKind> {
    let mut error = Some(error);
    while let Some(one) = error {
        let shared = one.downcast_ref::<Arc<io::Error>>().map(|shared| &**shared);
        let system = shared.or_else(|| one.downcast_ref());
        let inner = system.and_then(io::Error::get_ref);
        let unreached = inner.and_then(|inner| inner.downcast_ref::<Unreached>());
        if let Some(unreached) = unreached {
            return Some(unreached.cause);
        }
        error = one.source();
    }
    None
}

/// The way of one climb. The next one has its own, since networks, name servers and proxies change.
pub(super) struct Way {
    pub(super) path: Path,
    /// Whoever is told when it is the dates of a certificate that keep the device from its hub.
    pub(super) clock: Option<Keeper>,
}

impl Way {
    /// What happened, and by which clock that is so.
    fn unreached(&self, trouble: &Trouble) -> Unreached {
        let clock = self.clock.as_ref();
        let clock = clock.and_then(|clock| clock.on_trouble(trouble));
        let text = match (clock, outgate_check::inspector(trouble)) {
            (Some(clock), _) => format!("{trouble}; {clock}"),
            (None, Some(maker)) => {
                format!("{trouble}: {maker} inspects TLS on the way")
            }
            (None, None) => trouble.to_string(),
        };
        Unreached {
            text,
            cause: CauseKind::of(trouble),
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
            let stream = opened.map_err(|trouble| io::Error::other(self.unreached(&trouble)))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
