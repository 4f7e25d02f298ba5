//! What a piece is kept under.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use object_store::path::Path;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::id::RANDOM_CHARACTERS;
use crate::refusal::Refusal;

/// How many pieces lie on a shelf, so that no folder has too many files.
const SHELF: u64 = 1_024;

/// What a piece is kept under: `RUN/SHELF/NUMBER`, of which the first is made up at each start of
/// the hub, and the others count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceKey(Arc<str>);

impl PieceKey {
    pub(super) fn new(run: &str, number: u64) -> Self {
        Self(format!("{run}/{:x}/{number:x}", number / SHELF).into())
    }

    /// The part that is made up at the hub's start.
    pub(super) fn run(&self) -> &str {
        self.0.split_once('/').map_or("", |(run, _)| run)
    }

    pub(super) fn path(&self) -> Path {
        Path::from(&*self.0)
    }
}

impl FromStr for PieceKey {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        // Strictly, so that what others keep in the same bucket is not taken for pieces.
        let mut steps = text.split('/');
        let run = steps.next().filter(|run| is_run(run));
        let number = steps.next_back().map(|step| u64::from_str_radix(step, 16));
        let key = match (run, number) {
            (Some(run), Some(Ok(number))) => Some(Self::new(run, number)),
            (Some(_) | None, _) => None,
        };
        key.filter(|key| &*key.0 == text)
            .ok_or_else(|| Refusal::invalid("key of a piece", "RUN/SHELF/NUMBER"))
    }
}

/// Whether `text` is what is made up at a start.
fn is_run(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    text.len() == RANDOM_CHARACTERS && text.bytes().all(letter)
}

impl fmt::Display for PieceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ToSql for PieceKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.as_ref().to_sql()
    }
}

impl FromSql for PieceKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let parsed = value.as_str()?.parse();
        parsed.map_err(|refusal: Refusal| FromSqlError::Other(refusal.into()))
    }
}
