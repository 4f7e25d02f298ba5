//! The device provisioning service: a device proves that it is of a fleet, and is told which hub is
//! its own.
//!
//! Who is known by what they show is told at once. Who signs with a key made of a fleet key, as
//! devices of an enrolment group do, is taken up as by any enrolment: a new name comes in with that
//! key, one that is in use waits for an operator's approval, and is told to ask again meanwhile.
//! Who shows a certificate of an authority of a site, and has a name that is configured to be taken
//! up there, is taken up at once.

pub(super) mod http;

use std::sync::Arc;

use bytes::Bytes;
use outgate_azure::provisioning::{
    Answer, Ask, Proof, Refused, Registrant, Registration as Body, State, Status, Substatus,
    device_key,
};
use outgate_azure::sas::Token;
use outgate_core::Core;
use outgate_core::clock::Timestamp;
use outgate_core::events::NewEvent;
use outgate_core::id::{DeviceId, SessionId};
use outgate_core::identity::{
    Actor, Certified, Claim, Enrolled, Identified, Registration, name_fits,
};
use outgate_core::limits::Attempt;
use outgate_core::refusal::Refusal;
use outgate_core::sessions::{Pass, Session};
use outgate_door::Facts;
use serde::Serialize;

use crate::config::Provisioning;
use crate::dialects::login::{by_certificate, chain_of};

/// What devices are called that are here, among the dialects.
pub(in crate::dialects) const VIA: &str = "azure-provisioning";

/// In how many seconds a device that is assigned asks again.
const ASK_SOON: u64 = 1;

/// In how many seconds a device asks again that waits for approval.
const ASK_LATER: u64 = 30;

/// Under which what a device says of itself when it registers is kept.
const REGISTERED: &str = "provisioning/registered";

/// What a device shows.
pub(in crate::dialects) enum Shown<'a> {
    /// A shared access signature.
    Token(&'a str),
    /// The certificate below.
    Certificate,
}

/// A device that registers.
#[derive(Debug)]
pub(in crate::dialects) struct Desk {
    core: Core,
    settings: Arc<Provisioning>,
    registrant: Registrant,
    device: DeviceId,
    /// `None` for one that showed a certificate.
    token: Option<Token>,
    facts: Facts,
    standing: Standing,
}

/// How a device stands.
#[derive(Debug)]
enum Standing {
    /// It is known, by this. While it asks it has a session, which is none by which it is present.
    Known(Box<Session>, Substatus),
    /// It waits for approval.
    Waiting,
}

/// What a device is told.
#[derive(Debug)]
pub(in crate::dialects) struct Told {
    /// As over HTTP.
    pub(in crate::dialects) status: u16,
    /// In how many seconds to ask (again).
    pub(in crate::dialects) retry_after: Option<u64>,
    /// In JSON.
    pub(in crate::dialects) body: Bytes,
}

impl Desk {
    /// Makes out who registers.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] for whatever proves nothing; [`Refusal::Limited`] when too many
    /// logins of this name, or from there, have failed; as
    /// [`outgate_core::identity::Identity::register`].
    pub(in crate::dialects) async fn open(
        core: &Core,
        settings: Arc<Provisioning>,
        registrant: Registrant,
        shown: Shown<'_>,
        facts: &Facts,
    ) -> Result<Self, Refusal> {
        let attempt = Attempt::new(facts.peer.ip(), Some(&registrant.registration));
        core.failed_logins.check(&attempt)?;
        let opened = Self::made_out(core, settings, registrant, shown, facts).await;
        if let Err(Refusal::Unauthenticated) = &opened {
            core.failed_logins.count(&attempt)?;
        }
        opened
    }

    async fn made_out(
        core: &Core,
        settings: Arc<Provisioning>,
        registrant: Registrant,
        shown: Shown<'_>,
        facts: &Facts,
    ) -> Result<Self, Refusal> {
        if !settings.scopes.contains(&registrant.scope) {
            tracing::debug!(
                scope = registrant.scope,
                "a device registers in no scope of ours"
            );
            return Err(Refusal::Unauthenticated);
        }
        let device = registrant.registration.parse();
        let token = match shown {
            Shown::Certificate => None,
            Shown::Token(text) => {
                let token = Token::parse(text).map_err(|_| Refusal::Unauthenticated)?;
                let path = ["registrations", &registrant.registration];
                if token.host() != registrant.scope || !token.covers(&path) {
                    return Err(Refusal::Unauthenticated);
                }
                Some(token)
            }
        };
        let mut desk = Self {
            core: core.clone(),
            settings,
            device: device.map_err(|_| Refusal::Unauthenticated)?,
            registrant,
            token,
            facts: facts.clone(),
            standing: Standing::Waiting,
        };
        desk.come_in().await?;
        Ok(desk)
    }

