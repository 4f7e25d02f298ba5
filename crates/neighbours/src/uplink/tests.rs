#![cfg(test)]
//! Who relays, and who fetches.

use super::*;

fn ids(numbers: std::ops::Range<u16>) -> Vec<MemberId> {
    numbers
        .map(|number| format!("till-{number}").parse().unwrap())
        .collect()
}

fn there<'a>(ids: &'a [MemberId], able: impl Fn(&MemberId) -> bool) -> Vec<There<'a>> {
    let one = |(rank, id): (usize, &'a MemberId)| There {
        id,
        rank: (u16::try_from(rank).unwrap(), id),
        uplink: able(id),
    };
    ids.iter().enumerate().map(one).collect()
}

#[test]
fn a_member_uses_its_own_way_and_else_the_coordinators_and_else_the_firsts() {
    let ids = ids(1..5);
    let all = || there(&ids, |_| true).into_iter();
    let through = |id: &MemberId| Way::Through(id.clone());
    assert_eq!(way(true, None, Some(&ids[2]), all()), Way::Own);
    assert_eq!(way(false, None, Some(&ids[2]), all()), through(&ids[2]));
    assert_eq!(way(false, None, None, all()), through(&ids[0]));
    let without = there(&ids, |id| *id != ids[0] && *id != ids[2]);
    assert_eq!(
        way(false, None, Some(&ids[2]), without.into_iter()),
        through(&ids[1])
    );
    let none = there(&ids, |_| false);
    assert_eq!(way(false, Some(&ids[1]), None, none.into_iter()), Way::None);
}

#[test]
fn who_relays_stays_the_same_as_long_as_it_can() {
    let ids = ids(1..5);
    let through = |id: &MemberId| Way::Through(id.clone());
    let all = there(&ids, |_| true);
    let kept = way(false, Some(&ids[3]), Some(&ids[0]), all.into_iter());
    assert_eq!(kept, through(&ids[3]));
    let without = there(&ids, |id| *id != ids[3]);
    let moved = way(false, Some(&ids[3]), Some(&ids[0]), without.into_iter());
    assert_eq!(moved, through(&ids[0]));
}

#[test]
fn a_file_is_fetched_by_one_member_whoever_needs_it_and_files_are_spread() {
    let ids = ids(1..9);
    let mut fetched = std::collections::BTreeMap::<MemberId, u32>::new();
    for file in 0..200_u32 {
        let digest = file.to_be_bytes();
        // Two have no way to the hub.
        let able = |id: &MemberId| *id != ids[0] && *id != ids[1];
        let fetchers = ids.iter().map(|me| {
            let others = there(&ids, able).into_iter().filter(|one| one.id != me);
            match source(&digest, me, able(me), others) {
                Source::Hub => me.clone(),
                Source::Neighbour(other) => other,
            }
        });
        let fetchers: std::collections::BTreeSet<MemberId> = fetchers.collect();
        assert_eq!(fetchers.len(), 1, "{fetchers:?}");
        *fetched
            .entry(fetchers.first().unwrap().clone())
            .or_default() += 1;
    }
    assert_eq!(fetched.len(), 6);
    assert!(
        fetched.values().all(|count| (15..60).contains(count)),
        "{fetched:?}"
    );
}

#[test]
fn where_nobody_has_a_way_a_file_is_kept_waiting_for_the_own_one() {
    let ids = ids(1..4);
    let others = there(&ids[1..], |_| false);
    assert_eq!(
        source(b"file", &ids[0], false, others.into_iter()),
        Source::Hub
    );
}
