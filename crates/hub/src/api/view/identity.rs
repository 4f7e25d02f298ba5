//! Who is who: credentials, fleet keys, operators, services.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use outgate_core::identity::{self, Scope};
use outgate_core::secret::Secret;
use outgate_core::{Refusal, Timestamp};

/// How a credential proves.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CredentialKind {
    /// A symmetric key of 32 bytes.
    SymmetricKey,
    /// A certificate known by its SHA-256 thumbprint.
    Thumbprint,
    /// A certificate that an authority has signed.
    Certificate,
    /// A random token.
    Token,
    /// A key pair of the device's own making, known by the SHA-256 of its public half.
    PublicKey,
}

impl From<identity::CredentialKind> for CredentialKind {
    fn from(kind: identity::CredentialKind) -> Self {
        match kind {
            identity::CredentialKind::SymmetricKey => Self::SymmetricKey,
            identity::CredentialKind::Thumbprint => Self::Thumbprint,
            identity::CredentialKind::Certificate => Self::Certificate,
            identity::CredentialKind::Token => Self::Token,
            identity::CredentialKind::PublicKey => Self::PublicKey,
        }
    }
}

/// Where a credential is in its life.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CredentialState {
    /// Made by rotation and not used yet.
    Pending,
    /// In use.
    Active,
    /// Replaced, and valid until its overlap ends.
    Retiring,
    /// Given to a device that enrolled again; good once an operator has approved.
    AwaitsApproval,
    /// No longer valid.
    Revoked,
}

impl From<identity::CredentialState> for CredentialState {
    fn from(state: identity::CredentialState) -> Self {
        match state {
            identity::CredentialState::Pending => Self::Pending,
            identity::CredentialState::Active => Self::Active,
            identity::CredentialState::Retiring => Self::Retiring,
            identity::CredentialState::AwaitsApproval => Self::AwaitsApproval,
            identity::CredentialState::Revoked => Self::Revoked,
        }
    }
}

/// A credential as it may be told: never the secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Credential {
    /// Its name.
    #[schema(example = "cr-0123456789abcdefghjk")]
    pub(crate) id: String,
    /// How it proves.
    kind: CredentialKind,
    /// Where it is in its life.
    state: CredentialState,
    /// `primary` or `secondary` of a pair of keys, the subject of a certificate, what a token is
    /// for.
    label: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Until when, if it ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
    /// When it was last shown.
    #[schema(value_type = Option<String>, format = DateTime)]
    used: Option<Timestamp>,
}

impl From<identity::Credential> for Credential {
    fn from(credential: identity::Credential) -> Self {
        Self {
            id: credential.id.into(),
            kind: credential.kind.into(),
            state: credential.state.into(),
            label: credential.label,
            created: credential.created,
            expires: credential.expires,
            used: credential.used,
        }
    }
}

/// A secret on its way to whom it is told.
pub(crate) struct Shown(pub(super) Zeroizing<String>);

impl Serialize for Shown {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

/// What the holder of a new credential needs, told only once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Given {
    /// A symmetric key of 32 bytes, in base 64.
    #[schema(value_type = String)]
    Key(Shown),
    /// A token, to be shown as it is.
    #[schema(value_type = String)]
    Token(Shown),
    /// A certificate chain in PEM; its key never left its holder.
    Certificate(String),
    /// Nothing: the holder has it already.
    Nothing,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given(…)")
    }
}

/// A new credential, with what is told only once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Issued {
    /// What is kept.
    pub(crate) credential: Credential,
    /// What its holder needs.
    given: Given,
}

impl TryFrom<identity::Issued> for Issued {
    type Error = Refusal;

    fn try_from(issued: identity::Issued) -> Result<Self, Refusal> {
        Ok(Self {
            credential: issued.credential.into(),
            given: match issued.given {
                identity::Given::Key(key) => Given::Key(Shown(key.to_base64())),
                identity::Given::Token(token) => Given::Token(Shown(text(&token)?)),
                identity::Given::Certificate(chain) => Given::Certificate(chain),
                identity::Given::Nothing => Given::Nothing,
            },
        })
    }
}

/// A secret that is made of text.
pub(super) fn text(secret: &Secret) -> Result<Zeroizing<String>, Refusal> {
    let text = std::str::from_utf8(secret.expose());
    text.map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| Refusal::Internal("a token is not text"))
}

/// New credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuedList {
    /// One, or the two keys of a pair.
    pub(crate) items: Vec<Issued>,
}

/// A key with which new devices enrol.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FleetKey {
    /// Its name.
    #[schema(example = "fk-0123456789abcdefghjk")]
    pub(crate) id: String,
    /// Where its devices will stand.
    #[schema(example = "store-12")]
    site: String,
    /// Which names they may have: `*` stands for any number of characters.
    #[schema(example = "till-*")]
    ids: String,
    /// How many may enrol with it.
    uses: u32,
    /// How many have.
    used: u32,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// From where; everywhere when empty.
    #[schema(example = json!(["203.0.113.0/24"]))]
    from: Vec<String>,
    /// When it was revoked, if it was.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked: Option<Timestamp>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
}

