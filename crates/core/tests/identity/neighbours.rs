//! Which devices of a site know each other.

use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::identity::{Actor, KEY_EVERY, Neighbour, Place, ROSTER_LASTS, Scope};
use outgate_core::sessions::{Session, Signal};
use outgate_neighbours::{MEMBERS_MAX, NotBelieved, Roster, Seal, prove_key, sign_relayed};
use outgate_signed_http::{Signer, VerifyingKey};

use crate::hub::{Hub, id};

fn signer(seed: u8) -> Signer {
    Signer::from_seed("", &[seed; 32]).unwrap()
}

async fn session(hub: &Hub, device: &str) -> Session {
    let token = hub.device_token(device).await;
    let who = hub.token(&token).await.unwrap();
    hub.open(&who).await.unwrap()
}

/// What the session is told already.
async fn heard(session: &Session) -> Option<Signal> {
    tokio::time::timeout(Duration::ZERO, session.signal())
        .await
        .ok()
}

/// Shows a key with its proof, as a device of the site `shop` of this name would.
async fn show(hub: &Hub, by: &Session, device: &str, seed: u8) -> Result<Neighbour, Refusal> {
    let key = signer(seed);
    let proof = prove_key("shop", device, &key).to_vec();
    let public = *key.verifying_key().as_bytes();
    let identity = &hub.core.identity;
    identity.set_neighbour_key(by.pass(), public, proof).await
}

async fn standing(hub: &Hub, by: &Session) -> Neighbour {
    hub.core.identity.neighbour(by.pass()).await.unwrap()
}

fn open(site: &str, place: &Place) -> Roster {
    let key = VerifyingKey::from_bytes(&place.site_key).unwrap();
    Roster::open(&place.roster, &site.parse().unwrap(), &key).unwrap()
}

async fn roster(hub: &Hub, by: &Session) -> Roster {
    open("shop", &standing(hub, by).await.place.unwrap())
}

fn names(roster: &Roster) -> (Vec<&str>, Vec<&str>) {
    let members = roster.members.iter().map(|one| one.id.as_str());
    let revoked = roster.revoked.iter().map(|one| one.id.as_str());
    (members.collect(), revoked.collect())
}

/// A hub with two tills at one site that know each other.
async fn two() -> (Hub, [Session; 2]) {
    let hub = Hub::with_device("shop", "till-1").await;
    hub.add_device("shop", "till-2").await;
    let sessions = [session(&hub, "till-1").await, session(&hub, "till-2").await];
    show(&hub, &sessions[0], "till-1", 1).await.unwrap();
    show(&hub, &sessions[1], "till-2", 2).await.unwrap();
    (hub, sessions)
}

#[tokio::test]
async fn devices_of_a_site_that_have_shown_a_key_are_in_its_roster_and_are_told_of_it() {
    let hub = Hub::with_device("shop", "till-1").await;
    hub.add_device("shop", "till-2").await;
    let [one, two] = [session(&hub, "till-1").await, session(&hub, "till-2").await];
    assert!(standing(&hub, &one).await.place.is_none());
    let first = show(&hub, &one, "till-1", 1).await.unwrap().place.unwrap();
    assert_eq!(names(&open("shop", &first)), (vec!["till-1"], vec![]));
    assert!(matches!(one.signal().await, Signal::Roster));
    assert!(matches!(two.signal().await, Signal::Roster));
    show(&hub, &two, "till-2", 2).await.unwrap();
    assert!(matches!(one.signal().await, Signal::Roster));
    let both = roster(&hub, &one).await;
    assert_eq!(names(&both), (vec!["till-1", "till-2"], vec![]));
    assert!(both.epoch > open("shop", &first).epoch);
    assert_eq!(both.members[1].key, signer(2).verifying_key());
    // The same again is nothing new.
    let again = show(&hub, &two, "till-2", 2).await.unwrap().place.unwrap();
    assert_eq!(open("shop", &again), both);
}

#[tokio::test]
async fn nobody_is_known_by_a_key_that_is_not_proved_or_is_anothers() {
    let (hub, [one, two]) = two().await;
    let before = roster(&hub, &one).await;
    let forbidden = |shown| matches!(shown, Err(Refusal::Forbidden { .. }));
    assert!(
        forbidden(show(&hub, &one, "till-2", 1).await),
        "of another's name"
    );
    assert!(
        forbidden(show(&hub, &one, "till-1", 2).await),
        "another's key"
    );
    let mut proof = prove_key("shop", "till-1", &signer(3)).to_vec();
    proof[0] ^= 1;
    let public = *signer(3).verifying_key().as_bytes();
    let identity = &hub.core.identity;
    assert!(forbidden(
        identity.set_neighbour_key(one.pass(), public, proof).await
    ));
    // A key that somebody had before is theirs, too.
    hub.core.clock.advance(KEY_EVERY);
    show(&hub, &two, "till-2", 4).await.unwrap();
    assert!(forbidden(show(&hub, &one, "till-1", 2).await));
    let after = roster(&hub, &one).await;
    assert_eq!(after.members[0], {
        let mut same = before.members[0].clone();
        same.not_after = after.members[0].not_after;
        same
    });
}

