//! MQTT as the hub speaks it, packet by packet, over streams in memory; and a
//! whole hub, over sockets, where more than the dialect has a part.

#![cfg(test)]

mod client;
mod hub;
mod login;
mod messages;
mod model;
mod retained;
mod site;
