//! Who is who, tested from outside: what dialects and the administration API see of it.

#![cfg(test)]

#[path = "../held/asked.rs"]
mod asked;
mod audit;
mod basics;
mod certificates;
mod certified;
mod enrol;
#[path = "../held/core.rs"]
mod held;
mod hub;
mod lookups;
mod named_keys;
mod neighbours;
mod policies;
mod register;
mod registry;
mod renewal;
mod revoke;
mod signed;
mod under_way;
