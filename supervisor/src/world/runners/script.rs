//! `local-shell-script`, once `run-local-script`: a program of the pack with arguments.
//!
//! Behaviour of StackStorm 3.10's local runner (`util/action_db.py`, `models/system/action.py`),
//! but no shell reads the arguments: each reaches the script as it is.

use serde_json::Value;

use super::shell::{AFTER_SUDO, sudo_input, with_sudo};
use super::{Place, Plan, add_given, environment};
use crate::catalog::runners;
use crate::core::effect::RunOrder;
use crate::rules::python;

/// Runs `$0` with its arguments: it is made executable where it is not, as StackStorm does, and one
/// without `#!` is read by bash.
const START: &str =
    r#"[ -x "$0" ] || chmod +x -- "$0" 2>/dev/null || exec /bin/bash -- "$0" "$@"; exec "$0" "$@""#;

/// The same, with arguments that come through standard input: what is secret in them is then no
/// argument of the processes above the script, which live as long as it does. Its own it must be.
const FROM_INPUT: &str = r#"all=(); while IFS= read -r -d '' one; do all+=("$one"); done
exec </dev/null; set -- "${all[@]}"; "#;

/// The command.
pub fn plan(order: &RunOrder, place: &Place) -> Result<Plan, String> {
    let parameters = &order.parameters;
    let script = order.action.entry_point.as_ref();
    let script = script.ok_or("the action has no entry_point")?;
    let mut env = environment(order, place);
    add_given(&mut env, parameters)?;
    let arguments = given_arguments(order)?;
    let given = |name: &String| parameters.get(name).is_some_and(|value| !value.is_null());
    let hidden = order.secrets.iter().any(given);
    let lines = || arguments.iter().map(|one| format!("{one}\0")).collect();
    let input: Option<String> = hidden.then(lines);
    let arguments = if hidden { Vec::new() } else { arguments };
    let password = sudo_input(parameters);
    let first = if password.is_some() { AFTER_SUDO } else { "" };
    let second = if input.is_some() { FROM_INPUT } else { "" };
    let start = format!("{first}{second}{START}");
    let stdin = match (password, input) {
        (None, None) => None,
        (password, input) => Some(password.unwrap_or_default() + &input.unwrap_or_default()),
    };
    let shell = ["/bin/bash", "-c", &start].map(Into::into).into_iter();
    let script = std::iter::once(script.as_os_str().to_owned());
    let words = shell
        .chain(script)
        .chain(arguments.into_iter().map(Into::into));
    let (program, args) = with_sudo(parameters, words.collect());
    Ok(Plan {
        program,
        args,
        cwd: parameters
            .get("cwd")
            .and_then(Value::as_str)
            .map(Into::into),
        env: env.into_iter().collect(),
        stdin,
    })
}

/// What the script of an execution is called with.
///
/// # Errors
/// When no program can be given it.
pub fn given_arguments(order: &RunOrder) -> Result<Vec<String>, String> {
    let operator = order.parameters.get("kwarg_op").and_then(Value::as_str);
    arguments(order, operator.unwrap_or("--"))
}

/// Named arguments in the order of the parameters, then those with a position.
fn arguments(order: &RunOrder, operator: &str) -> Result<Vec<String>, String> {
    let own = runners::parameters(order.action.runner);
    let schemas = &order.action.all_parameters;
    let mut placed: Vec<(f64, &str)> = Vec::new();
    for (name, schema) in schemas.iter().filter(|(name, _)| !own.contains_key(*name)) {
        let position = schema.get("position").and_then(Value::as_f64);
        placed.extend(position.map(|position| (position, name)));
    }
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let is_placed = |name: &String| placed.iter().any(|(_, one)| *one == name);
    let given = order.parameters.iter();
    let named = given.filter(|(name, _)| !own.contains_key(*name) && !is_placed(name));
    let mut arguments = Vec::new();
    for (name, value) in named {
        arguments.extend(self::named(operator, name, value));
    }
    for (_, name) in placed {
        let value = order.parameters.get(name).unwrap_or(&Value::Null);
        arguments.push(positional(&schemas[name], value)?);
    }
    match arguments.iter().find(|text| text.contains('\0')) {
        Some(_) => Err("an argument has a NUL character, which no program can be given".into()),
        None => Ok(arguments),
    }
}

fn named(operator: &str, name: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Bool(true) => Some(format!("{operator}{name}")),
        other => Some(format!("{operator}{name}={}", python::text_of_json(other))),
    }
}

/// As the type of its schema is written for a command line.
fn positional(schema: &Value, value: &Value) -> Result<String, String> {
    match (value, schema["type"].as_str()) {
        (Value::Null, _) => Ok(String::new()),
        (Value::Bool(flag), Some("boolean")) => Ok(u8::from(*flag).to_string()),
        (Value::Array(items), _) => {
            let texts: Vec<_> = items.iter().map(python::text_of_json).collect();
            Ok(texts.join(","))
        }
        (Value::Object(_), _) => python::dumps(value),
        (other, _) => Ok(python::text_of_json(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_as_stackstorm_writes_them() {
        let shown = |value: Value| named("--", "n", &value);
        for (value, text) in [
            (json!(null), None),
            (json!(""), None),
            (json!(false), None),
            (json!(true), Some("--n")),
            (json!(0), Some("--n=0")),
            (json!("a b; rm"), Some("--n=a b; rm")),
            (json!({"k": [1, null]}), Some("--n={'k': [1, None]}")),
        ] {
            assert_eq!(shown(value).as_deref(), text);
        }
        for (kind, value, text) in [
            ("string", json!(null), ""),
            ("boolean", json!(true), "1"),
            ("boolean", json!(false), "0"),
            ("number", json!(5.0), "5.0"),
            ("array", json!(["a", 1, true]), "a,1,True"),
            ("object", json!({"k": [1, null]}), r#"{"k": [1, null]}"#),
        ] {
            let schema = json!({"type": kind, "position": 0});
            assert_eq!(positional(&schema, &value).as_deref(), Ok(text));
        }
    }
}
