#![cfg(test)]
//! Members write, meet in any order, are told the same twice, forget what is old and begin anew from
//! their disks; and what counts at the end is what a much simpler reckoning says.

use std::collections::{BTreeMap, BTreeSet};

use outgate_signed_http::Signer;
use proptest::prelude::*;

use super::*;
use crate::codec::{Reader, Writer};
use crate::entry::NotOpened;
use crate::roster::{Former, Listed, Roster};

const NAMES: [&str; 4] = ["till-1", "till-2", "till-3", "till-4"];

fn signer(number: usize) -> Signer {
    Signer::from_seed(NAMES[number], &[u8::try_from(number).unwrap() + 1; 32]).unwrap()
}

fn id(number: usize) -> MemberId {
    NAMES[number].parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn roster() -> Roster {
    let listed = |number: usize| Listed {
        id: id(number),
        key: signer(number).verifying_key(),
        roles: Vec::new(),
        priority: 1,
        not_after: u64::MAX,
    };
    Roster {
        site: "shop-1".parse().unwrap(),
        epoch: 1,
        members: (0..NAMES.len()).map(listed).collect(),
        revoked: Vec::new(),
    }
}

/// A member with its disk.
struct Till {
    number: usize,
    shared: Shared,
    disk: BTreeMap<Vec<u8>, Vec<u8>>,
    kept_max: usize,
}

impl Till {
    fn new(number: usize, kept_max: usize) -> Self {
        let shared = Shared::new("shop-1".parse().unwrap(), id(number)).keeping(kept_max);
        Self {
            number,
            shared,
            disk: BTreeMap::new(),
            kept_max,
        }
    }

    fn save<T>(&mut self, unsaved: Unsaved<T>) -> T {
        for write in unsaved.writes() {
            match &write.value {
                Some(value) => self.disk.insert(write.key.clone(), value.clone()),
                None => self.disk.remove(&write.key),
            };
        }
        unsaved.once_saved()
    }

    fn add(&mut self, of: &str, value: &str) -> Dot {
        let value = value.as_bytes().to_vec();
        let added = self
            .shared
            .add(&name(of), value, 1000, &signer(self.number));
        self.save(added.unwrap())
    }

    fn set(&mut self, of: &str, field: &str, value: &str, wall: u64) -> Dot {
        let value = value.as_bytes().to_vec();
        let signer = signer(self.number);
        let set = self
            .shared
            .set(&name(of), &name(field), value, wall, &signer);
        self.save(set.unwrap())
    }

    fn take_away(&mut self, dots: Vec<Dot>) -> Dot {
        let taken = self.shared.take_away(dots, 1000, &signer(self.number));
        self.save(taken.unwrap())
    }

    fn take(&mut self, give: &Give) -> Taken {
        let taken = self.shared.take(give, &roster());
        self.save(taken)
    }

    fn restart(&mut self) {
        let kept = self
            .disk
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_slice()));
        let shared = Shared::restore("shop-1".parse().unwrap(), id(self.number), kept);
        self.shared = shared.unwrap().keeping(self.kept_max);
    }

    fn values(&self) -> BTreeSet<(Place, Dot)> {
        let all = self.shared.all();
        all.map(|(place, dot, _)| (place.clone(), dot.clone()))
            .collect()
    }
}

/// One round of anti-entropy, over bytes.
fn meet(from: &Till, to: &mut Till) -> (Give, Taken) {
    let give = from.shared.give(&to.shared.vector(), 1);
    let mut bytes = Writer::default();
    give.write(&mut bytes);
    let bytes = bytes.into_bytes();
    let mut reader = Reader::new(&bytes);
    let read = Give::read(&mut reader).unwrap();
    reader.end().unwrap();
    assert_eq!(read, give);
    let taken = to.take(&read);
    (give, taken)
}

fn two(kept_max: usize) -> (Till, Till) {
    (Till::new(0, kept_max), Till::new(1, kept_max))
}

#[test]
fn what_one_adds_the_other_sees_after_they_met() {
    let (mut one, mut other) = two(KEPT_MAX);
    one.add("order/1", "coffee");
    one.set("order/1", "table", "7", 1000);
    let (_, taken) = meet(&one, &mut other);
    assert_eq!(taken.entries, 2);
    let order = name("order/1");
    let items: Vec<&[u8]> = other.shared.items(&order).map(|(_, value)| value).collect();
    assert_eq!(items, [b"coffee"]);
    assert_eq!(other.shared.field(&order, &name("table")), Some(&b"7"[..]));
}

