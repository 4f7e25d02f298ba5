//! Why something did not work: the raw reason with its data, and nobody blamed.

mod display;

use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;

use super::{NameServer, NatBehaviour, PhaseName};
use crate::ask::TlsVersion;

/// The reason for an outcome other than pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Trouble {
    /// The resolver says that the name does not exist (NXDOMAIN).
    NameNotFound,
    /// The name exists and has no address of the wanted kind (NODATA).
    NoAddress,
    /// This machine is told of no name server, and answers for none itself.
    NoNameServer,
    /// No resolver answered in time.
    ResolverSilent,
    /// No resolver could be reached: the port is closed or there is no route.
    ResolverUnreachable,
    /// The resolver answered that it cannot or will not.
    ResolverRefused {
        /// The response code, such as `SERVFAIL` or `REFUSED`.
        rcode: String,
    },
    /// A name server answers what breaks its protocol.
    ResolverBroken {
        /// What is wrong with it.
        what: String,
    },
    /// No resolver answers over UDP, but one does over TCP.
    ResolverOverTcpOnly,
    /// An answer is too long for UDP, and over TCP it does not come.
    LargeAnswersLost {
        /// What happened over TCP.
        why: Box<Trouble>,
    },
    /// A name server said nothing; one that was asked after it answered.
    NameServerSilent {
        /// The one that said nothing.
        server: NameServer,
    },
    /// The resolver refuses an answer because its signatures (DNSSEC, RFC 4035) do not hold.
    SignaturesBroken,
    /// The network's name servers do not give a name that is there for somebody outside.
    NameHidden {
        /// What they say.
        here: Box<Trouble>,
        /// Who has it.
        elsewhere: NameServer,
    },
    /// The name does not exist, for somebody outside neither.
    NameNowhere {
        /// Who was asked there.
        elsewhere: NameServer,
    },
    /// Nobody says where a service is: it has no record (SRV, RFC 2782).
    ServiceUnknown {
        /// Its name, such as `_sip._udp.example.com`.
        name: String,
    },
    /// A service is said not to be offered: its only target is the root (RFC 2782).
    ServiceNotOffered {
        /// Its name.
        name: String,
    },
    /// A server of a service has no address.
    ServiceWithoutAddress {
        /// The server's name.
        target: String,
    },
    /// A name is an alias of an alias and so on, in a circle or for more than 16 steps.
    AliasesEndless,
    /// Nothing says where this machine is.
    AddressUnknown {
        /// The word for the machine, such as `device`.
        role: String,
    },
    /// The port is closed: a TCP reset or ICMP port unreachable to the first packet.
    Refused,
    /// A TCP reset in the middle.
    Reset {
        /// When.
        phase: PhaseName,
    },
    /// The other side hung up in the middle.
    Closed {
        /// When.
        phase: PhaseName,
    },
    /// Nothing came in time.
    TimedOut {
        /// While waiting for what.
        phase: PhaseName,
    },
    /// No route to the network, here or on the way.
    NetworkUnreachable,
    /// No route to the host. `at_once`: within a second, which a router's or firewall's ICMP
    /// message does and a missing neighbour does not.
    HostUnreachable {
        /// Whether the answer came within a second.
        at_once: bool,
    },
    /// Forbidden by a packet filter here or on the way (EACCES, EPERM).
    AdminProhibited,
    /// A proxy wants a login, or refuses the one that was given.
    ProxyLogin {
        /// The kinds of login that it asks for, such as `Basic`, `NTLM` or `Negotiate`.
        schemes: Vec<String>,
        /// Whether a login was given.
        given: bool,
    },
    /// A proxy refuses to lead there.
    ProxyForbids {
        /// What it answered.
        answer: String,
    },
    /// A proxy tried to lead there and could not.
    ProxyCannotReach {
        /// What it answered.
        answer: String,
    },
    /// A proxy cannot be reached, or not be trusted.
    ProxyUnreachable {
        /// Its URL, without a login.
        proxy: String,
        /// What happened on the way to it.
        why: Box<Trouble>,
    },
    /// A proxy script cannot be had, or does not say how to go.
    ProxyScript {
        /// Why.
        what: String,
    },
    /// What answers in a proxy's place is none.
    ProxyBroken {
        /// What is wrong with the answer.
        what: String,
    },
    /// There is no direct way, but it works through a proxy that is known and not used.
    ProxyNeeded {
        /// Its URL, without a login.
        proxy: String,
        /// What happened without it.
        direct: Box<Trouble>,
    },
    /// The server ended the handshake with an alert.
    TlsAlert {
        /// RFC 8446 §6.
        code: u8,
        /// Its name, such as `handshake_failure`.
        description: String,
    },
    /// The handshake stalls, and comes to its end where packets are short: long ones are lost on the
    /// way (RFC 2923 §2.1).
    LongPacketsLost {
        /// What a segment of TCP may carry at the most for it to get through, as far as was tried,
        /// in bytes.
        segment: u16,
    },
    /// The server speaks TLS, but no version that the lane allows.
    TlsTooOld {
        /// The highest version it offers.
        highest: TlsVersion,
        /// The lowest version that would do.
        floor: TlsVersion,
    },
    /// The server speaks TLS 1.2, but shares no cipher suite or parameter with us.
    TlsNoCommonCipher {
        /// The cipher suite it would choose, as the IANA number.
        cipher_suite: u16,
    },
    /// The TLS handshake broke for another reason.
    TlsBroken {
        /// What broke.
        why: String,
    },
    /// The server wants a client certificate, and a probe has none.
    ClientCertificateWanted,
    /// No root that counts vouches for the chain.
    CertificateUntrusted {
        /// Issuer of the last certificate that was presented.
        issuer: String,
    },
    /// The lane expects a public authority, and only this machine's own store vouches for the
    /// chain: as it does where TLS is inspected on the way, or where somebody installed a private
    /// authority.
    CertificateNotPublic {
        /// Issuer of the last certificate that was presented.
        issuer: String,
    },
    /// A certificate of the chain is past its end.
    CertificateExpired {
        /// Whose.
        subject: String,
        /// Its end.
        #[serde(with = "time::serde::rfc3339")]
        #[schemars(with = "String")]
        not_after: OffsetDateTime,
    },
    /// A certificate of the chain is before its start.
    CertificateNotYetValid {
        /// Whose.
        subject: String,
        /// Its start.
        #[serde(with = "time::serde::rfc3339")]
        #[schemars(with = "String")]
        not_before: OffsetDateTime,
    },
    /// The certificate is for other names.
    CertificateWrongName {
        /// The names it is for, at most 64.
        names: Vec<String>,
    },
    /// The certificate cannot be used for another reason.
    CertificateInvalid {
        /// What is wrong with it.
        why: String,
    },
    /// No key of the chain is a pinned one.
    PinMismatch {
        /// SHA-256 of the SubjectPublicKeyInfo of each presented certificate, in hexadecimal.
        presented: Vec<String>,
    },
    /// The far end sees another TLS connection than this one (RFC 9266): somebody on the way opens
    /// TLS and closes it again, whoever trusts their certificate.
    TlsOpened {
        /// Issuer of the last certificate that was presented.
        issuer: String,
    },
    /// What came back to the TLS handshake is not TLS.
    NotTls,
    /// The status is none of those that count.
    HttpStatus {
        /// The status.
        status: u16,
    },
    /// An answer over plain HTTP that anybody on the way could have given: a redirection to
    /// another host, or a prohibition (403, 451).
    NotShownToBeTheVendor {
        /// The status.
        status: u16,
        /// The host that the redirection leads to, at most 253 characters; `None` if there is
        /// none or it cannot be read.
        location_host: Option<String>,
    },
    /// The answer is not the one that the lane expects.
    AnswerUnexpected {
        /// What is wrong with it.
        what: String,
    },
    /// A page to log in at came in the clear where another answer is due.
    LoginPage,
    /// What came back is not HTTP.
    NotHttp,
    /// The other side sent more than is read.
    TooMuch {
        /// The bound.
        bound: u64,
        /// What it counts.
        unit: Unit,
    },
    /// The server answered the WebSocket handshake with something other than 101.
    UpgradeRefused {
        /// The status.
        status: u16,
    },
    /// The WebSocket handshake was answered wrongly.
    UpgradeBroken {
        /// What is wrong with it.
        why: String,
    },
    /// The WebSocket was accepted and then closed although it should have stayed open.
    #[serde(rename = "websocket-closed")]
    WebSocketClosed {
        /// The close code (RFC 6455 §7.4); `None` if there was none.
        code: Option<u16>,
        /// Microseconds after the handshake.
        after_micros: u64,
        /// Whether it had answered a ping by then.
        answered: bool,
    },
    /// The WebSocket stayed open and had answered a ping, but after a quiet time it answers no more:
    /// somebody on the way has forgotten it.
    #[serde(rename = "websocket-silent")]
    WebSocketSilent {
        /// Microseconds after the handshake at which it was asked again.
        after_micros: u64,
    },
    /// The WebSocket stayed open, but no pong came.
    EchoMissing,
    /// What was to be a stream of events is something else.
    NotEventStream,
    /// Events that are sent one after another come in lumps, or not at all: somebody on the way
    /// gathers them.
    StreamBuffered,
    /// The stream stayed open, but nothing came on it, so that nothing shows that events come when
    /// they are sent.
    StreamQuiet,
    /// A poll whose answer took its time was cut off before it came.
    PollCut {
        /// Microseconds after the poll was sent.
        after_micros: u64,
        /// The status with which somebody ended the wait; `None` if the connection was closed.
        status: Option<u16>,
    },
    /// A WebSocket that is to send back the text that it gets does not.
    #[serde(rename = "websocket-altered")]
    WebSocketAltered {
        /// What came in its place, at most 100 characters; `None` if nothing did in time.
        came: Option<String>,
    },
    /// What answers is not SignalR.
    #[serde(rename = "not-signalr")]
    NotSignalR,
    /// The SignalR hub refused, in its own words.
    #[serde(rename = "signalr-refused")]
    SignalRRefused {
        /// The words, at most 256 characters.
        error: String,
    },
    /// The SignalR hub sends its clients to another server, which was not asked.
    #[serde(rename = "signalr-elsewhere")]
    SignalRElsewhere {
        /// That server; `None` if it cannot be read.
        host: Option<String>,
    },
    /// SignalR gets through, but not over every transport that the hub offers.
    #[serde(rename = "signalr-partly")]
    SignalRPartly {
        /// A transport over which it does not, by its name in SignalR.
        fails: &'static str,
        /// What happened there.
        because: Box<Trouble>,
        /// The transports over which it does.
        works: Vec<&'static str>,
        /// Whether Microsoft's clients stop at the one that fails, because it is accepted at first,
        /// and never try those that work.
        stranded: bool,
    },
    /// The MQTT server refused the connection, for another reason than a missing login.
    MqttRefused {
        /// The reason code (MQTT 5.0 section 2.4).
        code: u8,
        /// What it means.
        reason: String,
    },
    /// What came back is not MQTT.
    NotMqtt,
    /// The local clock is more than a minute off.
    ClockOff {
        /// Milliseconds to add to the local clock; positive when it is behind.
        offset_millis: i64,
    },
    /// The time server refused (RFC 5905 §7.4).
    NtpKiss {
        /// The kiss code, such as `RATE`.
        code: String,
    },
    /// The time server says that its own clock is not set.
    NtpUnsynchronised {
        /// The stratum it claims.
        stratum: u8,
    },
    /// No DHCP server answered, on any network that was asked.
    DhcpSilent,
    /// More than one DHCP server answers on a network, and they hand out different things, so that
    /// it is left to chance what a machine gets.
    DhcpServersDiffer {
        /// Each by its address, with what it hands out.
        servers: Vec<String>,
    },
    /// No DHCP server hands out a time server (option 42).
    NoTimeServer {
        /// The servers, by address.
        servers: Vec<String>,
    },
    /// Nobody on the local networks answered: nobody is there, or multicast does not pass.
    NobodyAnswered,
    /// The server does not offer to change to TLS.
    StartTlsMissing,
    /// The server offers to change to TLS, and then does not.
    StartTlsRefused {
        /// What it says, at most 256 characters.
        why: String,
    },
    /// The XMPP server opens no stream (RFC 6120 §4.9.3).
    XmppError {
        /// The condition, such as `host-unknown`, at most 256 characters.
        condition: String,
    },
    /// The directory does not answer the question (RFC 4511 §4.1.9).
    LdapResult {
        /// The result code.
        code: i64,
        /// Its name, such as `insufficientAccessRights`.
        name: String,
    },
    /// The SSH server does not speak version 2.
    SshTooOld {
        /// The version it speaks, at most 16 characters.
        protocol: String,
    },
    /// A part of a range of ports for RTP does not pass.
    RtpBlocked {
        /// Which ports, as ranges: `15001-20000`; at most 8, then how many more there are.
        blocked: String,
        /// How many ports answered.
        answered: u16,
        /// How many were asked.
        asked: u16,
    },
    /// A stream of speech came back with more lost, or more unevenly, than speech bears: 3 %, or a
    /// jitter of 30 ms.
    SpeechPoor {
        /// How many packets did not come back.
        lost: u16,
        /// How many were sent.
        sent: u16,
        /// The interarrival jitter of both ways together (RFC 3550 §6.4.1), in microseconds.
        jitter_micros: u64,
    },
    /// Nothing came back from the ports that were asked first, so nothing can be said of the others:
    /// nobody there sends back what he gets, or none of it passes.
    NobodyEchoes {
        /// Whether somebody said that one of them is closed: packets get there, then.
        closed: bool,
    },
    /// What arrived, or came back, of a SIP message is not what was sent.
    SipRewritten {
        /// How many lines differ.
        lines: u16,
        /// The first of them as it was sent; empty if it was added.
        sent: String,
        /// As it arrived; empty if it was taken out.
        arrived: String,
    },
    /// The SIP server is out of order (RFC 3261 §21.5, §21.6).
    SipStatus {
        /// 500 to 699.
        status: u16,
    },
    /// The STUN server refused (RFC 8489 §14.8).
    StunRefused {
        /// Its code, 300 to 699.
        code: u16,
        /// Its words, at most 127 characters.
        reason: String,
    },
    /// A NAT shows this machine under another address or port to each place, so what one place
    /// sees is of no use to another.
    NatVaries {
        /// On what it depends.
        mapping: NatBehaviour,
    },
    /// This process may not do it.
    NotPermitted {
        /// What.
        what: String,
    },
    /// The ask itself cannot be carried out.
    BadAsk {
        /// What is wrong with it.
        what: String,
    },
    /// The answer breaks its protocol.
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// This machine failed, such as too many open files.
    Local {
        /// The error of the system.
        what: String,
    },
}

impl Trouble {
    /// What happened where only a part of it failed; the trouble itself otherwise.
    pub fn underlying(&self) -> &Self {
        if let Self::SignalRPartly { because, .. } = self {
            because
        } else {
            self
        }
    }
}

/// What a bound counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes of one message.
    MessageBytes,
    /// Bytes of the head of an HTTP answer, which may also have no more than 100 fields.
    HeadBytes,
    /// Bytes of a stream.
    StreamBytes,
    /// WebSocket messages.
    Messages,
    /// Datagrams.
    Datagrams,
    /// Bytes of what a server says on a connection.
    ConversationBytes,
}
