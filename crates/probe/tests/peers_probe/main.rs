//! Probes against real servers: OpenSSL, nginx, chrony, dnsmasq, BIND, unbound, mosquitto, squid, tinyproxy,
//! microsocks, OpenSSH, prosody, slapd, avahi, coturn, kamailio, sipp, and Python's websockets.
//!
//! Built only with the feature `peers`, which says that these are installed. Each server runs on
//! loopback, on a port of its own, in a directory of its own, and is killed when its test ends.

#[cfg(test)]
#[path = "../support/asks.rs"]
mod asks;
#[cfg(test)]
mod authority;
#[cfg(test)]
mod avahi;
#[cfg(test)]
mod bind9;
#[cfg(test)]
mod chrony;
#[cfg(test)]
mod coturn;
#[cfg(test)]
mod dhcp;
#[cfg(test)]
mod dhcp6;
#[cfg(test)]
mod dnsmasq;
#[cfg(test)]
mod kamailio;
#[cfg(test)]
mod llmnr;
#[cfg(test)]
mod middlebox;
#[cfg(test)]
mod mosquitto;
#[cfg(test)]
mod mtu;
#[cfg(test)]
mod neighbour;
#[cfg(test)]
mod nginx;
#[cfg(test)]
mod openssl;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod prosody;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod resolv_conf;
#[cfg(test)]
mod rtp;
#[cfg(test)]
mod set_ups;
#[cfg(test)]
mod signalr;
#[cfg(test)]
mod sip_gateway;
#[cfg(test)]
mod sipp;
#[cfg(test)]
mod site;
#[cfg(test)]
mod slapd;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod sshd;
#[cfg(test)]
mod sslsplit;
#[cfg(test)]
mod unbound;
#[cfg(test)]
mod unshare;
#[cfg(test)]
mod websockets;
