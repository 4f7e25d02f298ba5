//! Lanes turned into what people use: firewall rules and the customer's page.
//!
//! [`rules`] has one file a firewall, [`page`] one view model with one file a format. Both get
//! everything in their request and do no I/O: addresses of names are looked up by the caller, and
//! the same request always gives the same bytes.

pub mod page;
pub mod rules;
mod visible;
