//! Remote Config's templates: parameters with a default and, by condition, other values
//! (<https://firebase.google.com/docs/reference/remote-config/rest/v1/RemoteConfig>).
//!
//! A template is checked, not evaluated: whoever gets it decides which conditions hold.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The most bytes of a template: a million, as Google has it, and what JSON adds.
pub const TEMPLATE_MAX: usize = 2 << 20;
/// The most parameters, those in groups included.
pub const PARAMETERS_MAX: usize = 3_000;
/// The most conditions.
pub const CONDITIONS_MAX: usize = 500;
/// The most characters of a parameter's name or a group's.
pub const NAME_MAX: usize = 256;
/// The most characters of a condition's name.
pub const CONDITION_NAME_MAX: usize = 100;
/// The most characters of a description.
pub const DESCRIPTION_MAX: usize = 256;

const COLOURS: [&str; 13] = [
    "CONDITION_DISPLAY_COLOR_UNSPECIFIED",
    "BLUE",
    "BROWN",
    "CYAN",
    "DEEP_ORANGE",
    "GREEN",
    "INDIGO",
    "LIME",
    "ORANGE",
    "PINK",
    "PURPLE",
    "TEAL",
    "RED",
];
const TYPES: [&str; 5] = [
    "PARAMETER_VALUE_TYPE_UNSPECIFIED",
    "STRING",
    "BOOLEAN",
    "NUMBER",
    "JSON",
];

/// A template that holds together, without its version.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Its conditions, parameters and groups, as they were given.
    pub content: Map<String, Value>,
    /// What its version is to be described as; empty where it is not said.
    pub description: String,
}

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct TemplateError {
    /// Where: names with dots between, as `parameters.welcome.defaultValue`.
    pub place: String,
    /// What would be right.
    pub why: String,
}

type Checked<T = ()> = Result<T, TemplateError>;

fn wrong<T>(place: &str, why: impl Into<String>) -> Checked<T> {
    let (place, why) = (place.to_owned(), why.into());
    Err(TemplateError { place, why })
}

impl Template {
    /// Reads a template. Of its `version` only the description counts: the rest is the server's.
    ///
    /// # Errors
    /// [`TemplateError`], with the first place that is wrong.
    pub fn read(text: &[u8]) -> Checked<Self> {
        if text.len() > TEMPLATE_MAX {
            return wrong("template", format!("at most {TEMPLATE_MAX} bytes"));
        }
        let read: Result<Map<String, Value>, _> = serde_json::from_slice(text);
        let mut content =
            read.or_else(|error| wrong("template", format!("no JSON object: {error}")))?;
        let description = match content.remove("version") {
            None => String::new(),
            Some(version) => described(&version, "version")?,
        };
        // What answers carry beside the template.
        content.remove("etag");
        only(
            &content,
            "template",
            &["conditions", "parameters", "parameterGroups"],
        )?;
        let conditions = conditions(content.get("conditions"))?;
        let mut names = BTreeSet::new();
        parameters(
            content.get("parameters"),
            "parameters",
            &conditions,
            &mut names,
        )?;
        for (name, group) in members(content.get("parameterGroups"), "parameterGroups")? {
            let place = format!("parameterGroups.{name}");
            if name.is_empty() || name.chars().count() > NAME_MAX {
                return wrong(&place, format!("a name of 1 to {NAME_MAX} characters"));
            }
            let group = object(group, &place)?;
            only(group, &place, &["description", "parameters"])?;
            described(&Value::Object(group.clone()), &place)?;
            let place = format!("{place}.parameters");
            parameters(group.get("parameters"), &place, &conditions, &mut names)?;
        }
        Ok(Self {
            content,
            description,
        })
    }
}

/// The names of the conditions, each of which there is once.
fn conditions(given: Option<&Value>) -> Checked<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let list = match given {
        None => return Ok(names),
        Some(Value::Array(list)) => list,
        Some(_) => return wrong("conditions", "a list"),
    };
    if list.len() > CONDITIONS_MAX {
        return wrong("conditions", format!("at most {CONDITIONS_MAX}"));
    }
    for (number, condition) in list.iter().enumerate() {
        let place = format!("conditions.{number}");
        let condition = object(condition, &place)?;
        only(
            condition,
            &place,
            &["name", "expression", "tagColor", "description"],
        )?;
        let name = text(condition, "name", &place)?;
        let length = name.chars().count();
        if !(1..=CONDITION_NAME_MAX).contains(&length) {
            return wrong(
                &place,
                format!("a name of 1 to {CONDITION_NAME_MAX} characters"),
            );
        }
        if text(condition, "expression", &place)?.trim().is_empty() {
            return wrong(&place, "an expression");
        }
        one_of(
            condition.get("tagColor"),
            &format!("{place}.tagColor"),
            &COLOURS,
        )?;
        if !names.insert(name.to_owned()) {
            return wrong(
                &place,
                format!("another name than `{name}`, which is there already"),
            );
        }
    }
    Ok(names)
}