#[test]
fn an_item_added_while_another_clears_the_set_stays() {
    let (mut one, mut other) = two(KEPT_MAX);
    let coffee = one.add("order/1", "coffee");
    meet(&one, &mut other);
    other.take_away(vec![coffee]);
    let cake = one.add("order/1", "cake");
    meet(&one, &mut other);
    meet(&other, &mut one);
    for till in [&one, &other] {
        let dots: Vec<Dot> = till.values().into_iter().map(|(_, dot)| dot).collect();
        assert_eq!(dots, std::slice::from_ref(&cake));
    }
}

#[test]
fn of_two_values_written_apart_the_later_is_shown_everywhere() {
    let (mut one, mut other) = two(KEPT_MAX);
    one.set("order/1", "table", "7", 2000);
    other.set("order/1", "table", "8", 1000);
    meet(&one, &mut other);
    meet(&other, &mut one);
    for till in [&one, &other] {
        let value = till.shared.field(&name("order/1"), &name("table"));
        assert_eq!(value, Some(&b"7"[..]));
    }
}

#[test]
fn whoever_saw_a_value_from_a_clock_years_ahead_can_still_replace_it() {
    let (mut one, mut other) = two(KEPT_MAX);
    one.set("order/1", "table", "7", 4_000_000_000_000);
    meet(&one, &mut other);
    other.set("order/1", "table", "8", 1000);
    meet(&other, &mut one);
    let value = one.shared.field(&name("order/1"), &name("table"));
    assert_eq!(value, Some(&b"8"[..]));
    assert_eq!(one.values().len(), 1);
}

#[test]
fn a_value_that_is_too_long_and_a_member_that_is_full_are_refused() {
    let (mut one, _) = two(KEPT_MAX);
    let long = vec![0; VALUE_MAX_BYTES + 1];
    let refused = one.shared.add(&name("a"), long, 0, &signer(0));
    assert_eq!(refused.unwrap_err(), EditError::TooLong);
    let value = "x".repeat(VALUE_MAX_BYTES);
    let mut first = None;
    let full = loop {
        let added = one
            .shared
            .add(&name("a"), value.clone().into_bytes(), 0, &signer(0));
        match added {
            Ok(added) => {
                first.get_or_insert(added.once_saved());
            }
            Err(why) => break why,
        }
    };
    assert_eq!(full, EditError::Full);
    let live = one.shared.logs[&id(0)].live;
    assert!(live <= LIVE_MAX_BYTES && live + 2 * VALUE_MAX_BYTES > LIVE_MAX_BYTES);
    let taken = one.shared.take_away(first, 0, &signer(0));
    assert!(taken.is_ok());
    let added = one
        .shared
        .add(&name("a"), value.into_bytes(), 0, &signer(0));
    assert!(added.is_ok());
}

#[test]
fn others_take_from_one_member_no_more_than_a_bound() {
    let (mut one, mut other) = two(KEPT_MAX);
    let value = "x".repeat(VALUE_MAX_BYTES);
    let mut count = 0;
    while count < 3 * LIVE_MAX_BYTES / VALUE_MAX_BYTES {
        // A member that does not keep to its bound.
        one.shared.logs.entry(id(0)).or_default().live = 0;
        one.add("a", &value);
        count += 1;
    }
    let mut refused = Vec::new();
    while refused.is_empty() {
        refused = meet(&one, &mut other).1.refused;
    }
    assert_eq!(refused, [(Some(id(0)), NotTaken::TooMuch)]);
    assert!(other.shared.logs[&id(0)].live <= 2 * LIVE_MAX_BYTES);
}

#[test]
fn a_member_whose_disk_was_put_back_is_found_out() {
    let (mut one, mut other) = two(KEPT_MAX);
    one.add("a", "1");
    let disk = one.disk.clone();
    one.add("a", "2");
    meet(&one, &mut other);
    one.disk = disk;
    one.restart();
    one.add("a", "two");
    one.add("a", "three");
    let (_, taken) = meet(&one, &mut other);
    assert_eq!(taken.refused, [(Some(id(0)), NotTaken::Forked)]);
    let (_, taken) = meet(&other, &mut one);
    assert_eq!(taken.refused, []);
}

