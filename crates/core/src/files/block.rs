//! Blocks: what a file is put together of when it comes in parts.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::contents::Piece;
use crate::refusal::Refusal;

/// The most bytes of a block's name.
pub const MAX_BLOCK_ID: usize = 128;

/// The value that a block's name is, where one is refused.
pub const BLOCK: &str = "block";

/// What a block is called: 1 to [`MAX_BLOCK_ID`] printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(String);

/// A block of a file, or one that is staged to become part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its name; empty for the one block of a file that came as a whole.
    pub id: BlockId,
    pub(super) piece: Piece,
}

/// Which of two blocks of the same name is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that is part of the file.
    Committed,
    /// The one that is staged.
    Staged,
    /// The one that is staged, or else the one that is part of the file.
    Latest,
}

impl Block {
    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.piece.size
    }
}

impl BlockId {
    /// That of the one block of a file that came as a whole.
    pub(super) fn none() -> Self {
        Self(String::new())
    }

    /// How long it is, without equals signs at its end: names in base 64 (RFC 4648) that are equally
    /// long by that are of as many bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.trim_end_matches('=').len()
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BlockId {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let is_right = text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_right && (1..=MAX_BLOCK_ID).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            let why = "1 to 128 printable ASCII characters without spaces";
            Err(Refusal::invalid(BLOCK, why))
        }
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ToSql for BlockId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for BlockId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(value.as_str()?.to_owned()))
    }
}