fn parameters(
    given: Option<&Value>,
    place: &str,
    conditions: &BTreeSet<String>,
    names: &mut BTreeSet<String>,
) -> Checked {
    for (name, parameter) in members(given, place)? {
        let place = format!("{place}.{name}");
        let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let begins_well = !name.starts_with(|letter: char| letter.is_ascii_digit());
        if name.is_empty() || name.len() > NAME_MAX || !begins_well || !name.chars().all(is_of_name)
        {
            let right = "a name of letters, digits and _ that does not begin with a digit";
            return wrong(&place, format!("{right}, at most {NAME_MAX}"));
        }
        if !names.insert(name.clone()) {
            return wrong(&place, "another name: it is there already");
        }
        if names.len() > PARAMETERS_MAX {
            return wrong(&place, format!("at most {PARAMETERS_MAX} parameters"));
        }
        one_parameter(object(parameter, &place)?, &place, conditions)?;
    }
    Ok(())
}

fn one_parameter(
    parameter: &Map<String, Value>,
    place: &str,
    conditions: &BTreeSet<String>,
) -> Checked {
    only(
        parameter,
        place,
        &[
            "defaultValue",
            "conditionalValues",
            "description",
            "valueType",
        ],
    )?;
    described(&Value::Object(parameter.clone()), place)?;
    one_of(
        parameter.get("valueType"),
        &format!("{place}.valueType"),
        &TYPES,
    )?;
    let kind = parameter
        .get("valueType")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if let Some(default) = parameter.get("defaultValue") {
        value(default, &format!("{place}.defaultValue"), kind)?;
    }
    let others = format!("{place}.conditionalValues");
    for (condition, given) in members(parameter.get("conditionalValues"), &others)? {
        let place = format!("{place}.conditionalValues.{condition}");
        if !conditions.contains(condition) {
            return wrong(&place, "one of the template's conditions");
        }
        value(given, &place, kind)?;
    }
    Ok(())
}

/// A value: a text of the parameter's type, or that the application has its own.
fn value(given: &Value, place: &str, kind: &str) -> Checked {
    let given = object(given, place)?;
    only(given, place, &["value", "useInAppDefault"])?;
    match (given.get("value"), given.get("useInAppDefault")) {
        (Some(Value::String(text)), None) => {
            let fits = match kind {
                "BOOLEAN" => text == "true" || text == "false",
                "NUMBER" => text.parse().is_ok_and(f64::is_finite),
                "JSON" => serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
                _ => true,
            };
            if fits {
                Ok(())
            } else {
                wrong(place, format!("a value that is {kind}"))
            }
        }
        (None, Some(Value::Bool(true))) => Ok(()),
        _ => wrong(place, "either `value`, a text, or `useInAppDefault`, true"),
    }
}

fn described(given: &Value, place: &str) -> Checked<String> {
    match object(given, place)?.get("description") {
        None => Ok(String::new()),
        Some(Value::String(text)) if text.chars().count() <= DESCRIPTION_MAX => Ok(text.clone()),
        Some(_) => wrong(
            &format!("{place}.description"),
            format!("a text of at most {DESCRIPTION_MAX} characters"),
        ),
    }
}

fn object<'a>(given: &'a Value, place: &str) -> Checked<&'a Map<String, Value>> {
    given
        .as_object()
        .map_or_else(|| wrong(place, "an object"), Ok)
}

fn members<'a>(
    given: Option<&'a Value>,
    place: &str,
) -> Checked<impl Iterator<Item = (&'a String, &'a Value)> + use<'a>> {
    let members = given.map(|given| object(given, place)).transpose()?;
    Ok(members.map(Map::iter).into_iter().flatten())
}

fn text<'a>(of: &'a Map<String, Value>, name: &str, place: &str) -> Checked<&'a str> {
    match of.get(name) {
        Some(Value::String(text)) => Ok(text),
        _ => wrong(&format!("{place}.{name}"), "a text"),
    }
}

fn one_of(given: Option<&Value>, place: &str, known: &[&str]) -> Checked {
    match given {
        None => Ok(()),
        Some(Value::String(text)) if known.contains(&text.as_str()) => Ok(()),
        Some(_) => wrong(place, format!("one of {}", known.join(", "))),
    }
}