#[test]
fn a_member_that_lost_its_last_entries_gets_them_back_from_others() {
    let (mut one, mut other) = two(KEPT_MAX);
    one.add("a", "1");
    let disk = one.disk.clone();
    one.add("a", "2");
    meet(&one, &mut other);
    one.disk = disk;
    one.restart();
    meet(&other, &mut one);
    assert_eq!(one.values(), other.values());
    one.add("a", "3");
    assert_eq!(meet(&one, &mut other).1.refused, []);
}

#[test]
fn entries_of_strangers_and_changed_ones_are_refused() {
    let (mut one, mut other) = two(KEPT_MAX);
    one.add("a", "1");
    let give = one.shared.give(&Vector::default(), 1);
    let mut changed = give.clone();
    let middle = changed.entries[0].len() / 2;
    changed.entries[0][middle] ^= 1;
    assert!(matches!(
        other.take(&changed).refused.as_slice(),
        [(None, NotTaken::NotOpened(_))]
    ));
    let mut without = roster();
    without.members.remove(0);
    let taken = other.shared.take(&give, &without).once_saved();
    assert_eq!(taken.refused, [(None, NotOpened::Stranger.into())]);
    let mut elsewhere = Till::new(1, KEPT_MAX);
    elsewhere.shared.site = "shop-2".parse().unwrap();
    assert_eq!(
        elsewhere.take(&give).refused,
        [(None, NotOpened::Forged.into())]
    );
}

#[test]
fn what_a_revoked_member_wrote_before_counts_as_long_as_it_is_listed() {
    let (mut one, mut other) = two(KEPT_MAX);
    one.add("a", "1");
    let give = one.shared.give(&Vector::default(), 1);
    let mut revoked = roster();
    let gone = revoked.members.remove(0);
    revoked.revoked.push(Former {
        id: gone.id,
        key: gone.key,
    });
    let taken = other.shared.take(&give, &revoked);
    assert_eq!(other.save(taken).entries, 1);
    let forgotten = other.shared.forget(|member| *member != id(0));
    assert_eq!(other.values().len(), 0);
    other.save(Unsaved::new((), forgotten));
    other.restart();
    assert_eq!(other.values().len(), 0);
    assert_eq!(other.shared.vector(), Vector::default());
}

#[test]
fn who_was_away_too_long_is_given_all_that_counts_at_once() {
    let (mut one, mut other) = two(300);
    let kept = one.add("a", "kept");
    let gone = one.add("a", "gone");
    meet(&one, &mut other);
    let own = other.add("a", "own");
    one.take_away(vec![gone]);
    for round in 0..600 {
        one.set("a", "round", &round.to_string(), 1000);
    }
    assert!(one.disk.len() < 310);
    let (_, taken) = meet(&one, &mut other);
    assert!(taken.snapshot);
    while meet(&one, &mut other).0.more {}
    other.restart();
    let dots: BTreeSet<Dot> = other
        .shared
        .items(&name("a"))
        .map(|(dot, _)| dot.clone())
        .collect();
    assert_eq!(dots, BTreeSet::from([kept, own]));
    meet(&other, &mut one);
    assert_eq!(one.values(), other.values());
}

#[test]
fn a_snapshot_that_leaves_something_out_is_refused_whole() {
    let (mut one, mut other) = two(300);
    one.add("a", "kept");
    for round in 0..600 {
        one.set("a", "round", &round.to_string(), 1000);
    }
    let mut give = one.shared.give(&Vector::default(), 1);
    give.snapshot.as_mut().unwrap().entries.clear();
    assert_eq!(other.take(&give).refused, [(None, NotTaken::Partial)]);
    assert_eq!(other.shared.vector(), Vector::default());
}

