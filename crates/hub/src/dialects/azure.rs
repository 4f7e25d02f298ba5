//! What was written for Azure IoT Hub speaks with the same devices, twins, commands and calls, in
//! Azure's words.
//!
//! Over MQTT a device is told apart by the form of its user name: its topics are a tongue of the
//! MQTT dialect, whose conversation is the same.

mod http;
pub(crate) mod login;
mod message;
pub(in crate::dialects) mod mqtt;
pub(in crate::dialects) mod provisioning;
mod rest;
mod service;

use axum::Router;

use crate::hub::State;

/// What devices and back ends ask over HTTPS. What nobody may ask here has no routes: where those of
/// back ends stand, a hub without policies may have something else.
pub(crate) fn router(state: &State) -> Router {
    let back_ends = if state.config.load().azure.policies.is_empty() {
        Router::new()
    } else {
        service::router(state)
    };
    back_ends
        .merge(rest::router(state))
        .merge(provisioning::http::router(state))
}
