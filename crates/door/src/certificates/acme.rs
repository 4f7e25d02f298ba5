//! Certificates from an authority that speaks ACME (RFC 8555), proved over the door's own port
//! (TLS-ALPN-01, RFC 8737).

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::names::names_in;
use super::pem::{self, Readers};
use super::{CertificateError, Current};
use crate::tls::Challenges;

mod client;

use client::Client;

/// How long an order may take in all, and how long the authority is asked whether it is done.
const ORDER: Duration = Duration::from_secs(300);
const POLL: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));

/// An authority that speaks ACME.
#[derive(Clone, Debug)]
pub struct AcmeSettings {
    /// Its directory, an `https` address.
    pub directory: String,
    /// Where the account and the certificate are kept.
    pub folder: PathBuf,
    /// The names that the certificate is for. The authority connects to port 443 of each.
    pub names: Vec<String>,
    /// Whom to tell of trouble, as `mailto:admin@example.com`; may be empty.
    pub contact: Vec<String>,
    /// The certificate, in PEM, that the directory's own is signed by, where that is not one that
    /// this machine trusts anyway.
    pub root: Option<PathBuf>,
}

/// What went wrong, and what to do about it.
struct Trouble {
    advice: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// The authority.
pub(super) struct Acme(pub(super) AcmeSettings);

impl Acme {
    /// The certificate of the last run, if it is for just the names that are wanted now.
    pub(super) fn kept(&self) -> Result<Option<Current>, CertificateError> {
        let path = self.certificate();
        if !path.exists() {
            return Ok(None);
        }
        let kept = Current::read(&path, &path)?;
        if self.is_for_the_names(&kept) {
            return Ok(Some(kept));
        }
        tracing::info!(file = %path.display(), "the kept certificate is for other names");
        Ok(None)
    }

    fn is_for_the_names(&self, kept: &Current) -> bool {
        let own = kept.certificate.cert.first();
        let own = own.and_then(|own| x509_parser::parse_x509_certificate(own).ok());
        let wanted = self
            .0
            .names
            .iter()
            .map(|name| match name.parse::<IpAddr>() {
                Ok(address) => address.to_string(),
                Err(_) => name.to_ascii_lowercase(),
            });
        own.is_some_and(|(_, own)| names_in(&own) == wanted.collect())
    }

    /// From 0 to 1, always the same for the same names: how much later than others to renew.
    pub(super) fn jitter(&self) -> f32 {
        let names = self.0.names.join(",");
        let digest = ring::digest::digest(&ring::digest::SHA256, names.as_bytes());
        digest
            .as_ref()
            .first()
            .map_or(0.0, |byte| f32::from(*byte) / 255.0)
    }

    /// Orders a certificate and keeps it.
    pub(super) async fn order(&self, challenges: &Challenges) -> Result<Current, CertificateError> {
        let ordered = tokio::time::timeout(ORDER, self.ordered(challenges)).await;
        challenges.withdraw_all();
        let late = |_| Trouble {
            advice: "it took too long; is it reachable from here?",
            source: "no answer in time".into(),
        };
        let both = ordered.map_err(late).and_then(|done| done);
        let both = both.map_err(|trouble| CertificateError::Acme {
            directory: self.0.directory.clone(),
            advice: trouble.advice,
            source: trouble.source,
        })?;
        let path = self.certificate();
        pem::write(&path, both.as_bytes(), Readers::Owner)?;
        Current::read(&path, &path)
    }

    fn certificate(&self) -> PathBuf {
        self.0.folder.join("acme.pem")
    }

    /// A new key and the chain for it, in PEM.
    async fn ordered(
        &self,
        challenges: &Challenges,
    ) -> Result<zeroize::Zeroizing<String>, Trouble> {
        let account = self.account().await?;
        let names: Vec<Identifier> = self.0.names.iter().map(|name| identifier(name)).collect();
        let mut order = account
            .new_order(&NewOrder::new(&names))
            .await
            .map_err(trouble("the order was refused; are the names spelt right?"))?;
        prove(&mut order, challenges).await?;
        let unproved =
            "is port 443 of each name reachable from the Internet, and does it lead here?";
        let status = order.poll_ready(&POLL).await.map_err(trouble(unproved))?;
        if status != OrderStatus::Ready {
            return Err(Trouble {
                advice: unproved,
                source: refusal(&mut order).await.into(),
            });
        }
        let failed = "the authority failed after the names were proved; it is tried again";
        let key = KeyPair::generate().map_err(trouble(failed))?;
        let mut params = CertificateParams::new(self.0.names.clone()).map_err(trouble(failed))?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(trouble(failed))?;
        order
            .finalize_csr(request.der())
            .await
            .map_err(trouble(failed))?;
        let chain = order
            .poll_certificate(&POLL)
            .await
            .map_err(trouble(failed))?;
        Ok((key.serialize_pem() + &chain).into())
    }

