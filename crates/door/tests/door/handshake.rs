//! What TLS agrees on, and what is known of it.

use outgate_door::{ClientCertificates, Listener, Refused, Security};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, certificate};
use crate::place::{Place, patient, tls};

#[tokio::test]
async fn both_ends_derive_the_same_channel_binding() {
    for version in [&TLS13, &TLS12] {
        let mut place = Place::open();
        let client = Client::of(&place.authority(), &[version], None).offering(&["mqtt"]);
        let connection = client.connect(place.address).await.unwrap();
        let theirs = connection
            .get_ref()
            .1
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
            .unwrap();
        let facts = place.arrival().await.1.tls.unwrap();
        assert_eq!(facts.channel_binding, Some(theirs), "{}", facts.version);
        assert_eq!(facts.server_name.as_deref(), Some("localhost"));
    }
}

#[tokio::test]
async fn the_version_and_the_cipher_go_by_their_registered_names() {
    let mut place = Place::open();
    for (version, name, cipher) in [
        (&TLS13, "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        (&TLS12, "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    ] {
        let client = Client::of(&place.authority(), &[version], None).offering(&["mqtt"]);
        let _connection = client.connect(place.address).await.unwrap();
        let facts = place.arrival().await.1.tls.unwrap();
        assert_eq!((facts.version, facts.cipher.as_str()), (name, cipher));
        assert!(facts.client_chain.is_empty());
    }
}

#[tokio::test]
async fn a_resumed_session_has_the_clients_certificate_still() {
    for version in [&TLS13, &TLS12] {
        let mut place = Place::open();
        let (chain, key) = certificate();
        let client = Client::of(&place.authority(), &[version], Some((chain.clone(), key)))
            .offering(&["mqtt"]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut connection = client.connect(place.address).await.unwrap();
            // An answer, so that the session's ticket has come.
            connection.write_all(b"x").await.unwrap();
            connection.read_exact(&mut [0]).await.unwrap();
            assert_eq!(connection.get_ref().1.handshake_kind(), Some(kind));
            let facts = place.arrival().await.1.tls.unwrap();
            assert_eq!(*facts.client_chain, *chain, "{kind:?}");
            assert_eq!(facts.resumed, kind == HandshakeKind::Resumed);
        }
    }
}

#[tokio::test]
async fn where_no_certificate_is_asked_for_none_is_known() {
    let listener = Listener {
        security: Security::Tls(ClientCertificates::NotAsked),
        ..tls()
    };
    let mut place = Place::with(listener, patient());
    let client = Client::of(&place.authority(), &[&TLS13], Some(certificate())).offering(&["mqtt"]);
    let _connection = client.connect(place.address).await.unwrap();
    let facts = place.arrival().await.1.tls.unwrap();
    assert!(facts.client_chain.is_empty());
}

#[tokio::test]
async fn a_chain_that_is_too_long_is_refused() {
    let mut place = Place::open();
    let (mut chain, key) = certificate();
    while chain.len() < 9 {
        chain.push(chain[1].clone());
    }
    let client = Client::of(&place.authority(), &[&TLS12], Some((chain, key)));
    client.connect(place.address).await.unwrap_err();
    assert_eq!(place.refused().await, Refused::BadHandshake);
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let mut place = Place::open();
    let (chain, _) = certificate();
    let (_, key) = certificate();
    let mut client = Client::of(&place.authority(), &[&TLS12], None);
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let liar = rustls::sign::CertifiedKey::new(chain, key);
    client.config.client_auth_cert_resolver =
        std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(liar));
    client.connect(place.address).await.unwrap_err();
    assert_eq!(place.refused().await, Refused::BadHandshake);
}