#[tokio::test]
async fn whom_the_hub_revokes_is_out_of_the_roster_when_that_returns_and_comes_back_when_restored()
{
    let (hub, [one, two]) = two().await;
    let before = roster(&hub, &one).await;
    while heard(&one).await.is_some() {}
    let till = id("till-2");
    let identity = &hub.core.identity;
    drop(two);
    identity.revoke_device(&hub.admin, &till).await.unwrap();
    assert!(matches!(heard(&one).await, Some(Signal::Roster)));
    let after = roster(&hub, &one).await;
    assert_eq!(names(&after), (vec!["till-1"], vec!["till-2"]));
    assert!(after.epoch > before.epoch);
    let refused = after.member(&"till-2".parse().unwrap(), 0);
    assert_eq!(refused, Err(NotBelieved::Revoked));
    identity.restore_device(&hub.admin, &till).await.unwrap();
    let back = roster(&hub, &one).await;
    assert_eq!(names(&back), (vec!["till-1", "till-2"], vec![]));
    assert!(back.epoch > after.epoch);
}

#[tokio::test]
async fn who_comes_with_another_key_comes_under_another_name_and_not_too_often() {
    let (hub, [one, _two]) = two().await;
    let soon = show(&hub, &one, "till-1", 3).await;
    assert!(matches!(soon, Err(Refusal::Limited { .. })), "{soon:?}");
    hub.core.clock.advance(KEY_EVERY);
    let place = show(&hub, &one, "till-1", 3).await.unwrap().place.unwrap();
    assert_eq!(place.name, "till-1/2");
    let known = open("shop", &place);
    assert_eq!(names(&known), (vec!["till-1/2", "till-2"], vec!["till-1"]));
    // With the key that it had it has the name that it had.
    hub.core.clock.advance(KEY_EVERY);
    let place = show(&hub, &one, "till-1", 1).await.unwrap().place.unwrap();
    assert_eq!(place.name, "till-1");
    let known = open("shop", &place);
    assert_eq!(names(&known), (vec!["till-1", "till-2"], vec!["till-1/2"]));
}

#[tokio::test]
async fn a_site_has_room_for_as_many_as_may_come_in_and_whom_it_revoked_makes_room() {
    let hub = Hub::with_device("shop", "till-1").await;
    let mut sessions = Vec::new();
    for number in 1..=MEMBERS_MAX + 2 {
        let name = format!("till-{number}");
        if number > 1 {
            hub.add_device("shop", &name).await;
        }
        sessions.push(session(&hub, &name).await);
    }
    let known = async |number: usize| {
        let (by, seed) = (&sessions[number - 1], u8::try_from(number).unwrap());
        show(&hub, by, &format!("till-{number}"), seed).await
    };
    for number in 1..=MEMBERS_MAX {
        known(number).await.unwrap();
    }
    let one_more = known(MEMBERS_MAX + 1).await;
    assert!(
        matches!(one_more, Err(Refusal::TooMany { .. })),
        "{one_more:?}"
    );
    let identity = &hub.core.identity;
    let third = id("till-3");
    identity.revoke_device(&hub.admin, &third).await.unwrap();
    known(MEMBERS_MAX + 1).await.unwrap();
    let all = roster(&hub, &sessions[0]).await;
    assert_eq!(
        (all.members.len(), names(&all).1),
        (MEMBERS_MAX, vec!["till-3"])
    );
    let one_more = known(MEMBERS_MAX + 2).await;
    assert!(
        matches!(one_more, Err(Refusal::TooMany { .. })),
        "{one_more:?}"
    );
    // Who is restored comes in again, and asks for a place like everybody else.
    identity.restore_device(&hub.admin, &third).await.unwrap();
    assert_eq!(roster(&hub, &sessions[0]).await.members.len(), MEMBERS_MAX);
    hub.core.clock.advance(KEY_EVERY);
    let again = session(&hub, "till-3").await;
    assert!(standing(&hub, &again).await.place.is_none());
    let full = show(&hub, &again, "till-3", 3).await;
    assert!(matches!(full, Err(Refusal::TooMany { .. })), "{full:?}");
    let second = id("till-2");
    identity.revoke_device(&hub.admin, &second).await.unwrap();
    let place = show(&hub, &again, "till-3", 3)
        .await
        .unwrap()
        .place
        .unwrap();
    assert_eq!(place.name, "till-3");
}

