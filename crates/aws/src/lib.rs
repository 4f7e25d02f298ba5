//! What devices of AWS IoT Core show and may do, for servers: signatures of version 4 ([`sigv4`])
//! and policy documents ([`policy`]).
//!
//! No input or output, clock, random numbers or runtime: the caller passes bytes and times in.

pub mod policy;
pub mod sigv4;
