//! What was written for AWS IoT Core speaks with the same devices, events, commands and twins.
//!
//! What a device may is said by the policy document that has the name of its policy, whichever way
//! it comes in over MQTT. Its topics are the hub's own.

mod credentials;
pub(in crate::dialects) mod http;
pub(in crate::dialects) mod jobs;
pub(crate) mod login;
pub(in crate::dialects) mod mqtt;
mod publish;
pub(in crate::dialects) mod shadow;

use axum::Router;

use crate::dialects::mqtt::Mqtt;
use crate::hub::State;

/// What devices ask over HTTPS.
pub(crate) fn router(state: &State, mqtt: &Mqtt) -> Router {
    credentials::router(state).merge(publish::router(state, mqtt))
}
