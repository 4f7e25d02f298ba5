#![cfg(test)]
//! Two or three members that talk to each other without a network between them.

use super::*;
use crate::message::Dealt;
use crate::number::Series;
use crate::roster::{Former, Roster};

fn id(number: u8) -> MemberId {
    format!("till-{number}").parse().unwrap()
}

fn signer(seed: u8) -> Signer {
    Signer::from_seed("key", &[seed; 32]).unwrap()
}

fn listed(number: u8, seed: u8) -> Listed {
    Listed {
        id: id(number),
        key: signer(seed).verifying_key(),
        roles: Vec::new(),
        priority: 1,
        not_after: u64::MAX,
    }
}

fn signed(epoch: u64, members: Vec<Listed>, revoked: Vec<Former>) -> Vec<u8> {
    let roster = Roster {
        site: "shop-1".parse().unwrap(),
        epoch,
        members,
        revoked,
    };
    roster.signed(&signer(200)).unwrap()
}

fn all(epoch: u64) -> Vec<u8> {
    signed(
        epoch,
        (1..=3).map(|it| listed(it, it)).collect(),
        Vec::new(),
    )
}

fn member(number: u8, roster: &[u8], kept: &BTreeMap<Vec<u8>, Vec<u8>>, now: Moment) -> Member {
    let identity = Identity {
        site: "shop-1".parse().unwrap(),
        site_key: signer(200).verifying_key(),
        id: id(number),
        signer: signer(number),
    };
    Member::begin(identity, roster, kept, now).unwrap()
}

fn begin() -> Moment {
    #[expect(clippy::disallowed_methods, reason = "a place to begin at")]
    let instant = Instant::now();
    Moment {
        instant,
        wall: 1_800_000_000_000,
    }
}

fn later(moment: Moment, by: Duration) -> Moment {
    Moment {
        instant: moment.instant + by,
        wall: moment.wall + u64::try_from(by.as_millis()).unwrap(),
    }
}

/// What they say to each other until nobody has anything to say.
fn talk(members: &mut [&mut Member], now: Moment) -> Vec<Write> {
    let mut written = Vec::new();
    let mut said = true;
    while said {
        said = false;
        for from in 0..members.len() {
            let name = members[from].id().clone();
            while let Some(output) = members[from].poll_output() {
                match output {
                    Output::Write(writes) => written.extend(writes),
                    Output::Send { to, message } => {
                        let other = members.iter_mut().find(|other| *other.id() == to);
                        if let Some(other) = other {
                            said = true;
                            other.handle_message(&name, message, now);
                        }
                    }
                }
            }
        }
    }
    written
}

/// As long as it takes to agree on a coordinator.
fn settle(members: &mut [&mut Member], mut now: Moment) -> Moment {
    for _ in 0..8 {
        now = later(now, BEAT);
        members
            .iter_mut()
            .for_each(|member| member.handle_timeout(now));
        talk(members, now);
    }
    now
}

#[test]
fn the_lowest_coordinates_and_deals_out_tickets() {
    let now = begin();
    let nothing = BTreeMap::new();
    let (mut one, mut other) = (
        member(1, &all(1), &nothing, now),
        member(2, &all(1), &nothing, now),
    );
    let now = settle(&mut [&mut one, &mut other], now);
    assert_eq!(other.coordinator(now).unwrap().holder, id(1));
    let ticket = other.ticket(now).once_saved();
    assert_eq!((ticket.series, ticket.issuer), (Series::Ticket, id(1)));
}

#[test]
fn a_coordinator_whose_place_was_taken_deals_out_nothing_that_is_taken() {
    let now = begin();
    let nothing = BTreeMap::new();
    let mut one = member(1, &all(1), &nothing, now);
    let mut other = member(2, &all(1), &nothing, now);
    let now = settle(&mut [&mut one, &mut other], now);
    let old = one.coordinator(now).unwrap().clone();
    // The third takes the place of the first, which does not hear of it.
    let newer = Fence {
        term: old.term + 1,
        holder: id(3),
    };
    let beat = Beat {
        epoch: 1,
        known: Vector::default(),
        fence: Some(newer.clone()),
        holds: true,
        uplink: false,
    };
    other.handle_message(&id(3), Message::Beat(beat), now);
    one.handle_message(&id(2), Message::AskTickets(old.clone()), now);
    let dealt = std::iter::from_fn(|| one.poll_output()).find_map(|output| match output {
        Output::Send {
            message: message @ Message::Tickets(_),
            ..
        } => Some(message),
        Output::Send { .. } | Output::Write(_) => None,
    });
    other.handle_message(&id(1), dealt.unwrap(), now);
    assert_eq!(other.refused().collect::<Vec<_>>(), [(Refusal::Fenced, 1)]);
    // Nor is it asked by a fence that is not its own.
    one.handle_message(&id(2), Message::AskTickets(newer), now);
    assert_eq!(one.refused().collect::<Vec<_>>(), [(Refusal::Fenced, 1)]);
}

