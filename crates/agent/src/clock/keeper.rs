//! Does what a [`Timekeeper`] says, and is the clock that everything else goes by.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use outgate_probe::{ResolverChoice, Trouble, WallClock};
use outgate_wire::signed_time::key;
use parking_lot::Mutex;
use rustix::time::{ClockId, Timespec, clock_settime};
use time::OffsetDateTime;
use tokio::sync::{Notify, mpsc};

use super::ask::{Asking, Known};
use super::kept::{Kept, Place};
use super::signed::Hub;
use super::words::{moment, side, span};
use super::{
    CLOCK_WRONG, Heard, Machine, OUT_OF_DATE, Output, Source, Timekeeper, WRONG, earliest,
};
use crate::config;
use crate::queue::{MachineClock, up};
use crate::status::{self, Board};

/// Answers that may wait; one round is asked at a time.
const HEARD_MAX: usize = 4;

/// What the machine's clocks say.
type Look = dyn Fn() -> Machine + Send + Sync;
/// Sets the machine's clock.
type Set = dyn Fn(OffsetDateTime) -> std::io::Result<()> + Send + Sync;

/// Keeps the time. Cloned freely; all clones are the same.
#[derive(Clone)]
pub struct Keeper(Arc<Inner>);

struct Inner {
    timekeeper: Mutex<Timekeeper>,
    asking: Asking,
    /// What the queue dates by.
    dates: Arc<MachineClock>,
    board: Board,
    place: Place,
    kept: Mutex<Kept>,
    look: Box<Look>,
    set: Option<Box<Set>>,
    /// Whether it was shown that the clock cannot be set.
    unset: AtomicBool,
    /// When the machine started, by the time at which a certificate was refused for its dates since
    /// somebody last asked.
    dated: Mutex<Option<OffsetDateTime>>,
    /// There is something new to do.
    news: Notify,
    /// What failed for dates may go well now.
    retry: Notify,
    rounds: Mutex<Vec<(u64, Source)>>,
}

/// What a keeper is made of.
pub struct Plan<'a> {
    /// Who is asked.
    pub clock: config::Clock,
    /// Who is asked for the addresses of time servers.
    pub resolver: ResolverChoice,
    /// Below which this machine's DHCP client keeps its leases: `/`.
    pub root: PathBuf,
    /// The hub, if it can prove itself to a machine that does not know what time it is: over TLS, by
    /// an authority of its own or a pinned key.
    pub hub: Option<Hub>,
    /// The agent's folder.
    pub data: &'a Path,
    /// What the queue dates by; it is told the time.
    pub dates: Arc<MachineClock>,
    /// Where the clock is shown.
    pub board: Board,
    /// The time that cannot be over: [`super::earliest`].
    pub earliest: OffsetDateTime,
    /// What the machine's clocks say.
    pub look: Box<Look>,
    /// Sets the machine's clock.
    pub set: Box<Set>,
}

impl<'a> Plan<'a> {
    /// The machine as it is.
    #[must_use]
    pub fn new(
        clock: config::Clock,
        data: &'a Path,
        dates: Arc<MachineClock>,
        board: Board,
    ) -> Self {
        Self {
            clock,
            resolver: ResolverChoice::System,
            root: PathBuf::from("/"),
            hub: None,
            data,
            dates,
            board,
            earliest: earliest(),
            look: Box::new(machine),
            set: Box::new(set),
        }
    }
}

