//! A declared need, and everything that is known of it.

use serde_json::{Value as Json, json};

use crate::decode::{Decode, Defs, FromText, OneOrMany, keyword, record, wrong_type};
use crate::diagnostic::{Complaint, Diagnostics, Spanned, quote};
use crate::document::destination::Destination;
use crate::document::expect::Expect;
use crate::document::product::{Need, Reach, TlsVersion};
use crate::document::speaks::Speaks;
use crate::name::{DomainName, Id};
use crate::text::Text;
use crate::version::VersionRange;
use crate::yaml::{Node, Value};

record! {
    /// One declared need: who talks to whom, how, why, and how badly it is needed.
    kept struct Flow = "a flow" {
        /// The party or parties that start the conversation.
        from: Parties = required "from",
        /// Where it goes.
        to: Destination = required "to",
        /// What is spoken, and on which ports.
        speaks: Speaks = required "speaks",
        /// How badly it is needed.
        need: Need = required "need",
        /// What it is for, in the document's language and in English at least.
        why: Text = required "why",
        /// What no longer works when it is blocked.
        blocked: Option<Text> = optional "blocked",
        /// What the document says that is odd or open, and what is true.
        note: Option<Text> = optional "note",
        /// The feature that it belongs to; needed wherever the product is, when absent.
        feature: Option<Spanned<Id>> = optional "feature",
        /// The product versions that need it; all, when absent.
        versions: Option<Spanned<VersionRange>> = optional "versions",
        /// The flows that must work first.
        after: Vec<Spanned<FlowRef>> = optional "after",
        /// What is tried in its place when it is blocked, in this order.
        ladder: Vec<Step> = optional "else",
        /// On which side of the customer's border the destination is, where its kind leaves it open.
        reach: Option<Reach> = optional "reach",
        /// Names below its wildcards that a probe may ask for. They are never guessed.
        sample: Vec<Spanned<DomainName>> = optional "sample",
        /// What TLS must be like.
        tls: Option<Tls> = optional "tls",
        /// What a probe sends and what answer is right.
        probe: Option<ProbeHints> = optional "probe",
        /// How often it may be used at most.
        rate: Option<Rate> = optional "rate",
        /// Present when it is switched off or on by people.
        switch: Option<Switch> = optional "switch",
        /// What a message's signature assures, where messages are signed one by one.
        signed: Vec<Assurance> = optional "signed",
        /// The keys, tokens and certificates by which the two ends know each other.
        credentials: Vec<Credential> = optional "credentials",
    }
}

/// How many imports may stand before the name of a flow: as many as may import one another.
const MAX_NESTED: usize = crate::imports::MAX_DEPTH;

/// Names a flow of this manifest; one that was imported by `import/flow`, or by
/// `import/import/flow` when the other manifest had imported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRef(pub Id);

impl FromText for FlowRef {
    const EXPECTED: &'static str = "the id of a flow, or `import/flow`";
    const PATTERN: &'static str = "^[a-z][a-z0-9/-]*$";

    fn from_text(text: &str) -> Result<Self, String> {
        let mut words = text.splitn(MAX_NESTED + 2, '/').map(Id::from_text);
        let first = words.next().unwrap_or_else(|| Id::from_text(text))?;
        words
            .try_fold(first, |import, flow| Ok(flow?.under(&import)))
            .map(Self)
    }
}

/// One party, or several that need the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Parties(pub Vec<Spanned<Id>>);

impl Decode for Parties {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        OneOrMany::decode(node, out).map(|many| Self(many.0))
    }

    fn stand_in() -> Option<Self> {
        Some(Self(Vec::new()))
    }

    fn schema(defs: &mut Defs) -> Json {
        OneOrMany::<Id>::schema(defs)
    }
}

record! {
    /// One rung of a fallback ladder. What it does not say is as in the flow.
    kept struct Step = "a step of `else`" {
        /// Where it goes instead.
        to: Option<Destination> = optional "to",
        /// What is spoken instead.
        speaks: Speaks = required "speaks",
        /// What this rung is for.
        why: Option<Text> = optional "why",
    }
}

keyword! {
    /// Who vouches for the server's certificate.
    pub enum TrustKind {
        /// An authority that the public trusts.
        Public = "public",
        /// The vendor's own authority.
        Vendor = "vendor",
        /// The keys named in `pins`, and no other.
        Pinned = "pinned",
    }
}

