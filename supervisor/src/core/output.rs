//! What an action returned, against its `output_schema`.

use serde_json::{Value, json};

use super::record::{Execution, Outcome, Status};
use super::seal::MASK;
use super::step::Core;
use crate::catalog::Runner;
use crate::catalog::schema::{compile, normalised};

impl Core {
    /// Hides what the schema calls secret, and, where petrel.yaml asks for it
    /// (`actions.validate_output_schema`), fails what does not fit. A schema that is none, or of
    /// the old form, checks nothing, as in StackStorm.
    pub(super) fn check_output(&self, execution: &Execution, outcome: &mut Outcome) {
        let Some(action) = self.catalog.actions.get(&execution.action) else {
            return;
        };
        let schema = &action.output_schema;
        if outcome.status != Status::Succeeded || !schema.contains_key("type") {
            return;
        }
        let schema = Value::Object(schema.clone());
        let Some(output) = output(action.runner, &mut outcome.result) else {
            return;
        };
        let fault = match self.validate_output {
            true => compile(&normalised(&schema)).ok().and_then(|check| {
                let error = check.iter_errors(output).next()?;
                Some(error.to_string())
            }),
            false => None,
        };
        hide(&schema, output);
        if let Some(error) = fault {
            outcome.status = Status::Failed;
            outcome.result = json!({
                "error": error,
                "message": "Error validating output. See error output for more details.",
            });
        }
    }
}

/// The part of a result that the action made: StackStorm's `output_key`.
fn output(runner: Runner, result: &mut Value) -> Option<&mut Value> {
    let key = match runner {
        Runner::PythonScript => "result",
        Runner::ActionChain => "published",
        Runner::HttpRequest => "body",
        Runner::LocalShellCmd | Runner::LocalShellScript => "stdout",
        _ => return Some(result),
    };
    result.get_mut(key)
}

/// Masks the values whose schema says `secret`.
fn hide(schema: &Value, value: &mut Value) {
    if schema["secret"] == json!(true) && !value.is_null() {
        *value = json!(MASK);
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                hide(&schema["properties"][name.as_str()], value);
            }
        }
        Value::Array(items) => {
            for item in items {
                hide(&schema["items"], item);
            }
        }
        _ => {}
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
        }});
        let mut value = json!({"token": "t", "users": [{"key": 1, "n": 2}], "other": "t"});
        hide(&schema, &mut value);
        let users = json!([{"key": MASK, "n": 2}]);
        assert_eq!(value, json!({"token": MASK, "users": users, "other": "t"}));
    }
}
