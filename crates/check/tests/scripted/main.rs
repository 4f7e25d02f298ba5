//! Checks with probes that answer by script.
#![cfg(test)]

mod forms;
mod joining;
mod support;