#[tokio::test]
async fn a_device_and_an_operator_are_told_of_their_own_site_only() {
    let (hub, [one, _two]) = two().await;
    hub.add_site("bar").await;
    hub.add_device("bar", "till-9").await;
    let other = session(&hub, "till-9").await;
    let found = standing(&hub, &other).await;
    assert_eq!((found.site, found.place.is_none()), (id("bar"), true));
    // By a proof for another site nobody gets in anywhere.
    let shown = show(&hub, &other, "till-9", 9).await;
    assert!(matches!(shown, Err(Refusal::Forbidden { .. })), "{shown:?}");
    let key = signer(9);
    let proof = prove_key("bar", "till-9", &key).to_vec();
    let public = *key.verifying_key().as_bytes();
    let identity = &hub.core.identity;
    let set = identity
        .set_neighbour_key(other.pass(), public, proof)
        .await;
    let theirs = set.unwrap().place.unwrap();
    assert_eq!(names(&open("bar", &theirs)), (vec!["till-9"], vec![]));
    let ours = standing(&hub, &one).await.place.unwrap();
    assert_ne!(ours.site_key, theirs.site_key);
    assert_eq!(
        names(&open("shop", &ours)),
        (vec!["till-1", "till-2"], vec![])
    );

    let of_bar = Actor {
        scope: Scope::Site(id("bar")),
        ..hub.admin.clone()
    };
    let refused = identity.roster(&of_bar, &id("shop")).await;
    assert!(matches!(refused, Err(Refusal::NotFound { .. })));
    let told = identity.roster(&hub.admin, &id("shop")).await.unwrap();
    assert_eq!((told.members.len(), told.key), (2, Some(ours.site_key)));
    assert_eq!(told.epoch, open("shop", &ours).epoch);
}

#[tokio::test]
async fn a_roster_is_made_anew_long_before_its_end_and_the_key_outlives_a_restart() {
    let (hub, sessions) = two().await;
    let before = standing(&hub, &sessions[0]).await.place.unwrap();
    hub.core.clock.advance(Duration::from_secs(86_400));
    let same = standing(&hub, &sessions[0]).await.place.unwrap();
    assert_eq!(same.roster, before.roster);
    drop(sessions);
    let hub = hub.restarted();
    hub.core.clock.advance(ROSTER_LASTS / 2);
    let session = session(&hub, "till-1").await;
    let after = standing(&hub, &session).await.place.unwrap();
    assert_eq!(after.site_key, before.site_key);
    let (before, after) = (open("shop", &before), open("shop", &after));
    assert!(after.epoch > before.epoch);
    assert!(after.members[0].not_after > before.members[0].not_after);
}

#[tokio::test]
async fn what_a_device_says_through_another_is_its_own_and_unread_and_counts_once() {
    let (hub, [one, two]) = two().await;
    let place = standing(&hub, &two).await.place.unwrap();
    let seal = Seal::new("shop", "till-2", place.seal.expose()).unwrap();
    let sealed = seal.ask([1; 12], b"sold").unwrap();
    let identity = &hub.core.identity;
    let hand_on = async |by: &Session, name: &str, sealed: &[u8], key: u8| {
        let signature = sign_relayed(sealed, &signer(key)).to_vec();
        let name = name.to_owned();
        identity
            .relayed(by.pass(), name, sealed.to_vec(), signature)
            .await
    };
    let relayed = hand_on(&one, "till-2", &sealed, 2).await.unwrap();
    assert_eq!(relayed.said, b"sold");
    let answer = relayed.answer(b"kept").unwrap();
    assert_eq!(seal.answered(&sealed, &answer).unwrap(), b"kept");
    assert_eq!(identity.count_relayed(&relayed, 7).await.unwrap(), Ok(()));
    assert_eq!(identity.count_relayed(&relayed, 7).await.unwrap(), Err(7));
    assert_eq!(identity.count_relayed(&relayed, 8).await.unwrap(), Ok(()));
    let pass = hub
        .core
        .stand_in(&relayed.credential, "relay")
        .await
        .unwrap();
    assert_eq!(pass.device().unwrap(), &id("till-2"));

    let forbidden = |handed| matches!(handed, Err(Refusal::Forbidden { .. }));
    assert!(
        forbidden(hand_on(&one, "till-2", &sealed, 1).await),
        "not its signature"
    );
    assert!(
        forbidden(hand_on(&one, "till-1", &sealed, 1).await),
        "not its secret"
    );
    assert!(
        forbidden(hand_on(&one, "till-9", &sealed, 2).await),
        "nobody"
    );
    hub.add_site("bar").await;
    hub.add_device("bar", "till-9").await;
    let elsewhere = session(&hub, "till-9").await;
    assert!(
        forbidden(hand_on(&elsewhere, "till-2", &sealed, 2).await),
        "of another site"
    );
    drop(two);
    identity
        .revoke_device(&hub.admin, &id("till-2"))
        .await
        .unwrap();
    assert!(
        forbidden(hand_on(&one, "till-2", &sealed, 2).await),
        "revoked"
    );
    assert!(matches!(pass.check(), Err(Refusal::Revoked)));
}
