//! Devices that prove a fleet key.

use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use ring::hmac;

use outgate_core::id::FleetKeyId;
use outgate_core::identity::{
    Claim, CredentialKind, CredentialState, DeviceState, Enrolled, Enrolment, Given, Issued,
    NewFleetKey, enrolment_text,
};
use outgate_core::secret::Secret;
use outgate_core::{Refusal, Timestamp};

use crate::hub::{Hub, id};

pub(crate) struct Fleet {
    pub(crate) hub: Hub,
    key: FleetKeyId,
    secret: Secret,
}

#[tokio::test]
async fn a_new_device_gets_a_key_of_its_own_and_comes_in_with_it() {
    let fleet = Fleet::new().await;
    let Enrolled::Welcome(issued) = fleet.enrol("till-1", 1).await.unwrap() else {
        panic!("a welcome was expected");
    };
    assert!(fleet.comes_in("till-1", &issued).await.is_ok());
    let (identity, till) = (&fleet.hub.core.identity, id("till-1"));
    let device = identity.device(&fleet.hub.admin, &till).await;
    assert_eq!(device.unwrap().site, id("shop"));
}

#[tokio::test]
async fn a_device_that_sends_a_request_gets_a_certificate_for_its_own_key() {
    let fleet = Fleet::new().await;
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default().serialize_request(&key);
    let mut enrolment = fleet.ask("till-1", 1);
    enrolment.request = Some(request.unwrap().pem().unwrap());
    fleet.sign(&mut enrolment);
    let Enrolled::Welcome(issued) = fleet.hub.core.identity.enrol(enrolment).await.unwrap() else {
        panic!("a welcome was expected");
    };
    assert_eq!(issued.credential.kind, CredentialKind::Certificate);
    assert!(matches!(issued.given, Given::Certificate(_)));
}

#[tokio::test]
async fn a_proof_works_once() {
    let fleet = Fleet::new().await;
    let enrolment = fleet.ask("till-1", 1);
    let identity = &fleet.hub.core.identity;
    identity.enrol(enrolment.clone()).await.unwrap();
    let again = identity.enrol(enrolment).await;
    assert!(matches!(again, Err(Refusal::Unauthenticated)));
}

#[tokio::test]
async fn what_the_proof_is_made_over_cannot_be_changed() {
    let fleet = Fleet::new().await;
    let now = fleet.hub.core.clock.now();
    let wrong: [fn(&mut Enrolment, Timestamp); 6] = [
        |enrolment, _| enrolment.device = id("till-2"),
        |enrolment, now| enrolment.at = now.after(Duration::from_secs(1)),
        |enrolment, _| enrolment.nonce.push('x'),
        |enrolment, _| enrolment.request = Some(String::new() + "x"),
        |enrolment, _| enrolment.proof[0] ^= 1,
        |enrolment, _| enrolment.proof.clear(),
    ];
    for (n, change) in wrong.into_iter().enumerate() {
        let mut enrolment = fleet.ask("till-1", n);
        change(&mut enrolment, now);
        let refused = fleet.hub.core.identity.enrol(enrolment).await;
        assert!(matches!(refused, Err(Refusal::Unauthenticated)), "{n}");
    }
}

#[tokio::test]
async fn a_clock_five_minutes_off_is_let_by_and_one_more_is_not() {
    let fleet = Fleet::new().await;
    let now = fleet.hub.core.clock.now();
    let off = Duration::from_secs(300);
    let more = off + Duration::from_millis(1);
    for (n, at, good) in [
        (1, now.after(off), true),
        (2, now.before(off), true),
        (3, now.after(more), false),
        (4, now.before(more), false),
    ] {
        let mut enrolment = fleet.ask(&format!("till-{n}"), n);
        enrolment.at = at;
        fleet.sign(&mut enrolment);
        let outcome = fleet.hub.core.identity.enrol(enrolment).await;
        assert_eq!(outcome.is_ok(), good, "{n}");
    }
}

