//! SSH of devices.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use outgate_core::{Timestamp, identity, twin};

/// A certificate by which somebody can log in to a device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SshCertificate {
    /// The line that `ssh` reads: beside the key `id`, in a file `id-cert.pub`.
    #[schema(example = "ssh-ed25519-cert-v01@openssh.com AAAA…")]
    certificate: String,
    /// Its number in hexadecimal, as the audit log has it.
    #[schema(example = "0123456789abcdef")]
    serial: String,
    /// Whom it is of, as the device's own log has it.
    #[schema(example = "anna for technician of till-7, 0123456789abcdef")]
    id: String,
    /// Until when it counts.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
}

impl From<identity::SshCertificate> for SshCertificate {
    fn from(signed: identity::SshCertificate) -> Self {
        Self {
            certificate: signed.certificate,
            serial: format!("{:016x}", signed.serial),
            id: signed.id,
            expires: signed.expires,
        }
    }
}

/// The SSH switch of a device, as its agent has said last.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SshSwitch {
    /// Whether it is on: switched on, and its time is not over.
    pub(crate) on: bool,
    /// Until when, if it was switched on, by the device's clock.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) until: Option<Timestamp>,
}

impl SshSwitch {
    /// What a device's agent reports in the twin, below what is its own: `outgate/ssh`. Nothing when
    /// the device has no switch.
    pub(crate) fn said(twin: &twin::Twin, now: Timestamp) -> Option<Self> {
        let said = twin.reported.document.pointer("/outgate/ssh")?;
        let on = said.get("on").and_then(Value::as_bool)?;
        let until = said.get("until").cloned().unwrap_or_default();
        let until: Option<Timestamp> = serde_json::from_value(until).ok()?;
        Some(Self {
            on: on && until.is_some_and(|until| until > now),
            until: until.filter(|_| on),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(reported: Value) -> Option<(bool, bool)> {
        let half = |document| twin::Half {
            document,
            version: 1,
            changed: None,
        };
        let twin = twin::Twin {
            device: "till".parse().unwrap(),
            desired: half(json!({})),
            reported: half(reported),
        };
        let now = Timestamp::from_millis(1_000_000);
        let switch = SshSwitch::said(&twin, now)?;
        Some((switch.on, switch.until.is_some()))
    }

    #[test]
    fn it_is_on_until_its_time_is_over_and_there_is_none_where_none_was_told() {
        let ssh = |ssh| said(json!({ "outgate": { "ssh": ssh } }));
        let later = json!({ "on": true, "until": "1970-01-01T00:20:00Z" });
        assert_eq!(ssh(later), Some((true, true)));
        let over = json!({ "on": true, "until": "1970-01-01T00:10:00Z" });
        assert_eq!(ssh(over), Some((false, true)));
        assert_eq!(ssh(json!({ "on": false })), Some((false, false)));
        for none in [json!({}), json!("on"), json!({ "on": true, "until": 5 })] {
            assert_eq!(ssh(none), None);
        }
        assert_eq!(said(json!({ "ssh": true })), None);
    }
}
