#![cfg(test)]
//! Members count on their disks, and deal out to each other.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn id(number: usize) -> MemberId {
    format!("till-{number}").parse().unwrap()
}

#[derive(Default)]
struct Disk(BTreeMap<Vec<u8>, Vec<u8>>);

impl Disk {
    fn save<T>(&mut self, unsaved: Unsaved<T>) -> T {
        for write in unsaved.writes() {
            self.0
                .insert(write.key.clone(), write.value.clone().unwrap());
        }
        unsaved.once_saved()
    }

    fn numbers(&self, member: usize) -> Numbers {
        let pairs = self
            .0
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_slice()));
        Numbers::restore(id(member), pairs).unwrap()
    }
}

#[test]
fn numbers_are_shown_with_who_issued_them() {
    let mut disk = Disk::default();
    let mut numbers = disk.numbers(3);
    assert_eq!(disk.save(numbers.receipt()).to_string(), "till-3/1");
    assert_eq!(disk.save(numbers.ticket()).to_string(), "till-3#1");
}

#[test]
fn tickets_come_from_the_block_that_was_dealt_out_and_then_from_the_members_own() {
    let (mut here, mut there) = (Disk::default(), Disk::default());
    let (mut one, mut other) = (here.numbers(1), there.numbers(2));
    let block = here.save(one.deal());
    there.save(other.accept(block).unwrap());
    assert!(!other.wants());
    for number in 1..=BLOCK {
        let ticket = there.save(other.ticket());
        assert_eq!((ticket.issuer, ticket.number), (id(1), number));
    }
    assert!(other.wants());
    assert_eq!(there.save(other.ticket()).issuer, id(2));
}

#[test]
fn a_block_is_taken_once_also_after_a_restart() {
    let (mut here, mut there) = (Disk::default(), Disk::default());
    let (mut one, mut other) = (here.numbers(1), there.numbers(2));
    let block = here.save(one.deal());
    there.save(other.accept(block.clone()).unwrap());
    assert!(other.accept(block.clone()).is_none());
    for _ in 0..BLOCK {
        there.save(other.ticket());
    }
    assert!(other.accept(block.clone()).is_none());
    assert!(there.numbers(2).accept(block).is_none());
}

#[test]
fn no_more_blocks_are_held_than_two() {
    let (mut here, mut there) = (Disk::default(), Disk::default());
    let (mut one, mut other) = (here.numbers(1), there.numbers(2));
    for _ in 0..2 {
        let block = here.save(one.deal());
        there.save(other.accept(block).unwrap());
    }
    let block = here.save(one.deal());
    assert!(other.accept(block).is_none());
}

#[derive(Debug, Clone)]
enum Step {
    Ticket(usize),
    Receipt(usize),
    Deal(usize, usize),
    /// Deals, and the block does not arrive.
    Lose(usize),
    /// Something is given, and does not come to the disk before the power goes.
    Crash(usize),
    Restart(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let member = 0..3_usize;
    prop_oneof![
        8 => member.clone().prop_map(Step::Ticket),
        3 => member.clone().prop_map(Step::Receipt),
        3 => (member.clone(), member.clone()).prop_map(|(from, to)| Step::Deal(from, to)),
        1 => member.clone().prop_map(Step::Lose),
        2 => member.clone().prop_map(Step::Crash),
        2 => member.prop_map(Step::Restart),
    ]
}

proptest! {
    #[test]
    fn no_number_is_given_twice(steps in prop::collection::vec(step(), 0..400)) {
        let mut disks: Vec<Disk> = (0..3).map(|_| Disk::default()).collect();
        let mut all: Vec<Numbers> = (0..3).map(|it| disks[it].numbers(it)).collect();
        let mut given = BTreeSet::new();
        for step in steps {
            match step {
                Step::Ticket(it) => {
                    prop_assert!(given.insert(disks[it].save(all[it].ticket())));
                }
                Step::Receipt(it) => {
                    prop_assert!(given.insert(disks[it].save(all[it].receipt())));
                }
                Step::Deal(from, to) => {
                    let block = disks[from].save(all[from].deal());
                    if let Some(accepted) = all[to].accept(block) {
                        disks[to].save(accepted);
                    }
                }
                Step::Lose(it) => {
                    disks[it].save(all[it].deal());
                }
                Step::Crash(it) => {
                    let _ = (all[it].ticket(), all[it].receipt());
                    all[it] = disks[it].numbers(it);
                }
                Step::Restart(it) => all[it] = disks[it].numbers(it),
            }
        }
        for it in 0..3 {
            let receipts = given.iter().filter(|one| one.series == Series::Receipt);
            let own: Vec<u64> = receipts.filter(|one| one.issuer == id(it)).map(|one| one.number).collect();
            prop_assert_eq!(own.clone(), (1..=own.len() as u64).collect::<Vec<_>>());
        }
    }
}