#[test]
fn tickets_for_another_or_of_another_are_refused() {
    let now = begin();
    let nothing = BTreeMap::new();
    let mut one = member(1, &all(1), &nothing, now);
    let block = |issuer: u8| crate::number::Block {
        issuer: id(issuer),
        first: 1,
        last: 20,
    };
    let fence = Fence {
        term: 1,
        holder: id(2),
    };
    for (to, issuer, by) in [(3, 2, 2), (1, 3, 2), (1, 2, 3)] {
        let dealt = Dealt {
            to: id(to),
            fence: fence.clone(),
            block: block(issuer),
        };
        one.handle_message(&id(by), Message::Tickets(dealt), now);
    }
    assert_eq!(one.refused().collect::<Vec<_>>(), [(Refusal::Tickets, 3)]);
}

#[test]
fn who_was_revoked_is_told_by_the_roster_and_not_heard() {
    let now = begin();
    let nothing = BTreeMap::new();
    let former = Former {
        id: id(2),
        key: signer(2).verifying_key(),
    };
    let newer = signed(2, vec![listed(1, 1), listed(3, 3)], vec![former]);
    let mut one = member(1, &newer, &nothing, now);
    let mut other = member(2, &all(1), &nothing, now);
    let now = settle(&mut [&mut one, &mut other], now);
    assert_eq!(other.trust().roster().epoch, 2);
    assert_eq!(one.there().count(), 0);
    let revoked = Refusal::NotBelieved(NotBelieved::Revoked);
    assert!(one.refused().any(|(why, _)| why == revoked));
    // It does not coordinate either, not even itself.
    assert_eq!(other.coordinator(now), None);
}

#[test]
fn a_member_that_is_listed_with_another_key_begins_a_new_log() {
    let now = begin();
    let nothing = BTreeMap::new();
    let mut one = member(1, &all(1), &nothing, now);
    let mut other = member(2, &all(1), &nothing, now);
    let of: Name = "sales".parse().unwrap();
    let _ = other.add(&of, b"sale".to_vec(), now).unwrap();
    let now = settle(&mut [&mut one, &mut other], now);
    assert_eq!(one.shared().items(&of).count(), 1);
    let rekeyed = signed(
        2,
        vec![listed(1, 1), listed(2, 22), listed(3, 3)],
        Vec::new(),
    );
    one.handle_roster(&rekeyed, now).unwrap();
    assert_eq!(one.shared().items(&of).count(), 0);
    assert_eq!(one.shared().vector().known(&id(2)), 0);
}

#[test]
fn the_newest_roster_that_was_met_counts_after_a_restart() {
    let now = begin();
    let mut one = member(1, &all(1), &BTreeMap::new(), now);
    one.handle_roster(&all(5), now).unwrap();
    let kept = talk(&mut [&mut one], now);
    let kept: BTreeMap<_, _> = kept
        .into_iter()
        .filter_map(|it| Some((it.key, it.value?)))
        .collect();
    let restarted = member(1, &all(1), &kept, now);
    assert_eq!(restarted.trust().roster().epoch, 5);
    let told = member(1, &all(6), &kept, now);
    assert_eq!(told.trust().roster().epoch, 6);
}

#[test]
fn what_a_member_with_another_roster_gives_waits_until_both_have_the_same() {
    let now = begin();
    let nothing = BTreeMap::new();
    let mut one = member(1, &all(2), &nothing, now);
    one.handle_message(&id(2), Message::Give(crate::Give::default()), now);
    let ask = Message::Ask {
        epoch: 1,
        known: Vector::default(),
    };
    one.handle_message(&id(2), ask, now);
    assert_eq!(
        one.refused().collect::<Vec<_>>(),
        [(Refusal::OtherRoster, 2)]
    );
}