    /// Answers a request.
    pub(in crate::dialects) async fn answer(&mut self, ask: &Ask, body: &[u8]) -> Told {
        match self.told(ask, body).await {
            Ok(told) => told,
            Err(refusal) => self.refused(&refusal),
        }
    }

    /// Waits until the device may not ask any more. Who waits for approval may for ever.
    pub(in crate::dialects) async fn ended(&self) {
        match &self.standing {
            Standing::Known(session, _) => {
                session.ended().await;
            }
            Standing::Waiting => std::future::pending().await,
        }
    }

    async fn told(&mut self, ask: &Ask, body: &[u8]) -> Result<Told, Refusal> {
        if let Standing::Waiting = self.standing {
            self.come_in().await?;
        }
        if let Standing::Known(session, _) = &self.standing {
            session.pass().check()?;
        }
        match (ask, &self.standing) {
            (Ask::Register, Standing::Known(session, _)) => {
                self.keep(&session.pass(), body).await?;
                let operation = format!("4.{}", SessionId::made_up()?);
                assigning(&operation, ASK_SOON)
            }
            (Ask::Register, Standing::Waiting) => {
                let operation = format!("4.{}", SessionId::made_up()?);
                assigning(&operation, ASK_LATER)
            }
            (Ask::Status { operation }, Standing::Waiting) => assigning(operation, ASK_LATER),
            (Ask::Status { operation }, Standing::Known(_, substatus)) => {
                self.assigned(operation, *substatus).await
            }
        }
    }

    /// Has the device come in by what it shows, if it may by now.
    async fn come_in(&mut self) -> Result<(), Refusal> {
        let (identified, substatus) = match self.identify().await {
            Ok(identified) => (identified, Substatus::DeviceDataMigrated),
            Err(Refusal::Unauthenticated) if self.token.is_some() => match self.register().await {
                Ok(Enrolled::Welcome(_)) => (self.identify().await?, Substatus::InitialAssignment),
                Ok(Enrolled::AwaitsApproval(_)) | Err(Refusal::AwaitsApproval) => {
                    return Ok(());
                }
                Err(refusal) => return Err(refusal),
            },
            Err(Refusal::Unauthenticated) => {
                self.register_certified().await?;
                (self.identify().await?, Substatus::InitialAssignment)
            }
            Err(refusal) => return Err(refusal),
        };
        let (core, peer) = (&self.core, self.facts.peer);
        let session = core.open_session_aside(&identified, VIA, peer).await?;
        self.standing = Standing::Known(Box::new(session), substatus);
        Ok(())
    }

    async fn identify(&self) -> Result<Identified, Refusal> {
        let Some(token) = &self.token else {
            return by_certificate(&self.core, self.device.as_str(), &self.facts).await;
        };
        let claim = Claim::Signed {
            device: &self.device,
            text: token.signed().as_bytes(),
            signature: token.signature(),
            until: super::http::until(token),
        };
        self.core.identity.authenticate(claim).await
    }

    /// Has the device taken up where the configuration says, by its certificate.
    async fn register_certified(&self) -> Result<(), Refusal> {
        let groups = self.settings.by_certificate.iter();
        let mut fitting = groups.filter(|(pattern, _)| name_fits(pattern, self.device.as_str()));
        let (_, site) = fitting.next().ok_or(Refusal::Unauthenticated)?;
        let tls = self.facts.tls.as_ref().ok_or(Refusal::Unauthenticated)?;
        let certified = Certified {
            device: self.device.clone(),
            chain: chain_of(tls),
            site: site.clone(),
            peer: self.facts.peer.ip(),
        };
        self.core.identity.register_certified(certified).await
    }

    async fn register(&self) -> Result<Enrolled, Refusal> {
        let token = self.token.as_ref().ok_or(Refusal::Unauthenticated)?;
        if super::http::until(token) <= self.core.clock.now() {
            return Err(Refusal::Unauthenticated);
        }
        let registration = Registration {
            device: self.device.clone(),
            text: token.signed().as_bytes().to_vec(),
            signature: token.signature().to_vec(),
            derive: |fleet, device| device_key(fleet, device.as_str()),
            peer: self.facts.peer.ip(),
        };
        self.core.identity.register(registration).await
    }

