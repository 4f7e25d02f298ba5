#![cfg(test)]

use std::time::Duration;

use time::OffsetDateTime;
use time::macros::datetime;

use super::timekeeper::Timekeeper;
use super::*;

/// What time it really is when the machine starts.
const START: OffsetDateTime = datetime!(2027-03-01 12:00 UTC);
const BUILT: OffsetDateTime = datetime!(2026-11-01 00:00 UTC);
const BOTH: [Source; 2] = [Source::Dhcp, Source::Configured];

/// A machine in virtual time, with a clock that is wrong.
struct World {
    keeper: Timekeeper,
    up: Duration,
    /// By how much its clock is ahead.
    ahead: time::Duration,
}

impl World {
    fn new(ahead: time::Duration, kept: Option<OffsetDateTime>) -> Self {
        let up = Duration::from_secs(20);
        let machine = at(up, ahead);
        let keeper = Timekeeper::new(BOTH.to_vec(), BUILT, kept, machine);
        Self { keeper, up, ahead }
    }

    fn started(wall: OffsetDateTime) -> Self {
        Self::new(wall - START, None)
    }

    fn machine(&self) -> Machine {
        at(self.up, self.ahead)
    }

    fn now(&self) -> OffsetDateTime {
        self.keeper.now(self.machine())
    }

    /// By how much the agent's time is wrong, in seconds.
    fn wrong(&self) -> i64 {
        (self.now() - START - self.up).whole_seconds()
    }

    fn pass(&mut self, time: Duration) {
        self.up += time;
        self.keeper.handle_timeout(self.machine());
    }

    fn pass_to_next(&mut self) {
        self.up = self.up.max(self.keeper.poll_timeout());
        self.keeper.handle_timeout(self.machine());
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.keeper.poll_output()).collect()
    }

    /// Whom it asks, if it asks somebody.
    fn asked(&mut self) -> Option<(u64, Source)> {
        let asks = self.outputs();
        let mut asks = asks.iter().filter_map(|output| {
            if let Output::Ask { round, source } = output {
                Some((*round, *source))
            } else {
                None
            }
        });
        let first = asks.next();
        assert!(asks.next().is_none());
        first
    }

    fn answer(&mut self, round: u64, readings: &[Reading]) {
        let heard = Heard {
            readings: readings.to_vec(),
            silent: match readings {
                [] => vec!["ntp-servers: silent".to_owned()],
                _ => Vec::new(),
            },
        };
        self.keeper.handle_heard(round, &heard, self.machine());
    }

    /// Asks everybody, and nobody answers.
    fn nobody_answers(&mut self, first: (u64, Source)) {
        let mut asked = Some(first);
        while let Some((round, _)) = asked {
            self.answer(round, &[]);
            asked = self.asked();
        }
    }

    fn source(&self) -> Option<String> {
        self.keeper.column(self.machine()).source
    }

    fn refused(&self) -> String {
        let asked = self.keeper.column(self.machine()).asked;
        let refused: Vec<String> = asked.into_iter().flat_map(|it| it.refused).collect();
        refused.join("; ")
    }
}

fn at(up: Duration, ahead: time::Duration) -> Machine {
    Machine {
        up,
        wall: START + up + ahead,
    }
}

/// A server that is ahead by so much.
fn says(server: &str, ahead: time::Duration) -> Reading {
    Reading {
        server: server.to_owned(),
        began: START + ahead,
        error: Duration::from_millis(10),
    }
}

fn right(server: &str) -> Reading {
    says(server, time::Duration::ZERO)
}

fn wrongs(outputs: &[Output]) -> Vec<i64> {
    let wrong = outputs.iter().filter_map(|output| {
        if let Output::Wrong { offset_millis, .. } = output {
            Some(offset_millis / 1_000)
        } else {
            None
        }
    });
    wrong.collect()
}

const YEAR: time::Duration = time::Duration::days(365);
const FIVE_YEARS: time::Duration = time::Duration::days(5 * 365);

