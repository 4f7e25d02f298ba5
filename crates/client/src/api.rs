//! What the hub can be asked, a file a kind of thing, and what it answers with.
//!
//! Times are RFC 3339 text, as they go over the wire.

mod assets;
mod audit;
mod authorities;
mod calls;
mod commands;
mod consumers;
mod credentials;
mod deployments;
mod devices;
mod events;
mod files;
mod fleet_keys;
mod logs;
mod operators;
mod payload;
mod push;
mod releases;
mod rosters;
mod schedules;
mod services;
mod sites;
mod spaces;
mod ssh;
mod status;
mod support;
mod tables;
mod twins;
mod webhooks;

pub use assets::Asset;
pub use audit::{AuditEntry, Verified};
pub use authorities::Authority;
pub use calls::Answer;
pub use commands::{Command, NewCommand};
pub use consumers::Consumer;
pub use credentials::{Credential, Given, Issued, NewCredential};
pub use deployments::{DeployPlan, DeployTo, Deployed, Deployment, Windows};
pub use devices::{Device, DeviceFilter, DeviceSession, KeptLogs, Revoked};
pub use events::{Event, EventFilter, EventPart};
pub use files::{Download, File, Grant, GrantIssued, NewFileGrant};
pub use fleet_keys::{Enrolled, Enrolment, FleetKey, MadeFleetKey, NewFleetKey};
pub use logs::{LogFilter, LogPart, LogRecord};
pub use operators::{Me, NewOperator, Operator};
pub use payload::Payload;
pub use push::{NewPush, Pushed, Registration};
pub use releases::{Release, ReleaseKey};
pub use rosters::{Roster, RosterMember};
pub use schedules::{Fired, FiredDevice, NewSchedule, Schedule, ScheduleFor};
pub use services::{NewService, Service};
pub use sites::Site;
pub use spaces::{Space, SpaceGrant, SpaceWhole};
pub use ssh::{SshCertificate, SshSwitch};
pub use status::Status;
pub use support::{Recording, SupportRecorded, SupportSession, SupportTaken, SupportWhat};
pub use tables::{NewTable, Table};
pub use twins::{Half, Tags, Twin};
pub use webhooks::{
    Letter, MadeWebhook, NewWebhook, Webhook, WebhookChange, WebhookFailure, WebhookSecret,
};
