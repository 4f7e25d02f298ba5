//! Updates that somebody hands in.

use outgate_mender::VerifyingKey;
use outgate_mender::artifact::{Bounds, read};
use outgate_mender::device::{AuthRequest, Provided, StatusReport, inventory, log};

/// So that an input that unpacks well ends soon.
const BOUNDS: Bounds = Bounds {
    header: 256 * 1024,
    payload: 256 * 1024,
};

/// Reads `data` as an artifact of Mender's, and as a key when it is text.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, an artifact without a name or a type
/// of device, or a file whose name leads elsewhere.
pub fn mender_artifact(data: &[u8]) {
    if let Ok(artifact) = read(data, &BOUNDS) {
        assert!(!artifact.name.is_empty());
        assert!(!artifact.device_types.is_empty());
        assert!(artifact.files.iter().all(|file| !file.name.contains('/')));
        assert!(artifact.signer(&[]).is_err());
    }
    if let Ok(text) = str::from_utf8(data) {
        let _ = VerifyingKey::from_pem(text);
    }
}

/// Reads `data` as everything that a client may say, an authentication request with a signature
/// before it, up to the first line's end.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, or a device without an identity.
pub fn mender_request(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let (first, rest) = (lines.next(), lines.next());
    if let (Some(Ok(signature)), Some(body)) = (first.map(str::from_utf8), rest)
        && let Ok(asks) = AuthRequest::read(body, signature)
    {
        assert!(!asks.identity.is_empty());
    }
    let _ = (Provided::read_v1(data), Provided::read_v2(data));
    let _ = (StatusReport::read(data), inventory(data), log(data));
}