#[tokio::test]
async fn a_fleet_key_is_good_for_its_names_addresses_number_and_time() {
    let fleet = Fleet::new().await;
    let other_name = fleet.enrol("tap-1", 1).await;
    let mut from_elsewhere = fleet.ask("till-1", 2);
    from_elsewhere.peer = [192, 0, 2, 1].into();
    let from_elsewhere = fleet.hub.core.identity.enrol(from_elsewhere).await;
    for n in 1..=3 {
        fleet.enrol(&format!("till-{n}"), 10 + n).await.unwrap();
    }
    let one_too_many = fleet.enrol("till-4", 20).await;
    fleet.hub.core.clock.advance(Duration::from_secs(86_400));
    let too_late = fleet.enrol("till-1", 21).await;
    for refused in [other_name, from_elsewhere, one_too_many, too_late] {
        assert!(
            matches!(refused, Err(Refusal::Forbidden { .. })),
            "{refused:?}"
        );
    }
    let identity = &fleet.hub.core.identity;
    identity
        .revoke_fleet_key(&fleet.hub.admin, &fleet.key)
        .await
        .unwrap();
    let revoked = fleet.enrol("till-1", 22).await;
    assert!(matches!(revoked, Err(Refusal::Unauthenticated)));
}

#[tokio::test]
async fn a_known_name_waits_for_approval_and_its_old_credential_stays_good_till_then() {
    let fleet = Fleet::new().await;
    let (old, new) = fleet.enrols_twice("till-1").await;
    assert_eq!(new.credential.state, CredentialState::AwaitsApproval);
    let waits = fleet.comes_in("till-1", &new).await;
    assert!(matches!(waits, Err(Refusal::AwaitsApproval)));
    fleet.comes_in("till-1", &old).await.unwrap();
    let (identity, till) = (&fleet.hub.core.identity, id("till-1"));
    let device = identity.approve_device(&fleet.hub.admin, &till).await;
    assert_eq!(device.unwrap().state, DeviceState::Active);
    fleet.comes_in("till-1", &new).await.unwrap();
    assert!(fleet.comes_in("till-1", &old).await.is_err());
}

#[tokio::test]
async fn who_is_turned_away_leaves_everything_as_it_was() {
    let fleet = Fleet::new().await;
    let (old, new) = fleet.enrols_twice("till-1").await;
    let (identity, till) = (&fleet.hub.core.identity, id("till-1"));
    identity
        .revoke_credential(&fleet.hub.admin, &till, &new.credential.id)
        .await
        .unwrap();
    let device = identity.device(&fleet.hub.admin, &till).await.unwrap();
    assert_eq!(device.state, DeviceState::Active);
    fleet.comes_in("till-1", &old).await.unwrap();
    assert!(fleet.comes_in("till-1", &new).await.is_err());
}

#[tokio::test]
async fn a_device_that_lost_the_answer_may_ask_again_as_long_as_nobody_used_it() {
    let fleet = Fleet::new().await;
    let Enrolled::Welcome(lost) = fleet.enrol("till-1", 1).await.unwrap() else {
        panic!("a welcome was expected");
    };
    let hasty = fleet.enrol("till-1", 2).await;
    assert!(matches!(hasty, Err(Refusal::Limited { .. })));
    fleet.hub.core.clock.advance(Duration::from_secs(11));
    let Enrolled::Welcome(again) = fleet.enrol("till-1", 3).await.unwrap() else {
        panic!("a welcome was expected");
    };
    assert!(fleet.comes_in("till-1", &lost).await.is_err());
    fleet.comes_in("till-1", &again).await.unwrap();
    fleet.hub.core.clock.advance(Duration::from_secs(11));
    let used = fleet.enrol("till-1", 4).await.unwrap();
    assert!(matches!(used, Enrolled::AwaitsApproval(_)));
}

#[tokio::test]
async fn a_revoked_device_does_not_enrol_itself_in_again() {
    let fleet = Fleet::new().await;
    fleet.enrol("till-1", 1).await.unwrap();
    let identity = &fleet.hub.core.identity;
    identity
        .revoke_device(&fleet.hub.admin, &id("till-1"))
        .await
        .unwrap();
    fleet.hub.core.clock.advance(Duration::from_secs(60));
    let refused = fleet.enrol("till-1", 2).await;
    assert!(matches!(refused, Err(Refusal::Revoked)));
}

