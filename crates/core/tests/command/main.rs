//! Commands, calls and twins, as dialects and operators use them.

#![cfg(test)]

mod calls;
mod commands;
mod courses;
#[path = "../held/core.rs"]
mod held;
mod hub;
mod named_twins;
mod random;
mod reminders;
mod schedules;
mod support;
mod twins;
