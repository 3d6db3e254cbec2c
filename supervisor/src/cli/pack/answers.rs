//! Answers to values, by what `config.schema.yaml` says of them, and values to YAML. Pure.

use serde_json::{Map, Value};

use crate::catalog::pack_config::is_template;
use crate::catalog::yaml;

/// What a schema says of the attribute at a dotted path; none where it does not know it.
pub fn described<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    path.split('.')
        .try_fold(schema, |schema, name| schema.get("properties")?.get(name))
}

/// True where any name is allowed below.
pub fn is_open(schema: &Value) -> bool {
    let more = schema.get("additionalProperties");
    let patterns = schema.get("patternProperties");
    let known = schema.get("properties").and_then(Value::as_object);
    patterns.is_some() || more.is_some_and(|more| *more != false) || known.is_none_or(Map::is_empty)
}

/// The value that somebody means who types this text for an attribute: text where that is declared,
/// else what YAML makes of it.
pub fn value(text: &str, schema: &Value) -> Value {
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if types.contains(&"string") || is_template(text) {
        return text.into();
    }
    match yaml::parse(text) {
        Ok(parsed) if !parsed.root.is_null() || types.contains(&"null") => parsed.root.to_json(),
        _ => text.into(),
    }
}

/// Puts a value at a dotted path.
///
/// # Errors
/// When something on the way is no object.
pub fn put(values: &mut Map<String, Value>, path: &str, value: Value) -> anyhow::Result<()> {
    let Some((first, rest)) = path.split_once('.') else {
        values.insert(path.to_owned(), value);
        return Ok(());
    };
    let below = values.entry(first).or_insert_with(|| Map::new().into());
    match below {
        Value::Object(below) => put(below, rest, value),
        _ => anyhow::bail!("\"{first}\" has no \"{rest}\" in it: it is no object"),
    }
}

/// As YAML that 1.1 reads as the same values.
pub fn to_yaml(values: &Map<String, Value>) -> String {
    let mut text = String::from("---\n");
    write(values, 0, &mut text);
    text
}

fn write(values: &Map<String, Value>, depth: usize, text: &mut String) {
    for (name, value) in values {
        text.push_str(&"  ".repeat(depth));
        text.push_str(&key(name));
        match value {
            Value::Object(below) if !below.is_empty() => {
                text.push_str(":\n");
                write(below, depth + 1, text);
            }
            // Flow style in one line is JSON, which both versions of YAML read alike.
            other => text.push_str(&format!(": {other}\n")),
        }
    }
}

fn key(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&name);
    match plain {
        true => name.to_owned(),
        false => Value::from(name).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_typed_means_what_is_declared() {
        for (text, kind, expected) in [
            ("5", json!("integer"), json!(5)),
            ("5", json!("string"), json!("5")),
            ("yes", json!("boolean"), json!(true)),
            ("yes", json!("string"), json!("yes")),
            ("[a, 1]", json!("array"), json!(["a", 1])),
            ("{a: 1}", json!("object"), json!({"a": 1})),
            (
                "{{ st2kv.system.n }}",
                json!("integer"),
                json!("{{ st2kv.system.n }}"),
            ),
            ("0.5", json!(null), json!(0.5)),
            ("a: [", json!("object"), json!("a: [")),
        ] {
            assert_eq!(value(text, &json!({"type": kind})), expected, "{text}");
        }
    }

    #[test]
    fn values_are_read_back_as_they_were() {
        let mut values = Map::new();
        for (path, value) in [
            ("a.b.c", json!("yes")),
            ("a.b.d", json!(["x", {"y": null}])),
            ("No", json!("a\nb: \"c\" # é")),
            ("on", json!({})),
            ("time", json!("12:30")),
        ] {
            put(&mut values, path, value).unwrap();
        }
        assert!(put(&mut values, "time.x", json!(1)).is_err());
        let text = to_yaml(&values);
        let read = yaml::parse(&text).unwrap().root.to_json();
        assert_eq!(read, Value::Object(values), "{text}");
    }
}
