//! What goes over the wire, apart from what is kept: these types change only with the API.

mod assets;
mod devices;
mod events;
mod files;
mod identity;
mod logs;
mod payload;
mod push;
mod releases;
mod roster;
mod schedules;
mod spaces;
mod ssh;
mod support;
mod tables;
mod twin;
mod webhooks;

pub(crate) use assets::Asset;
pub(crate) use devices::{Answer, Command, Device, DeviceState, Revocation, Session, Site};
pub(crate) use events::{AuditEntry, Chain, Consumer, Event, EventList};
pub(crate) use files::{File, Grant, GrantIssued, Verb};
pub(crate) use identity::{
    Authority, Credential, Enrolled, FleetKey, FleetKeyIssued, Issued, IssuedList, Operator,
    OperatorIssued, Role, Service, ServiceIssued, only_site,
};
pub(crate) use logs::{LogList, LogRecord};
pub(crate) use payload::{GivenPayload, Payload, present};
pub(crate) use push::{Pushed, RegistrationList};
pub(crate) use releases::{Deployed, Deployment, DeploymentLog, Release, ReleaseKey, told};
pub(crate) use roster::Roster;
pub(crate) use schedules::{Fired, FiredDevice, Missed, NamedDevice, Schedule, Upcoming};
pub(crate) use spaces::{Space, SpaceGrant, SpaceWhole};
pub(crate) use ssh::{SshCertificate, SshSwitch};
pub(crate) use support::{SupportFlow, SupportSession, SupportState, SupportTaken};
pub(crate) use tables::Table;
pub(crate) use twin::{Half, Tags, Twin};
pub(crate) use webhooks::{Letter, Webhook, WebhookIssued, WebhookSecret};
