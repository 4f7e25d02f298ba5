#![cfg(test)]
//! One member's view of who coordinates, with a clock that the test moves.

use super::*;

fn id(number: u8) -> MemberId {
    format!("till-{number}").parse().unwrap()
}

fn fence(term: u64, holder: u8) -> Fence {
    Fence {
        term,
        holder: id(holder),
    }
}

fn lease(kept: &[Write]) -> (Lease, Instant) {
    #[expect(clippy::disallowed_methods, reason = "a place to begin at")]
    let now = Instant::now();
    let pairs = kept
        .iter()
        .map(|write| (write.key.as_slice(), write.value.as_deref().unwrap()));
    (Lease::restore(id(1), pairs, now).unwrap(), now)
}

#[test]
fn a_member_listens_before_it_claims() {
    let (mut lease, begun) = lease(&[]);
    assert_eq!(lease.poll_timeout(), Some(begun + LISTEN));
    assert_eq!(lease.handle_timeout(true, begun + LISTEN - BEAT), None);
    assert!(!lease.holds(begun));
    assert!(lease.handle_timeout(true, begun + LISTEN).is_some());
    assert!(lease.holds(begun + LISTEN));
    assert_eq!(lease.coordinator(begun + LISTEN), Some(&fence(1, 1)));
}

#[test]
fn who_is_not_the_lowest_does_not_claim() {
    let (mut lease, begun) = lease(&[]);
    assert_eq!(lease.handle_timeout(false, begun + LISTEN), None);
    assert_eq!(lease.coordinator(begun + LISTEN), None);
}

#[test]
fn a_higher_fence_ends_a_lease_and_what_was_done_by_it_is_refused() {
    let (mut lease, begun) = lease(&[]);
    let now = begun + LISTEN;
    lease.handle_timeout(true, now);
    assert!(lease.handle_fence(&fence(2, 2), true, now).is_some());
    assert!(!lease.holds(now));
    assert_eq!(lease.coordinator(now), Some(&fence(2, 2)));
    assert_eq!(lease.admit(&fence(1, 1)), Err(FencedOff));
    assert_eq!(lease.admit(&fence(1, 9)), Err(FencedOff));
    assert_eq!(lease.admit(&fence(2, 2)), Ok(()));
    // It is lower, and changes nothing.
    assert_eq!(lease.handle_fence(&fence(1, 9), true, now), None);
    assert_eq!(lease.coordinator(now), Some(&fence(2, 2)));
}

#[test]
fn a_holder_that_slept_holds_nothing_and_listens_first() {
    let (mut lease, begun) = lease(&[]);
    let claimed = begun + LISTEN;
    lease.handle_timeout(true, claimed);
    lease.handle_timeout(true, claimed + BEAT);
    assert!(lease.holds(claimed + SEEN));
    let woken = claimed + BEAT + SEEN;
    assert!(!lease.holds(woken));
    assert_eq!(lease.handle_timeout(true, woken), None);
    assert!(!lease.holds(woken));
    let kept = lease.handle_timeout(true, woken + LISTEN);
    assert!(kept.is_some());
    assert_eq!(lease.highest(), Some(&fence(2, 1)));
}

#[test]
fn a_coordinator_that_is_not_heard_any_more_is_none() {
    let (mut lease, begun) = lease(&[]);
    lease.handle_fence(&fence(7, 2), true, begun);
    assert!(lease.coordinator(begun + SEEN - BEAT).is_some());
    assert_eq!(lease.coordinator(begun + SEEN), None);
    // That somebody else knows it does not mean that it is there.
    lease.handle_fence(&fence(7, 2), false, begun + SEEN);
    assert_eq!(lease.coordinator(begun + SEEN), None);
}

#[test]
fn a_member_never_claims_a_term_again_and_goes_on_refusing_after_a_restart() {
    let (mut first, begun) = lease(&[]);
    let claim = first.handle_timeout(true, begun + LISTEN).unwrap();
    let (mut second, begun) = lease(std::slice::from_ref(&claim));
    assert!(!second.holds(begun));
    second.handle_timeout(true, begun + LISTEN);
    assert_eq!(second.highest(), Some(&fence(2, 1)));
    let higher = second.handle_fence(&fence(9, 3), true, begun).unwrap();
    let (third, _) = lease(&[higher]);
    assert_eq!(third.admit(&fence(8, 2)), Err(FencedOff));
}
