//! MQTT as the hub speaks it, packet by packet.

#![cfg(test)]

mod authentication;
mod bounds;
mod client;
mod counted;
mod event_wills;
mod hub;
mod login;
mod messages;
mod model;
mod once;
mod rates;
mod retained;
mod rules;
mod site;
mod standard;
mod wills;
