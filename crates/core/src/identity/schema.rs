//! The tables.

/// The tables of sites, devices, operators, services, their credentials, and enrolment.
pub(crate) const SCHEMA: &str = "
CREATE TABLE sites (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    created INTEGER NOT NULL,
    revoked INTEGER,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL REFERENCES sites (id),
    policy TEXT NOT NULL,
    state TEXT NOT NULL,
    created INTEGER NOT NULL,
    seen INTEGER,
    version INTEGER NOT NULL DEFAULT 1,
    -- When it was taken out of the registry: it is revoked, and told of to nobody, until somebody
    -- makes a device of its name. What its certificates were is not forgotten.
    removed INTEGER
) STRICT;
CREATE INDEX devices_of_site ON devices (site, id);

CREATE TABLE operators (
    id TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    site TEXT REFERENCES sites (id),
    created INTEGER NOT NULL,
    revoked INTEGER
) STRICT;

CREATE TABLE services (
    id TEXT PRIMARY KEY,
    site TEXT REFERENCES sites (id),
    created INTEGER NOT NULL,
    revoked INTEGER
) STRICT;

-- Certificate authorities of customers, whose certificates a site's devices may show.
CREATE TABLE authorities (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL REFERENCES sites (id),
    subject TEXT NOT NULL,
    certificate BLOB NOT NULL,
    digest BLOB NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER
) STRICT;
CREATE UNIQUE INDEX authorities_in_use ON authorities (site, digest) WHERE revoked IS NULL;

-- A credential is a device's, an operator's or a service's. `digest` is the SHA-256 of the token,
-- of the key, or of the certificate in DER; `sealed` is the key, as long as it may be needed.
CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    device TEXT REFERENCES devices (id),
    operator TEXT REFERENCES operators (id),
    service TEXT REFERENCES services (id),
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    label TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    used INTEGER,
    revoked INTEGER,
    digest BLOB NOT NULL,
    sealed BLOB,
    -- Which it replaces once it has been used, and for how many milliseconds both are valid.
    replaces TEXT,
    overlap INTEGER,
    -- The fleet key it was enrolled with, or the site's authority that signed it.
    fleet_key TEXT,
    authority TEXT REFERENCES authorities (id),
    CHECK ((device IS NOT NULL) + (operator IS NOT NULL) + (service IS NOT NULL) = 1)
) STRICT;
CREATE INDEX credentials_by_digest ON credentials (digest);
CREATE INDEX credentials_of_device ON credentials (device, created) WHERE device IS NOT NULL;
CREATE INDEX credentials_of_operator ON credentials (operator) WHERE operator IS NOT NULL;
CREATE INDEX credentials_of_service ON credentials (service) WHERE service IS NOT NULL;
CREATE INDEX credentials_of_authority ON credentials (authority) WHERE authority IS NOT NULL;

CREATE TABLE fleet_keys (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL REFERENCES sites (id),
    ids TEXT NOT NULL,
    uses INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    expires INTEGER NOT NULL,
    networks TEXT NOT NULL,
    sealed BLOB,
    revoked INTEGER,
    created INTEGER NOT NULL
) STRICT;

-- Nonces of enrolments, so that none is used twice.
CREATE TABLE enrolment_nonces (
    fleet_key TEXT NOT NULL REFERENCES fleet_keys (id),
    nonce TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (fleet_key, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX enrolment_nonces_by_age ON enrolment_nonces (at);
";
