//! Time servers that are right or wrong, and who keeps the time on a machine whose clock is wrong.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use outgate_agent::clock::{Keeper, Machine, Plan};
use outgate_agent::config::Clock;
use outgate_agent::queue::{Clock as _, MachineClock};
use outgate_agent::status::{Board, Status};
use outgate_probe::{Host, ResolverChoice};
use outgate_testbed::PATIENCE;
use outgate_wire::ntp::{KissCode, Question, ServerState};
use time::OffsetDateTime;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What is wrong with a clock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wrong {
    /// Nothing.
    Nothing,
    /// It is ahead by so many seconds.
    By(i64),
    /// It starts in 1970.
    In1970,
    /// It says nothing.
    Silent,
    /// It says that it was asked too often.
    Kisses,
    /// It says that nobody has told it the time.
    Unset,
}

impl Wrong {
    fn wall(self, up: Duration) -> OffsetDateTime {
        let now = OffsetDateTime::now_utc();
        match self {
            Self::By(seconds) => now + time::Duration::seconds(seconds),
            Self::In1970 => OffsetDateTime::UNIX_EPOCH + up,
            Self::Nothing | Self::Silent | Self::Kisses | Self::Unset => now,
        }
    }
}

/// A time server on loopback, until this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    pub(crate) async fn start(wrong: Wrong) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut buffer = [0; 1_024];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let now = SystemTime::from(wrong.wall(Duration::ZERO));
                let state = match wrong {
                    Wrong::Silent => continue,
                    Wrong::Kisses => ServerState::kiss(KissCode::new(*b"RATE")),
                    Wrong::Unset => ServerState::unsynchronised(),
                    Wrong::Nothing | Wrong::By(_) | Wrong::In1970 => ServerState::default(),
                };
                let question = Question::read(&buffer[..length]).unwrap();
                let answer = question.answer(&state, now, now);
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        Self { address, serving }
    }
}

/// What keeps the time on a machine whose clock is wrong, and may ask these servers.
pub(crate) fn plan<'a>(
    folder: &'a Path,
    board: &Board,
    servers: &[SocketAddr],
    wrong: Wrong,
) -> Plan<'a> {
    let clock = Clock {
        dhcp: false,
        servers: servers
            .iter()
            .map(|at| (Host::Address(at.ip()), at.port()))
            .collect(),
        hub_key: None,
        pins: Vec::new(),
        set: false,
    };
    let dates = Arc::new(MachineClock::new().unwrap());
    let boot = dates.clone();
    Plan {
        resolver: ResolverChoice::At(Vec::new()),
        earliest: OffsetDateTime::now_utc() - time::Duration::days(365),
        look: Box::new(move || {
            let up = boot.now().up;
            Machine {
                up,
                wall: wrong.wall(up),
            }
        }),
        ..Plan::new(clock, folder, dates, board.clone())
    }
}

/// Who keeps it.
pub(crate) fn keeper(folder: &Path, board: &Board, servers: &[SocketAddr], wrong: Wrong) -> Keeper {
    Keeper::new(plan(folder, board, servers, wrong))
}

/// Keeps the time until this is dropped.
pub(crate) struct Keeping(JoinHandle<()>);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn keep(keeper: &Keeper) -> Keeping {
    let keeper = keeper.clone();
    Keeping(tokio::spawn(async move { keeper.keep().await }))
}

/// Waits until the board shows it.
pub(crate) async fn shown(board: &Board, wanted: impl FnMut(&Status) -> bool) -> Status {
    let mut watch = board.watch();
    let seen = tokio::time::timeout(PATIENCE, watch.wait_for(wanted)).await;
    let seen = seen.unwrap_or_else(|_| panic!("{:#?}", board.status()));
    seen.unwrap().clone()
}
