//! Devices that show a certificate: given to them by the hub, pinned, or signed by an authority
//! of their site.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use super::act::{Act, Done};
use super::authenticate::{self, Held};
use super::authority::Signed;
use super::cache::Digest;
use super::credential::{self, Credential, CredentialKind, Given, Issued, New, Owner};
use super::leaf::{Leaf, MAX_CERTIFICATE};
use super::request::Request;
use super::{Actor, Identified, Identity, Role, device, site_authority};
use crate::audit;
use crate::clock::Timestamp;
use crate::id::{AuthorityId, CredentialId, DeviceId};
use crate::refusal::Refusal;

/// The most certificates of a chain that are looked at.
pub const MAX_CHAIN: usize = 8;

/// An authority's word for a device's certificate that the hub has not seen before.
struct Vouched {
    authority: AuthorityId,
    device: DeviceId,
    /// Whether a device of another site has the certificate.
    is_pinned_elsewhere: bool,
}

/// A certificate that the hub's own authority has signed.
pub(super) struct Certified {
    signed: Signed,
    leaf: Leaf,
}

impl Certified {
    /// As a credential in use.
    pub(super) fn kept<'a>(&'a self, device: &'a DeviceId) -> New<'a> {
        New::certificate(
            Owner::Device(device),
            CredentialKind::Certificate,
            &self.leaf.subject,
            self.leaf.thumbprint,
            Some(self.signed.expires),
        )
    }

    /// As its holder gets it, once it is kept.
    pub(super) fn given(self, credential: Credential) -> Issued {
        Issued {
            credential,
            given: Given::Certificate(self.signed.chain),
        }
    }
}

