//! Commands, calls and twins, as dialects and operators use them.

#![cfg(test)]

mod calls;
mod commands;
mod hub;
mod random;
mod twins;
