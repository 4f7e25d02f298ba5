//! A session that is not over: where its two sides meet.

use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::{Mutex as Turn, watch};
use tokio::time::Instant;

use super::record::{Recorded, State, SupportSession};
use super::recording::{Direction, Recorder, Recordings};
use super::stream::{MAX_CHUNK, Sent, Waiting};
use super::{Support, WAIT};
use crate::clock::{Clock, Timestamp};
use crate::id::{DeviceId, SessionId, SupportId};
use crate::refusal::Refusal;
use crate::secret::Secret;

/// How long who waits for the end sleeps at most, so that a clock that is put right is noticed.
const MAX_NAP: Duration = Duration::from_secs(60);

/// For how long an operator may ask for nothing: each question is answered within [`WAIT`].
const ABSENCE: Duration = Duration::from_secs(90);

/// What one side sends.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// How many bytes it has sent before.
    pub at: u64,
    /// The bytes, at most [`MAX_CHUNK`].
    pub bytes: Vec<u8>,
    /// Whether nothing follows.
    pub last: bool,
}

/// Whether it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    On,
    /// It is over.
    Over {
        /// By whom.
        by: String,
        /// Why.
        why: String,
    },
}

/// What one side gets.
#[derive(Clone, Debug)]
pub struct Taken {
    /// How many bytes stand before these.
    pub at: u64,
    /// The bytes, at most [`MAX_CHUNK`]; none when there was nothing in time.
    pub bytes: Vec<u8>,
    /// Whether nothing follows.
    pub last: bool,
    /// Whether the session goes on.
    pub flow: Flow,
}

/// A session that is not over.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) id: SupportId,
    pub(super) device: DeviceId,
    pub(super) operator: String,
    until: Timestamp,
    /// The first line of the recording.
    about: String,
    phase: watch::Sender<Phase>,
    key: Mutex<Option<Secret>>,
    recorder: Turn<Option<Recorder>>,
    /// When the operator last asked for what has come.
    heard: Mutex<Instant>,
    /// To the device.
    pub(super) down: Way,
    /// From the device.
    pub(super) up: Way,
}

/// One way of it.
#[derive(Debug)]
pub(super) struct Way {
    direction: Direction,
    turn: Turn<()>,
    waiting: watch::Sender<Waiting>,
}

#[derive(Clone, Debug)]
enum Phase {
    Asked,
    Open(SessionId),
    Over {
        by: String,
        why: String,
        /// Whether that is written down.
        noted: bool,
    },
}

impl Flow {
    /// By whom and why it is over, in one line, if it is.
    #[must_use]
    pub fn over(self) -> Option<String> {
        match self {
            Self::On => None,
            Self::Over { by, why } => Some(format!("{why} ({by})")),
        }
    }
}

impl Taken {
    /// Nothing, because it is over.
    pub(super) fn over(at: u64, flow: Flow) -> Self {
        Self {
            at,
            bytes: Vec::new(),
            last: true,
            flow,
        }
    }
}

impl Way {
    fn new(direction: Direction) -> Self {
        Self {
            direction,
            turn: Turn::default(),
            waiting: watch::Sender::default(),
        }
    }
}

impl Live {
    pub(super) fn new(session: &SupportSession, key: Secret) -> Self {
        let about = json!({
            "version": 1, "session": session.id.as_str(), "device": session.device.as_str(),
            "operator": session.operator, "reason": session.reason, "what": session.what.told(),
            "asked": session.asked,
        });
        Self {
            id: session.id.clone(),
            device: session.device.clone(),
            operator: session.operator.clone(),
            until: session.until,
            about: about.to_string(),
            phase: watch::Sender::new(Phase::Asked),
            key: Mutex::new(Some(key)),
            recorder: Turn::default(),
            heard: Mutex::new(Instant::now()),
            down: Way::new(Direction::In),
            up: Way::new(Direction::Out),
        }
    }

