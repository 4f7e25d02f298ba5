//! Devices that show a certificate.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use outgate_core::Refusal;
use outgate_core::identity::{
    Claim, CredentialState, Given, Identified, Issued, MAX_CREDENTIALS, Principal, SiteAuthority,
};
use outgate_core::sessions::Ending;

use crate::hub::{Hub, id};

const DAY: Duration = Duration::from_secs(86_400);

/// A customer's authority.
pub(crate) struct Customer {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

#[tokio::test]
async fn a_certificate_of_the_hub_lets_its_device_in_until_it_ends_or_is_revoked() {
    let hub = Hub::with_device("shop", "till-1").await;
    let chain = hub_certificate(&hub, "till-1", 30 * DAY).await;
    let who = show(&hub, &chain, None).await.unwrap();
    hub.open(&who).await.unwrap();
    hub.core.clock.advance(30 * DAY);
    let late = show(&hub, &chain, None).await;
    assert!(matches!(late, Err(Refusal::Unauthenticated)));
    let chain = hub_certificate(&hub, "till-1", 30 * DAY).await;
    let who = show(&hub, &chain, None).await.unwrap();
    hub.core
        .identity
        .revoke_credential(&hub.admin, &id("till-1"), &who.credential)
        .await
        .unwrap();
    let revoked = show(&hub, &chain, None).await;
    assert!(matches!(revoked, Err(Refusal::Revoked)));
}

#[tokio::test]
async fn another_hubs_certificate_lets_nobody_in() {
    let [ours, theirs] = [
        Hub::with_device("shop", "till-1").await,
        Hub::with_device("shop", "till-1").await,
    ];
    let chain = hub_certificate(&theirs, "till-1", DAY).await;
    let refused = show(&ours, &chain, Some("till-1")).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
}

#[tokio::test]
async fn a_rotated_certificate_takes_over_once_it_has_been_shown() {
    let hub = Hub::with_device("shop", "till-1").await;
    let old = hub_certificate(&hub, "till-1", 30 * DAY).await;
    let before = show(&hub, &old, None).await.unwrap();
    let (identity, till) = (&hub.core.identity, id("till-1"));
    let none = identity.rotate(&hub.admin, &till, &before.credential, None, DAY);
    assert!(matches!(none.await, Err(Refusal::Invalid { .. })));
    let request = request();
    let issued = identity
        .rotate(&hub.admin, &till, &before.credential, Some(&request), DAY)
        .await
        .unwrap();
    let Given::Certificate(pem) = issued.given else {
        panic!("a certificate was expected");
    };
    hub.open(&show(&hub, &ders(&pem), None).await.unwrap())
        .await
        .unwrap();
    hub.open(&show(&hub, &old, None).await.unwrap())
        .await
        .unwrap();
    hub.core.clock.advance(DAY);
    assert!(show(&hub, &old, None).await.is_err());
    let states: Vec<_> = identity
        .credentials(&hub.admin, &till)
        .await
        .unwrap()
        .iter()
        .map(|credential| credential.state)
        .collect();
    assert_eq!(states, [CredentialState::Retiring, CredentialState::Active]);
}

#[tokio::test]
async fn a_pinned_certificate_is_its_devices_whoever_signed_it() {
    let hub = Hub::with_device("shop", "till-1").await;
    let chain = Customer::new(&hub).leaf(&hub, "anything", true);
    pin(&hub, "till-1", &chain).await.unwrap();
    let who = show(&hub, &chain, None).await.unwrap();
    hub.open(&who).await.unwrap();
    assert!(who.expires.is_some(), "its own dates hold");
    let twice = pin(&hub, "till-1", &chain).await;
    assert!(matches!(twice, Err(Refusal::Exists { .. })));
}

#[tokio::test]
async fn pinning_another_sites_certificate_takes_none_of_its_devices() {
    let hub = with_another_site().await;
    let (customer, _) = Customer::registered(&hub).await;
    let vouched = customer.leaf(&hub, "till-1", true);
    show(&hub, &vouched, None).await.unwrap();
    let ours = hub_certificate(&hub, "till-1", DAY).await;
    for chain in [&vouched, &ours] {
        pin(&hub, "imp", chain).await.unwrap();
        for claimed in [None, Some("till-1")] {
            let who = show(&hub, chain, claimed).await.unwrap();
            hub.open(&who).await.unwrap();
            assert_eq!(device_of(&who), "till-1", "{claimed:?}");
        }
    }
}

#[tokio::test]
async fn a_certificate_pinned_at_two_sites_is_only_whose_who_shows_it_says() {
    let hub = with_another_site().await;
    let chain = Customer::new(&hub).leaf(&hub, "anything", true);
    pin(&hub, "till-1", &chain).await.unwrap();
    let theirs = pin(&hub, "imp", &chain).await.unwrap();
    let refused = show(&hub, &chain, None).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    for device in ["till-1", "imp"] {
        let who = show(&hub, &chain, Some(device)).await.unwrap();
        assert_eq!(device_of(&who), device);
    }
    hub.core
        .identity
        .revoke_credential(&hub.admin, &id("imp"), &theirs.credential.id)
        .await
        .unwrap();
    let who = show(&hub, &chain, None).await.unwrap();
    assert_eq!(device_of(&who), "till-1");
}

#[tokio::test]
async fn what_one_site_has_pinned_and_anothers_authority_vouches_for_is_whose_its_holder_says() {
    let hub = Hub::with_device("shop", "till-1").await;
    let customer = Customer::new(&hub);
    let chain = customer.leaf(&hub, "imp", true);
    let pinned = pin(&hub, "till-1", &chain).await.unwrap();
    hub.add_site("evil").await;
    hub.add_device("evil", "imp").await;
    let (identity, evil) = (&hub.core.identity, id("evil"));
    let added = identity.add_authority(&hub.admin, &evil, &customer.pem);
    added.await.unwrap();
    let refused = show(&hub, &chain, None).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    let who = show(&hub, &chain, Some("till-1")).await.unwrap();
    assert_eq!(device_of(&who), "till-1");
    let imps = identity.credentials(&hub.admin, &id("imp")).await.unwrap();
    assert!(imps.is_empty(), "nothing has come of it at the other site");
    revoke(&hub, "till-1", pinned).await;
    let who = show(&hub, &chain, None).await.unwrap();
    assert_eq!(device_of(&who), "imp", "no other site has a claim to it");
}

#[tokio::test]
async fn what_was_revoked_while_pinned_does_not_come_back_by_an_authority() {
    let hub = Hub::with_device("shop", "till-1").await;
    let (customer, _) = Customer::registered(&hub).await;
    let chain = customer.leaf(&hub, "till-1", true);
    let pinned = pin(&hub, "till-1", &chain).await.unwrap();
    revoke(&hub, "till-1", pinned).await;
    hub.core.clock.advance(40 * DAY);
    assert!(matches!(
        fill(&hub, "till-1").await,
        Refusal::TooMany { .. }
    ));
    for claimed in [None, Some("till-1")] {
        let refused = show(&hub, &chain, claimed).await;
        assert!(matches!(refused, Err(Refusal::Revoked)), "{claimed:?}");
    }
}

#[tokio::test]
async fn a_revoked_pin_is_cleared_away_once_its_certificate_has_ended() {
    let hub = Hub::with_device("shop", "till-1").await;
    let (customer, _) = Customer::registered(&hub).await;
    let identity = &hub.core.identity;
    let chain = customer.leaf(&hub, "till-1", true);
    let pinned = pin(&hub, "till-1", &chain).await.unwrap();
    assert_eq!(pinned.credential.expires, None);
    let who = show(&hub, &chain, None).await.unwrap();
    let all = identity.credentials(&hub.admin, &id("till-1")).await;
    assert_eq!(all.unwrap()[0].expires, who.expires, "it is known now");
    revoke(&hub, "till-1", pinned).await;
    hub.core.clock.advance(91 * DAY);
    fill(&hub, "till-1").await;
    let all = identity.credentials(&hub.admin, &id("till-1")).await;
    let all = all.unwrap();
    assert!(all.iter().all(|one| one.id != who.credential));
    assert_eq!(all.len(), MAX_CREDENTIALS);
}

#[tokio::test]
async fn a_sites_authority_vouches_for_its_own_devices_only() {
    let hub = Hub::with_device("shop", "till-1").await;
    hub.add_site("bar").await;
    hub.add_device("bar", "tap-1").await;
    let (customer, _) = Customer::registered(&hub).await;
    let stranger = Customer::new(&hub);
    let good = customer.leaf(&hub, "till-1", true);
    let who = show(&hub, &good, None).await.unwrap();
    hub.open(&who).await.unwrap();
    assert_eq!(
        show(&hub, &good, Some("till-1")).await.unwrap().credential,
        who.credential,
        "the same certificate is the same credential"
    );
    for (why, chain, claimed) in [
        ("another site's", customer.leaf(&hub, "tap-1", true), None),
        ("nobody's", customer.leaf(&hub, "till-9", true), None),
        ("no client's", customer.leaf(&hub, "till-1", false), None),
        ("a stranger's", stranger.leaf(&hub, "till-1", true), None),
        ("another name", good.clone(), Some("till-2")),
        ("no chain", Vec::new(), None),
        ("a long chain", vec![good[0].clone(); 9], None),
    ] {
        let refused = show(&hub, &chain, claimed).await;
        assert!(matches!(refused, Err(Refusal::Unauthenticated)), "{why}");
    }
    hub.core.clock.advance(400 * DAY);
    assert!(show(&hub, &good, None).await.is_err(), "it has ended");
}

#[tokio::test]
async fn with_its_authority_all_its_certificates_are_revoked() {
    let hub = Hub::with_device("shop", "till-1").await;
    let (customer, authority) = Customer::registered(&hub).await;
    let shown = customer.leaf(&hub, "till-1", true);
    let session = hub
        .open(&show(&hub, &shown, None).await.unwrap())
        .await
        .unwrap();
    let connection = tokio::spawn(async move { session.ended().await });
    let (identity, shop) = (&hub.core.identity, id("shop"));
    let revoked = identity.revoke_authority(&hub.admin, &shop, &authority.id);
    assert_eq!(revoked.await.unwrap().connections.ended, 1);
    assert_eq!(connection.await.unwrap(), Ending::Revoked);
    for chain in [shown, customer.leaf(&hub, "till-1", true)] {
        assert!(show(&hub, &chain, None).await.is_err());
    }
}

#[tokio::test]
async fn what_is_no_authority_is_not_registered_as_one() {
    let hub = Hub::with_device("shop", "till-1").await;
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::default()
        .self_signed(&key)
        .unwrap()
        .pem();
    let add = |pem: String| {
        let hub = &hub;
        async move {
            let identity = &hub.core.identity;
            let shop = id("shop");
            let added = identity.add_authority(&hub.admin, &shop, &pem).await;
            added.err()
        }
    };
    assert!(matches!(add(leaf).await, Some(Refusal::Invalid { .. })));
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let refused = add(garbage.to_owned()).await;
    assert!(matches!(refused, Some(Refusal::Invalid { .. })));
    let good = Customer::new(&hub).pem;
    assert!(add(good.clone()).await.is_none());
    assert!(matches!(add(good).await, Some(Refusal::Exists { .. })));
}

impl Customer {
    pub(crate) fn new(hub: &Hub) -> Self {
        let now = hub.core.clock.now();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Customer");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = now.before(DAY).date();
        params.not_after = now.after(365 * DAY).date();
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// One that the site `shop` has said may vouch for its devices.
    pub(crate) async fn registered(hub: &Hub) -> (Self, SiteAuthority) {
        let (customer, shop) = (Self::new(hub), id("shop"));
        let identity = &hub.core.identity;
        let added = identity.add_authority(&hub.admin, &shop, &customer.pem);
        let authority = added.await.unwrap();
        (customer, authority)
    }

    /// A certificate that ends in 90 days, for a client or else for a server.
    pub(crate) fn leaf(&self, hub: &Hub, name: &str, client: bool) -> Vec<Vec<u8>> {
        let now = hub.core.clock.now();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = now.before(DAY).date();
        params.not_after = now.after(90 * DAY).date();
        params.extended_key_usages = vec![if client {
            ExtendedKeyUsagePurpose::ClientAuth
        } else {
            ExtendedKeyUsagePurpose::ServerAuth
        }];
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        vec![signed.der().to_vec()]
    }
}

/// The device `till-1` at the site `shop`, and `imp` at another.
pub(crate) async fn with_another_site() -> Hub {
    let hub = Hub::with_device("shop", "till-1").await;
    hub.add_site("evil").await;
    hub.add_device("evil", "imp").await;
    hub
}

async fn hub_certificate(hub: &Hub, device: &str, lasts: Duration) -> Vec<Vec<u8>> {
    let (device, request) = (id(device), request());
    let identity = &hub.core.identity;
    let made = identity.add_certificate(&hub.admin, &device, &request, lasts);
    let Given::Certificate(pem) = made.await.unwrap().given else {
        panic!("a certificate was expected");
    };
    ders(&pem)
}

/// Pins the first certificate of `chain`.
pub(crate) async fn pin(hub: &Hub, device: &str, chain: &[Vec<u8>]) -> Result<Issued, Refusal> {
    let mut thumbprint = [0; 32];
    let digest = ring::digest::digest(&ring::digest::SHA256, &chain[0]);
    thumbprint.copy_from_slice(digest.as_ref());
    let (identity, device) = (&hub.core.identity, id(device));
    identity
        .add_thumbprint(&hub.admin, &device, thumbprint)
        .await
}

async fn revoke(hub: &Hub, device: &str, issued: Issued) {
    let (identity, device) = (&hub.core.identity, id(device));
    identity
        .revoke_credential(&hub.admin, &device, &issued.credential.id)
        .await
        .unwrap();
}

/// Gives a device so many tokens that it gets no more. Returns why not.
async fn fill(hub: &Hub, device: &str) -> Refusal {
    let (identity, device) = (&hub.core.identity, id(device));
    for _ in 0..=MAX_CREDENTIALS {
        let added = identity.add_token(&hub.admin, &device, "test".to_owned(), None);
        if let Err(refusal) = added.await {
            return refusal;
        }
    }
    panic!("it got more than there may be");
}

fn device_of(who: &Identified) -> &str {
    let Principal::Device { device, .. } = &who.principal else {
        panic!("a device was expected");
    };
    device.as_str()
}

pub(crate) fn request() -> String {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default().serialize_request(&key);
    request.unwrap().pem().unwrap()
}

pub(crate) fn ders(pem: &str) -> Vec<Vec<u8>> {
    x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes())
        .map(|block| block.unwrap().contents)
        .collect()
}

pub(crate) async fn show(
    hub: &Hub,
    chain: &[Vec<u8>],
    device: Option<&str>,
) -> Result<Identified, Refusal> {
    let device = device.map(id);
    let claim = Claim::Certificate {
        chain,
        device: device.as_ref(),
    };
    hub.core.identity.authenticate(claim).await
}
