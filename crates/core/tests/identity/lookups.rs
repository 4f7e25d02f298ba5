//! Tokens for look-ups: how long they hold, and what takes them away.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use outgate_core::id::{CredentialId, DeviceId, FleetKeyId};
use outgate_core::identity::{
    Actor, CHALLENGE_LASTS, Claim, FleetProof, Given, Identified, LookupToken, MAX_LOOKUP_LIFE,
    MAX_SKEW, NewFleetKey, fleet_text, own_text,
};
use outgate_core::secret::Secret;
use outgate_core::{Core, Refusal};
use ring::hmac;

use crate::hub::{Hub, id};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A terminal with its fleet's key and its own.
struct Terminal {
    hub: Hub,
    fleet: FleetKeyId,
    fleet_key: Secret,
    device: DeviceId,
    credential: CredentialId,
    own: Secret,
}

impl Terminal {
    async fn new() -> Self {
        let hub = Hub::with_device("shop", "till-1").await;
        let new = NewFleetKey {
            site: id("shop"),
            ids: "till-*".to_owned(),
            uses: 1,
            lasts: DAY,
            from: vec!["127.0.0.0/8".parse().unwrap()],
            key: None,
        };
        let identity = &hub.core.identity;
        let made = identity.create_fleet_key(&Actor::hub(), new).await;
        let (fleet, fleet_key) = made.unwrap();
        let device = id("till-1");
        let [primary, _] = identity.add_keys(&Actor::hub(), &device).await.unwrap();
        let Given::Key(own) = primary.given else {
            panic!("a key was expected");
        };
        Self {
            fleet: fleet.id,
            fleet_key,
            device,
            credential: primary.credential.id,
            own,
            hub,
        }
    }

    fn core(&self) -> &Core {
        &self.hub.core
    }

    fn fleet_proof(&self) -> FleetProof {
        let at = self.core().clock.now();
        FleetProof {
            fleet_key: self.fleet.clone(),
            device: self.device.clone(),
            at,
            proof: signed(&self.fleet_key, &fleet_text(&self.device, at)),
            peer: HERE,
        }
    }

    async fn challenge(&self) -> Secret {
        let begun = self.core().identity.begin_lookups(self.fleet_proof());
        begun.await.unwrap()
    }

    async fn token_for(&self, challenge: &Secret, lasts: Duration) -> Result<LookupToken, Refusal> {
        let identity = &self.core().identity;
        let device = identity.challenged(challenge)?;
        let text = own_text(str::from_utf8(challenge.expose()).unwrap());
        let proof = signed(&self.own, &text);
        let claim = Claim::Signed {
            device: &device,
            text: text.as_bytes(),
            signature: &proof,
            until: self.core().clock.now().after(DAY),
        };
        let own = identity.authenticate(claim).await?;
        identity.lookup_token(challenge, &own, lasts, HERE).await
    }

    async fn token(&self) -> Secret {
        let token = self.token_for(&self.challenge().await, 10 * MINUTE).await;
        token.unwrap().token
    }

    async fn shows(&self, token: &Secret) -> Result<Identified, Refusal> {
        let claim = Claim::Lookup { token };
        self.core().identity.authenticate(claim).await
    }
}

