#![cfg(test)]

use proptest::prelude::*;

use super::*;
use crate::negotiate::Offer;
use crate::retry::HELD;

const HUB: &str = "https://a.example/hub";
const QUICK: Duration = Duration::from_millis(1);

/// A ladder with a clock of its own.
struct Climber {
    ladder: Ladder,
    now: Instant,
}

impl Climber {
    #[expect(
        clippy::disallowed_methods,
        reason = "the clock of a test begins at any time, and there is no other"
    )]
    fn new(rules: Rules) -> Self {
        Self {
            ladder: Ladder::new(rules, Memory::default()),
            now: Instant::now(),
        }
    }

    fn answer(&mut self, answer: Answer) -> Result<(), LadderError> {
        self.ladder.handle_answer(answer, QUICK, self.now)
    }

    fn rung(&self) -> Rung {
        let Step::Try(rung) = self.ladder.poll_step() else {
            panic!("nothing to try");
        };
        rung
    }

    /// Climbs until one of the transports that work is up, and says which were tried.
    fn climb(&mut self, works: &[Transport]) -> Vec<Transport> {
        let mut tried = Vec::new();
        self.ladder.begin(HUB);
        loop {
            match self.ladder.poll_step() {
                Step::Negotiate { .. } => self.answer(offer(&Transport::ALL)).unwrap(),
                Step::Try(rung) if works.contains(&rung.transport) => {
                    tried.push(rung.transport);
                    self.ladder.handle_up(self.now);
                }
                Step::Try(rung) => {
                    tried.push(rung.transport);
                    self.ladder.handle_failed();
                }
                Step::Rest => return tried,
            }
        }
    }
}

fn offer(transports: &[Transport]) -> Answer {
    Answer::Connection(Connection {
        version: 1,
        connection_id: "id".to_owned(),
        token: Token::new("token".to_owned()),
        transports: transports.iter().copied().map(Offer::all_of).collect(),
        stateful: false,
    })
}

use Transport::{LongPolling, ServerSentEvents, WebSockets};

#[test]
fn each_transport_is_negotiated_anew_in_the_servers_order_until_one_works() {
    let mut climber = Climber::new(Rules::default());
    climber.ladder.begin(HUB);
    let order = [LongPolling, WebSockets, ServerSentEvents];
    for transport in order {
        let step = climber.ladder.poll_step();
        assert!(matches!(step, Step::Negotiate { url, .. } if url == HUB));
        climber.answer(offer(&order)).unwrap();
        assert_eq!(climber.rung().transport, transport);
        climber.ladder.handle_failed();
    }
    assert_eq!(climber.ladder.poll_step(), Step::Rest);
}

#[test]
fn only_the_last_transport_may_take_its_time_unless_the_way_is_slow() {
    let mut climber = Climber::new(Rules::default());
    climber.ladder.begin(HUB);
    climber.answer(offer(&Transport::ALL)).unwrap();
    assert_eq!(climber.rung().patience, PATIENCE);
    climber.ladder.handle_failed();
    let slow = Duration::from_secs(2);
    let now = climber.now;
    let answer = offer(&Transport::ALL);
    climber.ladder.handle_answer(answer, slow, now).unwrap();
    assert_eq!(climber.rung().patience, 4 * slow);
    climber.ladder.handle_failed();
    climber.answer(offer(&Transport::ALL)).unwrap();
    assert_eq!(climber.rung().patience, LAST_PATIENCE);
}

#[test]
fn what_failed_while_another_worked_is_tried_last_for_a_day() {
    let mut climber = Climber::new(Rules::default());
    assert_eq!(climber.climb(&[LongPolling]), Transport::ALL);
    assert_eq!(climber.climb(&[LongPolling]), [LongPolling]);
    let all = climber.climb(&[WebSockets]);
    assert_eq!(all, [LongPolling, WebSockets]);
    climber.now += REMEMBERED;
    assert_eq!(climber.climb(&Transport::ALL), [WebSockets]);
}

#[test]
fn nothing_is_remembered_when_nothing_worked() {
    let mut climber = Climber::new(Rules::default());
    assert_eq!(climber.climb(&[]), Transport::ALL);
    assert_eq!(climber.climb(&[WebSockets]), [WebSockets]);
    assert_eq!(climber.ladder.memory().failed(climber.now).count(), 0);
}

#[test]
fn a_transport_that_is_cut_off_early_twice_in_a_row_is_tried_last() {
    let mut climber = Climber::new(Rules::default());
    for stood in [QUICK, HELD, QUICK, QUICK] {
        assert_eq!(climber.climb(&Transport::ALL), [WebSockets]);
        climber.ladder.on_cut_off(stood, climber.now);
    }
    assert_eq!(climber.climb(&Transport::ALL), [ServerSentEvents]);
}

