//! What a token says, once its signature has been found right.

use serde_json::{Map, Value};

/// What a verified token says.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(pub(crate) Map<String, Value>);

impl Claims {
    /// The text of that name; none when it is not there, empty or no text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).and_then(Value::as_str);
        value.filter(|text| !text.is_empty())
    }

    /// The time of that name in whole seconds since 1970.
    #[must_use]
    pub fn time(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(seconds)
    }

    /// All that it says.
    #[must_use]
    pub fn all(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// A point of time (RFC 7519 §2, "NumericDate") in whole seconds, fractions dropped; none when it is
/// no number or beyond what seconds of 64 bits can say.
pub(crate) fn seconds(value: &Value) -> Option<i64> {
    /// Beyond which not every whole number is one of floating point.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(whole) = value.as_i64() {
        return Some(whole);
    }
    let fraction = value.as_f64()?.floor();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole, and within what 64 bits hold exactly"
    )]
    (fraction.abs() < EXACT).then_some(fraction as i64)
}
