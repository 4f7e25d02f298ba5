//! `outgate hub` as a process: killed, drained, and met by other people's programs.
#![cfg(test)]

mod crash;
mod process;
mod publisher;
