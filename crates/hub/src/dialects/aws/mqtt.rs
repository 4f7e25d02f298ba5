//! Devices of AWS IoT Core over MQTT: how they come in, and who they are.
//!
//! By a signed address of the WebSocket; by a certificate, with ALPN `x-amzn-mqtt-ca` or the user
//! name that AWS's SDKs send along; in the form of custom authorizers, whose token is one of the
//! hub's.

use std::borrow::Cow;

use outgate_core::Core;
use outgate_core::identity::{Identified, Principal};
use outgate_core::refusal::Refusal;
use outgate_door::Facts;
use outgate_mqtt::packet::Connect;
use percent_encoding::percent_decode_str;

use crate::dialects::login::{self, Shown};

/// What sessions of this dialect are called.
pub(in crate::dialects) const VIA: &str = "aws";

/// What clients offer by ALPN (RFC 7301) that show a certificate.
const BY_CERTIFICATE: &str = "x-amzn-mqtt-ca";

/// The first field that SDKs put into a user name by themselves.
const SDK: &str = "SDK";

/// The field of a user name that says which custom authorizer is meant.
const AUTHORIZER: &str = "x-amz-customauthorizer-name";

/// The field of a user name with the token for it.
const TOKEN: &str = "token";

/// How a client comes in that speaks so.
#[derive(Debug)]
pub(in crate::dialects) enum Entering {
    /// By what it had signed before.
    Signed(Box<Identified>),
    /// By the certificate below.
    Certificate,
    /// By a token, as this device.
    Authorizer {
        /// What the device says it is called.
        device: String,
        /// The token, if the user name has one.
        token: Option<String>,
    },
}

impl Entering {
    /// How a client comes in, if it is in AWS's way.
    pub(in crate::dialects) fn of(
        connect: &Connect,
        facts: &Facts,
        signed: Option<Box<Identified>>,
    ) -> Option<Self> {
        if let Some(identified) = signed {
            return Some(Self::Signed(identified));
        }
        let user = connect.user_name.as_deref().unwrap_or_default();
        if let Some((device, fields)) = user.split_once('?') {
            if field(fields, AUTHORIZER).is_some() {
                return Some(Self::Authorizer {
                    device: device.to_owned(),
                    token: field(fields, TOKEN).map(Cow::into_owned),
                });
            }
            if device.is_empty() && field(fields, SDK).is_some() {
                return Some(Self::Certificate);
            }
        }
        let alpn = facts.tls.as_ref().and_then(|tls| tls.alpn.as_deref());
        (alpn == Some(BY_CERTIFICATE)).then_some(Self::Certificate)
    }

    /// Makes out which device comes in.
    ///
    /// # Errors
    /// As [`login::identify`]; [`Refusal::Forbidden`] for a service.
    pub(in crate::dialects) async fn prove(
        &self,
        core: &Core,
        connect: &Connect,
        facts: &Facts,
    ) -> Result<Identified, Refusal> {
        let password = connect.password.as_ref().map(|password| password.expose());
        let shown = match self {
            Self::Signed(identified) => return Ok((**identified).clone()),
            Self::Certificate => Shown::Name(""),
            Self::Authorizer { device, token } => {
                let token = token.as_ref().map(String::as_bytes).or(password);
                Shown::Password(device, token.ok_or(Refusal::Unauthenticated)?)
            }
        };
        let identified = login::identify(core, shown, facts).await?;
        match &identified.principal {
            Principal::Device { .. } => Ok(identified),
            Principal::Service { .. } | Principal::Operator { .. } => {
                Err(Refusal::forbidden("coming in as a device"))
            }
        }
    }
}

/// The first field of that name, decoded.
fn field<'a>(fields: &'a str, wanted: &str) -> Option<Cow<'a, str>> {
    let mut pairs = fields.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == wanted)?;
    percent_decode_str(value).decode_utf8().ok()
}
