#![cfg(test)]
//! The hub signs who belongs to a site; members take the newest and nothing else.

use proptest::prelude::*;

use super::*;

fn key(seed: u8) -> Signer {
    Signer::from_seed("site", &[seed; 32]).unwrap()
}

fn site() -> SiteId {
    "shop-1".parse().unwrap()
}

fn listed(number: u8) -> Listed {
    Listed {
        id: format!("till-{number:03}").parse().unwrap(),
        key: key(number).verifying_key(),
        roles: vec!["till".parse().unwrap()],
        priority: number.into(),
        not_after: 1000,
    }
}

fn roster(epoch: u64) -> Roster {
    Roster {
        site: site(),
        epoch,
        members: (1..=3).map(listed).collect(),
        revoked: vec![Former {
            id: "old".parse().unwrap(),
            key: key(99).verifying_key(),
        }],
    }
}

fn trust() -> Trust {
    let signed = roster(5).signed(&key(200)).unwrap();
    Trust::new(site(), key(200).verifying_key(), signed).unwrap()
}

#[test]
fn a_roster_is_the_same_after_it_was_signed_and_read() {
    let signed = roster(5).signed(&key(200)).unwrap();
    let read = Roster::open(&signed, &site(), &key(200).verifying_key());
    assert_eq!(read, Ok(roster(5)));
}

#[test]
fn a_newer_roster_takes_the_place_of_an_older_one_and_never_the_other_way() {
    let mut trust = trust();
    assert_eq!(trust.adopt(&roster(6).signed(&key(200)).unwrap()), Ok(true));
    assert_eq!(trust.roster().epoch, 6);
    let old = roster(5).signed(&key(200)).unwrap();
    assert_eq!(trust.adopt(&old), Err(RosterError::Old));
    let same = roster(6).signed(&key(200)).unwrap();
    assert_eq!(trust.adopt(&same), Ok(false));
    let mut other = roster(6);
    other.revoked.clear();
    let other = other.signed(&key(200)).unwrap();
    assert_eq!(trust.adopt(&other), Err(RosterError::Twice));
    assert_eq!(trust.roster(), &roster(6));
}

#[test]
fn a_roster_by_another_key_or_of_another_site_is_refused() {
    let mut trust = trust();
    let forged = roster(6).signed(&key(201)).unwrap();
    assert_eq!(trust.adopt(&forged), Err(RosterError::Forged));
    let mut foreign = roster(6);
    foreign.site = "shop-2".parse().unwrap();
    let foreign = foreign.signed(&key(200)).unwrap();
    assert_eq!(trust.adopt(&foreign), Err(RosterError::Foreign));
}

#[test]
fn who_is_expired_revoked_or_unknown_is_not_believed() {
    let roster = roster(5);
    let id = |text: &str| text.parse::<MemberId>().unwrap();
    let first = id("till-001");
    assert_eq!(roster.member(&first, 1000), Ok(&listed(1)));
    assert_eq!(roster.member(&first, 1001), Err(NotBelieved::Expired));
    assert_eq!(roster.member(&id("old"), 0), Err(NotBelieved::Revoked));
    assert_eq!(roster.member(&id("new"), 0), Err(NotBelieved::Unknown));
    assert_eq!(roster.author(&id("old")), Some(&key(99).verifying_key()));
    assert_eq!(roster.author(&id("new")), None);
}

#[test]
fn the_same_name_or_key_twice_and_too_many_are_refused() {
    let refuses = |change: fn(&mut Roster)| {
        let mut roster = roster(5);
        change(&mut roster);
        let refused = roster.signed(&key(200)).unwrap_err();
        // Nor is it read where somebody signs it all the same.
        let text = roster.encoded();
        let signature = key(200).signature_of(&[CONTEXT, &text].concat());
        let signed = [text.as_slice(), &signature].concat();
        let read = Roster::open(&signed, &site(), &key(200).verifying_key());
        assert!(matches!(read, Err(RosterError::Unreadable(_))), "{read:?}");
        refused
    };
    let twice = refuses(|roster| roster.members.insert(1, listed(1)));
    assert_eq!(twice, Unreadable::Order);
    let turned = refuses(|roster| roster.members.reverse());
    assert_eq!(turned, Unreadable::Order);
    let same_key = refuses(|roster| roster.members[1].key = roster.members[0].key);
    assert_eq!(same_key, Unreadable::Order);
    let both = refuses(|roster| roster.revoked[0].id = listed(2).id);
    assert_eq!(both, Unreadable::Order);
    let many = refuses(|roster| roster.members = (1..=65).map(listed).collect());
    assert_eq!(many, Unreadable::TooMuch);
}

#[test]
fn the_longest_roster_is_within_its_bound() {
    let long =
        |letter: char, number: usize| format!("{}{number:03}", letter.to_string().repeat(61));
    let listed = |number: usize| Listed {
        id: long('m', number).parse().unwrap(),
        key: VerifyingKey::from_bytes(&[u8::try_from(number).unwrap(); 32]).unwrap(),
        roles: (0..ROLES_MAX)
            .map(|it| long('r', it).parse().unwrap())
            .collect(),
        priority: 1,
        not_after: 1,
    };
    let former = |number: usize| Former {
        id: long('z', number).parse().unwrap(),
        key: VerifyingKey::from_bytes(&[u8::try_from(number + 100).unwrap(); 32]).unwrap(),
    };
    let roster = Roster {
        site: site(),
        epoch: 1,
        members: (0..MEMBERS_MAX).map(listed).collect(),
        revoked: (0..MEMBERS_MAX).map(former).collect(),
    };
    let signed = roster.signed(&key(200)).unwrap();
    assert!(signed.len() <= ROSTER_MAX_BYTES, "{}", signed.len());
}

proptest! {
    #[test]
    fn a_roster_with_any_byte_changed_is_refused(at in any::<prop::sample::Index>(), by in 1..=255u8) {
        let mut signed = roster(6).signed(&key(200)).unwrap();
        let at = at.index(signed.len());
        signed[at] ^= by;
        prop_assert!(trust().adopt(&signed).is_err());
    }

    #[test]
    fn any_bytes_that_were_signed_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(read) = Roster::decoded(&bytes) {
            prop_assert_eq!(read.encoded(), bytes);
        }
    }
}