impl From<identity::FleetKey> for FleetKey {
    fn from(key: identity::FleetKey) -> Self {
        Self {
            id: key.id.into(),
            site: key.site.into(),
            ids: key.ids,
            uses: key.uses,
            used: key.used,
            expires: key.expires,
            from: key.from.iter().map(ToString::to_string).collect(),
            revoked: key.revoked,
            created: key.created,
        }
    }
}

/// A new fleet key, with the key itself, told only once.
#[derive(Serialize, ToSchema)]
pub(crate) struct FleetKeyIssued {
    /// What is kept.
    pub(crate) fleet_key: FleetKey,
    /// The key, in base 64.
    #[schema(value_type = String)]
    key: Shown,
}

impl FleetKeyIssued {
    pub(crate) fn new(fleet_key: identity::FleetKey, key: &Secret) -> Self {
        Self {
            fleet_key: fleet_key.into(),
            key: Shown(key.to_base64()),
        }
    }
}

/// What came of an enrolment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "enrolment")]
pub(crate) enum Enrolled {
    /// The device is in.
    Welcome(Issued),
    /// The name is known already: the credential works once an operator has approved.
    AwaitsApproval(Issued),
}

impl TryFrom<identity::Enrolled> for Enrolled {
    type Error = Refusal;

    fn try_from(enrolled: identity::Enrolled) -> Result<Self, Refusal> {
        Ok(match enrolled {
            identity::Enrolled::Welcome(issued) => Self::Welcome((*issued).try_into()?),
            identity::Enrolled::AwaitsApproval(issued) => {
                Self::AwaitsApproval((*issued).try_into()?)
            }
        })
    }
}

/// What an operator may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// See.
    Viewer,
    /// Send commands, call, change desired twins, enrol and revoke devices.
    Operator,
    /// Administer sites, operators, services, fleet keys.
    Admin,
}

impl From<identity::Role> for Role {
    fn from(role: identity::Role) -> Self {
        match role {
            identity::Role::Viewer => Self::Viewer,
            identity::Role::Operator => Self::Operator,
            identity::Role::Admin => Self::Admin,
        }
    }
}

impl From<Role> for identity::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Operator => Self::Operator,
            Role::Admin => Self::Admin,
        }
    }
}

/// The only site that somebody sees; `None` is every site.
pub(crate) fn only_site(scope: Scope) -> Option<String> {
    match scope {
        Scope::All => None,
        Scope::Site(site) => Some(site.into()),
    }
}

/// An operator.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operator {
    /// Their name.
    #[schema(example = "anna")]
    pub(crate) id: String,
    /// What they may do.
    role: Role,
    /// The only site that they see; `null` for every site.
    #[schema(example = "store-12")]
    site: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// When they were revoked, if they were.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked: Option<Timestamp>,
}

impl From<identity::Operator> for Operator {
    fn from(operator: identity::Operator) -> Self {
        Self {
            id: operator.id.into(),
            role: operator.role.into(),
            site: only_site(operator.scope),
            created: operator.created,
            revoked: operator.revoked,
        }
    }
}

/// A new operator, with their first token, told only once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OperatorIssued {
    /// What is kept.
    pub(crate) operator: Operator,
    /// Their first token.
    pub(crate) issued: Issued,
}

/// A back end that takes events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Service {
    /// Its name.
    #[schema(example = "billing")]
    pub(crate) id: String,
    /// The only site that it sees; `null` for every site.
    site: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// When it was revoked, if it was.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked: Option<Timestamp>,
}

impl From<identity::Service> for Service {
    fn from(service: identity::Service) -> Self {
        Self {
            id: service.id.into(),
            site: only_site(service.scope),
            created: service.created,
            revoked: service.revoked,
        }
    }
}

/// A new service, with its first token, told only once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceIssued {
    /// What is kept.
    pub(crate) service: Service,
    /// Its first token.
    pub(crate) issued: Issued,
}

/// An authority whose certificates a site's devices may show.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SiteAuthority)]
pub(crate) struct Authority {
    /// Its name.
    id: String,
    /// Whose devices may show its certificates.
    #[schema(example = "store-12")]
    site: String,
    /// Its subject, as its certificate says.
    #[schema(example = "CN=Store devices")]
    subject: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Until when its certificate is valid.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// When it was revoked, if it was.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked: Option<Timestamp>,
}

impl From<identity::SiteAuthority> for Authority {
    fn from(authority: identity::SiteAuthority) -> Self {
        Self {
            id: authority.id.into(),
            site: authority.site.into(),
            subject: authority.subject,
            created: authority.created,
            expires: authority.expires,
            revoked: authority.revoked,
        }
    }
}
