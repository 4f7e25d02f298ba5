//! Shadows: a device's twin is its classic one, and its twins with names are those with names.
//!
//! A shadow's version is that of both halves together, so it goes up by two when both change. One
//! in which nothing stands is not there.

use bytes::Bytes;
use outgate_aws::shadow::{
    Address, Part, Rejected, Request, Section, Shadow, Update, Verb, accepted, delta, documents,
    removed, written,
};
use outgate_core::Core;
use outgate_core::clock::Timestamp;
use outgate_core::id::{DeviceId, TwinName};
use outgate_core::refusal::Refusal;
use outgate_core::sessions::Session;
use outgate_core::twin::{Change, Changed, Edit, Half, MAX_NAMED, Twin};
use outgate_mqtt::connection::Incoming;
use outgate_mqtt::packet::PublishProperties;
use outgate_mqtt::topics::TopicFilter;
use serde_json::{Map, Value};

use crate::dialects::mqtt::tongue::Utterance;

/// Something that a device asks of one of its shadows.
#[derive(Debug)]
pub(in crate::dialects) struct Ask {
    name: Option<TwinName>,
    verb: Verb,
    payload: Bytes,
}

/// One who asks, and what they know their request by.
struct Asker<'a> {
    address: Address<'a>,
    token: Option<&'a str>,
    now: i64,
}

impl Ask {
    /// What `device` asks by a publish, if it is to a topic of its own shadows.
    pub(in crate::dialects) fn of(device: &DeviceId, incoming: &Incoming) -> Option<Self> {
        let (address, verb) = Address::asked(&incoming.topic)?;
        if address.thing != device.as_str() {
            return None;
        }
        let name = address.name.map(str::parse).transpose();
        Some(Self {
            name: name.ok()?,
            verb,
            payload: incoming.payload.clone(),
        })
    }

    /// Does what is asked, and says what came of it.
    ///
    /// # Errors
    /// [`Refusal::Revoked`], [`Refusal::Draining`]: then nothing is said.
    pub(in crate::dialects) async fn answer(
        self,
        core: &Core,
        session: &Session,
    ) -> Result<Vec<Utterance>, Refusal> {
        let device = session.device()?;
        let (token, request) = Request::read(self.verb, &self.payload);
        let asker = Asker {
            address: address(device, self.name.as_ref()),
            token: token.as_deref(),
            now: seconds(core.clock.now()),
        };
        let done = match request {
            Ok(Request::Get) => asker.get(core, session, self.name.as_ref()).await,
            Ok(Request::Update(update)) => {
                asker.update(core, session, self.name.clone(), update).await
            }
            Ok(Request::Delete(version)) => {
                let change =
                    core.twins
                        .change(session.pass(), self.name.clone(), Change::Clear, version);
                change.await.map(|changed| asker.removed(&changed))
            }
            Err(rejected) => return Ok(vec![asker.rejected(self.verb, &rejected)]),
        };
        match done {
            Err(refusal @ (Refusal::Revoked | Refusal::Draining)) => Err(refusal),
            Err(refusal) => Ok(vec![asker.rejected(self.verb, &asker.why(&refusal))]),
            Ok(said) => Ok(said),
        }
    }
}

