//! MQTT as the hub speaks it, packet by packet, over streams in memory.

#![cfg(test)]

mod client;
mod messages;
mod model;
mod retained;
mod site;
