//! Where a door's certificate comes from, and when it is renewed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::door::Door;
use crate::tls::{Challenges, Tls};

mod acme;
mod names;
mod pem;
mod private;
mod validity;

pub use acme::AcmeSettings;
pub use pem::PemError;

use acme::Acme;
use private::Private;
use validity::Validity;

/// How often is looked whether it is time to renew. A clock that was set is noticed after that.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// How long to wait after a renewal that failed: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(6 * 60 * 60));

/// How long before their end certificates from files are warned of.
const WARN_BEFORE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// What time it is.
pub type Now = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Where a door's certificate comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// From files that somebody else sees to. They are looked at again every hour, and at
    /// [`Keeper::reload`].
    Files {
        /// The certificate and those that lead to its authority's, in PEM.
        chain: PathBuf,
        /// Its private key in PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted. Nobody but its owner
        /// and group may be allowed to read it.
        key: PathBuf,
    },
    /// From a private authority, made in `folder` when it is not there yet.
    Private {
        /// Where it is kept.
        folder: PathBuf,
        /// The names and addresses that the certificate is for; see [`machine_names`].
        names: Vec<String>,
    },
    /// From an authority that speaks ACME (RFC 8555).
    Acme(AcmeSettings),
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The certificate and the key do not belong together, or the key is of no kind that is known.
    #[error("the key of {path:?} cannot be used")]
    Key {
        /// The file of the key.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// A certificate that cannot be read.
    #[error("a certificate cannot be read")]
    Unreadable,
    /// A certificate that cannot be made.
    #[error("a certificate cannot be made")]
    Make {
        /// Why.
        #[from]
        source: rcgen::Error,
    },
    /// The private authority's own certificate has ended.
    #[error(
        "the private authority in {path:?} has ended: move it away for a new one to be made, and give that to all clients"
    )]
    AuthorityEnded {
        /// Its certificate.
        path: PathBuf,
    },
    /// The authority that speaks ACME gave none.
    #[error("{directory} gave no certificate: {advice}")]
    Acme {
        /// Its directory.
        directory: String,
        /// What to do about it.
        advice: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Sees to it that a door always has a certificate.
pub struct Keeper {
    source: Kind,
    now: Now,
    current: Mutex<Option<Current>>,
    challenges: Challenges,
}

enum Kind {
    Files { chain: PathBuf, key: PathBuf },
    Private(Private),
    Acme(Acme),
}

#[derive(Clone)]
struct Current {
    certificate: Arc<CertifiedKey>,
    validity: Validity,
}

impl Keeper {
    /// Reads or makes a certificate, as `source` says. An authority that speaks ACME is not asked
    /// before [`Keeper::keep`], because it will want to connect to the door; until then the
    /// certificate of the last run is shown, or none.
    ///
    /// # Errors
    /// When there is no certificate, or one that cannot be used.
    pub fn open(source: Source, now: Now) -> Result<Self, CertificateError> {
        let keeper = Self::new(source, now);
        let current = keeper.read()?;
        *keeper.current.lock() = current;
        Ok(keeper)
    }

    /// As [`Keeper::open`], without a certificate before [`Keeper::reload`]: for a door whose
    /// addresses are to be had before anything is read or made.
    #[must_use]
    pub fn new(source: Source, now: Now) -> Self {
        let source = match source {
            Source::Files { chain, key } => Kind::Files { chain, key },
            Source::Private { folder, names } => Kind::Private(Private { folder, names }),
            Source::Acme(settings) => Kind::Acme(Acme(settings)),
        };
        Self {
            source,
            now,
            current: Mutex::new(None),
            challenges: Challenges::default(),
        }
    }

    /// What to open a door with.
    #[must_use]
    pub fn tls(&self) -> Tls {
        let current = self.current.lock();
        Tls {
            certificate: current.as_ref().map(|one| Arc::clone(&one.certificate)),
            challenges: self.challenges.clone(),
        }
    }

    /// The certificate of the private authority, in PEM, which clients have to trust; `None` with
    /// any other source.
    #[must_use]
    pub fn authority(&self) -> Option<PathBuf> {
        match &self.source {
            Kind::Private(private) => Some(private.authority()),
            Kind::Files { .. } | Kind::Acme(_) => None,
        }
    }

    /// The names and addresses that the certificate is for, in lower case; none before there is
    /// one.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        let current = self.current.lock();
        let first = current
            .as_ref()
            .and_then(|one| one.certificate.cert.first());
        let parsed = first.map(|der| X509Certificate::from_der(der));
        parsed
            .and_then(Result::ok)
            .map_or_else(BTreeSet::new, |(_, certificate)| {
                names::names_in(&certificate)
            })
    }

    /// Reads the certificate again, and gives it to `door`.
    ///
    /// # Errors
    /// When it cannot be used; the door then keeps the one it has.
    pub fn reload(&self, door: &Door) -> Result<(), CertificateError> {
        if let Some(current) = self.read()? {
            self.replace(current, door);
        }
        Ok(())
    }

    /// Renews the certificate when two thirds of its life are over, for as long as it is polled.
    pub async fn keep(&self, door: &Door) {
        let (soonest, latest) = RETRY;
        let mut pause = soonest;
        loop {
            let next = match self.renew_if_due(door).await {
                Ok(()) => {
                    pause = soonest;
                    LOOK_EVERY
                }
                Err(error) => {
                    let reason = chain(&error);
                    tracing::error!(
                        reason,
                        retry_seconds = pause.as_secs(),
                        "no new certificate"
                    );
                    let this = pause;
                    pause = (pause * 2).min(latest);
                    this
                }
            };
            tokio::time::sleep(next).await;
        }
    }

    /// Renews the certificate if it is time to.
    ///
    /// # Errors
    /// When it is time to and there is no new one; the door keeps the one it has.
    pub async fn renew_if_due(&self, door: &Door) -> Result<(), CertificateError> {
        let now = (self.now)();
        let current = self.current.lock().clone();
        match &self.source {
            Kind::Files { chain, .. } => {
                self.reload(door)?;
                let current = self.current.lock().clone();
                if let Some(current) = current
                    && current.validity.ends_within(WARN_BEFORE, now)
                {
                    tracing::warn!(file = %chain.display(), "the certificate ends soon");
                }
                Ok(())
            }
            Kind::Private(_) => match current {
                Some(current) if !current.validity.due(now) => Ok(()),
                Some(_) | None => self.reload(door),
            },
            Kind::Acme(acme) => match current {
                Some(current) if !current.validity.due_with_jitter(now, acme.jitter()) => Ok(()),
                Some(_) | None => {
                    let current = acme.order(&self.challenges).await?;
                    self.replace(current, door);
                    tracing::info!("there is a new certificate");
                    Ok(())
                }
            },
        }
    }

    fn read(&self) -> Result<Option<Current>, CertificateError> {
        match &self.source {
            Kind::Files { chain, key } => Current::read(chain, key).map(Some),
            Kind::Private(private) => private.current((self.now)()).map(Some),
            Kind::Acme(acme) => acme.kept(),
        }
    }

    fn replace(&self, current: Current, door: &Door) {
        *self.current.lock() = Some(current);
        door.reload(&self.tls());
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Current {
    /// Reads a chain and its key, which may be in the same file.
    fn read(chain: &Path, key: &Path) -> Result<Self, CertificateError> {
        let (certificates, private) = (pem::chain(chain)?, pem::key(key)?);
        let validity = Validity::of(certificates.first())?;
        let provider = crate::tls::provider();
        let certificate =
            CertifiedKey::from_der(certificates, private, &provider).map_err(|source| {
                CertificateError::Key {
                    path: key.to_owned(),
                    source,
                }
            })?;
        Ok(Self {
            certificate: Arc::new(certificate),
            validity,
        })
    }
}

/// The names and addresses by which this machine knows itself: `localhost`, its host name, and the
/// addresses of `listeners`.
#[must_use]
pub fn machine_names(listeners: &[std::net::SocketAddr]) -> Vec<String> {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    let fixed = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let addresses = listeners
        .iter()
        .map(std::net::SocketAddr::ip)
        .filter(|address| !address.is_unspecified())
        .map(|address| address.to_canonical().to_string());
    let mut names: Vec<String> = Vec::new();
    for name in fixed.into_iter().chain([host]).chain(addresses) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// An error and what is behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
