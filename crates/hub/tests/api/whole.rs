//! A whole hub behind its door: what it says of a connection, and what it takes up anew.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use outgate_hub::StartError;
use outgate_standin::{Authority, Validity};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::running::{Running, config};

/// What must come comes within this.
const SOON: Duration = Duration::from_secs(20);

/// A hub whose certificate is in files.
struct Whole {
    running: Running,
    authority: Authority,
}

/// What somebody saw who asked over TLS 1.3.
struct Seen {
    status: u16,
    body: Value,
    certificate: Vec<u8>,
    binding: String,
}

impl Whole {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(SystemTime::now()).unwrap();
        certify(&authority, folder.path());
        let text = configured(folder.path(), "");
        Self {
            running: Running::on(folder, &text).await,
            authority,
        }
    }

    /// Takes up a configuration with `more`.
    fn reload(&self, more: &str) -> Result<(), StartError> {
        let folder = self.running.folder.path();
        let config = config(folder, &configured(folder, more));
        self.running.hub.reload(config)
    }

    /// Asks for `path` over a connection of its own.
    async fn get(&self, path: &str) -> Seen {
        let address = self.running.hub.listening()[0].address;
        let pem = self.authority.pem();
        let path = path.to_owned();
        spawn_blocking(move || get(address, &pem, &path))
            .await
            .unwrap()
    }
}

fn get(address: std::net::SocketAddr, pem: &str, path: &str) -> Seen {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("hub.test").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut stream = StreamOwned::new(client, stream);
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: hub.test\r\nconnection: close\r\nx-mark: seen\r\nauthorization: Bearer secret\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let binding =
        stream
            .conn
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
    let certificates = stream.conn.peer_certificates().unwrap();
    Seen {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
        certificate: certificates[0].to_vec(),
        binding: binding
            .unwrap()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    }
}

/// Writes a new certificate for the hub into its folder.
fn certify(authority: &Authority, folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let validity = Validity::around(SystemTime::now());
    let identity = authority.issue(&["hub.test".to_owned()], validity).unwrap();
    let key = folder.join("hub.key");
    std::fs::write(folder.join("hub.pem"), identity.chain_pem()).unwrap();
    std::fs::write(&key, identity.key_pem()).unwrap();
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn configured(folder: &Path, more: &str) -> String {
    let (certificate, key) = (folder.join("hub.pem"), folder.join("hub.key"));
    format!(
        "[[listen]]\naddress = '127.0.0.1:0'\n[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n{more}"
    )
}

#[tokio::test]
async fn a_caller_is_told_what_the_hub_saw_and_both_ends_derive_the_same_binding() {
    let whole = Whole::start().await;
    let seen = whole.get("/whoami").await;
    assert_eq!(seen.status, 200);
    let told = &seen.body;
    assert_eq!(told["version"], 1);
    assert_eq!(told["address"], "127.0.0.1");
    assert_eq!(told["tls"]["version"], "TLSv1.3");
    assert_eq!(told["tls"]["server_name"], "hub.test");
    assert_eq!(told["tls"]["channel_binding"], seen.binding.as_str());
    assert_eq!(told["http"]["version"], "HTTP/1.1");
    let headers = told["http"]["headers"].to_string();
    assert!(headers.contains(r#"["x-mark","seen"]"#), "{headers}");
    assert!(!headers.contains("secret"), "{headers}");
}

#[tokio::test]
async fn certificates_are_read_again_and_what_cannot_be_taken_up_changes_nothing() {
    let whole = Whole::start().await;
    let folder = whole.running.folder.path();
    let first = whole.get("/healthz").await.certificate;
    certify(&whole.authority, folder);
    assert_eq!(whole.get("/metrics").await.status, 200);

    let refused = whole.reload("[logs]\nformat = 'json'\n");
    let Err(StartError::NotWhileRunning { keys }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(keys, "logs.format");
    assert_eq!(whole.get("/healthz").await.certificate, first);

    whole.reload("[metrics]\nopen-to = []\n").unwrap();
    let second = whole.get("/metrics").await;
    assert_ne!(second.certificate, first);
    assert_eq!(second.status, 401);

    std::fs::write(folder.join("hub.pem"), "none").unwrap();
    let refused = whole.reload("");
    assert!(matches!(refused, Err(StartError::Certificate(_))));
    let still = whole.get("/metrics").await;
    assert_eq!(still.certificate, second.certificate);
    assert_eq!(still.status, 401, "the configuration is as it was, too");
}