/// Nothing but these: what nobody knows is more likely mistyped than meant.
fn only(of: &Map<String, Value>, place: &str, known: &[&str]) -> Checked {
    match of.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => wrong(
            &format!("{place}.{name}"),
            format!("one of {}", known.join(", ")),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Checked<Template> {
        Template::read(value.to_string().as_bytes())
    }

    fn whole() -> Value {
        json!({
            "conditions": [
                { "name": "norway", "expression": "device.country in ['NO']", "tagColor": "BLUE" },
                { "name": "half", "expression": "percent <= 50" },
            ],
            "parameters": {
                "welcome": {
                    "defaultValue": { "value": "Hello" },
                    "conditionalValues": {
                        "norway": { "value": "Hei" },
                        "half": { "useInAppDefault": true },
                    },
                    "description": "What a till says",
                    "valueType": "STRING",
                },
            },
            "parameterGroups": {
                "receipts": {
                    "description": "What is printed",
                    "parameters": {
                        "width": { "defaultValue": { "value": "42" }, "valueType": "NUMBER" },
                        "logo": { "defaultValue": { "value": "true" }, "valueType": "BOOLEAN" },
                        "lines": { "defaultValue": { "value": "[1]" }, "valueType": "JSON" },
                    },
                },
            },
            "version": { "versionNumber": "7", "description": "Summer" },
            "etag": "etag-pos-7",
        })
    }

    #[test]
    fn a_template_is_taken_as_it_is_without_its_version() {
        let template = read(&whole()).unwrap();
        assert_eq!(template.description, "Summer");
        let mut expected = whole();
        let expected = expected.as_object_mut().unwrap();
        expected.remove("version");
        expected.remove("etag");
        assert_eq!(template.content, *expected);
        assert_eq!(read(&json!({})).unwrap().content, Map::new());
    }

    /// Each change of the whole template names the place that it makes wrong.
    fn all_are_named(changes: &[(&str, Value, &str)]) {
        for (pointer, value, place) in changes {
            let mut template = whole();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            template.pointer_mut(parent).unwrap()[name] = value.clone();
            assert_eq!(read(&template).unwrap_err().place, *place, "{pointer}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        all_are_named(&[
            ("/parameter", json!({}), "template.parameter"),
            ("/conditions", json!({}), "conditions"),
            ("/conditions/1/name", json!("norway"), "conditions.1"),
            ("/conditions/0/name", json!("n".repeat(101)), "conditions.0"),
            ("/conditions/0/expression", json!(" "), "conditions.0"),
            (
                "/conditions/0/tagColor",
                json!("GREY"),
                "conditions.0.tagColor",
            ),
            ("/conditions/0/when", json!(1), "conditions.0.when"),
            ("/parameters/2nd", json!({}), "parameters.2nd"),
            ("/parameters/a-b", json!({}), "parameters.a-b"),
            (
                "/parameters/width",
                json!({}),
                "parameterGroups.receipts.parameters.width",
            ),
        ]);
        assert_eq!(Template::read(b"[]").unwrap_err().place, "template");
        assert_eq!(Template::read(b"{").unwrap_err().place, "template");
    }

    #[test]
    fn what_is_wrong_with_a_parameter_is_named_with_its_place() {
        all_are_named(&[
            ("/parameters/welcome", json!([]), "parameters.welcome"),
            (
                "/parameters/welcome/defaultValue",
                json!("Hello"),
                "parameters.welcome.defaultValue",
            ),
            (
                "/parameters/welcome/defaultValue/value",
                json!(1),
                "parameters.welcome.defaultValue",
            ),
            (
                "/parameters/welcome/defaultValue/useInAppDefault",
                json!(true),
                "parameters.welcome.defaultValue",
            ),
            (
                "/parameters/welcome/conditionalValues/sweden",
                json!({ "value": "Hej" }),
                "parameters.welcome.conditionalValues.sweden",
            ),
            (
                "/parameters/welcome/valueType",
                json!("TEXT"),
                "parameters.welcome.valueType",
            ),
            (
                "/parameters/welcome/valueType",
                json!("JSON"),
                "parameters.welcome.defaultValue",
            ),
            (
                "/parameters/welcome/valueType",
                json!("NUMBER"),
                "parameters.welcome.defaultValue",
            ),
            (
                "/parameters/welcome/valueType",
                json!("BOOLEAN"),
                "parameters.welcome.defaultValue",
            ),
            (
                "/parameters/welcome/description",
                json!("d".repeat(257)),
                "parameters.welcome.description",
            ),
            ("/parameterGroups/", json!({}), "parameterGroups."),
            ("/version", json!("7"), "version"),
        ]);
    }

    #[test]
    fn more_than_a_template_may_hold_is_refused() {
        let parameters = |count: usize| {
            let names = (0..count).map(|one| (format!("p{one}"), json!({})));
            json!({ "parameters": names.collect::<Map<_, _>>() })
        };
        assert!(read(&parameters(PARAMETERS_MAX)).is_ok());
        assert!(read(&parameters(PARAMETERS_MAX + 1)).is_err());
        let conditions = |count: usize| {
            let list =
                (0..count).map(|one| json!({ "name": one.to_string(), "expression": "true" }));
            json!({ "conditions": list.collect::<Vec<_>>() })
        };
        assert!(read(&conditions(CONDITIONS_MAX)).is_ok());
        assert!(read(&conditions(CONDITIONS_MAX + 1)).is_err());
        let long = json!({ "version": { "x": "-".repeat(TEMPLATE_MAX) } });
        assert_eq!(read(&long).unwrap_err().place, "template");
    }
}
