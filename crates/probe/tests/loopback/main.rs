//! Probes against servers of the test's own making, most of them bad: silent, slow, talkative,
//! or talking nonsense.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "lists of record types are long and open"
)]

#[cfg(test)]
#[path = "../support/asks.rs"]
mod asks;
#[cfg(test)]
mod conversations;
#[cfg(test)]
mod dns;
#[cfg(test)]
mod doh;
#[cfg(test)]
mod families;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod http;
#[cfg(test)]
mod icmp;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod mqtt;
#[cfg(test)]
mod multicast;
#[cfg(test)]
mod mutual;
#[cfg(test)]
mod name_servers;
#[cfg(test)]
mod names;
#[cfg(test)]
mod ntp;
#[cfg(test)]
mod open;
#[cfg(test)]
mod proxy;
#[cfg(test)]
#[path = "../support/resolver.rs"]
mod resolver;
#[cfg(test)]
mod rtp;
#[cfg(test)]
mod secure;
#[cfg(test)]
mod server;
#[cfg(test)]
mod signalr;
#[cfg(test)]
mod sip;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod stun;
#[cfg(test)]
mod tcp;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod websocket;
