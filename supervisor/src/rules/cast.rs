//! What a parameter's declared type makes of its value: StackStorm's casts (`util/casts.py`;
//! st2.md 5.6).

use serde_json::{Number, Value};

use super::jinja::filters::NONE;
use super::{literal, python};

/// Casts a value to the type of a schema; a schema without a single type changes nothing, and
/// null stays null.
///
/// # Errors
/// Python's words for what cannot be cast.
pub fn cast(value: Value, schema: Option<&Value>) -> Result<Value, String> {
    let kind = schema
        .and_then(|schema| schema.get("type"))
        .and_then(Value::as_str);
    let Some(kind) = kind else {
        return Ok(value);
    };
    if value.is_null() || value.as_str() == Some(NONE) {
        return Ok(Value::Null);
    }
    match kind {
        "string" => text(value),
        "integer" => integer(value),
        "number" => number(value),
        "boolean" => boolean(value),
        "array" | "object" => complex(value),
        _ => Ok(value),
    }
}

fn text(value: Value) -> Result<Value, String> {
    match value {
        Value::String(_) => Ok(value),
        other => Err(format!(
            "Value \"{}\" must either be a string or None. Got \"{}\".",
            python::text_of_json(&other),
            python::type_name(&other)
        )),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    super::jinja::repr::quote(&mut out, text);
    out
}

fn digits(text: &str) -> Option<String> {
    let text = text.trim();
    let well = !text.starts_with('_') && !text.ends_with('_') && !text.contains("__");
    well.then(|| text.replace('_', ""))
}

fn integer(value: Value) -> Result<Value, String> {
    match &value {
        Value::Bool(flag) => Ok(Value::from(i64::from(*flag))),
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().unwrap_or_default().trunc();
            match whole.abs() < 9.2e18 {
                true => Ok(Value::from(whole as i64)),
                false => Ok(Value::from(whole)),
            }
        }
        Value::Number(_) => Ok(value),
        Value::String(text) => {
            let parsed = digits(text).and_then(|text| text.parse::<i64>().ok());
            let wrong = || format!("invalid literal for int() with base 10: {}", quoted(text));
            parsed.map(Value::from).ok_or_else(wrong)
        }
        other => Err(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            python::type_name(other)
        )),
    }
}

fn number(value: Value) -> Result<Value, String> {
    let number = match &value {
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Number(number) => number.as_f64().unwrap_or_default(),
        Value::String(text) => {
            let parsed = digits(text).and_then(|text| text.parse::<f64>().ok());
            parsed.ok_or_else(|| format!("could not convert string to float: {}", quoted(text)))?
        }
        other => {
            return Err(format!(
                "float() argument must be a string or a real number, not '{}'",
                python::type_name(other)
            ));
        }
    };
    Number::from_f64(number)
        .map(Value::Number)
        .ok_or_else(|| format!("{number} is not a number that JSON knows"))
}

/// Text is read as a Python literal once it is capitalised, so `true` and `TRUE` are True.
fn boolean(value: Value) -> Result<Value, String> {
    match &value {
        Value::String(text) => {
            let mut chars = text.chars();
            let first: String = chars
                .next()
                .into_iter()
                .flat_map(char::to_uppercase)
                .collect();
            literal::parse(&format!("{first}{}", chars.as_str().to_lowercase()))
                .map_err(|_| format!("\"{text}\" is not a boolean: write true or false"))
        }
        _ => Ok(value),
    }
}

fn complex(value: Value) -> Result<Value, String> {
    match &value {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(value) => Ok(value),
            Err(_) => literal::parse(text)
                .map_err(|_| format!("{} is neither JSON nor a Python literal", quoted(text))),
        },
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn casts_are_those_of_the_reference() {
        for (kind, given, result) in [
            ("string", json!("x"), Some(json!("x"))),
            ("string", json!(5), None),
            ("integer", json!("5"), Some(json!(5))),
            ("integer", json!(5.7), Some(json!(5))),
            ("integer", json!("5.0"), None),
            ("number", json!("1e3"), Some(json!(1000.0))),
            ("number", json!(true), Some(json!(1.0))),
            ("boolean", json!("TRUE"), Some(json!(true))),
            ("boolean", json!("yes"), None),
            ("boolean", json!("1"), Some(json!(1))),
            ("array", json!("['a']"), Some(json!(["a"]))),
            ("object", json!("{'a': None}"), Some(json!({"a": null}))),
            ("array", json!("a,b"), None),
            ("array", json!("1"), Some(json!(1))),
            ("string", json!(NONE), Some(json!(null))),
        ] {
            let schema = json!({"type": kind});
            assert_eq!(
                cast(given.clone(), Some(&schema)).ok(),
                result,
                "{kind} {given}"
            );
        }
    }
}
