//! Tables as people have them, in CSV or JSON: each row with the key that it is known by.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is known by.
    pub key: String,
    /// What is in it: a text in JSON. From CSV it is an object of texts, from JSON what stands
    /// there.
    pub value: String,
}

/// Why something is no table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is no CSV (RFC 4180): a quotation mark that does not end, a row with more or fewer fields
    /// than the first, or what is no UTF-8.
    #[error("this is not CSV in UTF-8 whose rows all have as many fields as the first")]
    Csv(#[source] csv::Error),
    /// It is no JSON.
    #[error("this is not JSON")]
    Json(#[source] serde_json::Error),
    /// It is JSON, and neither a list nor an object.
    #[error("a table in JSON is a list of objects, or an object of what is in its rows")]
    NotRows,
    /// There is not even a line with the names of columns.
    #[error("the first line names the columns, and there is none")]
    NoColumns,
    /// Two columns have one name.
    #[error("two columns are called {0:?}")]
    Twice(String),
    /// There is no such column.
    #[error("there is no column {0:?}")]
    NoColumn(String),
    /// It is not said by what rows of a list are known.
    #[error("say by which name of its objects the rows of a list are known")]
    NoKey,
    /// The rows of an object have keys already.
    #[error("the rows of an object are known by their names, and by nothing else")]
    OwnKeys,
    /// A row of a list has no key that is a text or a number.
    #[error("row {0} of the list has no text or number as its key")]
    Keyless(usize),
    /// There are more rows than are taken.
    #[error("there are more than {0} rows")]
    TooMany(usize),
}

/// Reads CSV, whose first line names the columns. Fields are separated by commas, or by semicolons
/// or tabs when the first line has no comma. Rows are known by the column `key`, or the first.
///
/// # Errors
/// [`TableError`], with more than `most` rows too.
pub fn read_csv(text: &[u8], key: Option<&str>, most: usize) -> Result<Vec<Row>, TableError> {
    // As some programs begin a file in UTF-8.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .from_reader(text);
    let columns = reader.headers().map_err(TableError::Csv)?.clone();
    if columns.iter().all(str::is_empty) {
        return Err(TableError::NoColumns);
    }
    let mut names: Vec<&str> = columns.iter().collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(TableError::Twice(twice[0].to_owned()));
    }
    let of_key = match key {
        None => 0,
        Some(key) => columns
            .iter()
            .position(|column| column == key)
            .ok_or_else(|| TableError::NoColumn(key.to_owned()))?,
    };
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(TableError::Csv)?;
        if rows.len() == most {
            return Err(TableError::TooMany(most));
        }
        let fields: BTreeMap<&str, &str> = columns.iter().zip(record.iter()).collect();
        rows.push(Row {
            key: record.get(of_key).unwrap_or_default().to_owned(),
            value: serde_json::to_string(&fields).map_err(TableError::Json)?,
        });
    }
    Ok(rows)
}

/// What separates fields, going by the first line.
fn delimiter(text: &[u8]) -> u8 {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let others = [b';', b'\t'];
    match others.into_iter().find(|other| first.contains(other)) {
        Some(other) if !first.contains(&b',') => other,
        Some(_) | None => b',',
    }
}

/// Reads JSON: a list of objects, whose rows are known by what each has under the name `key`; or an
/// object, whose rows are known by their names. The key is a text, or a number as it is written.
///
/// # Errors
/// As [`read_csv`].
pub fn read_json(text: &[u8], key: Option<&str>, most: usize) -> Result<Vec<Row>, TableError> {
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    match (first, key) {
        (Some(b'['), None) => Err(TableError::NoKey),
        (Some(b'['), Some(key)) => {
            let list: Vec<&RawValue> = serde_json::from_slice(text).map_err(TableError::Json)?;
            within(list.len(), most)?;
            let rows = list.into_iter().enumerate();
            rows.map(|(at, row)| of_list(at, row, key)).collect()
        }
        (Some(b'{'), Some(_)) => Err(TableError::OwnKeys),
        (Some(b'{'), None) => {
            let rows: BTreeMap<String, &RawValue> =
                serde_json::from_slice(text).map_err(TableError::Json)?;
            within(rows.len(), most)?;
            let rows = rows.into_iter().map(|(key, value)| Row {
                key,
                value: value.get().to_owned(),
            });
            Ok(rows.collect())
        }
        (_, _) => match serde_json::from_slice::<serde::de::IgnoredAny>(text) {
            Ok(_) => Err(TableError::NotRows),
            Err(error) => Err(TableError::Json(error)),
        },
    }
}

fn within(rows: usize, most: usize) -> Result<(), TableError> {
    if rows > most {
        return Err(TableError::TooMany(most));
    }
    Ok(())
}