impl Identity {
    /// Pins a certificate by its SHA-256 thumbprint. Who signed it does not matter; its dates do.
    ///
    /// A thumbprint is no secret, so that an operator may pin what is another site's. It gives
    /// them nothing: a certificate that has been shown as one that was signed for a device is that
    /// one's, and any other that two sites have a claim to is nobody's unless who shows it says who
    /// they are.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Exists`] when a device of the
    /// same site has that certificate already, [`Refusal::TooMany`] when it has too many credentials; as the store.
    pub async fn add_thumbprint(
        &self,
        actor: &Actor,
        device: &DeviceId,
        thumbprint: [u8; 32],
    ) -> Result<Issued, Refusal> {
        let on = device::on(device);
        let act = Act::new(actor, Role::Operator, "credential.add-thumbprint", on);
        let device = device.clone();
        let work = move |connection: &Connection, actor: &Actor, now| {
            let known = device::seen_by(connection, actor, &device)?;
            let label: String = thumbprint
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            if authenticate::is_certificate_at(connection, &thumbprint, &known.site)? {
                return Err(Refusal::Exists {
                    what: "certificate",
                    id: label,
                });
            }
            let owner = Owner::Device(&device);
            let kind = CredentialKind::Thumbprint;
            let new = New::certificate(owner, kind, &label, thumbprint, None);
            let kept = credential::insert(connection, CredentialId::made_up()?, &new, now)?;
            let detail = json!({ "credential": kept.id.as_str(), "thumbprint": label });
            let issued = Issued {
                credential: kept,
                given: Given::Nothing,
            };
            Ok(Done::new(issued).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Signs a certificate for a request (PKCS #10, PEM) with the hub's own authority. Only the
    /// request's key is taken; the device's name is the certificate's common name.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Invalid`] for a request that is
    /// not good or a life out of bounds, [`Refusal::TooMany`] when it has too many credentials;
    /// as the store.
    pub async fn add_certificate(
        &self,
        actor: &Actor,
        device: &DeviceId,
        request: &str,
        lasts: Duration,
    ) -> Result<Issued, Refusal> {
        let on = device::on(device);
        let act = Act::new(actor, Role::Operator, "credential.add-certificate", on);
        let (device, request, identity) = (device.clone(), request.to_owned(), self.clone());
        let work = move |connection: &Connection, actor: &Actor, now| {
            device::seen_by(connection, actor, &device)?;
            let request = Request::read(&request)?;
            let signed = identity.certified(&device, &request, lasts, now)?;
            let id = CredentialId::made_up()?;
            let kept = credential::insert(connection, id, &signed.kept(&device), now)?;
            let issued = signed.given(kept);
            let detail = json!({ "credential": issued.credential.id.as_str() });
            Ok(Done::new(issued).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// The certificate, in PEM, of the hub's own authority for devices.
    ///
    /// # Errors
    /// None at present.
    #[expect(
        clippy::unused_async,
        reason = "with several hubs it lies in the store"
    )]
    pub async fn authority(&self) -> Result<String, Refusal> {
        Ok(self.authority.pem().to_owned())
    }

    /// Signs a certificate for `device`.
    pub(super) fn certified(
        &self,
        device: &DeviceId,
        request: &Request,
        lasts: Duration,
        now: Timestamp,
    ) -> Result<Certified, Refusal> {
        let signed = self.authority.sign(device, request, lasts, now)?;
        let leaf = Leaf::read(&signed.der)
            .ok_or(Refusal::Internal("a certificate was signed that is none"))?;
        Ok(Certified { signed, leaf })
    }

    /// Makes out which device shows this chain.
    pub(super) async fn by_certificate(
        &self,
        chain: &[Vec<u8>],
        device: Option<&DeviceId>,
    ) -> Result<Identified, Refusal> {
        let now = self.clock.now();
        let first = chain.first().ok_or(Refusal::Unauthenticated)?;
        if chain.len() > MAX_CHAIN || chain.iter().any(|der| der.len() > MAX_CERTIFICATE) {
            return Err(Refusal::Unauthenticated);
        }
        let leaf = Leaf::read(first).ok_or(Refusal::Unauthenticated)?;
        if !leaf.is_valid(now) {
            return Err(Refusal::Unauthenticated);
        }
        let mut identified = match device {
            Some(device) => self.by_certificate_of(chain, &leaf, device, now).await?,
            None => self.by_certificate_alone(chain, &leaf, now).await?,
        };
        if identified.expires.is_none() {
            let (id, end) = (identified.credential.clone(), leaf.not_after);
            let noted = self
                .store
                .write(move |connection| credential::note_end(connection, &id, end));
            if let Err(refusal) = noted.await {
                tracing::warn!(error = %refusal, "when a certificate ends was not noted");
            }
        }
        let end = identified
            .expires
            .map_or(leaf.not_after, |end| end.min(leaf.not_after));
        identified.expires = Some(end);
        Ok(identified)
    }

    /// Makes sure that it is `device` who shows this chain. What others have does not matter.
    async fn by_certificate_of(
        &self,
        chain: &[Vec<u8>],
        leaf: &Leaf,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<Identified, Refusal> {
        match self.held_by(leaf, device).await? {
            Some(held) => held.judge(now),
            None if leaf.names.contains(device) => {
                let vouched = self.vouched(chain, leaf, device, now).await?;
                let vouched = vouched.ok_or(Refusal::Unauthenticated)?;
                self.keep(vouched, leaf, now).await
            }
            None => Err(Refusal::Unauthenticated),
        }
    }

    /// Makes out which device shows this chain, when it does not say: the first that the
    /// certificate names, if it was signed for that one; else the only one that has it pinned.
    ///
    /// An authority's certificate is no secret: who runs a site may register another's authority,
    /// and name a device as that one's certificates do. So what is shown for the first time and
    /// pinned at another site is nobody's until its holder says who they are.
    async fn by_certificate_alone(
        &self,
        chain: &[Vec<u8>],
        leaf: &Leaf,
        now: Timestamp,
    ) -> Result<Identified, Refusal> {
        if let Some(named) = leaf.names.first() {
            match self.held_by(leaf, named).await? {
                Some(held) if held.is_signed() => return held.judge(now),
                // What was pinned and is revoked does not come back by an authority's word.
                Some(held) if !held.is_in_use() => {}
                Some(_) | None => {
                    if let Some(vouched) = self.vouched(chain, leaf, named, now).await? {
                        if vouched.is_pinned_elsewhere {
                            return Err(Refusal::Unauthenticated);
                        }
                        return self.keep(vouched, leaf, now).await;
                    }
                }
            }
        }
        let digest = leaf.thumbprint;
        self.store
            .read_first(move |connection| {
                authenticate::certificate_of_one(connection, &digest)?
                    .ok_or(Refusal::Unauthenticated)?
                    .judge(now)
            })
            .await
    }

    /// The certificate, if `device` has had it before.
    async fn held_by(&self, leaf: &Leaf, device: &DeviceId) -> Result<Option<Held>, Refusal> {
        let (digest, device) = (leaf.thumbprint, device.clone());
        self.store
            .read_first(move |connection| {
                authenticate::certificate_of(connection, &digest, &device)
            })
            .await
    }

    /// Asks the authorities of the device's site for their word. The certificate names `device`.
    async fn vouched(
        &self,
        chain: &[Vec<u8>],
        leaf: &Leaf,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<Option<Vouched>, Refusal> {
        let (device, chain, digest) = (device.clone(), chain.to_vec(), leaf.thumbprint);
        self.store
            .read_first(move |connection| {
                let Some(known) = device::find(connection, &device)? else {
                    return Ok(None);
                };
                let anchors = site_authority::in_use(connection, &known.site)?;
                let Some(anchor) = site_authority::vouching(&anchors, &chain, now) else {
                    return Ok(None);
                };
                let site = &known.site;
                Ok(Some(Vouched {
                    authority: anchor.id.clone(),
                    is_pinned_elsewhere: authenticate::is_held_beyond(connection, &digest, site)?,
                    device,
                }))
            })
            .await
    }

    /// Keeps a certificate as a credential of its own, so that it can be revoked by itself.
    async fn keep(
        &self,
        vouched: Vouched,
        leaf: &Leaf,
        now: Timestamp,
    ) -> Result<Identified, Refusal> {
        let (digest, subject, not_after) = (leaf.thumbprint, leaf.subject.clone(), leaf.not_after);
        self.store
            .write(move |connection| keep(connection, &vouched, (digest, &subject, not_after), now))
            .await
    }
}

/// Keeps a certificate that an authority has vouched for.
fn keep(
    connection: &Connection,
    vouched: &Vouched,
    (digest, subject, expires): (Digest, &str, Timestamp),
    now: Timestamp,
) -> Result<Identified, Refusal> {
    let Vouched {
        authority, device, ..
    } = vouched;
    // Two connections may have come at once, and the authority may have been revoked meanwhile.
    if let Some(held) = authenticate::certificate_of(connection, &digest, device)? {
        return held.judge(now);
    }
    let known = device::known(connection, device)?;
    let anchors = site_authority::in_use(connection, &known.site)?;
    if !anchors.iter().any(|anchor| anchor.id == *authority) {
        return Err(Refusal::Revoked);
    }
    let owner = Owner::Device(device);
    let kind = CredentialKind::Certificate;
    let new = New {
        authority: Some(authority),
        ..New::certificate(owner, kind, subject, digest, Some(expires))
    };
    let kept = credential::insert(connection, CredentialId::made_up()?, &new, now)?;
    let who = device::on(device);
    let detail = json!({ "credential": kept.id.as_str(), "authority": authority.as_str() });
    audit::append_as(
        connection,
        now,
        &who,
        None,
        "credential.first-shown",
        &who,
        &detail,
    )?;
    authenticate::certificate_of(connection, &digest, device)?
        .ok_or(Refusal::Internal("an insert was lost"))?
        .judge(now)
}
