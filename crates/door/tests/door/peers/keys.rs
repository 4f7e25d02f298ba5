//! Keys as OpenSSL writes them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use outgate_door::{CertificateError, Keeper, PemError, Source};
use tokio::process::Command;

#[tokio::test]
async fn keys_may_be_of_any_usual_kind() {
    for (key, begins) in [
        ("genrsa -traditional 2048", "-----BEGIN RSA PRIVATE KEY"),
        (
            "ecparam -name prime256v1 -genkey -noout",
            "-----BEGIN EC PRIVATE KEY",
        ),
        ("genpkey -algorithm ed25519", "-----BEGIN PRIVATE KEY"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let source = made(folder.path(), key, begins).await;
        Keeper::open(source, Arc::new(SystemTime::now)).unwrap();
    }
}

#[tokio::test]
async fn an_encrypted_key_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let key = "genpkey -algorithm ed25519 -aes256 -pass pass:secret";
    let source = made(folder.path(), key, "-----BEGIN ENCRYPTED PRIVATE KEY").await;
    let error = Keeper::open(source, Arc::new(SystemTime::now)).unwrap_err();
    assert!(
        matches!(error, CertificateError::Pem(PemError::NoKey { .. })),
        "{error}"
    );
}

/// A key made with these arguments, and a certificate for it.
async fn made(folder: &Path, arguments: &str, begins: &str) -> Source {
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    let text = openssl(arguments.split(' ')).await;
    assert!(text.starts_with(begins), "{text}");
    std::fs::write(&key, text).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let request = "req -x509 -new -subj /CN=localhost -passin pass:secret -key";
    let certificate = openssl(request.split(' ').chain([key.to_str().unwrap()])).await;
    std::fs::write(&chain, certificate).unwrap();
    Source::Files { chain, key }
}

async fn openssl(arguments: impl Iterator<Item = &str>) -> String {
    let output = Command::new("openssl").args(arguments).output();
    let output = output.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
