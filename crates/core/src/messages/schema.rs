//! The tables.

/// The tables of this part. A message that waits in many mailboxes is kept once.
pub(crate) const SCHEMA: &str = "
CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    lasts INTEGER NOT NULL,
    ends INTEGER
);
CREATE TABLE mailbox_subscription (
    mailbox INTEGER NOT NULL REFERENCES mailbox ON DELETE CASCADE,
    filter TEXT NOT NULL,
    options INTEGER NOT NULL,
    identifier INTEGER,
    PRIMARY KEY (mailbox, filter)
) WITHOUT ROWID;
CREATE TABLE mailbox_inbound (
    mailbox INTEGER NOT NULL REFERENCES mailbox ON DELETE CASCADE,
    packet INTEGER NOT NULL,
    PRIMARY KEY (mailbox, packet)
) WITHOUT ROWID;
CREATE TABLE mailbox_message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    headers BLOB NOT NULL,
    payload BLOB NOT NULL,
    published INTEGER NOT NULL,
    expires INTEGER
);
CREATE TABLE mailbox_slot (
    mailbox INTEGER NOT NULL REFERENCES mailbox ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    message INTEGER NOT NULL REFERENCES mailbox_message,
    bytes INTEGER NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    identifiers TEXT NOT NULL,
    packet INTEGER,
    released INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (mailbox, seq)
) WITHOUT ROWID;
CREATE INDEX mailbox_slot_message ON mailbox_slot (message);
CREATE TABLE retained (
    topic TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    qos INTEGER NOT NULL,
    headers BLOB NOT NULL,
    payload BLOB NOT NULL,
    published INTEGER NOT NULL,
    expires INTEGER
);
CREATE TABLE will (
    key TEXT NOT NULL PRIMARY KEY,
    session TEXT NOT NULL,
    owner TEXT NOT NULL,
    credential TEXT NOT NULL,
    topic TEXT NOT NULL,
    headers BLOB NOT NULL,
    payload BLOB NOT NULL,
    published INTEGER NOT NULL,
    expires INTEGER,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    delay INTEGER NOT NULL,
    due INTEGER
);
";