/// One row of a list.
fn of_list(at: usize, row: &RawValue, key: &str) -> Result<Row, TableError> {
    let keyless = || TableError::Keyless(at + 1);
    let fields: BTreeMap<String, &RawValue> =
        serde_json::from_str(row.get()).map_err(|_| keyless())?;
    let written = fields.get(key).ok_or_else(keyless)?.get();
    let is_number = written.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let key = match is_number {
        true => written.to_owned(),
        false => serde_json::from_str(written).map_err(|_| keyless())?,
    };
    Ok(Row {
        key,
        value: row.get().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn told(rows: Result<Vec<Row>, TableError>) -> Vec<(String, Value)> {
        let rows = rows.unwrap().into_iter();
        rows.map(|row| (row.key, serde_json::from_str(&row.value).unwrap()))
            .collect()
    }

    #[test]
    fn csv_is_read_with_whatever_separates_its_fields() {
        let right = [
            ("17".to_owned(), json!({"card": "17", "name": "Åse; \"A\""})),
            ("18".to_owned(), json!({"card": "18", "name": ""})),
        ];
        for text in [
            "card,name\n17,\"Åse; \"\"A\"\"\"\n18,\n",
            "\u{feff}card,name\r\n17,\"Åse; \"\"A\"\"\"\r\n18,",
            "card;name\n17;\"Åse; \"\"A\"\"\"\n18;\n",
            "card\tname\n17\t\"Åse; \"\"A\"\"\"\n18\t\n",
        ] {
            assert_eq!(told(read_csv(text.as_bytes(), None, 2)), right, "{text}");
        }
        let by_name = told(read_csv(b"card,name\n17,a\n", Some("name"), 2));
        assert_eq!(by_name[0].0, "a");
    }

    #[test]
    fn json_is_read_as_it_stands() {
        let list = br#" [{"card": 17, "hours": 1.50}, {"card": "a\u0062"}]"#;
        let rows = read_json(list, Some("card"), 2).unwrap();
        assert_eq!(rows[0].key, "17");
        assert_eq!(rows[0].value, r#"{"card": 17, "hours": 1.50}"#);
        assert_eq!(rows[1].key, "ab");
        let object = told(read_json(br#"{"17": {"hours": 1}, "18": 2}"#, None, 2));
        let right = [
            ("17".to_owned(), json!({"hours": 1})),
            ("18".to_owned(), json!(2)),
        ];
        assert_eq!(object, right);
    }

    #[test]
    fn what_is_no_table_is_told_why() {
        type Read = fn(&[u8], Option<&str>, usize) -> Result<Vec<Row>, TableError>;
        let (csv, json): (Read, Read) = (read_csv, read_json);
        for (read, text, key, why) in [
            (csv, "", None, "the first line"),
            (csv, "a,b\n1\n", None, "this is not CSV"),
            (csv, "a,a\n1,2\n", None, "two columns are called \"a\""),
            (csv, "a,b\n1,2\n", Some("c"), "there is no column \"c\""),
            (csv, "a\n1\n2\n3\n", None, "there are more than 2 rows"),
            (json, "", None, "this is not JSON"),
            (json, "[", Some("a"), "this is not JSON"),
            (json, "7", None, "a table in JSON is"),
            (json, "[]", None, "say by which name"),
            (json, "{}", Some("a"), "the rows of an object"),
            (json, "[{\"b\":1}]", Some("a"), "row 1 of the list"),
            (
                json,
                "[{\"a\":1},{\"a\":null}]",
                Some("a"),
                "row 2 of the list",
            ),
            (json, "[7]", Some("a"), "row 1 of the list"),
            (
                json,
                "{\"a\":1,\"b\":1,\"c\":1}",
                None,
                "there are more than 2",
            ),
        ] {
            let error = read(text.as_bytes(), key, 2).unwrap_err().to_string();
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table_or_not_but_never_a_panic(
            text: Vec<u8>, key in proptest::option::of("[ab]"),
        ) {
            for read in [read_csv, read_json] {
                if let Ok(rows) = read(&text, key.as_deref(), 10) {
                    prop_assert!(rows.len() <= 10);
                }
            }
        }

        #[test]
        fn what_a_program_writes_as_csv_comes_back(
            fields in proptest::collection::vec(("[^\u{0}]{0,6}", "[^\u{0}]{0,6}"), 0..6),
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["key", "value"]).unwrap();
            for (key, value) in &fields {
                writer.write_record([key, value]).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let rows = told(read_csv(&text, Some("key"), 10));
            let right: Vec<_> = fields.iter()
                .map(|(key, value)| (key.clone(), json!({ "key": key, "value": value })))
                .collect();
            prop_assert_eq!(rows, right);
        }
    }
}
