//! The console: what it shows to whom, and what browsers make of it.
#![cfg(test)]

#[cfg(feature = "peers")]
mod browser;
#[cfg(feature = "peers")]
mod chromium;
mod hub;
mod live;
mod pages;
