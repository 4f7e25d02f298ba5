//! Whoever is on the local network may send a roster, and a member whose key was stolen anything.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Instant;

use outgate_neighbours::{
    Identity, Listed, Member, MemberId, Message, Moment, Output, Roster, SEAL_BYTES,
    SEAL_NONCE_BYTES, Seal, SiteId, Unreadable,
};
use outgate_signed_http::{KeyError, Signer};
use outgate_wire::agent::{HandedOn, Passed, Relayed};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads `data` as a signed roster, and as one that the site's key signed indeed.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, a roster that nobody can have signed,
/// or one that is not the same when it is written anew.
pub fn neighbours_roster(data: &[u8]) {
    let (Ok(site), Ok(key)) = ("shop-1".parse::<SiteId>(), signer(1)) else {
        return;
    };
    let public = key.verifying_key();
    assert!(Roster::open(data, &site, &public).is_err());
    let signature = key.signature_of(&[b"outgate-neighbours roster 1\0", data].concat());
    let signed = [data, &signature].concat();
    if let Ok(roster) = Roster::open(&signed, &site, &public) {
        assert_eq!(roster.signed(&key).ok(), Some(signed));
    }
}

/// Hands `data` to a member as a message of another one.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, a message that is not the same when it
/// is written anew, or more to be done than one message may bring about.
pub fn neighbours_message(data: &[u8]) {
    let Ok(message) = Message::from_bytes(data) else {
        return;
    };
    assert_eq!(message.to_bytes(), data);
    let now = Moment {
        instant: Instant::now(),
        wall: 1_800_000_000_000,
    };
    let Some(mut member) = member(now) else {
        return;
    };
    let Ok(other) = "till-2".parse::<MemberId>() else {
        return;
    };
    while member.poll_output().is_some() {}
    for _ in 0..2 {
        member.handle_message(&other, message.clone(), now);
        let outputs: Vec<Output> = std::iter::from_fn(|| member.poll_output()).collect();
        assert!(outputs.len() <= 3, "{outputs:?}");
    }
}

/// Reads `data` as what a member has another hand on to the hub, and as what is in it once that is
/// opened: what the member says, and what the hub answers.
///
/// # Panics
///
/// When a promise of the crates is broken: a panic of its own, something that nobody can have sealed,
/// or that is not the same when it is written anew.
pub fn neighbours_relayed(data: &[u8]) {
    same_again::<Relayed>(data);
    same_again::<Passed>(data);
    same_again::<HandedOn>(data);
    let Some(seal) = Seal::new("shop-1", "till-1", &[7; SEAL_BYTES]) else {
        return;
    };
    assert!(seal.asked(data).is_none());
    assert!(seal.answered(b"asked", data).is_none());
    let nonce = [9; SEAL_NONCE_BYTES];
    let Some(sealed) = seal.ask(nonce, data) else {
        return;
    };
    assert_eq!(seal.asked(&sealed).as_deref(), Some(data));
    assert!(seal.answered(data, &sealed).is_none());
    let answer = seal.answer(nonce, &sealed, data);
    let opened = answer.and_then(|answer| seal.answered(&sealed, &answer));
    assert_eq!(opened.as_deref(), Some(data));
}

/// What can be read is the same after it was written.
fn same_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) {
    if let Ok(read) = serde_json::from_slice::<T>(data) {
        let again = serde_json::to_vec(&read).and_then(|text| serde_json::from_slice(&text));
        assert_eq!(again.ok(), Some(read));
    }
}

fn member(now: Moment) -> Option<Member> {
    let listed = |number: u8| -> Option<Listed> {
        Some(Listed {
            id: format!("till-{number}").parse().ok()?,
            key: signer(number).ok()?.verifying_key(),
            roles: Vec::new(),
            priority: 1,
            not_after: u64::MAX,
        })
    };
    let site: SiteId = "shop-1".parse().ok()?;
    let roster = Roster {
        site: site.clone(),
        epoch: 1,
        members: vec![listed(1)?, listed(2)?],
        revoked: Vec::new(),
    };
    let site_key = signer(200).ok()?;
    let signed: Result<Vec<u8>, Unreadable> = roster.signed(&site_key);
    let identity = Identity {
        site,
        site_key: site_key.verifying_key(),
        id: "till-1".parse().ok()?,
        signer: signer(1).ok()?,
    };
    Member::begin(identity, &signed.ok()?, &BTreeMap::new(), now).ok()
}

fn signer(seed: u8) -> Result<Signer, KeyError> {
    Signer::from_seed("key", &[seed; 32])
}