#[test]
fn whoever_starts_in_1970_goes_by_the_newest_time_that_was_until_somebody_tells() {
    let kept = datetime!(2027-02-28 12:00 UTC);
    let mut world = World::new(OffsetDateTime::UNIX_EPOCH - START, Some(kept));
    assert_eq!(world.now(), kept);
    assert!(world.keeper.is_machine_wrong(world.machine()));
    world.keeper.handle_timeout(world.machine());
    let (round, source) = world.asked().unwrap();
    assert_eq!(source, Source::Dhcp);
    world.answer(round, &[right("10.0.0.1")]);
    let outputs = world.outputs();
    assert_eq!(world.wrong(), 0);
    assert_eq!(world.source().unwrap(), "dhcp 10.0.0.1");
    let behind = (START - OffsetDateTime::UNIX_EPOCH).whole_seconds();
    assert_eq!(wrongs(&outputs), [behind]);
    assert!(outputs.contains(&Output::Retry));
}

#[test]
fn nothing_is_kept_of_it_and_so_when_the_agent_was_built_is_the_earliest() {
    let world = World::started(datetime!(2019-01-01 00:00 UTC));
    assert_eq!(world.now(), BUILT);
    let world = World::new(
        OffsetDateTime::UNIX_EPOCH - START,
        Some(datetime!(2025-01-01 00:00 UTC)),
    );
    assert_eq!(world.now(), BUILT);
}

#[test]
fn those_that_are_configured_are_asked_when_dhcp_names_nobody_who_answers() {
    let mut world = World::started(START + FIVE_YEARS);
    assert_eq!(world.now() - START - world.up, FIVE_YEARS);
    world.keeper.handle_timeout(world.machine());
    let (round, _) = world.asked().unwrap();
    world.answer(round, &[]);
    let (round, source) = world.asked().unwrap();
    assert_eq!(source, Source::Configured);
    world.answer(round, &[right("ntp")]);
    assert_eq!(world.wrong(), 0);
    assert_eq!(world.refused(), "ntp-servers: silent");
    let outputs = world.outputs();
    assert_eq!(wrongs(&outputs), [-FIVE_YEARS.whole_seconds()]);
    assert!(outputs.contains(&Output::Retry));
}

#[test]
fn an_answer_to_an_older_question_counts_for_nothing() {
    let mut world = World::started(START);
    world.keeper.handle_timeout(world.machine());
    let (first, _) = world.asked().unwrap();
    world.answer(first, &[]);
    world.answer(first, &[right("late")]);
    assert_eq!(world.source(), None);
}

#[test]
fn a_clock_that_is_right_is_confirmed_and_nothing_is_shown() {
    let mut world = World::started(START);
    world.keeper.handle_timeout(world.machine());
    let (round, _) = world.asked().unwrap();
    world.answer(round, &[right("ntp")]);
    let outputs = world.outputs();
    assert!(
        matches!(outputs.as_slice(), [Output::Told(_)]),
        "{outputs:?}"
    );
    assert!(world.keeper.column(world.machine()).trusted);
}

#[test]
fn when_nobody_answers_it_is_asked_again_and_ever_more_seldom() {
    let mut world = World::started(START);
    world.keeper.handle_timeout(world.machine());
    let mut gaps = Vec::new();
    for _ in 0..10 {
        let first = loop {
            match world.asked() {
                Some(first) => break first,
                None => world.pass_to_next(),
            }
        };
        gaps.push(world.up.as_secs());
        world.nobody_answers(first);
    }
    let gaps: Vec<u64> = gaps.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(gaps, [15, 30, 60, 120, 240, 480, 960, 1_920, 3_600]);
}

#[test]
fn a_time_that_is_over_is_refused_and_shown() {
    let kept = datetime!(2027-02-01 00:00 UTC);
    let mut world = World::new(time::Duration::ZERO, Some(kept));
    world.keeper.handle_timeout(world.machine());
    let (round, _) = world.asked().unwrap();
    world.answer(round, &[says("old", -YEAR)]);
    assert_eq!(world.source(), None);
    let why = "old says 2026-03-01T12:00:20Z, but it has been 2027-02-01T00:00:00Z already";
    assert_eq!(world.refused(), why);
    assert_eq!(world.asked().unwrap().1, Source::Configured);
}

