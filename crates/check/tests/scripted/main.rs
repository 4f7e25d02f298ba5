//! Checks with probes that answer by script.
#![cfg(test)]

mod forms;
mod inspection;
mod joining;
mod support;
