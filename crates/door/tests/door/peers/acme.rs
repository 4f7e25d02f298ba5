//! Certificates from pebble, an authority for tests by those who run Let's Encrypt.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use outgate_door::{
    AcmeSettings, Arrival, CertificateError, Door, Keeper, Limits, Now, Reception, Settings, Source,
};
use outgate_standin::{Authority, Validity};
use outgate_testbed::{Program, free, run};

use crate::client::Client;
use crate::place::tls;

const NAMES: [&str; 3] = ["hub.outgate.test", "api.outgate.test", "127.0.0.1"];

/// The life of the certificates, in seconds.
const LIFE: u64 = 30 * 24 * 60 * 60;

#[tokio::test]
async fn a_certificate_is_ordered_kept_and_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let late = Arc::new(AtomicU64::new(0));
    let now: Now = Arc::new({
        let late = Arc::clone(&late);
        move || SystemTime::now() + Duration::from_secs(late.load(Ordering::Relaxed))
    });
    let mut settings = AcmeSettings {
        directory: String::new(),
        folder: folder.path().join("kept"),
        names: NAMES.map(str::to_owned).to_vec(),
        contact: vec!["mailto:admin@outgate.test".to_owned()],
        root: None,
    };
    // The authority must know the door's port, and the keeper the authority's.
    let (pebble, answers) = (free().unwrap(), free().unwrap());
    settings.directory = format!("https://localhost:{}/dir", pebble.port());
    settings.root = Some(folder.path().join("pebble-ca.pem"));
    let keeper = Keeper::open(Source::Acme(settings.clone()), Arc::clone(&now)).unwrap();
    let door = open(&keeper);
    let address = door.listening()[0].address;
    let pebble = Pebble::start(folder.path(), pebble, answers, address).await;

    keeper.renew_if_due(&door).await.unwrap();
    let root = pebble.root(folder.path()).await;
    let first = shown(&root, address).await;
    keeper.renew_if_due(&door).await.unwrap();
    assert_eq!(shown(&root, address).await, first, "it was not due");

    late.store(LIFE / 2, Ordering::Relaxed);
    keeper.renew_if_due(&door).await.unwrap();
    assert_eq!(shown(&root, address).await, first, "half of its life");

    late.store(LIFE * 4 / 5, Ordering::Relaxed);
    keeper.renew_if_due(&door).await.unwrap();
    let second = shown(&root, address).await;
    assert_ne!(second, first);

    // A new start takes what was kept, without asking.
    drop(pebble);
    let again = Keeper::open(Source::Acme(settings), now).unwrap();
    let door = open(&again);
    let address = door.listening()[0].address;
    assert_eq!(shown(&root, address).await, second);
}

#[tokio::test]
async fn names_that_do_not_lead_here_are_told_of_and_what_is_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (pebble, answers) = (free().unwrap(), free().unwrap());
    let settings = AcmeSettings {
        directory: format!("https://localhost:{}/dir", pebble.port()),
        folder: folder.path().join("kept"),
        names: vec![NAMES[0].to_owned()],
        contact: Vec::new(),
        root: Some(folder.path().join("pebble-ca.pem")),
    };
    let keeper = Keeper::open(Source::Acme(settings), Arc::new(SystemTime::now)).unwrap();
    let door = open(&keeper);
    let nobody = free().unwrap();
    let _pebble = Pebble::start(folder.path(), pebble, answers, nobody).await;
    let error = keeper.renew_if_due(&door).await.unwrap_err();
    let CertificateError::Acme { advice, source, .. } = error else {
        panic!("{error}");
    };
    assert!(advice.contains("port 443"), "{advice}");
    assert!(source.to_string().contains("Failed to connect"), "{source}");
}

#[tokio::test]
async fn an_authority_that_does_not_answer_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let settings = AcmeSettings {
        directory: format!("https://{}/dir", free().unwrap()),
        folder: folder.path().to_owned(),
        names: vec![NAMES[0].to_owned()],
        contact: Vec::new(),
        root: None,
    };
    let keeper = Keeper::open(Source::Acme(settings), Arc::new(SystemTime::now)).unwrap();
    let error = keeper.renew_if_due(&open(&keeper)).await.unwrap_err();
    assert!(error.to_string().contains("reachable"), "{error}");
}

/// Hangs up on everybody.
#[derive(Clone)]
struct Deaf;

impl Reception for Deaf {
    async fn receive(&self, _: Arrival) {}
}

/// The authority, and a DNS server that knows every name as this machine's.
struct Pebble {
    _server: Program,
    _names: Program,
    management: SocketAddr,
}

impl Pebble {
    async fn start(
        folder: &Path,
        address: SocketAddr,
        answers: SocketAddr,
        door: SocketAddr,
    ) -> Self {
        let (management, names) = (free().unwrap(), free().unwrap());
        let mut command = Command::new("pebble-challtestsrv");
        command
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-dns01", &names.to_string()])
            .args(["-management", &answers.to_string()]);
        let names_server = Program::start(&mut command, folder, answers).await;

        let authority = Authority::new(SystemTime::now()).unwrap();
        let identity = authority
            .issue(
                &["localhost".to_owned()],
                Validity::around(SystemTime::now()),
            )
            .unwrap();
        std::fs::write(folder.join("pebble-ca.pem"), authority.pem()).unwrap();
        std::fs::write(folder.join("pebble.pem"), identity.chain_pem()).unwrap();
        std::fs::write(folder.join("pebble.key"), identity.key_pem()).unwrap();
        let port = door.port();
        let configuration = format!(
            r#"{{ "pebble": {{ "listenAddress": "{address}", "managementListenAddress": "{management}",
            "certificate": "pebble.pem", "privateKey": "pebble.key", "httpPort": 1, "tlsPort": {port},
            "certificateValidityPeriod": {LIFE} }} }}"#
        );
        let file = folder.join("pebble.json");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new("pebble");
        command
            .arg("-config")
            .arg(&file)
            .args(["-strict", "-dnsserver", &names.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1");
        Self {
            _server: Program::start(&mut command, folder, address).await.unwrap(),
            _names: names_server.unwrap(),
            management,
        }
    }

    /// The certificate that its certificates lead to.
    async fn root(&self, folder: &Path) -> PathBuf {
        let path = folder.join("root.pem");
        let port = self.management.port();
        let mut command = tokio::process::Command::new("curl");
        command
            .args(["--silent", "--fail", "--show-error", "--cacert"])
            .arg(folder.join("pebble-ca.pem"))
            .arg("--output")
            .arg(&path)
            .arg(format!("https://localhost:{port}/roots/0"));
        let (status, said) = run(&mut command).await.unwrap();
        assert!(status.success(), "{said}");
        path
    }
}

/// A door with what the keeper has, being served for as long as the test runs.
fn open(keeper: &Keeper) -> Door {
    let settings = Settings {
        listeners: vec![tls()],
        limits: Limits::default(),
    };
    let door = Door::open(settings, keeper.tls(), Arc::new(|_| {})).unwrap();
    tokio::spawn({
        let door = door.clone();
        async move { door.serve(Deaf, std::future::pending()).await }
    });
    door
}

/// The certificate that a client sees who asks for each of the names and trusts `root`.
async fn shown(root: &Path, address: SocketAddr) -> Vec<u8> {
    let mut seen = Vec::new();
    for name in NAMES {
        let client = Client::trusting(root).offering(&["mqtt"]);
        let connection = client.connect_as(name, address).await.unwrap();
        seen.push(connection.get_ref().1.peer_certificates().unwrap()[0].to_vec());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1);
    seen.remove(0)
}
