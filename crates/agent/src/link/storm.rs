#![cfg(test)]
//! What a hub gets to see of five thousand devices when it dies and comes back: in virtual time, every
//! device a [`Link`] of its own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use outgate_signalr::retry::part;

use super::machine::Random;
use super::memory::{Memory, Network};
use super::*;

const AGENTS: usize = 5000;
/// The shortest time in which handshakes are counted.
const MOMENT: Duration = Duration::from_millis(100);

/// How long all may take together until they are back. A fleet that comes at once is as even as one
/// that takes its time, by its own mean.
const SPREAD: std::ops::Range<Duration> = Duration::from_secs(8)..Duration::from_secs(20);

/// What may happen to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Timeout,
    /// What it sent has come to the hub or where the hub was.
    Arrived(Message),
    /// And what came of it is back.
    Back(Message, bool),
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Handshake(u64),
    Question(u64),
}

struct Fleet {
    agents: Vec<Link>,
    start: Instant,
    events: BinaryHeap<Reverse<(Duration, usize, Event)>>,
    /// When each is woken next.
    wakes: Vec<Duration>,
    /// When the hub is away.
    away: std::ops::Range<Duration>,
    /// When handshakes came to the hub.
    handshakes: Vec<Duration>,
    random: Random,
}

impl Fleet {
    /// A fleet that starts within ten seconds, and a hub that is away then.
    fn new(seed: u64, away: std::ops::Range<Duration>) -> Self {
        let start = Instant::now();
        let mut random = Random(seed);
        let network = Network::behind(None, None, None);
        let agent = |_| {
            let (settings, memory) = (Settings::default(), Memory::default());
            Link::new(settings, memory, network.clone(), random.next(), start)
        };
        let agents: Vec<_> = (0..AGENTS).map(agent).collect();
        let mut fleet = Self {
            agents,
            start,
            events: BinaryHeap::new(),
            wakes: vec![Duration::MAX; AGENTS],
            away,
            handshakes: Vec::new(),
            random,
        };
        for agent in 0..AGENTS {
            let at = part(Duration::from_secs(10), fleet.random.next());
            fleet.agents[agent].start(start + at);
            fleet.drain(agent, at);
            let cut = fleet.away.start + fleet.latency();
            fleet.events.push(Reverse((cut, agent, Event::Cut)));
        }
        fleet
    }

    /// One way through the network: up to 60 ms.
    fn latency(&mut self) -> Duration {
        Duration::from_millis(5) + part(Duration::from_millis(55), self.random.next())
    }

    fn run(&mut self, until: Duration) {
        while let Some(Reverse((at, _, _))) = self.events.peek()
            && *at <= until
            && let Some(Reverse((at, agent, event))) = self.events.pop()
        {
            self.happen(at, agent, event);
            self.drain(agent, at);
        }
    }

    fn happen(&mut self, at: Duration, agent: usize, event: Event) {
        let now = self.start + at;
        match event {
            // Another wake has been set since.
            Event::Timeout if self.wakes[agent] != at => {}
            Event::Timeout => {
                self.wakes[agent] = Duration::MAX;
                self.agents[agent].handle_timeout(now);
            }
            Event::Arrived(message) => {
                let there = !self.away.contains(&at);
                if there && matches!(message, Message::Handshake(_)) {
                    self.handshakes.push(at);
                }
                let back = at + self.latency();
                self.events
                    .push(Reverse((back, agent, Event::Back(message, there))));
            }
            Event::Back(Message::Handshake(dial), true) => {
                self.agents[agent].handle_up(Dial(dial), Transport::WebSockets, now);
            }
            Event::Back(Message::Handshake(dial), false) => {
                let down = Down::Failed { retry_after: None };
                self.agents[agent].handle_down(Dial(dial), down, now);
            }
            Event::Back(Message::Question(dial), true) => {
                self.agents[agent].handle_answer(Dial(dial), now);
            }
            Event::Back(Message::Question(_), false) => {}
            Event::Cut => {
                let dial = Dial(self.agents[agent].dials);
                self.agents[agent].handle_down(dial, Down::Cut, now);
            }
        }
    }

    /// Does what an agent asks for, and wakes it when it wants to be woken.
    fn drain(&mut self, agent: usize, at: Duration) {
        while let Some(output) = self.agents[agent].poll_output() {
            let message = match output {
                Output::Dial { dial, .. } => Message::Handshake(dial.0),
                Output::Ask { dial } => Message::Question(dial.0),
                Output::Use { .. } | Output::Close { .. } | Output::Remember => continue,
            };
            let there = at + self.latency();
            self.events
                .push(Reverse((there, agent, Event::Arrived(message))));
        }
        let due = self.agents[agent].poll_timeout();
        let due = due.map_or(Duration::MAX, |due| (due - self.start).max(at));
        if due != self.wakes[agent] {
            self.wakes[agent] = due;
            self.events.push(Reverse((due, agent, Event::Timeout)));
        }
    }

    fn standing(&self) -> usize {
        let stands = |agent: &&Link| matches!(agent.doing(), Doing::Standing { .. });
        self.agents.iter().filter(stands).count()
    }
}

/// What came to the hub after it was back.
#[derive(Debug)]
struct Storm {
    /// How long it took until everybody was back.
    took: Duration,
    /// Handshakes in the fullest moment, wherever that begins.
    peak: usize,
    /// And in a moment on average.
    mean: f64,
}

fn storm(seed: u64, away: Duration) -> Storm {
    let begin = Duration::from_secs(60);
    let mut fleet = Fleet::new(seed, begin..begin + away);
    fleet.run(begin);
    assert_eq!((fleet.standing(), fleet.handshakes.len()), (AGENTS, AGENTS));
    fleet.handshakes.clear();
    fleet.run(begin + away + 4 * WAIT_MAX);
    assert_eq!((fleet.standing(), fleet.handshakes.len()), (AGENTS, AGENTS));
    let (first, last) = (fleet.handshakes[0], fleet.handshakes[AGENTS - 1]);
    let peak = (0..AGENTS).map(|place| {
        let end = fleet.handshakes[place] + MOMENT;
        fleet.handshakes.partition_point(|it| *it < end) - place
    });
    Storm {
        took: last - begin - away,
        peak: peak.max().unwrap_or_default(),
        mean: AGENTS as f64 / ((last - first).as_secs_f64() / MOMENT.as_secs_f64()),
    }
}

#[test]
fn five_thousand_agents_whose_hub_dies_for_five_seconds_come_back_evenly() {
    for seed in 1..=8 {
        let storm = storm(seed, Duration::from_secs(5));
        println!(
            "seed {seed}: {storm:.1?}, peak / mean {:.2}",
            storm.peak as f64 / storm.mean
        );
        assert!((storm.peak as f64) < 3.0 * storm.mean, "{storm:?}");
        assert!(SPREAD.contains(&storm.took), "{storm:?}");
    }
}

#[test]
fn and_so_they_do_however_long_it_is_away() {
    for millis in [200, 1000, 3000, 9900, 15_000, 30_000, 120_000] {
        let storm = storm(1, Duration::from_millis(millis));
        println!(
            "{millis} ms: {storm:.1?}, peak / mean {:.2}",
            storm.peak as f64 / storm.mean
        );
        assert!(
            (storm.peak as f64) < 3.0 * storm.mean,
            "{millis} ms: {storm:?}"
        );
        assert!(storm.took > SPREAD.start, "{millis} ms: {storm:?}");
    }
}