fn signed(key: &Secret, text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

#[tokio::test]
async fn a_token_makes_its_device_known_until_its_time_is_over() {
    let terminal = Terminal::new().await;
    let token = terminal.token().await;
    for _ in 0..2 {
        let who = terminal.shows(&token).await.unwrap();
        assert!(who.principal.is_device(&terminal.device));
        assert_eq!(who.credential, terminal.credential);
    }
    terminal.core().clock.advance(10 * MINUTE);
    let over = terminal.shows(&token).await;
    assert!(matches!(over, Err(Refusal::Unauthenticated)), "{over:?}");
}

#[tokio::test]
async fn a_token_is_no_token_anywhere_else() {
    let terminal = Terminal::new().await;
    let token = &terminal.token().await;
    let claim = Claim::Token {
        token,
        device: None,
    };
    let elsewhere = terminal.core().identity.authenticate(claim).await;
    assert!(matches!(elsewhere, Err(Refusal::Unauthenticated)));
}

#[tokio::test]
async fn a_challenge_is_good_for_a_minute_and_is_no_token() {
    let terminal = Terminal::new().await;
    let challenge = terminal.challenge().await;
    let as_token = Secret::new([b"og_lookup_", challenge.expose()].concat());
    let shown = terminal.shows(&as_token).await;
    assert!(matches!(shown, Err(Refusal::Unauthenticated)));
    terminal.core().clock.advance(CHALLENGE_LASTS);
    let late = terminal.token_for(&challenge, MINUTE).await;
    assert!(matches!(late, Err(Refusal::Unauthenticated)));
}

#[tokio::test]
async fn a_life_out_of_bounds_is_refused() {
    let terminal = Terminal::new().await;
    let challenge = terminal.challenge().await;
    for lasts in [Duration::ZERO, MAX_LOOKUP_LIFE + MINUTE] {
        let token = terminal.token_for(&challenge, lasts).await;
        assert!(matches!(token, Err(Refusal::Invalid { .. })), "{lasts:?}");
    }
}

#[tokio::test]
async fn what_the_fleets_key_has_not_signed_here_and_now_is_no_good() {
    let terminal = Terminal::new().await;
    let identity = &terminal.core().identity;
    let right = terminal.fleet_proof();
    let mut old = right.clone();
    old.at = old.at.before(MAX_SKEW + MINUTE);
    old.proof = signed(&terminal.fleet_key, &fleet_text(&old.device, old.at));
    let mut other = right.clone();
    other.device = id("till-2");
    let mut unknown = right.clone();
    unknown.fleet_key = id("fk-0000000000000000000a");
    for wrong in [old, other, unknown] {
        let begun = identity.begin_lookups(wrong).await;
        assert!(matches!(begun, Err(Refusal::Unauthenticated)), "{begun:?}");
    }
    let mut elsewhere = right;
    elsewhere.peer = [192, 0, 2, 1].into();
    let begun = identity.begin_lookups(elsewhere).await;
    assert!(matches!(begun, Err(Refusal::Forbidden { .. })));
}

#[tokio::test]
async fn whatever_a_token_was_got_by_takes_it_along_when_it_goes() {
    type Act = fn(&Terminal) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>>;
    let acts: [(&str, Act); 4] = [
        ("the device", |its| {
            Box::pin(async {
                let identity = &its.core().identity;
                identity
                    .revoke_device(&Actor::hub(), &its.device)
                    .await
                    .unwrap();
            })
        }),
        ("its key", |its| {
            Box::pin(async {
                let identity = &its.core().identity;
                let revoked =
                    identity.revoke_credential(&its.hub.admin, &its.device, &its.credential);
                revoked.await.unwrap();
            })
        }),
        ("its site", |its| {
            Box::pin(async {
                let identity = &its.core().identity;
                identity
                    .revoke_site(&Actor::hub(), &id("shop"))
                    .await
                    .unwrap();
            })
        }),
        ("the fleet's key", |its| {
            Box::pin(async {
                let identity = &its.core().identity;
                identity
                    .revoke_fleet_key(&Actor::hub(), &its.fleet)
                    .await
                    .unwrap();
            })
        }),
    ];
    for (what, act) in acts {
        let terminal = Terminal::new().await;
        let token = terminal.token().await;
        terminal.shows(&token).await.unwrap();
        act(&terminal).await;
        let shown = terminal.shows(&token).await;
        assert!(shown.is_err(), "{what}");
    }
}

#[tokio::test]
async fn a_token_ends_with_the_fleets_key_though_it_was_to_last_longer() {
    let terminal = Terminal::new().await;
    terminal.core().clock.advance(DAY - MINUTE);
    let challenge = terminal.challenge().await;
    let token = terminal.token_for(&challenge, 10 * MINUTE).await.unwrap();
    assert_eq!(token.expires, terminal.core().clock.now().after(MINUTE));
    terminal.shows(&token.token).await.unwrap();
    terminal.core().clock.advance(MINUTE);
    assert!(terminal.shows(&token.token).await.is_err());
}