keyword! {
    /// What TLS inspection on the way does to the flow.
    pub enum Inspection {
        /// Breaks it: the destination must be exempt.
        Exempt = "exempt",
        /// Does no harm.
        Tolerated = "tolerated",
    }
}

record! {
    /// What TLS must be like.
    pub struct Tls = "`tls`" {
        /// The oldest version allowed.
        min: Option<TlsVersion> = optional "min",
        /// Who vouches for the server's certificate; what the document does not say is not stated.
        trust: Option<TrustKind> = optional "trust",
        /// SHA-256 of the SubjectPublicKeyInfo (RFC 7469, section 2.4) of keys in the chain.
        pins: Vec<Pin> = optional "pins",
        /// What inspection on the way does.
        inspection: Option<Inspection> = optional "inspection",
        /// Whether the client shows a certificate too.
        mutual: bool = optional "mutual",
        /// The path at which the server itself tells how it sees a connection, as Outgate's hub does
        /// at `/whoami`: its answer has the channel binding (RFC 9266), and a check compares both
        /// ends. Only for a server that ends TLS itself.
        whoami: Option<HttpPath> = optional "whoami",
    }
}

/// SHA-256 of a SubjectPublicKeyInfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub [u8; 32]);

impl FromText for Pin {
    const EXPECTED: &'static str = "64 hexadecimal digits";
    const PATTERN: &'static str = "^[0-9A-Fa-f]{64}$";

    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = || "this is not a SHA-256".to_owned();
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * at..2 * at + 2).ok_or_else(wrong)?;
            if digits.starts_with('+') {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

record! {
    /// What a probe sends and what answer is right.
    pub struct ProbeHints = "`probe`" {
        /// The path that an HTTP or WebSocket probe asks for. When absent `/mqtt` for MQTT over
        /// WebSocket, `/` for everything else.
        path: Option<HttpPath> = optional "path",
        /// The HTTP statuses that count as a right answer; any below 500 when absent.
        status: Vec<HttpStatus> = optional "status",
        /// What an HTTP answer must have beside its status.
        expect: Option<Expect> = optional "expect",
        /// How many seconds apart the server sends its events, where it speaks Server-Sent Events
        /// and sends them regularly. Only with it can it be seen that somebody gathers them.
        events_apart: Option<Seconds> = optional "events-apart",
        /// Whether the server sends back the text that it gets, where it speaks WebSocket. Then a
        /// probe sends one and wants it back.
        echo: bool = optional "echo",
        /// The service that a name server is asked for (RFC 2782), where the flow speaks DNS; a name
        /// of the product's own when absent.
        service: Option<ServiceName> = optional "service",
    }
}

/// The name of a service: `_service._protocol.` and a domain name (RFC 2782, RFC 6335 section 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName(pub DomainName);

impl FromText for ServiceName {
    const EXPECTED: &'static str = "a service such as `_sip._udp.example.com`";
    const PATTERN: &'static str = "^_[A-Za-z0-9-]+\\._[A-Za-z0-9-]+(\\.[A-Za-z0-9_-]+)+$";

    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = || format!("{} is not the name of a service", quote(text));
        let name = DomainName::from_text(text).map_err(|_| wrong())?;
        let mut labels = name.as_str().splitn(3, '.');
        let mut is_own = || {
            let bare = labels.next().and_then(|label| label.strip_prefix('_'));
            bare.is_some_and(|bare| !bare.is_empty() && !bare.contains('_'))
        };
        if is_own() && is_own() && labels.next().is_some() {
            Ok(Self(name))
        } else {
            Err(wrong())
        }
    }
}

/// The longest path of a request, in bytes.
const MAX_PATH: usize = 1024;

/// The path of a request target (RFC 9112, section 3.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpPath(pub String);

impl FromText for HttpPath {
    const EXPECTED: &'static str = "a path that starts with a slash";
    const PATTERN: &'static str = "^/[!-~]*$";

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = text.len() <= MAX_PATH
            && text.starts_with('/')
            && text.bytes().all(|b| b.is_ascii_graphic());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{} is not a path", quote(text)))
        }
    }
}

