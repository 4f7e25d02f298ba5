//! The administration API over a real core, asked without a network between.

#![cfg(test)]

mod access;
mod authorisation;
mod bodies;
mod conditions;
mod document;
mod enrolling;
mod for_devices;
mod full_disk;
mod heard;
mod hub;
mod limits;
mod logs;
mod manners;
mod model;
mod places;
mod polls;
mod repeating;
#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;
mod spaces;
mod stalled;
mod streams;
mod whole;