    /// Our account there, made when there is none.
    async fn account(&self) -> Result<Account, Trouble> {
        let unreachable = "is the directory's address right, and reachable from here?";
        let builder = || {
            let client = Client::trusting(self.0.root.as_deref());
            client
                .map(|client| Account::builder_with_http(Box::new(client)))
                .map_err(trouble("its root certificate cannot be read"))
        };
        let path = self.0.folder.join("acme-account.json");
        if path.exists() {
            let unusable = "the file of the account is broken: remove it for a new account";
            let text = pem::secret(&path).map_err(trouble(unusable))?;
            let credentials: AccountCredentials =
                serde_json::from_slice(&text).map_err(trouble(unusable))?;
            let known = builder()?.from_credentials(credentials).await;
            return known.map_err(trouble(unreachable));
        }
        let contact: Vec<&str> = self.0.contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (account, credentials) = builder()?
            .create(&new, self.0.directory.clone(), None)
            .await
            .map_err(trouble(unreachable))?;
        let unwritable = "the account cannot be kept; is the data folder writable?";
        let text = serde_json::to_vec(&credentials).map_err(trouble(unwritable))?;
        let text = zeroize::Zeroizing::new(text);
        pem::write(&path, &text, Readers::Owner).map_err(trouble(unwritable))?;
        Ok(account)
    }
}

/// Puts up the answer for each name that is not proved yet, and says so.
async fn prove(order: &mut Order, challenges: &Challenges) -> Result<(), Trouble> {
    let failed = "the authority did not say how to prove the names; it is tried again";
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(trouble(failed))?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge = authorization
            .challenge(ChallengeType::TlsAlpn01)
            .ok_or("no TLS-ALPN-01")
            .map_err(trouble(
                "the authority does not offer TLS-ALPN-01, the one proof we know",
            ))?;
        let name = challenge.identifier().to_string();
        let asked_for = name.parse().map_or_else(|_| name.clone(), reverse_name);
        let digest = challenge.key_authorization().digest();
        let answer = answer(&name, digest.as_ref());
        challenges.answer(&asked_for, answer.map_err(trouble(failed))?);
        challenge.set_ready().await.map_err(trouble(failed))?;
    }
    Ok(())
}

/// The certificate that proves a name (RFC 8737, section 3).
fn answer(
    name: &str,
    digest: &[u8],
) -> Result<Arc<CertifiedKey>, Box<dyn std::error::Error + Send + Sync>> {
    if digest.len() != 32 {
        return Err("a digest of another length than SHA-256's".into());
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = rustls::crypto::ring::sign::any_supported_type(&key)?;
    // Unchecked: to rustls it is a certificate with an unknown critical extension.
    Ok(Arc::new(CertifiedKey::new(
        vec![certificate.der().clone()],
        key,
    )))
}

fn identifier(name: &str) -> Identifier {
    match name.parse() {
        Ok(address) => Identifier::Ip(address),
        Err(_) => Identifier::Dns(name.to_owned()),
    }
}

/// What an authority asks for by name when an address is to be proved (RFC 8738, section 6).
fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let octets = address.octets();
            let nibbles = octets
                .iter()
                .rev()
                .flat_map(|octet| [octet & 15, octet >> 4]);
            let mut name: String = nibbles.map(|nibble| format!("{nibble:x}.")).collect();
            name.push_str("ip6.arpa");
            name
        }
    }
}

/// What the authority says against the names.
async fn refusal(order: &mut Order) -> String {
    let mut said = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() {
            continue;
        }
        let problems = authorization.challenges.iter().filter_map(|challenge| {
            let problem = challenge.error.as_ref()?;
            Some(problem.to_string())
        });
        said.extend(problems);
    }
    if said.is_empty() {
        "the names were not proved".to_owned()
    } else {
        said.join("; ")
    }
}

fn trouble<E>(advice: &'static str) -> impl FnOnce(E) -> Trouble
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |source| Trouble {
        advice,
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_asked_for_by_its_reverse_name() {
        let check = |address: &str, name: &str| {
            assert_eq!(reverse_name(address.parse().unwrap()), name);
        };
        check("192.0.2.1", "1.2.0.192.in-addr.arpa");
        check(
            "2001:db8::1",
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        );
    }

    #[test]
    fn a_kept_certificate_is_used_for_just_the_names_that_it_is_for() {
        let folder = tempfile::tempdir().unwrap();
        let of = |names: &[&str]| {
            Acme(AcmeSettings {
                directory: String::new(),
                folder: folder.path().to_owned(),
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                contact: Vec::new(),
                root: None,
            })
        };
        let asked_for = of(&["hub.example", "192.0.2.1"]);
        assert!(asked_for.kept().unwrap().is_none(), "there is none yet");
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(asked_for.0.names.clone()).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let both = key.serialize_pem() + &certificate.pem();
        pem::write(&asked_for.certificate(), both.as_bytes(), Readers::Owner).unwrap();
        assert!(of(&["192.0.2.1", "HUB.example"]).kept().unwrap().is_some());
        for others in [
            &["hub.example"][..],
            &["hub.example", "192.0.2.1", "more.example"],
            &["other.example"],
        ] {
            assert!(of(others).kept().unwrap().is_none(), "{others:?}");
        }
    }
}