    /// Takes the key, which counts once and for this device. Whoever has a wrong one learns nothing,
    /// and spends nothing.
    pub(super) fn spend(&self, device: &DeviceId, key: &[u8]) -> Result<(), Refusal> {
        let mut its = self.key.lock();
        let fits = its.as_ref().is_some_and(|its| its.matches(key));
        if *device != self.device || !fits {
            return Err(Refusal::not_found("open support session", &self.id));
        }
        *its = None;
        Ok(())
    }

    /// Begins the recording.
    pub(super) async fn begin(&self, recordings: &Recordings) -> Result<(), Refusal> {
        let mut place = self.recorder.lock().await;
        let (recordings, id, about) = (recordings.clone(), self.id.clone(), self.about.clone());
        let begun = blocking(move || recordings.begin(&id, &about)).await?;
        *place = Some(begun);
        Ok(())
    }

    /// Both can send from now on, the device over that connection.
    pub(super) fn open(&self, holder: SessionId) -> Result<(), Refusal> {
        let opened = self.phase.send_if_modified(|phase| match phase {
            Phase::Asked => {
                *phase = Phase::Open(holder);
                true
            }
            Phase::Open(_) | Phase::Over { .. } => false,
        });
        if opened {
            return Ok(());
        }
        Err(Refusal::not_found("open support session", &self.id))
    }

    pub(super) fn is_held_by(&self, connection: &SessionId) -> bool {
        match &*self.phase.borrow() {
            Phase::Open(holder) => holder == connection,
            // So that the connection is told how it has ended.
            Phase::Over { .. } => true,
            Phase::Asked => false,
        }
    }

    /// Ends it for both at once; false when it was over.
    pub(super) fn finish(&self, by: &str, why: &str) -> bool {
        self.phase.send_if_modified(|phase| match phase {
            Phase::Asked | Phase::Open(_) => {
                *phase = Phase::Over {
                    by: by.to_owned(),
                    why: why.to_owned(),
                    noted: false,
                };
                true
            }
            Phase::Over { .. } => false,
        })
    }

    /// Its end is written down.
    pub(super) fn noted(&self) {
        self.phase.send_modify(|phase| match phase {
            Phase::Over { noted, .. } => *noted = true,
            Phase::Asked | Phase::Open(_) => {}
        });
    }

    /// What was recorded; nothing is from now on.
    pub(super) async fn recorded(&self) -> Option<Recorded> {
        Some(self.recorder.lock().await.take()?.finish())
    }

    /// Waits until it is over.
    pub(super) async fn over(&self) {
        let mut phase = self.phase.subscribe();
        // The sender is in this.
        let _ = phase.wait_for(|phase| flow(phase) != Flow::On).await;
    }

    /// Waits until it is in another state, and that is written down.
    pub(super) async fn other_than(&self, state: State) {
        let mut phase = self.phase.subscribe();
        let other = |phase: &Phase| match phase {
            Phase::Asked => state != State::Asked,
            Phase::Open(_) => state != State::Open,
            Phase::Over { noted, .. } => *noted,
        };
        let _ = phase.wait_for(other).await;
    }

    /// The operator is there.
    pub(super) fn hear(&self) {
        *self.heard.lock() = Instant::now();
    }

