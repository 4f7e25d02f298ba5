//! What MQTT clients may do, in numbers.

use serde::Deserialize;

use super::{ConfigError, within};

/// The limits of MQTT that may be set. Counts are of one client unless they say otherwise; memory
/// and disk of the whole hub grow with what is set here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttLimits {
    /// The most bytes of a packet, 1 KiB to 16 MiB. An event stays at most 256 KiB.
    pub packet_bytes: u32,
    /// The most messages of QoS 1 and 2 that are not acknowledged, each way, 1 to 65,535.
    pub in_flight: u16,
    /// The most sessions of one device or service, connected or kept, 1 to 1,000,000.
    pub sessions: u32,
    /// The most subscriptions of a session, 1 to 100,000.
    pub subscriptions: u32,
    /// The most messages that wait for a session, 1 to 10,000,000.
    pub waiting: u32,
    /// The most mebibytes of those, 1 to 65,536.
    pub waiting_mebibytes: u32,
    /// The most retained messages of one device, 0 to 1,000,000.
    pub retained: u32,
    /// The most mebibytes of those, 1 to 65,536.
    pub retained_mebibytes: u32,
    /// The most retained messages in all, 0 to 10,000,000.
    pub retained_in_all: u32,
    /// The most mebibytes of those, 1 to 65,536.
    pub retained_in_all_mebibytes: u32,
    /// The longest that a session is kept without a connection, in days, 0 to 3,650.
    pub session_days: u32,
}

/// The limits as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    packet_bytes: Option<u32>,
    in_flight: Option<u32>,
    sessions: Option<u32>,
    subscriptions: Option<u32>,
    waiting: Option<u32>,
    waiting_mebibytes: Option<u32>,
    retained: Option<u32>,
    retained_mebibytes: Option<u32>,
    retained_in_all: Option<u32>,
    retained_in_all_mebibytes: Option<u32>,
    session_days: Option<u32>,
}

/// The most mebibytes of anything.
const MAX_MEBIBYTES: u32 = 65_536;

impl Default for MqttLimits {
    fn default() -> Self {
        Self {
            packet_bytes: 320 * 1024,
            in_flight: 64,
            sessions: 16,
            subscriptions: 256,
            waiting: 1_000,
            waiting_mebibytes: 8,
            retained: 1_000,
            retained_mebibytes: 4,
            retained_in_all: 100_000,
            retained_in_all_mebibytes: 64,
            session_days: 30,
        }
    }
}

impl Written {
    /// Fills in the defaults and checks the ranges.
    pub(super) fn checked(&self) -> Result<MqttLimits, ConfigError> {
        let usual = self.retained()?;
        let in_flight = within(
            "mqtt.limits.in-flight",
            self.in_flight,
            usual.in_flight.into(),
            1..=65_535,
        )?;
        let number = |key, given, default, most| within(key, given, default, 1..=most);
        let mebibytes = |key, given, default| within(key, given, default, 1..=MAX_MEBIBYTES);
        Ok(MqttLimits {
            packet_bytes: within(
                "mqtt.limits.packet-bytes",
                self.packet_bytes,
                usual.packet_bytes,
                1_024..=16 * 1024 * 1024,
            )?,
            in_flight: u16::try_from(in_flight).unwrap_or(u16::MAX),
            sessions: number(
                "mqtt.limits.sessions",
                self.sessions,
                usual.sessions,
                1_000_000,
            )?,
            subscriptions: number(
                "mqtt.limits.subscriptions",
                self.subscriptions,
                usual.subscriptions,
                100_000,
            )?,
            waiting: number(
                "mqtt.limits.waiting",
                self.waiting,
                usual.waiting,
                10_000_000,
            )?,
            waiting_mebibytes: mebibytes(
                "mqtt.limits.waiting-mebibytes",
                self.waiting_mebibytes,
                usual.waiting_mebibytes,
            )?,
            session_days: within(
                "mqtt.limits.session-days",
                self.session_days,
                usual.session_days,
                0..=3_650,
            )?,
            ..usual
        })
    }

    /// The limits of retained messages; the others are the defaults.
    fn retained(&self) -> Result<MqttLimits, ConfigError> {
        let usual = MqttLimits::default();
        let number = |key, given, default, most| within(key, given, default, 0..=most);
        let mebibytes = |key, given, default| within(key, given, default, 1..=MAX_MEBIBYTES);
        Ok(MqttLimits {
            retained: number(
                "mqtt.limits.retained",
                self.retained,
                usual.retained,
                1_000_000,
            )?,
            retained_mebibytes: mebibytes(
                "mqtt.limits.retained-mebibytes",
                self.retained_mebibytes,
                usual.retained_mebibytes,
            )?,
            retained_in_all: number(
                "mqtt.limits.retained-in-all",
                self.retained_in_all,
                usual.retained_in_all,
                10_000_000,
            )?,
            retained_in_all_mebibytes: mebibytes(
                "mqtt.limits.retained-in-all-mebibytes",
                self.retained_in_all_mebibytes,
                usual.retained_in_all_mebibytes,
            )?,
            ..usual
        })
    }
}
