//! Certificates and keys in files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The most bytes of a file that is read.
const MAX_FILE: u64 = 1_048_576;

/// What all users but the owner and the group may do with a file.
const OTHERS: u32 = 0o007;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// It cannot be read.
    #[error("cannot read {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {path:?}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is longer than any certificate or key.
    #[error("{path:?} is longer than 1 MiB")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Anybody on the machine may read a key.
    #[error("anybody may read the key in {path:?}: chmod o= it")]
    ReadableByAll {
        /// The file.
        path: PathBuf,
    },
    /// It has no certificate.
    #[error("there is no certificate in {path:?}")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// It has no key.
    #[error("there is no private key in {path:?}, or it is encrypted")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// It is no PEM.
    #[error("{path:?} is not PEM")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
}

/// The certificates in a file, in its order.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let text = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| PemError::NotPem {
            path: path.to_owned(),
            source,
        })?;
    if certificates.is_empty() {
        return Err(PemError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(certificates)
}

/// The first private key in a file that not everybody may read.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    let text = secret(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|source| {
        let path = path.to_owned();
        if matches!(source, pem::Error::NoItemsFound) {
            PemError::NoKey { path }
        } else {
            PemError::NotPem { path, source }
        }
    })
}

/// What is in a file that not everybody may read.
pub(super) fn secret(path: &Path) -> Result<Vec<u8>, PemError> {
    let wrong = |source| PemError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = fs::metadata(path).map_err(wrong)?;
    if metadata.permissions().mode() & OTHERS != 0 {
        return Err(PemError::ReadableByAll {
            path: path.to_owned(),
        });
    }
    read(path)
}

/// What is in a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    let wrong = |source| PemError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(wrong)?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(wrong)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(PemError::TooLong {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    Owner,
    Everybody,
}

/// Puts `bytes` in a file, all or nothing, on disk when it returns.
pub(super) fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), PemError> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::Everybody => 0o644,
    };
    let new = path.with_extension("new");
    let put = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(folder)?.sync_all()
    };
    put().map_err(|source| PemError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_anybody_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        write(&path, b"", Readers::Everybody).unwrap();
        assert!(matches!(key(&path), Err(PemError::ReadableByAll { .. })));
    }

    #[test]
    fn what_is_secret_is_for_its_owner_alone_even_when_it_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        write(&path, b"one", Readers::Everybody).unwrap();
        write(&path, b"two", Readers::Owner).unwrap();
        assert_eq!(secret(&path).unwrap(), b"two");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.pem");
        File::create(&path).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(matches!(chain(&path), Err(PemError::TooLong { .. })));
    }

    #[test]
    fn a_file_without_what_is_wanted_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.pem");
        write(&path, b"nothing", Readers::Owner).unwrap();
        assert!(matches!(chain(&path), Err(PemError::NoCertificate { .. })));
        assert!(matches!(key(&path), Err(PemError::NoKey { .. })));
    }
}