impl fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Plan");
        shown.field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Keeper {
    /// A keeper that asks nobody until [`Keeper::keep`].
    #[must_use]
    pub fn new(plan: Plan<'_>) -> Self {
        let place = Place::of(plan.data);
        let asking = Asking {
            resolver: plan.resolver,
            root: plan.root,
            hub: plan.hub,
            clock: plan.clock,
        };
        let kept = place.read();
        let machine = (plan.look)();
        let timekeeper = Timekeeper::new(asking.sources(), plan.earliest, kept.newest, machine);
        let keeper = Self(Arc::new(Inner {
            timekeeper: Mutex::new(timekeeper),
            set: asking.clock.set.then_some(plan.set),
            asking,
            dates: plan.dates,
            board: plan.board,
            place,
            kept: Mutex::new(kept),
            look: plan.look,
            unset: AtomicBool::new(false),
            dated: Mutex::default(),
            news: Notify::new(),
            retry: Notify::new(),
            rounds: Mutex::default(),
        }));
        keeper.show(&keeper.0.timekeeper.lock(), machine);
        keeper
    }

    /// Asks, looks and asks again, for ever.
    pub async fn keep(&self) {
        let (tell, mut told) = mpsc::channel::<(u64, Heard)>(HEARD_MAX);
        loop {
            for (round, source) in std::mem::take(&mut *self.0.rounds.lock()) {
                let (asking, tell) = (self.0.asking.clone(), tell.clone());
                let known = self.known();
                tokio::spawn(async move {
                    // Whoever asked may have ended.
                    let _ = tell.send((round, asking.ask(source, known).await)).await;
                });
            }
            let due = self.0.timekeeper.lock().poll_timeout();
            let wait = due.saturating_sub((self.0.look)().up);
            tokio::select! {
                Some((round, heard)) = told.recv() => {
                    self.with(|timekeeper, machine| timekeeper.handle_heard(round, &heard, machine));
                }
                () = self.0.news.notified() => {}
                () = tokio::time::sleep(wait) => self.with(Timekeeper::handle_timeout),
            }
        }
    }

    /// The hub says what time it is, over a connection that it has proved to be its own; tells whether
    /// it is believed. `error` is by how much that may be wrong.
    #[must_use]
    pub fn hub(&self, now: OffsetDateTime, error: Duration) -> bool {
        self.with(|timekeeper, machine| timekeeper.handle_hub(now, error, machine))
    }

    /// The hub says by what it signs what time it is, over a connection that it has proved to be its
    /// own.
    pub fn on_hub_key(&self, text: &str) {
        if key(text).is_none() {
            tracing::warn!("the hub's key for signed time is none");
            return;
        }
        let mut kept = self.0.kept.lock();
        if kept.hub_key.as_deref() != Some(text) {
            kept.hub_key = Some(text.to_owned());
            self.0.place.write(&kept);
        }
    }

    /// The device is on another network.
    pub fn on_network(&self) {
        self.with(Timekeeper::handle_network);
    }

    /// Something keeps the device from its hub; if that is the dates of a certificate, it tells by
    /// which clock that is so, and everybody else is asked for the time.
    #[must_use]
    pub fn on_trouble(&self, trouble: &Trouble) -> Option<String> {
        if !is_about_dates(trouble) {
            return None;
        }
        Some(self.with(|timekeeper, machine| {
            *self.0.dated.lock() = Some(timekeeper.now(machine) - machine.up);
            timekeeper.handle_dates(machine);
            let wall = moment(machine.wall);
            match timekeeper.told() {
                Some(told) => {
                    let now = moment(timekeeper.now(machine));
                    format!("it is {now}, says {}", told.by)
                }
                None if timekeeper.is_machine_wrong(machine) => {
                    format!("this machine's clock is wrong: it says {wall}, which is over")
                }
                None => format!("this machine's clock says {wall}, and nobody has confirmed that"),
            }
        }))
    }

    /// The cause of what has failed, as a check names it, if that was the dates of a certificate; and
    /// what has been found out of the clock since.
    #[must_use]
    pub fn cause(&self) -> Option<(&'static str, String)> {
        let began = self.0.dated.lock().take()?;
        Some(self.with(|timekeeper, machine| {
            let off = timekeeper.now(machine) - machine.up - began;
            let told = timekeeper.told().map(|told| told.by.to_string());
            match (told, timekeeper.offset_millis(machine)) {
                (Some(by), Some(offset)) if off.unsigned_abs() > WRONG => {
                    (CLOCK_WRONG, was(&side(offset), &by))
                }
                (None, _) if timekeeper.is_machine_wrong(machine) => (CLOCK_WRONG, String::new()),
                _ => (OUT_OF_DATE, String::new()),
            }
        }))
    }

    /// Waits until what has failed for dates may go well.
    pub async fn retry(&self) {
        self.0.retry.notified().await;
    }

    /// What time it is, as far as anybody knows.
    #[must_use]
    pub fn time(&self) -> OffsetDateTime {
        self.0.timekeeper.lock().now((self.0.look)())
    }

    fn known(&self) -> Known {
        let told = || key(self.0.kept.lock().hub_key.as_deref()?);
        Known {
            from: self.0.timekeeper.lock().floor(),
            key: self.0.asking.clock.hub_key.or_else(told),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Timekeeper, Machine) -> T) -> T {
        let mut timekeeper = self.0.timekeeper.lock();
        let machine = (self.0.look)();
        let result = act(&mut timekeeper, machine);
        let mut happened = false;
        while let Some(output) = timekeeper.poll_output() {
            happened = true;
            self.do_it(output, &mut timekeeper);
        }
        if happened {
            // It may have been set.
            self.show(&timekeeper, (self.0.look)());
            self.0.news.notify_one();
        }
        result
    }

    fn do_it(&self, output: Output, timekeeper: &mut Timekeeper) {
        match output {
            Output::Ask { round, source } => self.0.rounds.lock().push((round, source)),
            Output::Told(told) => {
                let error = span(told.error);
                tracing::debug!(by = %told.by, error, "somebody has told the time");
                self.0.dates.set_began(told.began);
            }
            Output::Keep(newest) => {
                let mut kept = self.0.kept.lock();
                kept.newest = Some(newest);
                self.0.place.write(&kept);
            }
            Output::Set => self.set(timekeeper),
            Output::Retry => self.0.retry.notify_one(),
            Output::Wrong { offset_millis, by } => {
                let side = side(offset_millis);
                self.blame(&side, &by);
                let text = format!("this machine's clock is {side}, says {by}");
                self.trouble(timekeeper, text, Some(CLOCK_WRONG));
            }
            Output::Note(text) => self.trouble(timekeeper, text, None),
        }
    }

    /// Says of what failed before for the dates of certificates that it was the clock.
    fn blame(&self, side: &str, by: &str) {
        self.0.board.write(|status| {
            for trouble in &mut status.troubles {
                if trouble.cause.as_deref() == Some(OUT_OF_DATE) {
                    trouble.cause = Some(CLOCK_WRONG.to_owned());
                    trouble.text.push_str(&was(side, by));
                }
            }
        });
    }

    fn set(&self, timekeeper: &mut Timekeeper) {
        let Some(set) = &self.0.set else {
            return;
        };
        match set(timekeeper.now((self.0.look)())) {
            Ok(()) => {
                tracing::info!("this machine's clock is set");
                timekeeper.handle_set((self.0.look)());
            }
            Err(error) if !self.0.unset.swap(true, Ordering::Relaxed) => {
                let why = "which needs CAP_SYS_TIME, or clock.set = false";
                let text = format!("the agent cannot set this machine's clock ({error}), {why}");
                self.trouble(timekeeper, text, None);
            }
            Err(_) => {}
        }
    }

    fn trouble(&self, timekeeper: &Timekeeper, text: String, cause: Option<&str>) {
        tracing::warn!("{text}");
        self.0.board.trouble(status::Trouble {
            at: timekeeper.now((self.0.look)()),
            part: "clock",
            text,
            cause: cause.map(str::to_owned),
        });
    }

    fn show(&self, timekeeper: &Timekeeper, machine: Machine) {
        let column = timekeeper.column(machine);
        self.0.board.write(|status| status.clock = column);
    }
}

impl WallClock for Keeper {
    fn now(&self) -> SystemTime {
        self.time().into()
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keeper")
            .field(&*self.0.timekeeper.lock())
            .finish()
    }
}

/// What is added to a trouble that was the clock's.
fn was(side: &str, by: &str) -> String {
    format!("; this machine's clock was {side}, says {by}")
}

/// What this machine's clocks say now.
fn machine() -> Machine {
    Machine {
        up: up(),
        wall: OffsetDateTime::now_utc(),
    }
}

fn set(now: OffsetDateTime) -> std::io::Result<()> {
    let time = Timespec {
        tv_sec: now.unix_timestamp(),
        tv_nsec: now.nanosecond().into(),
    };
    Ok(clock_settime(ClockId::Realtime, time)?)
}

/// Whether it is the dates of a certificate, also of one on the way.
fn is_about_dates(trouble: &Trouble) -> bool {
    if let Trouble::ProxyUnreachable { why, .. } = trouble {
        return is_about_dates(why);
    }
    matches!(
        trouble,
        Trouble::CertificateExpired { .. } | Trouble::CertificateNotYetValid { .. }
    )
}