#[test]
fn two_servers_that_do_not_agree_are_both_not_believed() {
    let mut world = World::started(START);
    world.keeper.handle_timeout(world.machine());
    let (round, _) = world.asked().unwrap();
    world.answer(round, &[right("a"), says("b", YEAR)]);
    assert_eq!(world.source(), None);
    assert!(
        world
            .refused()
            .starts_with("they do not agree: a says 2027")
    );
}

#[test]
fn a_server_that_lies_to_come_loses_to_the_hub_and_spoils_nothing_for_ever() {
    let mut world = World::started(START);
    world.keeper.handle_timeout(world.machine());
    let (round, _) = world.asked().unwrap();
    world.answer(round, &[says("liar", FIVE_YEARS)]);
    assert_eq!(world.wrong(), (FIVE_YEARS).whole_seconds());
    assert_eq!(world.keeper.floor(), BUILT);
    let now = START + world.up;
    assert!(
        world
            .keeper
            .handle_hub(now, Duration::from_millis(5), world.machine())
    );
    assert_eq!(world.wrong(), 0);
    assert_eq!(world.keeper.floor(), now - Duration::from_millis(5));
}

#[test]
fn whoever_told_a_time_by_which_certificates_fail_is_passed_over() {
    let mut world = World::started(START);
    world.keeper.handle_timeout(world.machine());
    let (round, _) = world.asked().unwrap();
    world.answer(round, &[says("liar", FIVE_YEARS)]);
    world.outputs();
    world.pass(Duration::from_secs(6));
    world.keeper.handle_dates(world.machine());
    let (round, source) = world.asked().unwrap();
    assert_eq!(source, Source::Configured);
    world.answer(round, &[right("ntp")]);
    assert_eq!(world.wrong(), 0);
    assert!(world.outputs().contains(&Output::Retry));
    // There is nobody after that one.
    world.keeper.handle_dates(world.machine());
    assert_eq!(world.asked(), None);
}

#[test]
fn certificates_that_fail_while_nobody_has_told_the_time_have_everybody_asked_at_once() {
    let mut world = World::started(START + FIVE_YEARS);
    world.keeper.handle_timeout(world.machine());
    let first = world.asked().unwrap();
    // While it asks, it does not ask twice.
    world.keeper.handle_dates(world.machine());
    assert_eq!(world.asked(), None);
    for _ in 0..8 {
        world.nobody_answers(first);
        world.pass_to_next();
    }
    world.outputs();
    world.pass(Duration::from_secs(7_200));
    let first = world.asked().unwrap();
    world.nobody_answers(first);
    world.keeper.handle_dates(world.machine());
    assert_eq!(world.asked(), None, "just now it has");
    world.pass(Duration::from_secs(5));
    assert!(world.asked().is_some());
}

#[test]
fn the_hub_is_believed_and_nobody_else_is_asked_for_two_hours() {
    let mut world = World::started(OffsetDateTime::UNIX_EPOCH);
    let now = START + world.up;
    assert!(
        world
            .keeper
            .handle_hub(now, Duration::from_millis(5), world.machine())
    );
    let kept = now - Duration::from_millis(5);
    assert!(world.outputs().contains(&Output::Keep(kept)));
    assert_eq!(world.source().unwrap(), "hub");
    for _ in 0..700 {
        world.pass(Duration::from_secs(10));
        assert_eq!(world.asked(), None, "{:?}", world.up);
    }
    for _ in 0..400 {
        world.pass(Duration::from_secs(10));
    }
    assert!(world.asked().is_some());
}

#[test]
fn what_differs_from_the_hub_is_refused_and_shown() {
    let mut world = World::started(START);
    let now = START + world.up;
    assert!(
        world
            .keeper
            .handle_hub(now, Duration::from_millis(5), world.machine())
    );
    world.pass(Duration::from_secs(3 * 3_600));
    let (round, _) = world.asked().unwrap();
    world.answer(round, &[says("a", time::Duration::seconds(30))]);
    assert_eq!(world.source().unwrap(), "hub");
    assert!(
        world.refused().ends_with("30 s from what the hub has said"),
        "{}",
        world.refused()
    );
    let (round, _) = world.asked().unwrap();
    world.answer(round, &[says("b", time::Duration::seconds(3))]);
    assert_eq!(world.source().unwrap(), "configured b");
}

