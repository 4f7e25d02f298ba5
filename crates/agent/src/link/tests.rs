#![cfg(test)]

use Transport::{LongPolling, ServerSentEvents, WebSockets};

use super::beat::Bounds;
use super::memory::{Memory, Network};
use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A link in a time of its own, and what it has asked for.
struct World {
    link: Link,
    start: Instant,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self::with(Memory::default())
    }

    fn with(memory: Memory) -> Self {
        let now = Instant::now();
        let settings = Settings {
            silence: Bounds {
                most: seconds(60),
                ..Bounds::default()
            },
            ..Settings::default()
        };
        let mut link = Link::new(settings, memory, site(1), 7, now);
        link.start(now);
        Self {
            link,
            start: now,
            now,
        }
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.link.poll_output())
            .filter(|output| *output != Output::Remember)
            .collect()
    }

    /// The way up that it asks for, and nothing else.
    fn dialled(&mut self) -> (Dial, Vec<Transport>) {
        let outputs = self.outputs();
        match outputs.as_slice() {
            [Output::Dial { dial, rungs }] => (*dial, rungs.clone()),
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass until something is to be done.
    fn next(&mut self) -> Vec<Output> {
        loop {
            let due = self.link.poll_timeout().unwrap();
            assert!(due >= self.now, "something is overdue");
            self.now = due;
            self.link.handle_timeout(self.now);
            let outputs = self.outputs();
            if !outputs.is_empty() {
                return outputs;
            }
        }
    }

    /// Connects over this transport.
    fn up(&mut self, transport: Transport) -> Dial {
        let (dial, _) = self.dialled();
        self.link.handle_up(dial, transport, self.now);
        assert_eq!(self.outputs(), [Output::Use { dial }]);
        dial
    }

    /// Answers what is asked until the connection has proved itself.
    fn prove(&mut self, dial: Dial) {
        while !matches!(self.link.doing(), Doing::Standing { proved: true, .. }) {
            assert_eq!(self.next(), [Output::Ask { dial }]);
            self.link.handle_answer(dial, self.now);
        }
    }

    fn down(&mut self, dial: Dial, down: Down) -> Duration {
        self.link.handle_down(dial, down, self.now);
        let doing = self.link.doing();
        let Doing::Waiting { until, .. } = doing else {
            panic!("{doing:?}");
        };
        until - self.now
    }

    /// Waits, and goes up again.
    fn again(&mut self) -> (Dial, Vec<Transport>) {
        let outputs = self.next();
        match outputs.as_slice() {
            [Output::Dial { dial, rungs }] => (*dial, rungs.clone()),
            other => panic!("{other:?}"),
        }
    }

    fn failed(&self) -> Vec<Transport> {
        self.link
            .failed(self.now)
            .map(|(transport, _)| transport)
            .collect()
    }
}

fn site(number: u8) -> Network {
    Network::behind(Some([10, 0, 0, number].into()), None, None)
}

#[test]
fn a_rung_counts_when_the_hub_answers_over_it_after_it_has_stood_for_a_while() {
    let mut world = World::new();
    let dial = world.up(WebSockets);
    let standing = |proved| Doing::Standing {
        transport: WebSockets,
        proved,
        trying: false,
    };
    assert_eq!(world.link.doing(), standing(false));
    assert_eq!(world.next(), [Output::Ask { dial }]);
    assert_eq!(world.now - world.start, seconds(10));
    assert_eq!(world.link.doing(), standing(false));
    world.link.handle_answer(dial, world.now);
    assert_eq!(world.link.doing(), standing(true));
    // An answer that came before it had stood that long proves nothing.
    let mut early = World::new();
    let dial = early.up(WebSockets);
    early.link.handle_change(early.now);
    assert_eq!(early.outputs(), [Output::Ask { dial }]);
    early.link.handle_answer(dial, early.now);
    assert_eq!(early.link.doing(), standing(false));
}

#[test]
fn what_failed_below_a_rung_that_works_is_tried_last_on_this_network_and_on_no_other() {
    let mut world = World::new();
    let (dial, rungs) = world.dialled();
    assert_eq!(rungs, Transport::ALL);
    world.link.handle_up(dial, ServerSentEvents, world.now);
    assert_eq!(world.failed(), [WebSockets]);
    world.outputs();
    world.prove(dial);
    world.down(dial, Down::Closed);
    let here = [ServerSentEvents, LongPolling, WebSockets];
    assert_eq!(world.again().1, here);
    // And so after a restart.
    let now = world.now;
    let text = world.link.memory(now).save(now);
    let restored = || Memory::restore(&text, seconds(60), Instant::now()).unwrap();
    assert_eq!(World::with(restored()).dialled().1, here);
    let now = Instant::now();
    let mut elsewhere = Link::new(Settings::default(), restored(), site(2), 7, now);
    elsewhere.start(now);
    let Some(Output::Dial { rungs, .. }) = elsewhere.poll_output() else {
        panic!("nothing was asked for");
    };
    assert_eq!(rungs, Transport::ALL);
}

#[test]
fn better_rungs_are_tried_beside_the_connection_and_take_over_only_once_they_are_proved() {
    let mut world = World::new();
    // Questions come before a connection has stood for long enough, too.
    world.link.handle_wishes(seconds(8), seconds(10));
    let low = world.up(LongPolling);
    world.prove(low);
    let since = world.now;
    let better = loop {
        match world.next().as_slice() {
            [Output::Ask { dial }] => world.link.handle_answer(*dial, world.now),
            [Output::Dial { dial, rungs }] => {
                assert_eq!(rungs, &[WebSockets, ServerSentEvents]);
                break *dial;
            }
            other => panic!("{other:?}"),
        }
    };
    let waited = world.now - since;
    assert!(
        waited >= AGAIN_FIRST / 2 && waited <= AGAIN_FIRST,
        "{waited:?}"
    );
    world.link.handle_up(better, WebSockets, world.now);
    // Nothing is cut, and nothing changes hands yet.
    assert_eq!(world.outputs(), []);
    let up = world.now;
    loop {
        match world.next().as_slice() {
            [Output::Ask { dial }] => world.link.handle_answer(*dial, world.now),
            other => panic!("{other:?}"),
        }
        let outputs = world.outputs();
        if !outputs.is_empty() {
            assert_eq!(
                outputs,
                [Output::Use { dial: better }, Output::Close { dial: low }]
            );
            break;
        }
    }
    assert!(world.now - up >= seconds(10));
    let stands = Doing::Standing {
        transport: WebSockets,
        proved: true,
        trying: false,
    };
    assert_eq!(world.link.doing(), stands);
    assert_eq!(world.failed(), [ServerSentEvents]);
}

#[test]
fn better_rungs_that_do_not_hold_are_let_go_and_tried_more_and_more_rarely() {
    let mut world = World::new();
    let low = world.up(ServerSentEvents);
    world.prove(low);
    let mut last = world.now;
    let mut waits = Vec::new();
    while waits.len() < 12 {
        match world.next().as_slice() {
            [Output::Ask { dial }] if *dial == low => world.link.handle_answer(low, world.now),
            // What was tried is silent.
            [Output::Ask { .. }] => {}
            [Output::Dial { dial, .. }] => {
                waits.push(world.now - last);
                last = world.now;
                match waits.len() % 3 {
                    0 => world.link.handle_up(*dial, WebSockets, world.now),
                    1 => world.link.handle_down(*dial, Down::Refused, world.now),
                    _ => world.link.handle_down(*dial, Down::Cut, world.now),
                }
            }
            [Output::Close { dial }] => assert_ne!(*dial, low),
            other => panic!("{other:?}"),
        }
    }
    assert!(
        waits[11] >= AGAIN_MAX / 2 && waits[11] <= AGAIN_MAX + seconds(60),
        "{waits:?}"
    );
    assert!(
        waits[2] >= AGAIN_FIRST * 2 && waits[0] <= AGAIN_FIRST,
        "{waits:?}"
    );
}

#[test]
fn a_connection_that_ends_while_a_better_one_is_up_is_followed_by_that_one() {
    let mut world = World::new();
    let low = world.up(LongPolling);
    world.prove(low);
    let better = loop {
        match world.next().as_slice() {
            [Output::Ask { dial }] => world.link.handle_answer(*dial, world.now),
            [Output::Dial { dial, .. }] => break *dial,
            other => panic!("{other:?}"),
        }
    };
    world.link.handle_up(better, WebSockets, world.now);
    world.link.handle_down(low, Down::Cut, world.now);
    assert_eq!(world.outputs(), [Output::Use { dial: better }]);
    // One that is only on its way is given up.
    world.prove(better);
    world.down(better, Down::Cut);
}

#[test]
fn a_hub_that_does_not_answer_is_left_and_gone_back_to() {
    let mut world = World::new();
    let dial = world.up(WebSockets);
    world.prove(dial);
    let heard = world.now;
    assert_eq!(world.next(), [Output::Ask { dial }]);
    assert_eq!(world.now - heard, seconds(15));
    // Half-open: what is said goes nowhere.
    assert_eq!(world.next(), [Output::Close { dial }]);
    assert_eq!(world.now - heard, seconds(25));
    let (again, rungs) = world.again();
    assert_ne!(again, dial);
    // It had proved itself, so the silence is not the transport's fault.
    assert_eq!(rungs, Transport::ALL);
    // What was let go has nothing more to say.
    world.link.handle_down(dial, Down::Refused, world.now);
    world.link.handle_answer(dial, world.now);
    assert_eq!(world.link.doing(), Doing::Dialling);
}

#[test]
fn a_transport_that_lets_handshakes_through_and_nothing_after_them_is_found_out() {
    let mut world = World::new();
    for _ in 0..2 {
        let (dial, rungs) = match world.outputs().as_slice() {
            [] => world.again(),
            [Output::Dial { dial, rungs }] => (*dial, rungs.clone()),
            other => panic!("{other:?}"),
        };
        assert_eq!(rungs, Transport::ALL);
        world.link.handle_up(dial, WebSockets, world.now);
        world.outputs();
        world.now += Duration::from_millis(300);
        world.down(dial, Down::Cut);
    }
    assert_eq!(world.again().1, [ServerSentEvents, LongPolling, WebSockets]);
}

#[test]
fn a_middlebox_that_cuts_what_is_silent_for_two_seconds_is_learnt_and_not_laid_at_the_transports_door()
 {
    let mut world = World::new();
    let mut dial = world.up(WebSockets);
    for cut in 1..=2 {
        world.now += seconds(2);
        world.down(dial, Down::Cut);
        (dial, _) = world.again();
        world.link.handle_up(dial, WebSockets, world.now);
        world.outputs();
        let silence = if cut == 1 { seconds(15) } else { seconds(1) };
        assert_eq!(world.link.silence(), silence);
    }
    assert_eq!(world.failed(), []);
    for _ in 0..20 {
        let before = world.now;
        assert_eq!(world.next(), [Output::Ask { dial }]);
        assert!(world.now - before < seconds(2));
        world.link.handle_answer(dial, world.now);
    }
    // It is remembered with the network.
    let now = world.now;
    let text = world.link.memory(now).save(now);
    let restored = Memory::restore(&text, seconds(60), Instant::now()).unwrap();
    assert_eq!(World::with(restored).link.silence(), world.link.silence());
}

#[test]
fn a_hub_is_left_alone_for_as_long_as_it_wants_and_a_refused_device_asks_rarely() {
    let mut world = World::new();
    let (dial, _) = world.dialled();
    let retry_after = Some(seconds(40));
    let wait = world.down(dial, Down::Failed { retry_after });
    assert!(wait >= seconds(40) && wait <= seconds(50), "{wait:?}");
    let (dial, _) = world.again();
    let wait = world.down(dial, Down::Refused);
    assert!(
        wait >= REFUSED_WAIT && wait <= REFUSED_WAIT * 3 / 2,
        "{wait:?}"
    );
    assert!(matches!(
        world.link.doing(),
        Doing::Waiting { refused: true, .. }
    ));
    // A new credential is tried at once.
    world.link.handle_change(world.now);
    assert_eq!(world.link.doing(), Doing::Dialling);
}

#[test]
fn the_hub_says_over_which_time_its_devices_come_back_and_how_long_they_may_be_silent() {
    let mut world = World::new();
    let dial = world.up(WebSockets);
    world.prove(dial);
    world.link.handle_wishes(seconds(8), seconds(200));
    assert_eq!(world.link.silence(), seconds(4));
    let wait = world.down(dial, Down::Closed);
    assert!(wait <= seconds(200), "{wait:?}");
    // More than that nobody may want, and less than the shortest silence neither.
    world.link.handle_wishes(Duration::ZERO, Duration::MAX);
    assert_eq!(world.link.silence(), seconds(1));
    let (dial, _) = world.again();
    let wait = world.down(dial, Down::Failed { retry_after: None });
    assert!(wait <= SPREAD_MAX * 2, "{wait:?}");
}

#[test]
fn on_another_network_the_connection_is_asked_whether_it_still_stands() {
    let mut world = World::new();
    let dial = world.up(WebSockets);
    world.link.handle_network(site(1), world.now);
    assert_eq!(world.outputs(), []);
    world.link.handle_network(site(2), world.now);
    assert_eq!(world.outputs(), [Output::Ask { dial }]);
    assert_eq!(world.next(), [Output::Close { dial }]);
    // Whoever waits does not wait any longer, and whoever is on the way begins anew.
    world.link.handle_network(site(1), world.now);
    let (first, _) = world.dialled();
    world.link.handle_network(site(2), world.now);
    let outputs = world.outputs();
    assert!(
        matches!(outputs.as_slice(), [Output::Close { dial }, Output::Dial { .. }] if *dial == first),
        "{outputs:?}"
    );
}