/// What may happen at a site.
#[derive(Debug, Clone)]
enum Step {
    Add(usize, u8),
    Set(usize, u8, u64),
    TakeAway(usize, prop::sample::Index),
    Meet(usize, usize),
    Replay(usize, prop::sample::Index),
    Restart(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let till = 0..NAMES.len();
    let step = prop_oneof![
        4 => (till.clone(), 0..3u8).prop_map(|(till, of)| Step::Add(till, of)),
        4 => (till.clone(), 0..3u8, 0..5000u64)
            .prop_map(|(till, of, wall)| Step::Set(till, of, wall)),
        3 => (till.clone(), any::<prop::sample::Index>())
            .prop_map(|(till, which)| Step::TakeAway(till, which)),
        6 => (till.clone(), till.clone()).prop_map(|(from, to)| Step::Meet(from, to)),
        2 => (till.clone(), any::<prop::sample::Index>())
            .prop_map(|(till, which)| Step::Replay(till, which)),
        1 => till.prop_map(Step::Restart),
    ];
    prop::collection::vec(step, 1..120)
}

/// The reckoning: every value ever put, and every one that was named.
#[derive(Default)]
struct Reckoning {
    put: BTreeMap<Dot, Place>,
    ended: BTreeSet<Dot>,
}

impl Reckoning {
    fn counts(&self) -> BTreeSet<(Place, Dot)> {
        let put = self.put.iter().filter(|(dot, _)| !self.ended.contains(dot));
        put.map(|(dot, place)| (place.clone(), dot.clone()))
            .collect()
    }
}

fn play(steps: Vec<Step>, kept_max: usize) {
    let mut tills: Vec<Till> = (0..NAMES.len()).map(|it| Till::new(it, kept_max)).collect();
    let mut reckoning = Reckoning::default();
    let mut gives: Vec<Give> = Vec::new();
    for step in steps {
        match step {
            Step::Add(till, of) => {
                let of = format!("order/{of}");
                let dot = tills[till].add(&of, "line");
                let of = name(&of);
                reckoning.put.insert(dot, Place { of, field: None });
            }
            Step::Set(till, of, wall) => {
                let of = format!("order/{of}");
                let place = Place {
                    of: name(&of),
                    field: Some(name("table")),
                };
                let seen = tills[till].values().into_iter();
                let seen = seen.filter(|(at, _)| *at == place).map(|(_, dot)| dot);
                reckoning.ended.extend(seen);
                let dot = tills[till].set(&of, "table", "7", wall);
                reckoning.put.insert(dot, place);
            }
            Step::TakeAway(till, which) => {
                let seen: Vec<_> = tills[till].values().into_iter().collect();
                if !seen.is_empty() {
                    let (_, dot) = which.get(&seen).clone();
                    reckoning.ended.insert(dot.clone());
                    tills[till].take_away(vec![dot]);
                }
            }
            Step::Meet(from, to) if from != to => {
                let [one, other] = tills.get_disjoint_mut([from, to]).unwrap();
                let (give, taken) = meet(one, other);
                assert_eq!(taken.refused, []);
                gives.push(give);
            }
            Step::Meet(..) => {}
            Step::Replay(till, which) => {
                if !gives.is_empty() {
                    // It may be ahead of what this one knows; then it is refused, and comes later.
                    tills[till].take(which.get(&gives));
                }
            }
            Step::Restart(till) => {
                let before = (tills[till].values(), tills[till].shared.vector());
                tills[till].restart();
                assert_eq!((tills[till].values(), tills[till].shared.vector()), before);
            }
        }
    }
    meet_all(&mut tills);
    for till in &tills {
        assert_eq!(till.values(), reckoning.counts(), "{}", NAMES[till.number]);
        assert_eq!(till.shared.vector(), tills[0].shared.vector());
    }
}

fn meet_all(tills: &mut [Till]) {
    let all = 0..NAMES.len();
    let pairs = all
        .clone()
        .flat_map(|from| all.clone().map(move |to| (from, to)));
    let pairs: Vec<_> = pairs.filter(|(from, to)| from != to).collect();
    for (from, to) in pairs.iter().chain(&pairs) {
        let [one, other] = tills.get_disjoint_mut([*from, *to]).unwrap();
        assert_eq!(meet(one, other).1.refused, []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_come_to_the_same_whatever_the_order(steps in steps()) {
        play(steps, KEPT_MAX);
    }

    #[test]
    fn all_come_to_the_same_also_where_little_is_kept(steps in steps()) {
        play(steps, 4);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = Give::read(&mut Reader::new(&bytes));
        let _ = Entry::kept(&bytes);
    }
}
