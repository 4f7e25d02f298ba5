//! The administration API over a real core, asked without a network between.

#![cfg(test)]

mod access;
mod conditions;
mod document;
mod enrolling;
mod hub;
mod manners;
mod model;
mod repeating;
mod streams;
