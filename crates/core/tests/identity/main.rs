//! Who is who, tested from outside: what dialects and the administration API see of it.

#![cfg(test)]

mod basics;
mod hub;
