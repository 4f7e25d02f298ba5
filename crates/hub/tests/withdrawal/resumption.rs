//! TLS sessions that are resumed: what a certificate proved before its device was withdrawn proves
//! nothing afterwards.

use std::sync::Arc;
use std::time::SystemTime;

use outgate_core::identity::Actor;
use outgate_standin::{Authority, Validity};
use ring::digest::{SHA256, digest};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

use crate::Site;
use crate::channels::roots;

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_tls_session_of_a_withdrawn_terminal_is_worth_nothing() {
    let site = Site::start().await;
    let now = SystemTime::now();
    let shown = Authority::new(now).unwrap();
    let shown = shown.issue_client("T7", Validity::around(now)).unwrap();
    let thumbprint = digest(&SHA256, &shown.chain()[0]);
    let thumbprint = thumbprint.as_ref().try_into().unwrap();
    let (hub, device) = (Actor::hub(), "T7".parse().unwrap());
    let identity = site.running.core().identity.clone();
    let pinned = identity.add_thumbprint(&hub, &device, thumbprint).await;
    pinned.unwrap();
    let key = PrivateKeyDer::from_pem_slice(shown.key_pem().as_bytes()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots(&site))
        .with_client_auth_cert(shown.chain().to_vec(), key)
        .unwrap();
    let config = Arc::new(config);
    let address = site.running.hub.listening()[0].address;
    let ask = || {
        let config = Arc::clone(&config);
        tokio::task::spawn_blocking(move || asked(config, address))
    };
    assert_eq!(ask().await.unwrap(), (HandshakeKind::Full, 200));
    assert_eq!(ask().await.unwrap(), (HandshakeKind::Resumed, 200));
    identity.revoke_device(&hub, &device).await.unwrap();
    assert_eq!(ask().await.unwrap(), (HandshakeKind::Resumed, 401));
    identity.restore_device_anew(&hub, &device).await.unwrap();
    assert_eq!(ask().await.unwrap(), (HandshakeKind::Resumed, 401));
}

/// How the handshake went, and with which status the terminal's own twin is answered.
fn asked(config: Arc<ClientConfig>, address: std::net::SocketAddr) -> (HandshakeKind, u16) {
    use std::io::{Read as _, Write as _};
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(config, name).unwrap();
    let stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(crate::SOON)).unwrap();
    let mut stream = StreamOwned::new(client, stream);
    let request = "GET /device/twin HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // The connection may be closed without TLS being told.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (stream.conn.handshake_kind().unwrap(), status)
}