#[test]
fn what_is_remembered_outlives_a_restart() {
    let mut climber = Climber::new(Rules::default());
    climber.climb(&[LongPolling]);
    climber.now += Duration::from_secs(60);
    let kept: Vec<_> = climber.ladder.memory().failed(climber.now).collect();
    let ago = Duration::from_secs(60);
    assert_eq!(kept, [(WebSockets, ago), (ServerSentEvents, ago)]);
    let mut memory = Memory::default();
    for (transport, ago) in kept {
        memory.on_failed(transport, ago, climber.now);
    }
    climber.ladder = Ladder::new(Rules::default(), memory);
    assert_eq!(climber.climb(&[LongPolling]), [LongPolling]);
}

#[test]
fn what_is_not_allowed_or_carries_no_bytes_is_left_out() {
    let mut climber = Climber::new(Rules {
        binary: true,
        ..Rules::default()
    });
    assert_eq!(climber.climb(&[]), [WebSockets, LongPolling]);
    let mut climber = Climber::new(Rules {
        transports: vec![LongPolling, ServerSentEvents],
        in_this_order: true,
        ..Rules::default()
    });
    assert_eq!(climber.climb(&[]), [LongPolling, ServerSentEvents]);
    climber.ladder.begin(HUB);
    let offered = vec![WebSockets];
    let none = LadderError::NoTransport {
        offered: offered.clone(),
    };
    assert_eq!(climber.answer(offer(&offered)), Err(none));
    assert_eq!(climber.ladder.poll_step(), Step::Rest);
}

#[test]
fn without_negotiation_there_is_one_try_over_a_websocket() {
    let mut climber = Climber::new(Rules {
        negotiate: false,
        ..Rules::default()
    });
    climber.ladder.begin(HUB);
    let rung = climber.rung();
    assert_eq!((rung.transport, rung.connection), (WebSockets, None));
    climber.ladder.handle_failed();
    assert_eq!(climber.ladder.poll_step(), Step::Rest);
}

fn to(url: &str, token: Option<&str>) -> Answer {
    Answer::Redirection {
        url: url.to_owned(),
        access_token: token.map(|token| Token::new(token.to_owned())),
    }
}

#[test]
fn a_redirection_changes_the_url_and_the_token_for_all_that_follows_in_the_climb() {
    let other = "https://b.example/hub?x=y";
    let mut climber = Climber::new(Rules::default());
    climber.ladder.begin(HUB);
    climber.answer(to(other, Some("new"))).unwrap();
    let token = Some(Token::new("new".to_owned()));
    let again = Step::Negotiate {
        url: other.to_owned(),
        access_token: token.clone(),
    };
    assert_eq!(climber.ladder.poll_step(), again);
    climber.answer(offer(&Transport::ALL)).unwrap();
    let rung = climber.rung();
    assert_eq!((rung.url.as_str(), rung.access_token), (other, token));
    climber.ladder.handle_failed();
    assert_eq!(climber.ladder.poll_step(), again);
    climber.ladder.begin(HUB);
    let first = Step::Negotiate {
        url: HUB.to_owned(),
        access_token: None,
    };
    assert_eq!(climber.ladder.poll_step(), first);
}

#[test]
fn redirections_end_after_a_hundred_and_never_leave_tls() {
    let mut climber = Climber::new(Rules::default());
    climber.ladder.begin(HUB);
    for _ in 0..REDIRECTIONS_MAX {
        climber.answer(to(HUB, None)).unwrap();
    }
    assert_eq!(
        climber.answer(to(HUB, None)),
        Err(LadderError::Redirections)
    );
    climber.ladder.begin(HUB);
    let open = to("http://a.example/hub", None);
    assert_eq!(climber.answer(open), Err(LadderError::Insecure));
    assert_eq!(climber.ladder.poll_step(), Step::Rest);
}

#[test]
fn a_refusal_and_a_stateful_connection_that_nobody_asked_for_end_the_climb() {
    let mut climber = Climber::new(Rules::default());
    climber.ladder.begin(HUB);
    let error = "full".to_owned();
    let refused = Answer::Refused {
        error: error.clone(),
    };
    assert_eq!(climber.answer(refused), Err(LadderError::Refused { error }));
    climber.ladder.begin(HUB);
    let Answer::Connection(mut connection) = offer(&Transport::ALL) else {
        unreachable!();
    };
    connection.stateful = true;
    let stateful = climber.answer(Answer::Connection(connection));
    assert_eq!(stateful, Err(LadderError::Stateful));
}

proptest! {
    #[test]
    fn every_climb_ends_and_tries_each_transport_at_most_once(
        events in prop::collection::vec((any::<bool>(), 0_u64..100_000), 1..40),
    ) {
        let mut climber = Climber::new(Rules::default());
        for (works, stood) in events {
            let works = if works { vec![LongPolling] } else { Vec::new() };
            let mut tried = climber.climb(&works);
            let count = tried.len();
            tried.sort();
            tried.dedup();
            prop_assert_eq!(tried.len(), count);
            climber.now += Duration::from_secs(stood);
            climber.ladder.on_cut_off(Duration::from_secs(stood), climber.now);
        }
    }
}
