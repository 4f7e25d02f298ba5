//! Tables in CSV and JSON.

use outgate_wire::table::{Row, TableError, read_csv, read_json};

/// The most rows that are taken here.
const MAX_ROWS: usize = 100;

type Read = fn(&[u8], Option<&str>, usize) -> Result<Vec<Row>, TableError>;

/// Any bytes are a table of at most so many rows, each of which is JSON, or none.
///
/// # Panics
/// When they are something else.
pub fn table(bytes: &[u8]) {
    for read in [read_csv as Read, read_json as Read] {
        for key in [None, Some("card")] {
            let rows = read(bytes, key, MAX_ROWS).unwrap_or_default();
            assert!(rows.len() <= MAX_ROWS);
            for row in rows {
                let value: Result<&serde_json::value::RawValue, _> =
                    serde_json::from_str(&row.value);
                assert!(value.is_ok());
            }
        }
    }
}
