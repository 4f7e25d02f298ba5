//! What a link does next, and what it makes of what happens.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use outgate_signalr::negotiate::Transport;
use outgate_signalr::retry::{HELD, Policy, Retries, part};

use super::memory::{Known, Memory, Network};
use super::standing::{Due, Standing};
use super::{AGAIN_MAX, Dial, Doing, Down, Output, REFUSED_WAIT, SPREAD_MAX, Settings, WAIT_MAX};

/// The connection to the hub.
#[derive(Debug)]
pub struct Link {
    settings: Settings,
    memory: Memory,
    network: Network,
    /// What is known of that network.
    known: Known,
    /// The transports that have held traffic here since the start.
    held: Vec<Transport>,
    retries: Retries,
    state: State,
    outputs: VecDeque<Output>,
    pub(super) dials: u64,
    random: Random,
}

#[derive(Debug)]
enum State {
    Idle,
    Dialling { dial: Dial, rungs: Vec<Transport> },
    Standing { standing: Standing, trial: Trial },
    Waiting { until: Instant, refused: bool },
}

/// Better rungs beside the connection.
#[derive(Debug)]
enum Trial {
    /// There are none, or the connection has not proved itself yet.
    None,
    /// They will be tried.
    Later { at: Instant, wait: Duration },
    /// They are.
    Dialling { dial: Dial, wait: Duration },
    /// One of them has led to the hub, and must prove itself.
    Up { standing: Standing, wait: Duration },
}

impl Link {
    /// Nothing is done until [`Link::start`]. Every device needs a `seed` of its own.
    #[must_use]
    pub fn new(
        settings: Settings,
        mut memory: Memory,
        network: Network,
        seed: u64,
        now: Instant,
    ) -> Self {
        let known = memory.known(&network, &settings.silence, now);
        Self {
            retries: Retries::new(policy(settings.spread)),
            settings,
            memory,
            network,
            known,
            held: Vec::new(),
            state: State::Idle,
            outputs: VecDeque::new(),
            dials: 0,
            random: Random(seed),
        }
    }

    /// Begins, at once.
    pub fn start(&mut self, now: Instant) {
        if matches!(self.state, State::Idle) {
            self.dial(now);
        }
    }

    /// What is known of all networks by now.
    #[must_use]
    pub fn memory(&mut self, now: Instant) -> &Memory {
        self.memory.put(&self.network, &self.known, now);
        &self.memory
    }

    /// What it is doing.
    #[must_use]
    pub fn doing(&self) -> Doing {
        match &self.state {
            State::Idle => Doing::Idle,
            State::Dialling { .. } => Doing::Dialling,
            State::Standing { standing, trial } => Doing::Standing {
                transport: standing.transport,
                proved: standing.is_proved(),
                trying: matches!(trial, Trial::Dialling { .. } | Trial::Up { .. }),
            },
            State::Waiting { until, refused } => Doing::Waiting {
                until: *until,
                refused: *refused,
            },
        }
    }

