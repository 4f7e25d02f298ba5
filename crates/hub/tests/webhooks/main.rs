//! Webhooks against real HTTP receivers, with time in the test's hand.

#![cfg(test)]

mod deliveries;
mod destinations;
mod hub;
#[cfg(feature = "peers")]
mod metrics;
#[cfg(feature = "peers")]
mod python;
mod receiver;
mod troubles;
