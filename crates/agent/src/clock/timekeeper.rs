//! Whom to ask what time it is, whom to believe, and when to ask again.

use std::collections::VecDeque;
use std::time::Duration;

use time::OffsetDateTime;

use super::vote::elected;
use super::words::{moment, span};
use super::{Heard, Machine, Output, Reading, Source, Teller, Told, WRONG};
use crate::status;

/// How often it is looked whether somebody has put the machine's clock forward or back.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// By how much it must have been: what programs that set clocks correct gently is less.
const JUMP: Duration = Duration::from_secs(1);

/// How often those are asked again that have told the time: the clocks of cheap devices go wrong by
/// less than a second in that.
const AGAIN: Duration = Duration::from_secs(60 * 60);
/// How soon, if nobody has told it; it doubles, up to [`AGAIN`].
const SOON: Duration = Duration::from_secs(15);
/// The least between two rounds that something else than time begins.
const BETWEEN: Duration = Duration::from_secs(5);

/// For how long after the hub has told the time nobody else is asked: it does so every hour.
const HUB_LASTS: Duration = Duration::from_secs(2 * 60 * 60);

/// By how much a clock may have gone back that is right: what sets a hub's clock may correct it.
const BACK: Duration = Duration::from_secs(60);

/// How much a machine's clock may go wrong by itself, in parts of a million: more than twice what
/// cheap crystals do.
const DRIFT: u32 = 250;
/// By how much an NTP server may differ from the hub beside that.
const NEAR: Duration = Duration::from_secs(2);

/// When newer time is worth a write to the disk.
const KEEP_EVERY: Duration = Duration::from_secs(10 * 60);

/// Decides what time it is.
#[derive(Debug)]
pub struct Timekeeper {
    sources: Vec<Source>,
    /// It cannot be earlier.
    floor: OffsetDateTime,
    /// What the disk has of that.
    kept: OffsetDateTime,
    told: Option<Told>,
    /// What the hub has told last in this run.
    hub: Option<Told>,
    state: State,
    round: u64,
    /// When the last round began.
    asked: Option<Duration>,
    /// How long is waited after a round in which nobody has told the time.
    wait: Duration,
    /// When the machine started, as its own clock had it when it was last looked at.
    began: OffsetDateTime,
    looked: Duration,
    /// By how much the machine's clock was wrong when that was last shown.
    shown: i64,
    /// What has become of asking each.
    heard: Vec<status::TimeSource>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Asking {
        at: usize,
    },
    /// From then on the sources are asked, from this one on.
    Waiting {
        until: Duration,
        from: usize,
    },
}