#[tokio::test]
async fn who_guesses_proofs_is_soon_made_to_wait_and_keeps_nobody_out() {
    let fleet = Fleet::new().await;
    let mut last = None;
    for n in 0..12 {
        let mut guess = fleet.ask("till-1", n);
        guess.proof = vec![0; 32];
        last = fleet.hub.core.identity.enrol(guess).await.err();
    }
    assert!(matches!(last, Some(Refusal::Limited { .. })), "{last:?}");
    // Behind the same address: another device, and the one that was guessed at.
    fleet.enrol("till-2", 50).await.unwrap();
    fleet.enrol("till-1", 51).await.unwrap();
}

#[tokio::test]
async fn a_device_with_the_key_that_is_refused_again_and_again_waits_alone() {
    let fleet = Fleet::new().await;
    let mut last = None;
    for n in 0..12 {
        last = fleet.enrol("tap-1", n).await.err();
    }
    assert!(matches!(last, Some(Refusal::Limited { .. })), "{last:?}");
    fleet.enrol("till-1", 50).await.unwrap();
}

impl Fleet {
    pub(crate) async fn new() -> Self {
        let hub = Hub::new();
        hub.add_site("shop").await;
        let new = NewFleetKey {
            site: id("shop"),
            ids: "till-*".to_owned(),
            uses: 3,
            lasts: Duration::from_secs(3_600),
            from: vec!["10.0.0.0/8".parse().unwrap()],
            key: None,
        };
        let made = hub.core.identity.create_fleet_key(&hub.admin, new).await;
        let (key, secret) = made.unwrap();
        Self {
            hub,
            key: key.id,
            secret,
        }
    }

    /// What a device got that was welcome and came in, and what it got when it enrolled again.
    async fn enrols_twice(&self, device: &str) -> (Issued, Issued) {
        let Enrolled::Welcome(old) = self.enrol(device, 1).await.unwrap() else {
            panic!("a welcome was expected");
        };
        self.comes_in(device, &old).await.unwrap();
        self.hub.core.clock.advance(Duration::from_secs(11));
        let Enrolled::AwaitsApproval(new) = self.enrol(device, 2).await.unwrap() else {
            panic!("a wait was expected");
        };
        (*old, *new)
    }

    /// What a device of that name would send, signed.
    fn ask(&self, device: &str, nonce: usize) -> Enrolment {
        let mut enrolment = Enrolment {
            fleet_key: self.key.clone(),
            device: id(device),
            at: self.hub.core.clock.now(),
            nonce: format!("{nonce:016}"),
            proof: Vec::new(),
            request: None,
            peer: [10, 0, 0, 1].into(),
        };
        self.sign(&mut enrolment);
        enrolment
    }

    fn sign(&self, enrolment: &mut Enrolment) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.expose());
        let text = enrolment_text(
            &enrolment.device,
            enrolment.at,
            &enrolment.nonce,
            enrolment.request.as_deref(),
        );
        enrolment.proof = hmac::sign(&key, text.as_bytes()).as_ref().to_vec();
    }

    pub(crate) async fn enrol(&self, device: &str, nonce: usize) -> Result<Enrolled, Refusal> {
        let enrolment = self.ask(device, nonce);
        self.hub.core.identity.enrol(enrolment).await
    }

    pub(crate) async fn comes_in(&self, device: &str, issued: &Issued) -> Result<(), Refusal> {
        let Given::Key(key) = &issued.given else {
            panic!("a key was expected");
        };
        let (device, key) = (id(device), Secret::new(key.to_base64().as_bytes().to_vec()));
        let claim = Claim::Key {
            device: &device,
            key: &key,
        };
        let who = self.hub.core.identity.authenticate(claim).await?;
        self.hub.open(&who).await.map(|_| ())
    }
}
