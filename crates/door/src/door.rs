//! Listeners, opened together and served until they are told to stop.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::happening::{Happening, Hook};
use crate::opening::{DebugHook, Entrance, Shared};
use crate::seats::Seats;
use crate::settings::{At, Carries, Limits, Listener, Security, Settings};
use crate::tls::{Configurations, Tls};
use crate::turns::Turns;
use crate::{Listening, Reception, bind};

/// How many of those who cannot be let in are told so at a time; the rest are cut off.
const FAREWELLS: usize = 64;

/// File descriptors kept for what is not a connection through the door: the store, log, webhooks,
/// and farewells.
const RESERVED_FILES: u64 = 512;

/// How long to wait when nothing can be accepted for lack of something on this machine: at first,
/// and at most.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Errors of `accept` that are about one connection and not about this machine (accept(2)):
/// `ENETDOWN`, `EPROTO`, `ENOPROTOOPT`, `EHOSTDOWN`, `ENONET`, `EHOSTUNREACH`, `EOPNOTSUPP`,
/// `ENETUNREACH`, `ECONNABORTED`, `EPERM` of a firewall, `EINTR`.
const ABOUT_ONE: [rustix::io::Errno; 11] = [
    rustix::io::Errno::NETDOWN,
    rustix::io::Errno::PROTO,
    rustix::io::Errno::NOPROTOOPT,
    rustix::io::Errno::HOSTDOWN,
    rustix::io::Errno::NONET,
    rustix::io::Errno::HOSTUNREACH,
    rustix::io::Errno::OPNOTSUPP,
    rustix::io::Errno::NETUNREACH,
    rustix::io::Errno::CONNABORTED,
    rustix::io::Errno::PERM,
    rustix::io::Errno::INTR,
];

/// Why a door could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A listener's address could not be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A socket that systemd should have handed in.
    #[error("socket {index} of those that systemd hands in cannot be used")]
    Inherited {
        /// The how manieth, from 0.
        index: usize,
        /// Why.
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error("TLS cannot be set up")]
    Tls {
        /// Why.
        #[from]
        source: rustls::Error,
    },
}

/// A door whose listeners are bound. Clones are the same door.
#[derive(Clone, Debug)]
pub struct Door {
    shared: Arc<Shared>,
    listening: Arc<[Listening]>,
    /// Taken by the first that serves, so that they are closed when it is done.
    listeners: Arc<Mutex<Vec<Bound>>>,
    stop: Arc<watch::Sender<bool>>,
}

#[derive(Debug)]
struct Bound {
    listener: TcpListener,
    entrance: Arc<Entrance>,
}

impl Door {
    /// Binds all listeners; nothing is accepted before [`Door::serve`]. `hook` is told what
    /// happens. Raises this process's limit of open files as far as it is allowed to, and holds
    /// [`Limits::connections`](crate::Limits::connections) down to that.
    ///
    /// # Errors
    /// When a listener cannot be bound, or TLS not be set up. Needs a tokio runtime.
    pub fn open(settings: Settings, tls: Tls, hook: Hook) -> Result<Self, OpenError> {
        let Settings {
            listeners,
            mut limits,
        } = settings;
        limits.connections = limits.connections.min(room_for_connections());
        let seats = Seats::new(&limits, Arc::clone(&hook));
        let shared = Arc::new(Shared {
            seats,
            opening: Arc::new(Semaphore::new(limits.opening)),
            farewells: Semaphore::new(FAREWELLS),
            turns: Turns::for_this_machine(),
            configurations: Configurations::new(tls)?,
            hook: DebugHook(hook),
            limits,
        });
        let mut bound = Vec::with_capacity(listeners.len());
        let mut listening = Vec::with_capacity(listeners.len());
        for listener in listeners {
            let (one, place) = bind_one(&shared, listener)?;
            bound.push(one);
            listening.push(place);
        }
        Ok(Self {
            shared,
            listening: listening.into(),
            listeners: Arc::new(Mutex::new(bound)),
            stop: Arc::new(watch::Sender::new(false)),
        })
    }

    /// Where the listeners ended up, in the order of the settings.
    #[must_use]
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// Accepts connections and hands them to `reception`, until `shutdown` is there or
    /// [`Door::drain`] is called. Then the listeners are closed and this returns; connections that
    /// are being opened or served go on ([`Door::emptied`]).
    pub async fn serve(&self, reception: impl Reception, shutdown: impl Future<Output = ()>) {
        let mut accepting = JoinSet::new();
        for bound in std::mem::take(&mut *self.listeners.lock()) {
            let stop = self.stop.subscribe();
            accepting.spawn(accept(bound, reception.clone(), stop));
        }
        tokio::select! {
            () = shutdown => self.drain(),
            () = stopped(self.stop.subscribe()) => {}
        }
        while accepting.join_next().await.is_some() {}
    }

    /// Gives new handshakes the certificate of `tls`. Connections stay, and sessions can still be
    /// resumed.
    pub fn reload(&self, tls: &Tls) {
        self.shared.configurations.reload(tls.certificate.clone());
    }

