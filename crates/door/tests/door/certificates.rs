//! Certificates, and what happens when they change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use outgate_door::{
    CertificateError, Door, Keeper, Now, PemError, Settings, Source, machine_names,
};
use outgate_standin::{Authority, Validity};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::Client;
use crate::place::{Place, patient};

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

#[tokio::test(start_paused = true)]
async fn a_certificate_is_renewed_by_itself_when_two_thirds_of_its_life_are_over() {
    let folder = tempfile::tempdir().unwrap();
    let hours = Arc::new(AtomicU64::new(0));
    let now: Now = Arc::new({
        let hours = Arc::clone(&hours);
        let start = SystemTime::now();
        move || start + Duration::from_secs(3600 * hours.load(Ordering::Relaxed))
    });
    let source = Source::Private {
        folder: folder.path().to_owned(),
        names: vec!["localhost".to_owned()],
    };
    let keeper = Keeper::open(source, now).unwrap();
    let settings = Settings {
        listeners: Vec::new(),
        limits: patient(),
    };
    let door = Door::open(settings, keeper.tls(), Arc::new(|_| {})).unwrap();
    let file = || std::fs::read(folder.path().join("server.pem")).unwrap();
    let first = file();
    // The keeper sleeps for an hour at a time, which passes at once.
    let clock = async {
        for hour in 0..60 * 24 {
            hours.store(hour, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(3600)).await;
            if file() != first {
                return hour;
            }
        }
        panic!("no new certificate");
    };
    let renewed = tokio::select! {
        () = keeper.keep(&door) => panic!("the keeper gave up"),
        hour = clock => hour,
    };
    // A certificate reaches back a day, so its life is 91 of them.
    let due = 91 * 24 * 2 / 3 - 24;
    assert!((due..=due + 2).contains(&renewed), "{renewed} for {due}");
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
