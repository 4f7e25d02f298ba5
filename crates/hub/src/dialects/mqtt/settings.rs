//! How MQTT is spoken, and its limits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use outgate_mqtt::connection::Limits;

use crate::config::{Aws, Config, MqttLimits, Policy, Provisioning};
use crate::dialects::azure::login::Entrance;

/// The name of the policy that devices have unless they were given another.
pub const DEFAULT_POLICY: &str = "own-subtree";

/// The most bytes of a packet before a client has proved who it is.
pub const MAX_FIRST_PACKET: usize = 64 * 1024;

/// How MQTT is spoken, and its limits. Counts are of one client unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Seconds from a connection's start to its CONNECT.
    pub connect_timeout: u16,
    /// The most bytes of a packet from a client: an event of full size and what goes with it.
    pub max_packet: u32,
    /// The most messages of QoS 1 and 2 from a client that are not acknowledged yet.
    pub receive_maximum: u16,
    /// The most topic aliases of a client (MQTT 5).
    pub topic_alias_maximum: u16,
    /// The most messages of QoS 1 and 2 to a client that it has not acknowledged yet.
    pub inflight: u16,
    /// The longest keep-alive in seconds; a client that asks for more, or for none, gets this.
    pub max_keep_alive: u16,
    /// The longest that a session is kept without a connection, in seconds.
    pub max_session_expiry: u32,
    /// The most sessions of one device or service, connected or kept.
    pub max_sessions: usize,
    /// The most subscriptions of a session.
    pub max_subscriptions: usize,
    /// The most messages that wait for a session. A further one is dropped and counted.
    pub max_queued: usize,
    /// The most bytes of those.
    pub max_queued_bytes: u64,
    /// The most retained messages of one device.
    pub max_retained: usize,
    /// The most bytes of those.
    pub max_retained_bytes: u64,
    /// The most retained messages of all.
    pub max_retained_in_all: usize,
    /// The most bytes of those.
    pub max_retained_bytes_in_all: u64,
    /// Where clients are sent when this hub goes down (MQTT 5, section 4.11).
    pub server_reference: Option<String>,
    /// What devices may do between each other, by the policy's name; [`DEFAULT_POLICY`] is there
    /// without being named, and may be named to be another.
    pub policies: BTreeMap<String, Policy>,
    /// Whom devices of Azure's may take the hub for, and by whose tokens they come in.
    pub entrance: Arc<Entrance>,
    /// Documents that say what devices of AWS's may do, and for where what they show is signed.
    pub aws: Arc<Aws>,
    /// Where devices are told which hub is theirs.
    pub provisioning: Arc<Provisioning>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::with(&MqttLimits::default())
    }
}

impl Settings {
    /// As a hub is configured.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            server_reference: config.server_reference.clone(),
            policies: config.policies.clone(),
            entrance: Arc::new(Entrance::of(config, BTreeSet::new())),
            provisioning: Arc::new(config.azure.provisioning.clone()),
            aws: Arc::new(config.aws.clone()),
            ..Self::with(&config.mqtt)
        }
    }

    /// With these limits, and nothing else set.
    fn with(limits: &MqttLimits) -> Self {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let bytes = |mebibytes: u32| u64::from(mebibytes) << 20;
        Self {
            connect_timeout: 10,
            max_packet: limits.packet_bytes,
            receive_maximum: limits.in_flight,
            topic_alias_maximum: 16,
            inflight: limits.in_flight,
            max_keep_alive: 1_800,
            max_session_expiry: limits.session_days * 24 * 60 * 60,
            max_sessions: count(limits.sessions),
            max_subscriptions: count(limits.subscriptions),
            max_queued: count(limits.waiting),
            max_queued_bytes: bytes(limits.waiting_mebibytes),
            max_retained: count(limits.retained),
            max_retained_bytes: bytes(limits.retained_mebibytes),
            max_retained_in_all: count(limits.retained_in_all),
            max_retained_bytes_in_all: bytes(limits.retained_in_all_mebibytes),
            server_reference: None,
            policies: BTreeMap::new(),
            entrance: Arc::default(),
            provisioning: Arc::default(),
            aws: Arc::default(),
        }
    }

    /// The limits of one connection.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            connect_size: MAX_FIRST_PACKET,
            connect_time: Duration::from_secs(self.connect_timeout.into()),
            packet_size: self.max_packet,
            incoming: self.receive_maximum,
            outgoing: self.inflight,
            incoming_aliases: self.topic_alias_maximum,
            keep_alive: self.max_keep_alive,
            ..Limits::default()
        }
    }
}
