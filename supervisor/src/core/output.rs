//! What an action returned, against its `output_schema`.

use serde_json::{Value, json};

use super::record::{Execution, Outcome, Status};
use super::seal::{MASK, texts_of};
use super::step::Core;
use crate::catalog::Runner;
use crate::catalog::schema::{compile, normalised};

impl Core {
    /// Hides what the schema calls secret, and, where petrel.yaml asks for it
    /// (`actions.validate_output_schema`), fails what does not fit. A schema that is none, or of
    /// the old form, checks nothing, as in StackStorm. Returns the texts that it hid.
    pub(super) fn check_output(&self, execution: &Execution, outcome: &mut Outcome) -> Vec<String> {
        let Some(action) = self.catalog.actions.get(&execution.action) else {
            return Vec::new();
        };
        if action.output_schema.is_empty() {
            return Vec::new();
        }
        let schema = Value::Object(action.output_schema.clone());
        let Some(output) = output(action.runner, &mut outcome.result) else {
            return Vec::new();
        };
        let checks = self.validate_output && outcome.status == Status::Succeeded;
        let fault = checks.then(|| fault(&schema, output)).flatten();
        let hidden = hide(&whole(schema), output);
        let is_hidden = !hidden.is_empty();
        if let Some((error, without_values)) = fault {
            outcome.status = Status::Failed;
            outcome.result = json!({
                "error": if is_hidden { without_values } else { error },
                "message": "Error validating output. See error output for more details.",
            });
        }
        hidden.iter().flat_map(texts_of).collect()
    }
}

/// What does not fit, in words with and without the values.
fn fault(schema: &Value, output: &Value) -> Option<(String, String)> {
    schema.get("type")?;
    let check = compile(&normalised(schema)).ok()?;
    let error = check.iter_errors(output).next()?;
    let without_values = error.masked_with(MASK).to_string();
    Some((error.to_string(), without_values))
}

/// The old form names the members of an object only.
fn whole(schema: Value) -> Value {
    match schema.get("type") {
        Some(_) => schema,
        None => json!({"type": "object", "properties": schema}),
    }
}

/// The part of a result that the action made: StackStorm's `output_key`. Its local and remote runners
/// have none, so that no schema is looked at.
fn output(runner: Runner, result: &mut Value) -> Option<&mut Value> {
    let key = match runner {
        Runner::PythonScript => "result",
        Runner::ActionChain => "published",
        Runner::HttpRequest => "body",
        _ => return None,
    };
    result.get_mut(key)
}

/// Masks the values whose schema says `secret`; what was there.
fn hide(schema: &Value, value: &mut Value) -> Vec<Value> {
    if schema["secret"] == json!(true) && !value.is_null() {
        return vec![std::mem::replace(value, json!(MASK))];
    }
    match value {
        Value::Object(map) => {
            let members = map.iter_mut();
            let hidden = members.map(|(name, value)| hide(member(schema, name), value));
            hidden.flatten().collect()
        }
        Value::Array(items) => {
            let items = items.iter_mut().enumerate();
            let hidden = items.map(|(at, value)| hide(item(schema, at), value));
            hidden.flatten().collect()
        }
        _ => Vec::new(),
    }
}

/// The schema of a member: by its name, by a pattern, or that of all others.
fn member<'s>(schema: &'s Value, name: &str) -> &'s Value {
    if let Some(own) = schema["properties"].get(name) {
        return own;
    }
    let patterns = schema["patternProperties"].as_object();
    let fits = |pattern: &str| {
        fancy_regex::Regex::new(pattern).is_ok_and(|one| one.is_match(name).unwrap_or(true))
    };
    let found = patterns
        .into_iter()
        .flatten()
        .find(|(pattern, _)| fits(pattern));
    found.map_or(&schema["additionalProperties"], |(_, one)| one)
}

/// The schema of an item: one for all, or one for each place and one for the rest.
fn item(schema: &Value, at: usize) -> &Value {
    match &schema["items"] {
        Value::Array(each) => each.get(at).unwrap_or(&schema["additionalItems"]),
        all => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_schema_calls_secret_is_hidden_wherever_it_lies() {
        let schema = json!({"type": "object", "properties": {
            "token": {"type": "string", "secret": true},
            "users": {"items": {"properties": {"key": {"secret": true}}}},
            "pair": {"items": [{}, {"secret": true}], "additionalItems": {"secret": true}},
        }, "patternProperties": {"^key_": {"secret": true}}});
        let mut value = json!({
            "token": "t", "users": [{"key": 1, "n": 2}], "other": "t", "key_a": 5, "pair": [1, 2, 3],
        });
        let mut hidden = hide(&schema, &mut value);
        hidden.sort_by_key(ToString::to_string);
        assert_eq!(json!(hidden), json!(["t", 1, 2, 3, 5]));
        let users = json!([{"key": MASK, "n": 2}]);
        assert_eq!(
            value,
            json!({
                "token": MASK, "users": users, "other": "t", "key_a": MASK, "pair": [1, MASK, MASK],
            })
        );
        let schema = json!({"type": "object", "additionalProperties": {"secret": true}});
        let mut value = json!({"any": "t", "none": null});
        assert_eq!(hide(&schema, &mut value), [json!("t")]);
        assert_eq!(value, json!({"any": MASK, "none": null}));
        let mut plain = json!({"a": [1]});
        assert!(hide(&json!({"type": "object"}), &mut plain).is_empty());
    }
}
