//! Texts that are kept: words of enums, and what people write.

use crate::refusal::Refusal;

/// Gives an enum the words under which it is kept and told.
macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal),* $(,)? }) => {
        impl $type {
            /// The word for it, as it is kept and told.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl rusqlite::ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl rusqlite::types::FromSql for $type {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                match value.as_str()? {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(rusqlite::types::FromSqlError::InvalidType),
                }
            }
        }
    };
}

pub(crate) use words;

/// Whether a text that people choose is fit to be kept and shown: 1 to `longest` characters, none
/// of which moves a cursor or ends a line.
pub(super) fn check(field: &'static str, text: &str, longest: usize) -> Result<(), Refusal> {
    let length = text.chars().take(longest + 1).count();
    if (1..=longest).contains(&length) && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        let why = format!("1 to {longest} characters, no control characters");
        Err(Refusal::invalid(field, why))
    }
}