    /// Waits until the operator has asked for nothing for as long as [`ABSENCE`], once it is open.
    pub(super) async fn left_alone(&self) {
        let mut phase = self.phase.subscribe();
        // The sender is in this.
        let _ = phase.wait_for(|phase| !matches!(phase, Phase::Asked)).await;
        self.hear();
        loop {
            let heard = *self.heard.lock();
            let until = heard + ABSENCE;
            if Instant::now() >= until {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// Waits until its time is over.
    pub(super) async fn late(&self, clock: &Clock) {
        loop {
            let left = self.until.since(clock.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(MAX_NAP)).await;
        }
    }

    /// Records what was sent one way and passes it on, if whoever sends it still may then.
    pub(super) async fn send(
        &self,
        support: &Support,
        way: &Way,
        chunk: Chunk,
        still: &(dyn Fn() -> Result<(), Refusal> + Sync),
    ) -> Result<Flow, Refusal> {
        if chunk.bytes.len() > MAX_CHUNK {
            return Err(Refusal::TooLarge {
                what: "bytes of a support session at once",
                limit: MAX_CHUNK as u64,
            });
        }
        let _turn = way.turn.lock().await;
        match self.may_send()? {
            Flow::On => {}
            over @ Flow::Over { .. } => return Ok(over),
        }
        let size = chunk.bytes.len();
        if way.waiting.borrow().place(chunk.at, size)? == Sent::Again {
            return Ok(Flow::On);
        }
        let mut waiting = way.waiting.subscribe();
        tokio::select! {
            () = self.over() => return Ok(self.flow()),
            _ = waiting.wait_for(|waiting| waiting.has_room(size)) => {}
        }
        still()?;
        if size > 0
            && let Err(refusal) = self.record(way.direction, chunk.bytes.clone()).await
        {
            let live = support.alive(&self.id)?;
            let why = format!("nothing more can be recorded: {refusal}");
            support.finish(&live, State::Ended, "hub", &why).await;
            return Ok(self.flow());
        }
        // Both looked at again: a revocation does not wait for the disk.
        still()?;
        if self.flow() == Flow::On {
            let put = |waiting: &mut Waiting| waiting.put(&chunk.bytes, chunk.last);
            way.waiting.send_modify(put);
        }
        Ok(self.flow())
    }

    /// What has come behind the first `after` bytes of one way, at the latest after [`WAIT`].
    pub(super) async fn take(&self, way: &Way, after: u64) -> Result<Taken, Refusal> {
        let mut forgotten = Ok(());
        way.waiting.send_if_modified(|waiting| {
            forgotten = waiting.forget(after);
            forgotten.is_ok()
        });
        forgotten?;
        let mut waiting = way.waiting.subscribe();
        let news = async {
            tokio::select! {
                () = self.over() => {}
                _ = waiting.wait_for(|waiting| waiting.has_news(after)) => {}
            }
        };
        // Nothing is an answer, too: proxies cut what is silent for long.
        let _ = tokio::time::timeout(WAIT, news).await;
        let flow = self.flow();
        if flow != Flow::On {
            return Ok(Taken::over(after, flow));
        }
        let mut first = (Vec::new(), false);
        way.waiting.send_if_modified(|waiting| {
            first = waiting.first();
            // Nobody waits for that.
            false
        });
        let (bytes, last) = first;
        Ok(Taken {
            at: after,
            bytes,
            last,
            flow,
        })
    }

    fn may_send(&self) -> Result<Flow, Refusal> {
        match &*self.phase.borrow() {
            Phase::Asked => Err(Refusal::Conflict {
                what: "the support session, which is not open yet,",
            }),
            other @ (Phase::Open(_) | Phase::Over { .. }) => Ok(flow(other)),
        }
    }

    pub(super) fn flow(&self) -> Flow {
        flow(&self.phase.borrow())
    }

    async fn record(&self, way: Direction, bytes: Vec<u8>) -> Result<(), Refusal> {
        let mut place = self.recorder.lock().await;
        let broken = Refusal::Internal("there is no recording");
        let mut recorder = place.take().ok_or(broken)?;
        let work = move || {
            let taken = recorder.take(way, &bytes);
            Ok((recorder, taken))
        };
        let (recorder, taken) = blocking(work).await?;
        // Also one that has failed: it says what there was until then.
        *place = Some(recorder);
        taken
    }
}

fn flow(phase: &Phase) -> Flow {
    match phase {
        Phase::Asked | Phase::Open(_) => Flow::On,
        Phase::Over { by, why, .. } => Flow::Over {
            by: by.clone(),
            why: why.clone(),
        },
    }
}

/// Runs what may wait for the disk where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(Refusal::Internal("a recording stopped")))
}
