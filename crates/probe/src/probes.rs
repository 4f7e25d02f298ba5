//! One file a protocol.

pub(crate) mod dhcp;
pub(crate) mod dns;
pub(crate) mod events;
pub(crate) mod http;
pub(crate) mod icmp;
pub(crate) mod ldap;
pub(crate) mod llmnr;
pub(crate) mod mdns;
pub(crate) mod mqtt;
pub(crate) mod ntp;
pub(crate) mod polling;
pub(crate) mod rtp;
pub(crate) mod signalr;
pub(crate) mod sip;
pub(crate) mod ssh;
pub(crate) mod stun;
pub(crate) mod tcp;
pub(crate) mod tls;
pub(crate) mod websocket;
pub(crate) mod xmpp;