    /// Goes on with the numbers of connections of `limits`, held down as at the start. Those there
    /// are stay, even if they are too many now; the other limits stay as they are.
    pub fn limit(&self, limits: &Limits) {
        let in_all = limits.connections.min(room_for_connections());
        self.shared
            .seats
            .limit(in_all, limits.connections_per_source);
    }

    /// Stops accepting. What is open stays open.
    pub fn drain(&self) {
        self.stop.send_replace(true);
    }

    /// How many connections there are, those that are being opened included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.seats.taken()
    }

    /// Waits until there is no connection any more.
    pub async fn emptied(&self) {
        self.shared.seats.emptied().await;
    }
}

fn bind_one(shared: &Arc<Shared>, listener: Listener) -> Result<(Bound, Listening), OpenError> {
    let Listener {
        at,
        security,
        carries,
        proxies,
    } = listener;
    let wrong = |source| match at {
        At::Address(address) => OpenError::Bind { address, source },
        At::Inherited(index) => OpenError::Inherited { index, source },
    };
    let socket = bind::listener(at).map_err(wrong)?;
    let address = socket.local_addr().map_err(wrong)?;
    let tls = match security {
        Security::Tls(certificates) => Some(shared.configurations.listener(carries, certificates)?),
        Security::Plain => None,
    };
    let bound = Bound {
        listener: socket,
        entrance: Arc::new(Entrance {
            shared: Arc::clone(shared),
            tls,
            carries,
            proxies,
        }),
    };
    let carries = described(security, carries).to_owned();
    Ok((bound, Listening { address, carries }))
}

fn described(security: Security, carries: Carries) -> &'static str {
    match (security, carries) {
        (Security::Tls(_), Carries::Everything) => "TLS: HTTPS, WebSocket, MQTT",
        (Security::Tls(_), Carries::Http) => "TLS: HTTPS, WebSocket",
        (Security::Tls(_), Carries::Mqtt) => "TLS: MQTT",
        (Security::Plain, Carries::Everything) => "not encrypted: HTTP, WebSocket, MQTT",
        (Security::Plain, Carries::Http) => "not encrypted: HTTP, WebSocket",
        (Security::Plain, Carries::Mqtt) => "not encrypted: MQTT",
    }
}

/// Raises the limit of open files as far as this process may, and tells how many connections that
/// leaves room for.
fn room_for_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let room = files.map_or(u64::MAX, |files| {
        files.saturating_sub(RESERVED_FILES).max(1)
    });
    usize::try_from(room).unwrap_or(usize::MAX)
}

/// Accepts on one listener until told to stop.
async fn accept(bound: Bound, reception: impl Reception, stop: watch::Receiver<bool>) {
    let Bound { listener, entrance } = bound;
    let (shortest, longest) = ACCEPT_PAUSE;
    let mut pause = shortest;
    loop {
        let next = async {
            let opening = Arc::clone(&entrance.shared.opening).acquire_owned().await;
            (opening, listener.accept().await)
        };
        let (opening, accepted) = tokio::select! {
            biased;
            () = stopped(stop.clone()) => return,
            next = next => next,
        };
        // The semaphore is never closed.
        let Ok(opening) = opening else { return };
        match accepted {
            Ok((socket, peer)) => {
                pause = shortest;
                admit(&entrance, socket, peer, opening, reception.clone());
            }
            Err(error) if is_about_one(&error) => {}
            Err(error) => {
                // Without a pause this would spin: the connection stays in the kernel's queue.
                tracing::warn!(%error, "no connection can be accepted");
                (entrance.shared.hook.0)(&Happening::AcceptFailed);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        }
    }
}

/// Sees one connection through, on a task of its own.
fn admit(
    entrance: &Arc<Entrance>,
    socket: TcpStream,
    peer: SocketAddr,
    opening: OwnedSemaphorePermit,
    reception: impl Reception,
) {
    let hook = Arc::clone(&entrance.shared.hook.0);
    hook(&Happening::Accepted);
    let (seat, free) = entrance.shared.seats.take();
    let entrance = Arc::clone(entrance);
    tokio::spawn(async move {
        // Boxed, so that what opening needs is given back once it is done.
        let opened = Box::pin(entrance.open(socket, peer, (seat, free), opening)).await;
        match opened {
            Ok(Some(arrival)) => {
                arrival.connection.arrive();
                let tls = arrival.connection.facts().tls.as_deref();
                hook(&Happening::Arrived {
                    protocol: arrival.protocol,
                    tls: tls.map(|facts| facts.version),
                    resumed: tls.is_some_and(|facts| facts.resumed),
                });
                drop((hook, entrance));
                reception.receive(arrival).await;
            }
            Ok(None) => {}
            Err(why) => {
                tracing::debug!(%peer, why = why.label(), "a connection was refused");
                hook(&Happening::Refused { peer, why });
            }
        }
    });
}

fn is_about_one(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    ABOUT_ONE.iter().any(|one| Some(one.raw_os_error()) == code)
}

/// Waits until `stop` says so.
async fn stopped(mut stop: watch::Receiver<bool>) {
    // Without a sender there is no door any more, and nothing to accept for.
    let _ = stop.wait_for(|stop| *stop).await;
}
