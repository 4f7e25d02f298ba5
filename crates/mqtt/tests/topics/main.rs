#![cfg(test)]
//! Topics: matching, retaining and permitting, against the plainest way to say the same.

mod made;
mod policy;
mod retained;
mod subscriptions;
