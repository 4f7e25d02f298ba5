//! What is fuzzed: one function for each reader of bytes that others wrote.
//!
//! A function here takes any bytes and panics when a promise is broken. `cargo test` replays the
//! committed corpora through them on any compiler; the programs in `fuzz_targets` hand them to
//! libFuzzer (`cargo xtask fuzz TARGET`).

mod aws;
mod azure;
mod challenge;
mod cron;
mod dhcp;
mod dhcp6;
mod door;
mod event_stream;
mod firebase;
mod http_date;
mod icmp;
mod jwt;
mod jwt_verify;
mod ldap;
mod llmnr;
mod manifest;
mod mender;
mod mqtt;
mod neighbours;
mod ntp;
mod otlp;
mod proxy_script;
mod rtp;
mod signalr;
mod signalr_connection;
mod signed_http;
mod signed_time;
mod sip;
mod ssh;
mod stun;
mod table;
mod tls;
mod whoami;
mod xmpp;

pub use self::aws::{aws_policy, aws_signature, aws_thing};
pub use self::azure::{azure_device, azure_provisioning, azure_sas, azure_service, azure_storage};
pub use self::challenge::challenges;
pub use self::cron::cron;
pub use self::dhcp::dhcp_reply;
pub use self::dhcp6::dhcp6_reply;
pub use self::door::door_first_bytes;
pub use self::event_stream::event_stream;
pub use self::firebase::{firebase_message, firebase_query, firebase_template};
pub use self::http_date::http_date;
pub use self::icmp::icmp_reply;
pub use self::jwt::jwt;
pub use self::jwt_verify::jwt_verify;
pub use self::ldap::ldap_message;
pub use self::llmnr::llmnr_message;
pub use self::manifest::manifest;
pub use self::mender::{mender_artifact, mender_request};
pub use self::mqtt::{mqtt_connection, mqtt_packet};
pub use self::neighbours::{neighbours_message, neighbours_relayed, neighbours_roster};
pub use self::ntp::ntp_reply;
pub use self::otlp::{otlp_json, otlp_protobuf};
pub use self::proxy_script::proxy_script_answer;
pub use self::rtp::rtp_packet;
pub use self::signalr::{signalr_answer, signalr_events, signalr_message};
pub use self::signalr_connection::signalr_connection;
pub use self::signed_http::signed_http;
pub use self::signed_time::signed_time;
pub use self::sip::sip_message;
pub use self::ssh::{ssh_identification, ssh_key, ssh_packet};
pub use self::stun::stun_message;
pub use self::table::table;
pub use self::tls::tls_server_record;
pub use self::whoami::whoami_answer;
pub use self::xmpp::xmpp_opening;

/// A fuzz target: takes any bytes, panics when a promise is broken.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its file in `fuzz_targets` and of its folder in
/// `corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("aws_policy", aws_policy),
    ("aws_signature", aws_signature),
    ("aws_thing", aws_thing),
    ("azure_device", azure_device),
    ("azure_provisioning", azure_provisioning),
    ("azure_sas", azure_sas),
    ("azure_service", azure_service),
    ("azure_storage", azure_storage),
    ("challenges", challenges),
    ("cron", cron),
    ("dhcp6_reply", dhcp6_reply),
    ("dhcp_reply", dhcp_reply),
    ("door_first_bytes", door_first_bytes),
    ("event_stream", event_stream),
    ("firebase_message", firebase_message),
    ("firebase_query", firebase_query),
    ("firebase_template", firebase_template),
    ("http_date", http_date),
    ("icmp_reply", icmp_reply),
    ("jwt", jwt),
    ("jwt_verify", jwt_verify),
    ("ldap_message", ldap_message),
    ("llmnr_message", llmnr_message),
    ("manifest", manifest),
    ("mender_artifact", mender_artifact),
    ("mender_request", mender_request),
    ("mqtt_connection", mqtt_connection),
    ("mqtt_packet", mqtt_packet),
    ("neighbours_message", neighbours_message),
    ("neighbours_relayed", neighbours_relayed),
    ("neighbours_roster", neighbours_roster),
    ("ntp_reply", ntp_reply),
    ("proxy_script_answer", proxy_script_answer),
    ("otlp_json", otlp_json),
    ("otlp_protobuf", otlp_protobuf),
    ("rtp_packet", rtp_packet),
    ("signalr_answer", signalr_answer),
    ("signalr_connection", signalr_connection),
    ("signalr_events", signalr_events),
    ("signalr_message", signalr_message),
    ("signed_http", signed_http),
    ("signed_time", signed_time),
    ("sip_message", sip_message),
    ("ssh_identification", ssh_identification),
    ("ssh_key", ssh_key),
    ("ssh_packet", ssh_packet),
    ("stun_message", stun_message),
    ("table", table),
    ("tls_server_record", tls_server_record),
    ("whoami_answer", whoami_answer),
    ("xmpp_opening", xmpp_opening),
];
