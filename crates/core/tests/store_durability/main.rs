//! What is acknowledged stays, whatever happens to the process or the disk.

#![cfg(test)]

#[path = "../held/asked.rs"]
mod asked;
mod crash;
mod devices;
#[cfg(feature = "namespaces")]
mod full_disk;
mod reserve;
mod schedules;
