//! MQTT as the hub speaks it, packet by packet.

#![cfg(test)]

mod authentication;
mod azure;
mod bounds;
mod client;
mod counted;
mod event_wills;
mod failed_logins;
mod goodbye;
mod hub;
mod login;
mod messages;
mod model;
#[path = "../running/site.rs"]
mod of_running;
mod once;
mod rates;
mod retained;
mod rules;
#[path = "../running/hub.rs"]
mod running;
mod site;
mod standard;
mod wills;