impl Timekeeper {
    /// Begins. It cannot be earlier than `earliest`, nor than `kept`, which the disk has; `sources` are
    /// asked in their order.
    #[must_use]
    pub fn new(
        sources: Vec<Source>,
        earliest: OffsetDateTime,
        kept: Option<OffsetDateTime>,
        machine: Machine,
    ) -> Self {
        Self {
            sources,
            floor: kept.map_or(earliest, |kept| kept.max(earliest)),
            kept: kept.unwrap_or(OffsetDateTime::UNIX_EPOCH),
            told: None,
            hub: None,
            state: State::Waiting {
                until: machine.up,
                from: 0,
            },
            round: 0,
            asked: None,
            wait: SOON,
            began: machine.began(),
            looked: machine.up,
            shown: 0,
            heard: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    /// What time it is, as far as anybody knows: as somebody has told it, or as the machine has it,
    /// unless that time is over for certain.
    #[must_use]
    pub fn now(&self, machine: Machine) -> OffsetDateTime {
        match &self.told {
            Some(told) => told.began + machine.up,
            None => machine.wall.max(self.floor),
        }
    }

    /// Who has told the time.
    #[must_use]
    pub fn told(&self) -> Option<&Told> {
        self.told.as_ref()
    }

    /// The earliest that it can be.
    #[must_use]
    pub fn floor(&self) -> OffsetDateTime {
        self.floor
    }

    /// By how much the machine's clock is wrong, in milliseconds, positive when it is behind; `None`
    /// when nobody can tell.
    #[must_use]
    pub fn offset_millis(&self, machine: Machine) -> Option<i64> {
        let told = self.told.as_ref()?;
        Some(millis(told.began - machine.began()))
    }

    /// Whether the machine's clock is wrong for certain.
    #[must_use]
    pub fn is_machine_wrong(&self, machine: Machine) -> bool {
        match self.offset_millis(machine) {
            Some(offset) => is_wrong(offset),
            None => machine.wall + BACK < self.floor,
        }
    }

    /// The clock's column of the board.
    #[must_use]
    pub fn column(&self, machine: Machine) -> status::Clock {
        status::Clock {
            trusted: self.told.is_some(),
            source: self.told.as_ref().map(|told| told.by.to_string()),
            offset_millis: self.offset_millis(machine),
            error_millis: self.told.as_ref().map(|told| {
                let millis = told.error.as_millis();
                u64::try_from(millis).unwrap_or(u64::MAX)
            }),
            not_before: Some(self.floor),
            asked: self.heard.clone(),
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When there is something to do, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Duration {
        let look = self.looked + LOOK_EVERY;
        match self.state {
            State::Asking { .. } => look,
            State::Waiting { until, .. } => look.min(until),
        }
    }

    /// The machine's clocks say this by now.
    pub fn handle_timeout(&mut self, machine: Machine) {
        self.look(machine);
        if let State::Waiting { until, from } = self.state
            && until <= machine.up
        {
            if self.heard_the_hub(machine.up) {
                self.wait_for(AGAIN, machine.up);
            } else {
                self.begin(from, machine.up);
            }
        }
    }

    /// A source was asked, and this came of it.
    pub fn handle_heard(&mut self, round: u64, heard: &Heard, machine: Machine) {
        let State::Asking { at } = self.state else {
            return;
        };
        let Some(source) = self.sources.get(at).copied() else {
            return;
        };
        if round != self.round {
            return;
        }
        let mut column = status::TimeSource {
            source: source.name().to_owned(),
            answered: heard.readings.iter().map(|it| it.server.clone()).collect(),
            refused: heard.silent.clone(),
        };
        let mut believable = Vec::new();
        for reading in &heard.readings {
            match self.objection(source, reading, machine) {
                None => believable.push(reading.clone()),
                Some(why) => column.refused.push(why),
            }
        }
        let elected = elected(&believable).cloned();
        if elected.is_none() && !believable.is_empty() {
            column.refused.push(disagreement(&believable, machine));
        }
        self.heard.retain(|known| known.source != source.name());
        for why in &column.refused {
            tracing::debug!(source = source.name(), why, "no time from a source");
        }
        self.heard.push(column);
        match elected {
            Some(reading) => {
                let told = Told {
                    began: reading.began,
                    error: reading.error,
                    by: match source {
                        Source::Signed => Teller::Signed,
                        Source::Dhcp | Source::Configured => Teller::Server(source, reading.server),
                    },
                    at: machine.up,
                };
                self.believe(told, machine);
            }
            None => self.begin(at + 1, machine.up),
        }
    }

    /// The hub says what time it is, over a connection that it has proved to be its own; tells whether
    /// it is believed. `error` is by how much that may be wrong.
    pub fn handle_hub(&mut self, now: OffsetDateTime, error: Duration, machine: Machine) -> bool {
        let reading = Reading {
            server: "the hub".to_owned(),
            began: now - machine.up,
            error,
        };
        if let Some(why) = self.objection_to_age(&reading, machine) {
            self.outputs.push_back(Output::Note(why));
            return false;
        }
        let told = Told {
            began: reading.began,
            error,
            by: Teller::Hub,
            at: machine.up,
        };
        self.believe(told, machine);
        true
    }

    /// Something has failed for a certificate's dates, by [`Timekeeper::now`]: whoever comes after the
    /// one that has told that time is asked, or everybody when nobody has.
    pub fn handle_dates(&mut self, machine: Machine) {
        let from = match self.told.as_ref().map(|told| &told.by) {
            // Then it is the certificate.
            Some(Teller::Hub | Teller::Signed) => return,
            Some(Teller::Server(source, _)) => {
                let at = self.sources.iter().position(|known| known == source);
                at.map_or(0, |at| at + 1)
            }
            None => 0,
        };
        if from < self.sources.len() {
            self.begin_if_quiet(from, machine.up);
        }
    }

    /// The device is on another network.
    pub fn handle_network(&mut self, machine: Machine) {
        if !self.heard_the_hub(machine.up) {
            self.begin_if_quiet(0, machine.up);
        }
    }

    /// The machine's clock was set.
    pub fn handle_set(&mut self, machine: Machine) {
        self.began = machine.began();
        self.shown = 0;
    }

    /// Looks whether somebody has put the machine's clock forward or back.
    fn look(&mut self, machine: Machine) {
        self.looked = machine.up;
        let moved = machine.began() - self.began;
        self.began = machine.began();
        if moved.unsigned_abs() <= JUMP {
            return;
        }
        let way = if moved.is_negative() {
            "back"
        } else {
            "forward"
        };
        let by = span(moved.unsigned_abs());
        let what = format!("this machine's clock was put {way} by {by} while the agent runs");
        self.outputs.push_back(Output::Note(what));
        match self.offset_millis(machine) {
            Some(_) => self.compare(machine),
            None => self.begin_if_quiet(0, machine.up),
        }
    }

    /// Shows when the machine's clock is wrong, and has it set.
    fn compare(&mut self, machine: Machine) {
        let Some(offset_millis) = self.offset_millis(machine) else {
            return;
        };
        if let Some(told) = &self.told
            && is_wrong(offset_millis)
            && is_wrong(offset_millis - self.shown)
        {
            self.shown = offset_millis;
            let by = told.by.to_string();
            self.outputs.push_back(Output::Wrong { offset_millis, by });
        }
        if u128::from(offset_millis.unsigned_abs()) > JUMP.as_millis() {
            self.outputs.push_back(Output::Set);
        }
    }

    /// Goes by this from now on.
    fn believe(&mut self, told: Told, machine: Machine) {
        let before = self.now(machine);
        let is_hub = told.by.is_hub();
        let earliest = told.began + machine.up - told.error;
        self.told = Some(told.clone());
        if is_hub {
            // Kept whoever tells the time later: what differs from it is not believed.
            self.hub = Some(told.clone());
        }
        self.outputs.push_back(Output::Told(told));
        // Nobody has proved to be an NTP server, and one that is years ahead would shut out the right
        // time for ever.
        if is_hub {
            self.floor = self.floor.max(earliest);
            if (self.floor - self.kept) > KEEP_EVERY {
                self.kept = self.floor;
                self.outputs.push_back(Output::Keep(self.floor));
            }
        }
        self.compare(machine);
        if (self.now(machine) - before).unsigned_abs() > WRONG {
            self.outputs.push_back(Output::Retry);
        }
        self.wait = SOON;
        self.wait_for(AGAIN, machine.up);
    }

    /// Why a server is not believed, if it is not.
    fn objection(&self, source: Source, reading: &Reading, machine: Machine) -> Option<String> {
        let by_hub = || match source {
            Source::Signed => None,
            Source::Dhcp | Source::Configured => self.objection_by_hub(reading, machine),
        };
        self.objection_to_age(reading, machine).or_else(by_hub)
    }

    /// No time is believed that is over.
    fn objection_to_age(&self, reading: &Reading, machine: Machine) -> Option<String> {
        let says = reading.began + machine.up;
        (says + reading.error + BACK < self.floor).then(|| {
            let (says, floor) = (moment(says), moment(self.floor));
            format!(
                "{} says {says}, but it has been {floor} already",
                reading.server
            )
        })
    }

    /// Nor one that differs from what the hub has said in this run of the machine.
    fn objection_by_hub(&self, reading: &Reading, machine: Machine) -> Option<String> {
        let hub = self.hub.as_ref()?;
        let drift = machine.up.saturating_sub(hub.at) * DRIFT / 1_000_000;
        let apart = (reading.began - hub.began).unsigned_abs();
        (apart > NEAR + drift + reading.error + hub.error).then(|| {
            let (says, apart) = (moment(reading.began + machine.up), span(apart));
            format!(
                "{} says {says}, {apart} from what the hub has said",
                reading.server
            )
        })
    }

    fn heard_the_hub(&self, up: Duration) -> bool {
        let hub = self.hub.as_ref();
        hub.is_some_and(|hub| up.saturating_sub(hub.at) < HUB_LASTS)
    }

    /// Begins to ask, unless somebody is being asked; soon, if that was just done.
    fn begin_if_quiet(&mut self, from: usize, up: Duration) {
        let State::Waiting {
            until,
            from: postponed,
        } = self.state
        else {
            return;
        };
        match self.asked.map(|asked| asked + BETWEEN) {
            Some(earliest) if up < earliest => {
                self.state = State::Waiting {
                    until: until.min(earliest),
                    from: from.max(postponed),
                };
            }
            Some(_) | None => self.begin(from, up),
        }
    }

    /// Asks from a source on; waits if there is none left.
    fn begin(&mut self, at: usize, up: Duration) {
        self.asked = Some(up);
        let Some(source) = self.sources.get(at).copied() else {
            let wait = self.wait;
            self.wait = (wait * 2).min(AGAIN);
            self.wait_for(wait, up);
            return;
        };
        self.round += 1;
        self.state = State::Asking { at };
        let round = self.round;
        self.outputs.push_back(Output::Ask { round, source });
    }

    fn wait_for(&mut self, wait: Duration, up: Duration) {
        self.state = State::Waiting {
            until: up + wait,
            from: 0,
        };
    }
}

fn disagreement(readings: &[Reading], machine: Machine) -> String {
    let say = readings.iter().map(|reading| {
        let says = moment(reading.began + machine.up);
        format!("{} says {says}", reading.server)
    });
    let say: Vec<String> = say.collect();
    format!("they do not agree: {}", say.join(", "))
}

fn is_wrong(offset_millis: i64) -> bool {
    u128::from(offset_millis.unsigned_abs()) > WRONG.as_millis()
}

fn millis(length: time::Duration) -> i64 {
    i64::try_from(length.whole_milliseconds()).unwrap_or(i64::MAX)
}
