//! Queries over twins in their plain form: `SELECT * FROM devices`, and what a device must be.
//!
//! Conditions are joined by `AND`. Each compares a place in the twin with a literal: `deviceId`,
//! `status`, `tags.…`, `properties.desired.…`, `properties.reported.…`; with `=`, `!=`, `<>`, `<`,
//! `<=`, `>`, `>=`, `IN [...]`, or is `is_defined(place)`. What else the service's language has
//! (projections, grouping, `OR`, functions) is refused, and said to be.

use serde_json::{Number, Value};

/// The most bytes of a query.
pub const QUERY_MAX_BYTES: usize = 8 * 1024;

/// The most conditions of a query, and the most values of one `IN`.
pub const CONDITIONS_MAX: usize = 64;

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    conditions: Vec<Condition>,
}

/// What a device must be.
#[derive(Clone, Debug, PartialEq)]
struct Condition {
    /// The way to the value from the twin's outermost object.
    place: Vec<String>,
    must: Must,
}

#[derive(Clone, Debug, PartialEq)]
enum Must {
    Exist,
    Compare(Compare, Value),
    BeAmong(Vec<Value>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why a query is none that is understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// It is too long, or has too many parts.
    #[error(
        "a query has at most {QUERY_MAX_BYTES} bytes, {CONDITIONS_MAX} conditions and as many values each"
    )]
    TooMuch,
    /// Something else was expected.
    #[error(
        "{expected} was expected at byte {at}; only SELECT * FROM devices [WHERE … AND …] is understood"
    )]
    Expected {
        /// What.
        expected: &'static str,
        /// Where.
        at: usize,
    },
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text.len() > QUERY_MAX_BYTES {
            return Err(QueryError::TooMuch);
        }
        let mut reader = Reader { text, at: 0 };
        for word in ["SELECT", "*", "FROM", "devices"] {
            reader.must_take(word)?;
        }
        let mut conditions = Vec::new();
        if reader.takes("WHERE") {
            loop {
                if conditions.len() == CONDITIONS_MAX {
                    return Err(QueryError::TooMuch);
                }
                conditions.push(reader.condition()?);
                if !reader.takes("AND") {
                    break;
                }
            }
        }
        reader.takes(";");
        reader.skip_space();
        if reader.at < text.len() {
            return Err(reader.expected("the end"));
        }
        Ok(Self { conditions })
    }

    /// Whether a twin, as back ends are told of it, is one that is asked for.
    #[must_use]
    pub fn fits(&self, twin: &Value) -> bool {
        self.conditions.iter().all(|condition| condition.fits(twin))
    }
}

impl Condition {
    fn fits(&self, twin: &Value) -> bool {
        let mut found = Some(twin);
        for step in &self.place {
            found = found.and_then(|value| value.get(step));
        }
        let Some(found) = found else {
            // What is not there is not even unequal to anything.
            return false;
        };
        match &self.must {
            Must::Exist => true,
            Must::BeAmong(values) => values.iter().any(|value| equal(found, value)),
            Must::Compare(compare, value) => compare.holds(found, value),
        }
    }
}