/// A status code of HTTP, 100 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpStatus(pub u16);

impl Decode for HttpStatus {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        bounded(node, 100..=599, "an HTTP status", out).map(Self)
    }

    fn schema(_: &mut Defs) -> Json {
        json!({ "type": "integer", "minimum": 100, "maximum": 599 })
    }
}

/// A number of seconds, 1 to 60.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub u16);

impl Decode for Seconds {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        bounded(node, 1..=60, "a number of seconds", out).map(Self)
    }

    fn schema(_: &mut Defs) -> Json {
        json!({ "type": "integer", "minimum": 1, "maximum": 60 })
    }
}

record! {
    /// How often a flow may be used at most.
    pub struct Rate = "`rate`" {
        /// How many times.
        at_most: Times = required "at-most",
        /// In what time.
        per: Period = required "per",
    }
}

/// A number of times, 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times(pub u16);

impl Decode for Times {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        bounded(node, 1..=1000, "a number of times", out).map(Self)
    }

    fn schema(_: &mut Defs) -> Json {
        json!({ "type": "integer", "minimum": 1, "maximum": 1000 })
    }
}

keyword! {
    /// The time that a rate counts in.
    pub enum Period {
        /// Each second.
        Second = "second",
        /// Each minute.
        Minute = "minute",
        /// Each hour.
        Hour = "hour",
    }
}

record! {
    /// Present when a flow is switched off or on by people.
    pub struct Switch = "`switch`" {
        /// What it is until somebody switches it.
        initially: SwitchState = required "initially",
        /// Where and how it is switched.
        how: Text = required "how",
    }
}

keyword! {
    /// Whether something is switched on.
    pub enum SwitchState {
        /// In use.
        On = "on",
        /// Not in use.
        Off = "off",
    }
}

keyword! {
    /// What a message's signature assures.
    pub enum Assurance {
        /// The message was not changed on the way.
        Integrity = "integrity",
        /// The message is from whom it says.
        Authenticity = "authenticity",
    }
}

keyword! {
    /// What proves who somebody is.
    pub enum CredentialKind {
        /// A key that both ends know.
        SharedKey = "shared-key",
        /// A shared access signature or another signed address of one object.
        SharedAccessSignature = "shared-access-signature",
        /// A JSON Web Token (RFC 7519).
        Jwt = "jwt",
        /// A certificate shown by the client in the TLS handshake.
        ClientCertificate = "client-certificate",
        /// AWS Signature Version 4.
        Sigv4 = "sigv4",
    }
}

keyword! {
    /// What has a credential of its own.
    pub enum CredentialScope {
        /// All devices share one.
        Fleet = "fleet",
        /// Each device has its own.
        Device = "device",
        /// Each file has its own.
        File = "file",
        /// Each user has one.
        User = "user",
    }
}

record! {
    /// A key, token or certificate by which one end knows the other.
    pub struct Credential = "a credential" {
        /// What it is.
        kind: CredentialKind = required "kind",
        /// What has one of its own; what the document does not say is not stated.
        scope: Option<CredentialScope> = optional "scope",
        /// How many days it is valid at most.
        days: Option<Days> = optional "days",
        /// Whether it can be withdrawn with immediate effect.
        revocable: bool = optional "revocable",
        /// What should be known of it.
        note: Option<Text> = optional "note",
    }
}

/// A number of days, 1 to 3650.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(pub u16);

impl Decode for Days {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        bounded(node, 1..=3650, "a number of days", out).map(Self)
    }

    fn schema(_: &mut Defs) -> Json {
        json!({ "type": "integer", "minimum": 1, "maximum": 3650 })
    }
}

fn bounded(
    node: &Node,
    range: std::ops::RangeInclusive<u16>,
    what: &str,
    out: &mut Diagnostics<'_>,
) -> Option<u16> {
    let expected = format!("{what} from {} to {}", range.start(), range.end());
    let Value::Integer(number) = node.value else {
        wrong_type(node, &expected, out);
        return None;
    };
    let found = u16::try_from(number)
        .ok()
        .filter(|number| range.contains(number));
    if found.is_none() {
        let complaint = Complaint::error("wrong-value", format!("{number} is not {what}"));
        out.push(node.span, complaint.expected(expected));
    }
    found
}