impl Asker<'_> {
    async fn get(
        &self,
        core: &Core,
        session: &Session,
        name: Option<&TwinName>,
    ) -> Result<Vec<Utterance>, Refusal> {
        let twin = core.twins.own_of(session, name).await?;
        if twin.is_empty() {
            return Err(Refusal::not_found("twin", self.name()));
        }
        let body = accepted(&shadow(&twin), self.token, self.now);
        Ok(vec![said(self.address.accepted(Verb::Get), &body)])
    }

    async fn update(
        &self,
        core: &Core,
        session: &Session,
        name: Option<TwinName>,
        update: Update,
    ) -> Result<Vec<Utterance>, Refusal> {
        let change = Change::Edit {
            desired: update.desired.as_ref().map(edit),
            reported: update.reported.as_ref().map(edit),
        };
        let twins = &core.twins;
        let changed = twins
            .change(session.pass(), name, change, update.version)
            .await?;
        let (before, after) = (shadow(&changed.before), shadow(&changed.after));
        let body = written(&update, after.version, self.token, self.now);
        let both = documents((&before, &after), self.token, self.now);
        let mut all = vec![
            said(self.address.accepted(Verb::Update), &body),
            said(self.address.documents(), &both),
        ];
        // That what is desired has changed, every session of the device is told by itself.
        if changed.before.desired.version == changed.after.desired.version {
            all.extend(differing(&self.address, &changed.after, self.now));
        }
        Ok(all)
    }

    fn removed(&self, changed: &Changed) -> Vec<Utterance> {
        let body = removed(changed.before.version(), self.token, self.now);
        vec![said(self.address.accepted(Verb::Delete), &body)]
    }

    fn rejected(&self, verb: Verb, why: &Rejected) -> Utterance {
        said(self.address.rejected(verb), &why.body(self.token, self.now))
    }

    fn name(&self) -> &str {
        self.address.name.unwrap_or(self.address.thing)
    }

    fn why(&self, refusal: &Refusal) -> Rejected {
        match refusal {
            Refusal::NotFound { .. } => Rejected::not_found(self.name()),
            Refusal::Conflict { .. } => Rejected::CONFLICT,
            Refusal::TooLarge { .. } => Rejected::TOO_LARGE,
            Refusal::Limited { .. } => Rejected::TOO_MANY,
            Refusal::TooMany { .. } => Rejected {
                code: 400,
                message: format!("A thing has at most {MAX_NAMED} named shadows").into(),
            },
            Refusal::Invalid { .. } => Rejected::JSON,
            Refusal::Unauthenticated
            | Refusal::Forbidden { .. }
            | Refusal::Revoked
            | Refusal::AwaitsApproval => Rejected::FORBIDDEN,
            Refusal::Exists { .. }
            | Refusal::Offline { .. }
            | Refusal::TakesNoCalls { .. }
            | Refusal::DeadlineExceeded
            | Refusal::Expired { .. }
            | Refusal::Full
            | Refusal::Draining
            | Refusal::Randomness
            | Refusal::Store(_)
            | Refusal::Internal(_) => {
                tracing::warn!(error = %refusal, "what was asked of a shadow failed");
                Rejected::FAILED
            }
        }
    }
}

/// Where `device` is told what differs of its shadow of this name.
pub(in crate::dialects) fn delta_topic(device: &DeviceId, name: Option<&TwinName>) -> String {
    address(device, name).delta()
}

/// What differs of a shadow of `device`, if anything does.
pub(in crate::dialects) fn told_delta(
    device: &DeviceId,
    name: Option<&TwinName>,
    (twin, now): (&Twin, Timestamp),
) -> Option<Utterance> {
    differing(&address(device, name), twin, seconds(now))
}

/// Whether who subscribes to `filter` may be told what differs of a shadow of `device`.
pub(in crate::dialects) fn takes_deltas(device: &DeviceId, filter: &TopicFilter) -> bool {
    let level = filter.as_str().split('/').nth(5);
    let name = level.filter(|level| !["", "+", "#"].contains(level));
    let thing = device.as_str();
    [None, Some(name.unwrap_or("-"))]
        .into_iter()
        .any(|name| filter.matches(&Address { thing, name }.delta()))
}

/// The topics that AWS reserves for `device`.
pub(in crate::dialects) fn own_filter(device: &DeviceId) -> String {
    format!("$aws/things/{device}/#")
}

fn differing(address: &Address<'_>, twin: &Twin, now: i64) -> Option<Utterance> {
    let body = delta(&shadow(twin), now)?;
    Some(said(address.delta(), &body))
}

fn address<'a>(device: &'a DeviceId, name: Option<&'a TwinName>) -> Address<'a> {
    Address {
        thing: device.as_str(),
        name: name.map(TwinName::as_str),
    }
}

fn shadow(twin: &Twin) -> Shadow<'_> {
    Shadow {
        desired: section(&twin.desired),
        reported: section(&twin.reported),
        version: twin.version(),
    }
}

fn section(half: &Half) -> Section<'_> {
    Section {
        document: &half.document,
        changed: half.changed.map_or(0, seconds),
    }
}

fn edit(part: &Part) -> Edit {
    match part {
        Part::Merge(patch) => Edit::Merge(patch.clone()),
        Part::Clear => Edit::Replace(Value::Object(Map::new())),
    }
}

pub(super) fn seconds(moment: Timestamp) -> i64 {
    moment.as_millis().div_euclid(1_000)
}

pub(super) fn said(topic: String, body: &Value) -> Utterance {
    Utterance {
        topic,
        payload: Bytes::from(body.to_string()),
        properties: PublishProperties::default(),
    }
}
