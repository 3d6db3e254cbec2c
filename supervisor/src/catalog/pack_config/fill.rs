//! Defaults of the schema where a configuration has nothing.

use serde_json::{Map, Value};

use super::shape::{item, member};

/// Fills what is absent with the schema's defaults, nested ones included; a key that is there with
/// `null` stays, and a default is never rendered (`_assign_default_values`).
pub fn fill(schema: &Value, config: &mut Map<String, Value>) {
    let declared = schema.get("properties").and_then(Value::as_object);
    for name in declared.into_iter().flat_map(Map::keys) {
        absent(&member(schema, name), name, config);
    }
    for (name, value) in config {
        within(&member(schema, name), value);
    }
}

/// An absent member: its default, or the empty beginning of what has defaults inside.
fn absent(schema: &Value, name: &str, config: &mut Map<String, Value>) {
    if config.contains_key(name) {
        return;
    }
    if let Some(default) = schema.get("default") {
        config.insert(name.to_owned(), default.clone());
    } else if let Some(empty) = beginning(schema) {
        config.insert(name.to_owned(), empty);
    }
}

/// The empty value of an object or list whose parts are described.
fn beginning(schema: &Value) -> Option<Value> {
    let described = |names: &[&str]| names.iter().any(|name| truthy(schema.get(name)));
    match schema.get("type").and_then(Value::as_str) {
        Some("object")
            if described(&["properties", "patternProperties", "additionalProperties"]) =>
        {
            Some(Value::Object(Map::new()))
        }
        Some("array") if described(&["items", "additionalItems"]) => Some(Value::Array(Vec::new())),
        _ => None,
    }
}

/// True for what Python takes for true.
fn truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
    }
}

fn within(schema: &Value, value: &mut Value) {
    let Some(empty) = beginning(schema) else {
        return;
    };
    if !truthy(Some(value)) {
        *value = empty;
    }
    match value {
        Value::Object(map) => fill(schema, map),
        Value::Array(items) => fill_list(schema, items),
        _ => {}
    }
}

/// Positions that the list does not reach get their defaults as long as they follow each other.
fn fill_list(schema: &Value, items: &mut Vec<Value>) {
    if let Some(Value::Array(positions)) = schema.get("items") {
        let missing = positions.iter().skip(items.len());
        let defaults = missing.map_while(|schema| schema.get("default").cloned());
        items.extend(defaults.collect::<Vec<_>>());
    }
    for (index, value) in items.iter_mut().enumerate() {
        within(item(schema, index), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(properties: Value, config: Value, wanted: Value) {
        let mut config = config.as_object().cloned().unwrap_or_default();
        fill(&json!({"properties": properties}), &mut config);
        assert_eq!(Value::Object(config), wanted);
    }

    #[test]
    fn defaults_fill_what_is_absent_at_every_depth() {
        let inner =
            json!({"type": "object", "properties": {"p": {"default": 1}, "q": {"default": 2}}});
        check(
            json!({"a": {"default": "x"}, "n": {"default": "y"}, "o": inner}),
            json!({"n": null, "o": {"p": 5}}),
            json!({"n": null, "o": {"p": 5, "q": 2}, "a": "x"}),
        );
        check(
            json!({"o": inner}),
            json!({}),
            json!({"o": {"p": 1, "q": 2}}),
        );
        check(
            json!({"l": {"type": "array", "items": inner}, "m": {"type": "object"}}),
            json!({"l": [{"p": 0}, {}]}),
            json!({"l": [{"p": 0, "q": 2}, {"p": 1, "q": 2}]}),
        );
    }

    #[test]
    fn lists_are_filled_by_position() {
        let items = json!([{"default": 1}, {"default": 2}, {}, {"default": 4}]);
        check(
            json!({"l": {"type": "array", "items": items}, "e": {"type": "array", "items": {}}}),
            json!({"l": [9]}),
            json!({"l": [9, 2]}),
        );
    }

    #[test]
    fn patterns_and_additional_members_get_the_defaults_within() {
        let host = json!({"type": "object", "properties": {"port": {"default": 22}}});
        check(
            json!({"h": {"type": "object", "patternProperties": {"^h": host}, "additionalProperties": {"default": 5}}}),
            json!({"h": {"h1": {}, "x": null}}),
            json!({"h": {"h1": {"port": 22}, "x": null}}),
        );
    }
}