    /// Keeps what the device says of itself as an event.
    async fn keep(&self, pass: &Pass, body: &[u8]) -> Result<(), Refusal> {
        let read = Body::read(body);
        let read = read.map_err(|error| Refusal::invalid("body", error.to_string()))?;
        let its = read.registration.as_deref();
        if its.is_some_and(|its| its != self.registrant.registration) {
            return Err(Refusal::invalid("registrationId", "that of the login"));
        }
        let Some(payload) = read.payload.filter(|payload| payload.get() != "null") else {
            return Ok(());
        };
        let event = NewEvent {
            name: REGISTERED.to_owned(),
            content_type: "application/json".to_owned(),
            properties: std::collections::BTreeMap::new(),
            payload: Bytes::copy_from_slice(payload.get().as_bytes()),
        };
        let events = &self.core.events;
        events.append_noting(pass.clone(), event, None).await?;
        Ok(())
    }

    async fn assigned(&self, operation: &str, substatus: Substatus) -> Result<Told, Refusal> {
        let hub = self.hub()?;
        let device = self
            .core
            .identity
            .device(&Actor::hub(), &self.device)
            .await?;
        let since = device.created.to_string();
        let proof = match self.token {
            Some(_) => Proof::SymmetricKey { group: None },
            None => Proof::X509 { group: None },
        };
        let answer = Answer {
            operation_id: operation,
            status: Status::Assigned,
            registration_state: Some(State {
                proof,
                registration_id: &self.registrant.registration,
                created_date_time_utc: since.clone(),
                assigned_hub: &hub,
                device_id: device.id.as_str(),
                status: Status::Assigned,
                substatus,
                last_updated_date_time_utc: since,
                etag: device.version.to_string(),
                payload: None,
            }),
        };
        told(200, None, &answer)
    }

    /// The device's hub: where it is sent by configuration, or else the name by which it came.
    fn hub(&self) -> Result<String, Refusal> {
        let elsewhere = self.settings.elsewhere.iter();
        let mut fitting = elsewhere.filter(|(pattern, _)| name_fits(pattern, self.device.as_str()));
        let configured = fitting.next().map(|(_, hub)| hub);
        let asked = self.facts.tls.as_ref();
        let asked = asked.and_then(|tls| tls.server_name.as_ref());
        let hub = configured.or(self.settings.hub.as_ref()).or(asked);
        hub.cloned().ok_or_else(|| {
            Refusal::invalid(
                "azure.provisioning.hub",
                "the host name of the devices' hub",
            )
        })
    }

    fn refused(&self, refusal: &Refusal) -> Told {
        tracing::debug!(error = %refusal, device = %self.device, "a registration was refused");
        failure(refusal, self.core.clock.now())
    }
}

/// What is told of a refusal.
pub(super) fn failure(refusal: &Refusal, now: Timestamp) -> Told {
    let (status, retry_after) = match refusal {
        Refusal::Unauthenticated | Refusal::Revoked => (401, None),
        Refusal::Forbidden { .. } => (403, None),
        Refusal::NotFound { .. } => (404, None),
        Refusal::Limited { retry_after, .. } => (429, Some(retry_after.as_secs().max(1))),
        Refusal::Invalid { .. } | Refusal::TooLarge { .. } => (400, None),
        Refusal::Exists { .. } | Refusal::Conflict { .. } | Refusal::AwaitsApproval => (409, None),
        Refusal::TooMany { .. }
        | Refusal::Offline { .. }
        | Refusal::TakesNoCalls { .. }
        | Refusal::DeadlineExceeded
        | Refusal::Expired { .. }
        | Refusal::Full
        | Refusal::Draining
        | Refusal::Randomness
        | Refusal::Store(_)
        | Refusal::Internal(_) => (503, Some(ASK_LATER)),
    };
    let message = match status {
        503 => "the hub cannot do this now".to_owned(),
        _ => refusal.to_string(),
    };
    let refused = Refused {
        error_code: u32::from(status) * 1_000,
        tracking_id: "-",
        message: &message,
        timestamp_utc: &now.to_string(),
    };
    let body = serde_json::to_vec(&refused).unwrap_or_default();
    Told {
        status,
        retry_after,
        body: body.into(),
    }
}

fn assigning(operation: &str, retry_after: u64) -> Result<Told, Refusal> {
    let answer = Answer {
        operation_id: operation,
        status: Status::Assigning,
        registration_state: None,
    };
    told(202, Some(retry_after), &answer)
}

fn told(status: u16, retry_after: Option<u64>, answer: &impl Serialize) -> Result<Told, Refusal> {
    let body = serde_json::to_vec(answer);
    let body = body.map_err(|_| Refusal::Internal("an answer cannot be written"))?;
    Ok(Told {
        status,
        retry_after,
        body: body.into(),
    })
}
