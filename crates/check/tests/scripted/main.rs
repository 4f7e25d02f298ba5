//! Checks with probes that answer by script.
#![cfg(test)]

mod facts;
mod firewall;
mod forms;
mod inspection;
mod joining;
mod support;
