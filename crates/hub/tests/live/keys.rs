//! Two keys make a token, and neither does alone.

use http::StatusCode;
use outgate_core::identity::Actor;
use outgate_core::limits::Attempt;
use serde_json::json;

use crate::Whole;

#[tokio::test(flavor = "multi_thread")]
async fn both_keys_make_a_token_for_look_ups_and_for_nothing_else() {
    let whole = Whole::start().await;
    let token = whole.terminal.token().await;
    let answer = whole.terminal.look_up(&token, "flow/open/a").send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    let twin = format!("{}/device/twin", whole.terminal.hub);
    let answer = whole.terminal.client.get(twin).bearer_auth(&token);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    // Nothing of it is kept.
    for entry in std::fs::read_dir(whole.running.folder.path()).unwrap() {
        let file = entry.unwrap().path();
        let kept = if file.is_file() {
            std::fs::read(&file).unwrap()
        } else {
            Vec::new()
        };
        let mut parts = kept.windows(token.len());
        assert!(!parts.any(|part| part == token.as_bytes()), "{file:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_fleets_key_nobody_gets_to_their_own() {
    let mut whole = Whole::start().await;
    let challenge = whole.terminal.challenge().await;
    whole.terminal.fleet_key[0] ^= 1;
    let answer = whole.terminal.show_fleet_key().await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let (payload, tag) = challenge.split_once('.').unwrap();
    let flipped = if tag.starts_with('A') { 'B' } else { 'A' };
    let made_up = format!("{payload}.{flipped}{}", &tag[1..]);
    for challenge in ["", "a.b", &made_up] {
        let answer = whole.terminal.show_own_key(challenge).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{challenge}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_own_key_a_device_of_the_fleet_gets_no_token() {
    let mut whole = Whole::start().await;
    let challenge = whole.terminal.challenge().await;
    let nothing = json!({ "challenge": challenge });
    let token = format!("{}/live/token", whole.terminal.hub);
    let post = || whole.terminal.client.post(&token).json(&nothing);
    let answer = post().send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    // Nor by what another device shows.
    let other = whole.running.device("T8").await;
    let answer = post().bearer_auth(other).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    whole.terminal.own_key[0] ^= 1;
    let answer = whole.terminal.show_own_key(&challenge).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_own_key_may_be_any_credential_that_it_has() {
    let whole = Whole::start().await;
    let fleet = whole.running.fleet("X*").await;
    let other = whole.running.terminal("X1", &fleet).await;
    let device = "X1".parse().unwrap();
    let identity = &whole.running.core().identity;
    let hub = Actor::hub();
    let issued = identity.add_token(&hub, &device, "t".to_owned(), None);
    let own = crate::site::token(issued.await.unwrap());
    let shown = json!({ "challenge": other.challenge().await });
    let post = other.client.post(format!("{}/live/token", other.hub));
    let answer = post.bearer_auth(own).json(&shown).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_key_is_good_for_its_own_devices_only() {
    let whole = Whole::start().await;
    let fleet = whole.running.fleet("X*").await;
    let mut stranger = whole.running.terminal("Y1", &fleet).await;
    let answer = stranger.show_fleet_key().await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    // Nor does one device's challenge lead to another's token.
    stranger.name = "X9".to_owned();
    let challenge = stranger.challenge().await;
    let answer = stranger.show_own_key(&challenge).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_kind_looks_nothing_up() {
    let whole = Whole::start().await;
    let device = whole.running.device("T8").await;
    let token = whole.terminal.token().await;
    let challenge = format!("og_lookup_{}", whole.terminal.challenge().await);
    let mut changed = token.clone().into_bytes();
    changed[12] ^= 1;
    let changed = String::from_utf8(changed).unwrap();
    for token in [&device, &challenge, &changed] {
        let answer = whole.terminal.look_up(token, "flow/open/a").send().await;
        assert_eq!(
            answer.unwrap().status(),
            StatusCode::UNAUTHORIZED,
            "{token}"
        );
    }
    assert_eq!(whole.vendor.seen.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_loses_the_look_up_that_is_under_way_and_every_other() {
    let whole = Whole::start().await;
    let token = whole.terminal.token().await;
    let held = whole.terminal.look_up(&token, "flow/open/held").send();
    let held = tokio::spawn(held);
    whole.vendor.seen.held.notified().await;
    let identity = &whole.running.core().identity;
    let device = "T7".parse().unwrap();
    let revoked = identity
        .revoke_device(&Actor::hub(), &device)
        .await
        .unwrap();
    assert_eq!(
        (revoked.connections.ended, revoked.connections.lingering),
        (1, 0)
    );
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let asked = whole.vendor.seen.asked();
    let again = whole.terminal.look_up(&token, "flow/open/a").send().await;
    assert_eq!(again.unwrap().status(), StatusCode::UNAUTHORIZED);
    let challenge = whole.terminal.challenge().await;
    let answer = whole.terminal.show_own_key(&challenge).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(whole.vendor.seen.asked(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_fleet_key_takes_its_tokens_with_it() {
    let whole = Whole::start().await;
    let token = whole.terminal.token().await;
    let identity = &whole.running.core().identity;
    let hub = Actor::hub();
    let revoked = identity.revoke_fleet_key(&hub, &whole.terminal.fleet);
    revoked.await.unwrap();
    let answer = whole.terminal.look_up(&token, "flow/open/a").send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::UNAUTHORIZED);
    let answer = whole.terminal.show_fleet_key().await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_is_held_up() {
    let mut whole = Whole::start().await;
    let here = Attempt::new([127, 0, 0, 1].into(), Some("T7"));
    while whole.running.core().failed_logins.count(&here).is_ok() {}
    whole.terminal.fleet_key[0] ^= 1;
    // One may be tried again each 50 ms, so not all of these.
    let guesses = (0..30).map(|_| async {
        let answer = whole.terminal.show_fleet_key().await;
        (answer.status(), answer.text().await.unwrap())
    });
    let guesses = futures_util::future::join_all(guesses).await;
    let held_up = guesses.iter().any(|(status, told)| {
        *status == StatusCode::TOO_MANY_REQUESTS && told.contains("failed logins")
    });
    assert!(held_up, "{guesses:?}");
}
