//! Small protocol pieces shared by the probes, the stand-ins, the hub and the agent.
//!
//! Everything here turns bytes into values and values into bytes. Nothing opens a socket, reads a
//! clock, draws a random number or waits: the caller passes bytes, times and cookies in. The
//! crate's `clippy.toml` holds this.

pub mod agent;
pub mod challenge;
pub mod cron;
pub mod dhcp;
pub mod dhcp6;
pub mod event_stream;
pub mod exposition;
pub mod happy_eyeballs;
pub mod http_date;
pub mod icmp;
pub mod jwt;
pub mod lasting;
pub mod ldap;
pub mod llmnr;
pub mod merge_patch;
pub mod ntp;
pub mod otlp;
pub mod rtp;
pub mod signed_time;
pub mod sip;
pub mod ssh;
pub mod stun;
pub mod table;
pub mod tls_hello;
pub mod whoami;
pub mod xmpp;
