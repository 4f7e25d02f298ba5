//! What devices of AWS IoT Core show, may do and ask, for servers: signatures of version 4
//! ([`sigv4`]), policy documents ([`policy`]), shadows ([`shadow`]) and jobs ([`jobs`]).
//!
//! No input or output, clock, random numbers or runtime: the caller passes bytes and times in.

pub mod jobs;
pub mod policy;
pub mod shadow;
pub mod sigv4;
