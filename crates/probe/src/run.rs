//! One attempt under way: its evidence so far, its clock, and how it stops.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use crate::{
    ask::Ask,
    conversation::ToTls,
    evidence::{Attempt, Outcome, Phase, PhaseName, Trouble},
    path::Path,
    stream::Through,
    tls::{read_trouble, tls_error},
};

/// An ICMP message comes back within this; a neighbour that does not answer takes longer.
const AT_ONCE: Duration = Duration::from_secs(1);

/// One address being exercised.
pub(crate) struct Run<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) path: &'a Path,
    /// What is known so far. Kept when the attempt stops in the middle.
    pub(crate) attempt: Attempt,
    /// The proxy that the attempt goes through; its address is then the attempt's.
    pub(crate) through: Option<Through>,
    /// How a connection that begins in the clear comes to where TLS begins.
    pub(crate) to_tls: Option<ToTls>,
    /// Where the connection to the attempt's address itself left this machine; `None` while there
    /// is none, or if it goes through a proxy.
    pub(crate) local: Option<SocketAddr>,
    deadline: Instant,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        ask: &'a Ask,
        path: &'a Path,
        attempt: Attempt,
        through: Option<Through>,
    ) -> Self {
        Self {
            ask,
            path,
            attempt,
            through,
            to_tls: None,
            local: None,
            deadline: Instant::now() + path.timeout(),
        }
    }

    /// Another attempt at the same address beside this one, which must be over by the same time.
    pub(crate) fn beside(&self) -> Self {
        Self {
            ask: self.ask,
            path: self.path,
            attempt: Attempt::new(self.attempt.address, self.attempt.port),
            through: self.through.clone(),
            to_tls: self.to_tls,
            local: None,
            deadline: self.deadline,
        }
    }

    /// The far end's address, also behind a proxy where it is known here.
    pub(crate) fn far_address(&self) -> IpAddr {
        let behind = self.through.as_ref().and_then(Through::address);
        behind.unwrap_or(self.attempt.address)
    }

    /// When the attempt must be over.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Allows for a wait that is meant, such as holding a connection.
    pub(crate) fn extend(&mut self, wait: Duration) {
        self.deadline += wait;
    }

    /// Does one part of the attempt and notes how long it took. The attempt's time-out falls in
    /// this part if it is not over by then.
    pub(crate) async fn phase<T>(
        &mut self,
        name: PhaseName,
        work: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        let start = Instant::now();
        let result = timeout_at(self.deadline, work).await;
        self.attempt.phases.push(Phase {
            name,
            took: start.elapsed(),
        });
        result.unwrap_or_else(|_| Err(Trouble::TimedOut { phase: name }.into()))
    }
}

/// Why an attempt goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) outcome: Outcome,
    pub(crate) trouble: Trouble,
}

impl Stop {
    /// It worked in part.
    pub(crate) fn warn(trouble: Trouble) -> Self {
        Self {
            outcome: Outcome::Warn,
            trouble,
        }
    }

    /// The worse of two, the first of two that are equally bad.
    pub(crate) fn worse(self, other: Self) -> Self {
        if self.outcome == Outcome::Warn && other.outcome == Outcome::Fail {
            other
        } else {
            self
        }
    }

    /// Whether the other side hung up, in good order or not.
    pub(crate) fn is_hang_up(&self) -> bool {
        matches!(self.trouble, Trouble::Closed { .. } | Trouble::Reset { .. })
    }

    /// It could not be tried.
    pub(crate) fn not_run(trouble: Trouble) -> Self {
        Self {
            outcome: Outcome::NotRun,
            trouble,
        }
    }

    /// What an error of a socket means. `since` is when the operation began.
    pub(crate) fn io(error: &io::Error, phase: PhaseName, since: Instant) -> Self {
        match tls_error(error) {
            Some(error) => read_trouble(error).into(),
            None => io_trouble(error, phase, since.elapsed()).into(),
        }
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self {
            outcome: Outcome::Fail,
            trouble,
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other kind is this machine's own"
)]
fn io_trouble(error: &io::Error, phase: PhaseName, took: Duration) -> Trouble {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Trouble::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Trouble::Reset { phase },
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected => Trouble::Closed { phase },
        io::ErrorKind::TimedOut => Trouble::TimedOut { phase },
        // Not that an address is not available (EADDRNOTAVAIL): a way was found before, so what
        // is used up are this machine's ports.
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Trouble::NetworkUnreachable
        }
        io::ErrorKind::HostUnreachable => Trouble::HostUnreachable {
            at_once: took < AT_ONCE,
        },
        io::ErrorKind::PermissionDenied => Trouble::AdminProhibited,
        _ => Trouble::Local {
            what: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(code: i32) -> Trouble {
        let error = io::Error::from_raw_os_error(code);
        io_trouble(&error, PhaseName::Connect, Duration::ZERO)
    }

    #[test]
    fn running_out_of_ports_or_files_is_this_machines_own_trouble() {
        for code in [99, 24] {
            // EADDRNOTAVAIL, EMFILE
            assert!(matches!(trouble(code), Trouble::Local { .. }), "{code}");
        }
        assert_eq!(trouble(101), Trouble::NetworkUnreachable); // ENETUNREACH
    }
}