#[test]
fn a_hub_that_goes_back_behind_what_it_has_confirmed_is_refused() {
    let kept = datetime!(2027-03-01 00:00 UTC);
    let mut world = World::new(time::Duration::ZERO, Some(kept));
    let old = kept - Duration::from_secs(120);
    assert!(
        !world
            .keeper
            .handle_hub(old, Duration::ZERO, world.machine())
    );
    assert!(matches!(world.outputs().as_slice(), [Output::Note(_)]));
    let corrected = kept - Duration::from_secs(30);
    assert!(
        world
            .keeper
            .handle_hub(corrected, Duration::ZERO, world.machine())
    );
    assert_eq!(world.keeper.floor(), kept);
}

#[test]
fn newer_time_is_kept_now_and_then_and_not_each_time() {
    let mut world = World::started(START);
    let mut written = 0;
    for _ in 0..60 {
        world.pass(Duration::from_secs(60));
        let now = START + world.up;
        assert!(
            world
                .keeper
                .handle_hub(now, Duration::ZERO, world.machine())
        );
        let is_kept = |output: &Output| matches!(output, Output::Keep(_));
        written += world.outputs().iter().filter(|it| is_kept(it)).count();
    }
    assert_eq!(written, 6);
}

#[test]
fn a_jump_while_it_runs_is_shown_and_changes_nothing_that_was_told() {
    let mut world = World::started(START);
    let now = START + world.up;
    assert!(
        world
            .keeper
            .handle_hub(now, Duration::ZERO, world.machine())
    );
    world.outputs();
    world.ahead = YEAR;
    world.pass(Duration::from_secs(10));
    let outputs = world.outputs();
    assert_eq!(
        outputs[0],
        Output::Note(
            "this machine's clock was put forward by 365 days while the agent runs".to_owned()
        )
    );
    assert_eq!(wrongs(&outputs), [-YEAR.whole_seconds()]);
    assert_eq!(world.wrong(), 0);
    assert!(outputs.contains(&Output::Set));
    world.pass(Duration::from_secs(10));
    assert_eq!(world.outputs(), []);
}

#[test]
fn a_jump_while_nobody_has_told_the_time_has_everybody_asked() {
    let mut world = World::started(START);
    world.keeper.handle_timeout(world.machine());
    let first = world.asked().unwrap();
    world.nobody_answers(first);
    world.ahead = -YEAR;
    world.pass(Duration::from_secs(10));
    let outputs = world.outputs();
    assert!(matches!(outputs[0], Output::Note(_)));
    assert!(matches!(
        outputs[1],
        Output::Ask {
            source: Source::Dhcp,
            ..
        }
    ));
}

#[test]
fn what_sets_a_clock_gently_is_no_jump() {
    let mut world = World::started(START);
    for _ in 0..100 {
        world.ahead += time::Duration::milliseconds(900);
        world.pass(Duration::from_secs(10));
        let is_note = |output: &Output| matches!(output, Output::Note(_));
        assert!(!world.outputs().iter().any(is_note));
    }
}

#[test]
fn a_clock_that_was_set_is_right_and_no_jump() {
    let mut world = World::started(START - YEAR);
    let now = START + world.up;
    assert!(
        world
            .keeper
            .handle_hub(now, Duration::ZERO, world.machine())
    );
    assert!(world.outputs().contains(&Output::Set));
    world.ahead = time::Duration::ZERO;
    world.keeper.handle_set(world.machine());
    world.pass(Duration::from_secs(10));
    assert_eq!(world.outputs(), []);
    assert_eq!(world.keeper.offset_millis(world.machine()), Some(0));
}

#[test]
fn another_network_has_its_own_servers() {
    let mut world = World::started(START);
    world.keeper.handle_timeout(world.machine());
    let (round, _) = world.asked().unwrap();
    world.answer(round, &[right("a")]);
    world.outputs();
    world.pass(Duration::from_secs(60));
    world.keeper.handle_network(world.machine());
    assert_eq!(world.asked().unwrap().1, Source::Dhcp);
}
