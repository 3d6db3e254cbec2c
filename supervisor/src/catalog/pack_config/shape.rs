//! Schema and configuration side by side: which part of the one speaks of which part of the other.

use std::borrow::Cow;

use fancy_regex::Regex;
use serde_json::{Map, Value};

/// The schema of the member `key` of an object: `properties`, else all of `patternProperties` that
/// fit, laid over each other, else `additionalProperties`.
pub fn member<'s>(schema: &'s Value, key: &str) -> Cow<'s, Value> {
    if let Some(found) = schema.get("properties").and_then(|all| all.get(key)) {
        return Cow::Borrowed(found);
    }
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    let fits = |pattern: &str| {
        Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(key).unwrap_or(false))
    };
    let mut united: Option<Map<String, Value>> = None;
    for (pattern, schema) in patterns.into_iter().flatten() {
        if let Value::Object(schema) = schema
            && fits(pattern)
        {
            united.get_or_insert_default().extend(schema.clone());
        }
    }
    match (united, schema.get("additionalProperties")) {
        (Some(schema), _) => Cow::Owned(Value::Object(schema)),
        (None, Some(schema @ Value::Object(_))) => Cow::Borrowed(schema),
        _ => Cow::Owned(Value::Null),
    }
}

/// The schema of an item of a list: `items`, one for all or by position, else `additionalItems`.
pub fn item(schema: &Value, index: usize) -> &Value {
    let additional = || {
        schema
            .get("additionalItems")
            .filter(|more| more.is_object())
    };
    let found = match schema.get("items") {
        Some(Value::Array(positions)) => positions.get(index).or_else(additional),
        Some(one @ Value::Object(_)) => Some(one),
        _ => additional(),
    };
    found.unwrap_or(&Value::Null)
}

/// Whether a schema says that its value is secret.
pub fn is_secret(schema: &Value) -> bool {
    schema.get("secret") == Some(&Value::Bool(true))
}

/// A path with one more name.
pub fn joined(path: &str, name: &str) -> String {
    match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}.{name}"),
    }
}

/// The value at a dotted path, list items by their number.
pub fn at<'c>(config: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    let mut names = path.split('.');
    let first = config.get(names.next()?)?;
    names.try_fold(first, |value, name| match value {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => value.get(name),
    })
}

/// See [`crate::catalog::Pack::secrets_of`].
pub fn secrets<'c>(schema: &Value, config: &'c Map<String, Value>) -> Vec<(String, &'c Value)> {
    let mut found = Vec::new();
    for (key, value) in config {
        collect(&member(schema, key), value, key.clone(), &mut found);
    }
    found
}

fn collect<'c>(
    schema: &Value,
    value: &'c Value,
    path: String,
    found: &mut Vec<(String, &'c Value)>,
) {
    match value {
        _ if is_secret(schema) => found.push((path, value)),
        Value::Object(map) => {
            for (key, value) in map {
                collect(&member(schema, key), value, joined(&path, key), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let path = joined(&path, &index.to_string());
                collect(item(schema, index), value, path, found);
            }
        }
        _ => {}
    }
}

/// See [`crate::catalog::Pack::public_of`].
pub fn public(schema: &Value, config: &Map<String, Value>) -> Map<String, Value> {
    let members = config.iter().filter_map(|(key, value)| {
        let value = shown(&member(schema, key), value)?;
        Some((key.clone(), value))
    });
    members.collect()
}

fn shown(schema: &Value, value: &Value) -> Option<Value> {
    match value {
        _ if is_secret(schema) => None,
        Value::Object(map) => Some(Value::Object(public(schema, map))),
        Value::Array(items) => {
            let each = items.iter().enumerate();
            let shown = each.map(|(index, one)| shown(item(schema, index), one));
            Some(shown.map(Option::unwrap_or_default).collect())
        }
        _ => Some(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"properties": {
            "users": {"type": "array", "items": {"type": "object", "properties": {
                "name": {"type": "string"}, "password": {"secret": true}}}},
            "keys": {"type": "array", "items": [{}, {"secret": true}], "additionalItems": {"secret": true}},
            "hosts": {"type": "object",
                "properties": {"plain_key": {}},
                "patternProperties": {"_key$": {"secret": true}, "^a": {"type": "string"}},
                "additionalProperties": {"type": "integer"}},
        }})
    }

    fn config() -> Map<String, Value> {
        let config = json!({
            "users": [{"name": "u", "password": "s1"}, {"name": "v"}],
            "keys": ["open", "s2", "s3"],
            "hosts": {"plain_key": 1, "a_key": "s4", "z": 2},
            "free": "x",
        });
        config.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn secrets_are_found_in_lists_and_under_patterns() {
        let config = config();
        let found = secrets(&schema(), &config);
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            ["users.0.password", "keys.1", "keys.2", "hosts.a_key"]
        );
        for (path, value) in &found {
            assert_eq!(at(&config, path), Some(*value), "{path}");
        }
    }

    #[test]
    fn what_is_public_has_no_secret_and_keeps_its_places() {
        let shown = Value::Object(public(&schema(), &config()));
        assert_eq!(
            shown,
            json!({
                "users": [{"name": "u"}, {"name": "v"}],
                "keys": ["open", null, null],
                "hosts": {"plain_key": 1, "z": 2},
                "free": "x",
            })
        );
    }
}