impl Compare {
    fn holds(self, one: &Value, other: &Value) -> bool {
        let order = match (one, other) {
            (Value::Number(one), Value::Number(other)) => match (one.as_f64(), other.as_f64()) {
                (Some(one), Some(other)) => one.partial_cmp(&other),
                (Some(_) | None, _) => None,
            },
            (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
            (_, _) => None,
        };
        match self {
            Self::Equal => equal(one, other),
            Self::Unequal => !equal(one, other),
            Self::Less => order.is_some_and(std::cmp::Ordering::is_lt),
            Self::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            Self::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
            Self::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        }
    }
}

/// Numbers are equal by what they are worth, everything else by what it is.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (_, _) => one == other,
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn expected(&self, expected: &'static str) -> QueryError {
        QueryError::Expected {
            expected,
            at: self.at,
        }
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes a word in any letters, or a sign; a word is not the beginning of a longer one.
    fn takes(&mut self, word: &str) -> bool {
        self.skip_space();
        let rest = self.rest();
        let Some((head, tail)) = rest.split_at_checked(word.len()) else {
            return false;
        };
        let is_word = word.ends_with(|last: char| last.is_ascii_alphanumeric());
        let goes_on = tail.starts_with(is_of_name);
        let is_it = head.eq_ignore_ascii_case(word) && !(is_word && goes_on);
        if is_it {
            self.at += word.len();
        }
        is_it
    }

    fn must_take(&mut self, word: &'static str) -> Result<(), QueryError> {
        if self.takes(word) {
            return Ok(());
        }
        Err(self.expected(word))
    }

    fn condition(&mut self) -> Result<Condition, QueryError> {
        if self.takes("is_defined") {
            self.must_take("(")?;
            let place = self.place()?;
            self.must_take(")")?;
            let must = Must::Exist;
            return Ok(Condition { place, must });
        }
        let place = self.place()?;
        let must = if self.takes("IN") {
            Must::BeAmong(self.values()?)
        } else {
            let compare = self.compare()?;
            Must::Compare(compare, self.value()?)
        };
        Ok(Condition { place, must })
    }

    fn compare(&mut self) -> Result<Compare, QueryError> {
        // The longer ones first.
        let all = [
            ("!=", Compare::Unequal),
            ("<>", Compare::Unequal),
            ("<=", Compare::LessOrEqual),
            (">=", Compare::GreaterOrEqual),
            ("=", Compare::Equal),
            ("<", Compare::Less),
            (">", Compare::Greater),
        ];
        for (sign, compare) in all {
            if self.takes(sign) {
                return Ok(compare);
            }
        }
        Err(self.expected("a comparison"))
    }

    fn place(&mut self) -> Result<Vec<String>, QueryError> {
        let mut steps = Vec::new();
        loop {
            self.skip_space();
            let rest = self.rest();
            let end = rest.find(|sign| !is_of_name(sign)).unwrap_or(rest.len());
            let step = rest.get(..end).unwrap_or_default();
            if step.is_empty() || steps.len() == CONDITIONS_MAX {
                return Err(self.expected("a name"));
            }
            self.at += end;
            steps.push(step.to_owned());
            if !self.takes(".") {
                return Ok(steps);
            }
        }
    }

    fn values(&mut self) -> Result<Vec<Value>, QueryError> {
        self.must_take("[")?;
        let mut values = Vec::new();
        loop {
            if values.len() == CONDITIONS_MAX {
                return Err(QueryError::TooMuch);
            }
            values.push(self.value()?);
            if self.takes(",") {
                continue;
            }
            self.must_take("]")?;
            return Ok(values);
        }
    }

    fn value(&mut self) -> Result<Value, QueryError> {
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            if self.takes(word) {
                return Ok(value);
            }
        }
        for quote in ["'", "\""] {
            if self.takes(quote) {
                return self.quoted(quote).map(Value::String);
            }
        }
        let rest = self.rest();
        let is_of_number = |sign: char| sign.is_ascii_digit() || "+-.eE".contains(sign);
        let end = rest.find(|sign| !is_of_number(sign)).unwrap_or(rest.len());
        let number = rest.get(..end).unwrap_or_default();
        let number = number.parse::<f64>().ok().and_then(Number::from_f64);
        let number = number.ok_or_else(|| self.expected("a literal"))?;
        self.at += end;
        Ok(Value::Number(number))
    }

    /// The rest of a quoted text; a quote within is written twice or behind a backslash.
    fn quoted(&mut self, quote: &str) -> Result<String, QueryError> {
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let mut signs = rest.chars();
            let Some(first) = signs.next() else {
                return Err(self.expected("the end of a text"));
            };
            let next = signs.as_str();
            self.at += first.len_utf8();
            if first == '\\' {
                let Some(sign) = next.chars().next() else {
                    return Err(self.expected("the end of a text"));
                };
                self.at += sign.len_utf8();
                text.push(sign);
            } else if !quote.starts_with(first) {
                text.push(first);
            } else if next.starts_with(quote) {
                self.at += quote.len();
                text.push(first);
            } else {
                return Ok(text);
            }
        }
    }
}

