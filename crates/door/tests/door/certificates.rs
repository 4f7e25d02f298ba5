//! Certificates, and what happens when they change.

use std::sync::Arc;
use std::time::SystemTime;

use outgate_door::{CertificateError, Keeper, PemError, Source, machine_names};
use outgate_standin::{Authority, Validity};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::Client;
use crate::place::Place;

#[tokio::test]
async fn new_handshakes_get_the_new_certificate_and_old_connections_stay() {
    let place = Place::open();
    let client = Client::trusting(&place.authority()).offering(&["mqtt"]);
    let mut before = client.connect(place.address).await.unwrap();
    let first = shown(&before);
    std::fs::remove_file(place.folder.path().join("server.pem")).unwrap();
    place.keeper.reload(&place.door).unwrap();
    let other = Client::trusting(&place.authority()).offering(&["mqtt"]);
    let after = other.connect(place.address).await.unwrap();
    assert_ne!(shown(&after), first);
    before.write_all(b"x").await.unwrap();
    before.read_exact(&mut [0]).await.unwrap();
    // Sessions of before can be resumed still.
    let resumed = client.connect(place.address).await.unwrap();
    let kind = resumed.get_ref().1.handshake_kind();
    assert_eq!(kind, Some(HandshakeKind::Resumed));
}

#[tokio::test]
async fn keys_in_files_may_be_of_any_usual_kind() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let authority = Authority::new(now).unwrap();
    let names = ["localhost".to_owned()];
    let identity = authority.issue(&names, Validity::around(now)).unwrap();
    let (chain, key) = (folder.path().join("chain"), folder.path().join("key"));
    std::fs::write(&chain, identity.chain_pem()).unwrap();
    write_secret(&key, identity.key_pem().as_bytes());
    let source = || Source::Files {
        chain: chain.clone(),
        key: key.clone(),
    };
    Keeper::open(source(), Arc::new(SystemTime::now)).unwrap();
    let other = authority.issue(&names, Validity::around(now)).unwrap();
    write_secret(&key, other.key_pem().as_bytes());
    let error = Keeper::open(source(), Arc::new(SystemTime::now)).unwrap_err();
    assert!(matches!(error, CertificateError::Key { .. }), "{error}");
    std::fs::remove_file(&key).unwrap();
    let error = Keeper::open(source(), Arc::new(SystemTime::now)).unwrap_err();
    assert!(matches!(
        error,
        CertificateError::Pem(PemError::Read { .. })
    ));
}

#[test]
fn a_machine_knows_its_names() {
    let listeners = ["192.0.2.1:443", "[::]:443"].map(|text| text.parse().unwrap());
    let names = machine_names(&listeners);
    for name in ["localhost", "127.0.0.1", "::1", "192.0.2.1"] {
        assert!(names.iter().any(|one| one == name), "{names:?}");
    }
    assert!(!names.iter().any(|one| one == "::"));
}

fn shown(connection: &tokio_rustls::client::TlsStream<tokio::net::TcpStream>) -> Vec<u8> {
    connection.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn write_secret(path: &std::path::Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt;

    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