    /// How long the connection is silent before the hub is asked for an answer.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.known.beat.silence(&self.settings.silence)
    }

    /// The transports that failed here lately while another one worked, and how long ago.
    pub fn failed(&self, now: Instant) -> impl Iterator<Item = (Transport, Duration)> + '_ {
        self.known.transports.failed(now)
    }

    /// Whether the transport has held traffic on this network since the start.
    #[must_use]
    pub fn has_held(&self, transport: Transport) -> bool {
        self.held.contains(&transport)
    }

    /// The device is on this network now.
    pub fn handle_network(&mut self, network: Network, now: Instant) {
        if network == self.network {
            return;
        }
        self.memory.put(&self.network, &self.known, now);
        self.known = self.memory.known(&network, &self.settings.silence, now);
        self.network = network;
        self.held.clear();
        self.outputs.push_back(Output::Remember);
        self.handle_change(now);
    }

    /// Something has changed that may matter to the connection: the network, what the device shows.
    /// Whoever waits does not wait any longer, a way up begins anew, and a connection that stands is asked whether it still
    /// does.
    pub fn handle_change(&mut self, now: Instant) {
        match &mut self.state {
            State::Idle => {}
            State::Dialling { dial, .. } => {
                self.outputs.push_back(Output::Close { dial: *dial });
                self.dial(now);
            }
            State::Waiting { .. } => self.dial(now),
            State::Standing { standing, .. } => {
                let dial = standing.dial;
                if standing.ask(now) {
                    self.outputs.push_back(Output::Ask { dial });
                }
            }
        }
    }

    /// The hub says for how long it bears silence, and over which time all who are cut off from it
    /// together are to come back.
    pub fn handle_wishes(&mut self, silence: Duration, spread: Duration) {
        let bounds = &mut self.settings.silence;
        bounds.most = (silence / 2).max(bounds.least);
        self.settings.spread = spread.min(SPREAD_MAX);
        self.retries.set_policy(policy(self.settings.spread));
    }

    /// The hub has answered the handshake over this transport; those before it in the order have not
    /// led there.
    pub fn handle_up(&mut self, dial: Dial, transport: Transport, now: Instant) {
        match &mut self.state {
            State::Dialling { dial: of, rungs } if *of == dial => {
                let before = rungs.iter().take_while(|rung| **rung != transport);
                for failed in before {
                    self.known
                        .transports
                        .on_failed(*failed, Duration::ZERO, now);
                }
                self.outputs.push_back(Output::Use { dial });
                self.state = State::Standing {
                    standing: Standing::new(dial, transport, now),
                    trial: Trial::None,
                };
            }
            State::Standing {
                trial: trial @ Trial::Dialling { .. },
                ..
            } => {
                if let Trial::Dialling { dial: of, wait } = *trial
                    && of == dial
                {
                    let standing = Standing::new(dial, transport, now);
                    *trial = Trial::Up { standing, wait };
                }
            }
            State::Idle
            | State::Dialling { .. }
            | State::Standing { .. }
            | State::Waiting { .. } => {}
        }
    }

    /// The hub has answered what it was asked.
    pub fn handle_answer(&mut self, dial: Dial, now: Instant) {
        let State::Standing { standing, trial } = &mut self.state else {
            return;
        };
        if standing.dial == dial {
            let proved = standing.is_proved();
            if let Some(silence) = standing.on_answer(self.settings.hold, now) {
                self.known
                    .beat
                    .on_passed(silence, &self.settings.silence, now);
            }
            if !proved && standing.is_proved() {
                self.on_proved(now);
            }
            return;
        }
        let Trial::Up {
            standing: better, ..
        } = trial
        else {
            return;
        };
        if better.dial == dial {
            better.on_answer(self.settings.hold, now);
            if better.is_proved() {
                self.take_over(now);
            }
        }
    }

    /// A way up has ended, or a connection.
    pub fn handle_down(&mut self, dial: Dial, down: Down, now: Instant) {
        match &mut self.state {
            State::Dialling { dial: of, .. } if *of == dial => self.wait(down, now),
            State::Standing { standing, .. } if standing.dial == dial => self.on_lost(down, now),
            State::Standing { trial, .. } => {
                let (of, wait) = match trial {
                    Trial::Dialling { dial, wait } => (*dial, *wait),
                    Trial::Up { standing, wait } => (standing.dial, *wait),
                    Trial::None | Trial::Later { .. } => return,
                };
                if of == dial {
                    *trial = later(wait.saturating_mul(2), self.random.next(), now);
                }
            }
            State::Idle | State::Dialling { .. } | State::Waiting { .. } => {}
        }
    }

    /// When there is something to do, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Idle | State::Dialling { .. } => None,
            State::Waiting { until, .. } => Some(*until),
            State::Standing { standing, trial } => {
                let due = self.due(standing);
                Some(match trial {
                    Trial::None | Trial::Dialling { .. } => due,
                    Trial::Later { at, .. } => due.min(*at),
                    Trial::Up { standing, .. } => due.min(self.due(standing)),
                })
            }
        }
    }

    /// It is so late.
    pub fn handle_timeout(&mut self, now: Instant) {
        let silence = self.silence();
        let settings = &self.settings;
        match &mut self.state {
            State::Idle | State::Dialling { .. } => return,
            State::Waiting { until, .. } => {
                if *until <= now {
                    self.dial(now);
                }
                return;
            }
            State::Standing { standing, trial } => {
                let dial = standing.dial;
                match standing.handle_timeout(silence, settings, now) {
                    Some(Due::Ask) => self.outputs.push_back(Output::Ask { dial }),
                    Some(Due::Silent) => {
                        self.outputs.push_back(Output::Close { dial });
                        return self.on_lost(Down::Cut, now);
                    }
                    None => {}
                }
                if let Trial::Up { standing, wait } = trial {
                    let dial = standing.dial;
                    match standing.handle_timeout(silence, settings, now) {
                        Some(Due::Ask) => self.outputs.push_back(Output::Ask { dial }),
                        Some(Due::Silent) => {
                            self.outputs.push_back(Output::Close { dial });
                            *trial = later(wait.saturating_mul(2), self.random.next(), now);
                        }
                        None => {}
                    }
                }
            }
        }
        self.try_better(now);
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn due(&self, standing: &Standing) -> Instant {
        standing.due(self.silence(), &self.settings)
    }

    fn next_dial(&mut self) -> Dial {
        self.dials += 1;
        Dial(self.dials)
    }

    fn dial(&mut self, now: Instant) {
        let dial = self.next_dial();
        let mut rungs = self.settings.transports.clone();
        self.known.transports.sort(&mut rungs, now);
        self.outputs.push_back(Output::Dial {
            dial,
            rungs: rungs.clone(),
        });
        self.state = State::Dialling { dial, rungs };
    }

    /// Tries the better rungs beside the connection, if it is time to.
    fn try_better(&mut self, now: Instant) {
        let State::Standing { standing, trial } = &self.state else {
            return;
        };
        let Trial::Later { at, wait } = *trial else {
            return;
        };
        if at > now {
            return;
        }
        let rungs: Vec<_> = self.better_than(standing.transport).collect();
        let dial = self.next_dial();
        if let State::Standing { trial, .. } = &mut self.state {
            *trial = Trial::Dialling { dial, wait };
            self.outputs.push_back(Output::Dial { dial, rungs });
        }
    }

    fn better_than(&self, transport: Transport) -> impl Iterator<Item = Transport> + '_ {
        let transports = self.settings.transports.iter().copied();
        transports.take_while(move |it| *it != transport)
    }

    /// The connection has held traffic.
    fn on_proved(&mut self, now: Instant) {
        let State::Standing { standing, .. } = &self.state else {
            return;
        };
        let transport = standing.transport;
        self.known.transports.on_held(transport);
        if !self.held.contains(&transport) {
            self.held.push(transport);
        }
        self.outputs.push_back(Output::Remember);
        let better = self.better_than(transport).next().is_some();
        if let State::Standing { trial, .. } = &mut self.state
            && better
        {
            *trial = later(self.settings.again, self.random.next(), now);
        }
    }

    /// A better rung has proved itself beside the connection.
    fn take_over(&mut self, now: Instant) {
        let State::Standing { standing, trial } = &mut self.state else {
            return;
        };
        if let Trial::Up {
            standing: better, ..
        } = std::mem::replace(trial, Trial::None)
        {
            let left = std::mem::replace(standing, better);
            self.outputs.push_back(Output::Use {
                dial: standing.dial,
            });
            self.outputs.push_back(Output::Close { dial: left.dial });
            self.on_proved(now);
        }
    }

    /// The connection has ended.
    fn on_lost(&mut self, down: Down, now: Instant) {
        let State::Standing { standing, trial } = std::mem::replace(&mut self.state, State::Idle)
        else {
            return;
        };
        let stood = now.saturating_duration_since(standing.since);
        self.retries.on_lost(stood);
        if down == Down::Cut {
            let silence = standing.silence(now);
            let transports = &mut self.known.transports;
            if self.known.beat.on_cut(silence, &self.settings.silence, now) {
                // Then it was not the transport's fault.
                transports.on_held(standing.transport);
            } else {
                let held = standing.is_proved() || stood >= HELD;
                transports.on_cut_off(standing.transport, held, now);
            }
            self.outputs.push_back(Output::Remember);
        }
        match trial {
            Trial::Up { standing, .. } => {
                self.outputs.push_back(Output::Use {
                    dial: standing.dial,
                });
                let trial = Trial::None;
                self.state = State::Standing { standing, trial };
            }
            Trial::Dialling { dial, .. } => {
                self.outputs.push_back(Output::Close { dial });
                self.wait(down, now);
            }
            Trial::None | Trial::Later { .. } => self.wait(down, now),
        }
    }

    fn wait(&mut self, down: Down, now: Instant) {
        let random = self.random.next();
        let (wait, refused) = match down {
            Down::Refused => (REFUSED_WAIT + part(REFUSED_WAIT / 2, random), true),
            Down::Failed { retry_after } => (self.delay(retry_after, random), false),
            Down::Closed | Down::Cut => (self.delay(None, random), false),
        };
        self.state = State::Waiting {
            until: now + wait,
            refused,
        };
    }

    fn delay(&mut self, retry_after: Option<Duration>, random: u64) -> Duration {
        // The policy never gives up.
        self.retries.next(retry_after, random).unwrap_or(WAIT_MAX)
    }
}

fn policy(spread: Duration) -> Policy {
    Policy::Spread {
        first: spread,
        most: WAIT_MAX.max(spread),
    }
}

/// When the better rungs are tried next: a device among many does not do so with the others.
fn later(wait: Duration, random: u64, now: Instant) -> Trial {
    let wait = wait.min(AGAIN_MAX);
    Trial::Later {
        at: now + wait / 2 + part(wait / 2, random),
        wait,
    }
}

/// Numbers that are spread evenly, which is all that waits need (`SplitMix64`).
#[derive(Debug, Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