fn is_of_name(sign: char) -> bool {
    sign.is_alphanumeric() || "_-$".contains(sign)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fits(conditions: &str) -> bool {
        let twin = json!({
            "deviceId": "till-1", "status": "enabled",
            "tags": {"shop": {"nr": 7, "name": "O'Hara \"&\" Co"}},
            "properties": {"reported": {"up": true, "none": null, "version": "1.2"}},
        });
        let query = format!("select * from devices where {conditions}");
        Query::parse(&query).unwrap().fits(&twin)
    }

    #[test]
    fn a_device_is_found_by_what_its_twin_says() {
        for conditions in [
            "deviceId = 'till-1'",
            "deviceId IN ['a', 'till-1'] AND status='enabled'",
            "tags.shop.nr = 7 AND tags.shop.nr >= 7.0 and tags.shop.nr < 1e1",
            "tags.shop.name = 'O''Hara \"&\" Co'",
            "tags.shop.name = 'O\\'Hara \"&\" Co'",
            "properties.reported.up = true AND properties.reported.none = null",
            "is_defined(properties.reported.none) AND properties.reported.version <> '1.3'",
        ] {
            assert!(fits(conditions), "{conditions}");
        }
        for conditions in [
            "deviceId = 'Till-1'",
            "deviceId IN ['a']",
            "tags.shop.nr > 7",
            "tags.shop.nr = '7'",
            "tags.other != 1",
            "is_defined(tags.other)",
            "properties.reported.up > 0",
        ] {
            assert!(!fits(conditions), "{conditions}");
        }
        assert!(
            Query::parse("SELECT * FROM devices")
                .unwrap()
                .fits(&json!({}))
        );
        assert!(Query::parse(" SELECT *\nFROM devices ; ").is_ok());
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (text, expected, at) in [
            ("SELECT deviceId FROM devices", "*", 7),
            ("SELECT * FROM devices.modules", "the end", 21),
            ("SELECT * FROM devicesx", "devices", 14),
            ("SELECT * FROM devices WHERE a = 1 OR b = 2", "the end", 34),
            ("SELECT * FROM devices WHERE a LIKE 'b'", "a comparison", 30),
            (
                "SELECT * FROM devices WHERE a = 'b",
                "the end of a text",
                34,
            ),
            ("SELECT * FROM devices WHERE a = b", "a literal", 32),
            ("SELECT * FROM devices WHERE", "a name", 27),
        ] {
            let error = QueryError::Expected { expected, at };
            assert_eq!(Query::parse(text), Err(error), "{text}");
        }
        let many = vec!["a = 1"; CONDITIONS_MAX + 1].join(" AND ");
        let many = Query::parse(&format!("SELECT * FROM devices WHERE {many}"));
        assert_eq!(many, Err(QueryError::TooMuch));
    }

    proptest! {
        #[test]
        fn any_text_is_a_query_or_is_not(text in ".{0,200}") {
            let _ = Query::parse(&text);
            let _ = Query::parse(&format!("SELECT * FROM devices WHERE {text}"));
        }

        #[test]
        fn a_text_is_found_however_it_is_quoted(text in "[a-zåäö'\"\\\\ ]{0,20}") {
            let twin = json!({"tags": {"t": text}});
            for quote in ["'", "\""] {
                let inner = text.replace('\\', "\\\\").replace(quote, &quote.repeat(2));
                let query = format!("SELECT * FROM devices WHERE tags.t = {quote}{inner}{quote}");
                prop_assert!(Query::parse(&query).unwrap().fits(&twin), "{}", query);
            }
        }
    }
}
