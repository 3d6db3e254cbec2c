//! Python's view of JSON values: equality, order, membership, and how they are written as text.
//! Criteria and templates of packs rely on it.

use std::cmp::Ordering;

use serde_json::Value;

use super::jinja::budget::Budget;
use super::jinja::json::{self, Style};
use super::jinja::{Value as Jinja, repr};

/// A JSON number or boolean as Python counts with it.
#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Bool(flag) => Some(Number::Int(i128::from(*flag))),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Some(Number::Int(int.into())),
            (_, Some(int)) => Some(Number::Int(int.into())),
            _ => number.as_f64().map(Number::Float),
        },
        _ => None,
    }
}

impl Number {
    /// Exact, as Python compares an int with a float.
    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Float(b)) => int_with_float(a, b),
            (Self::Float(a), Self::Int(b)) => int_with_float(b, a).map(Ordering::reverse),
        }
    }
}

fn int_with_float(int: i128, float: f64) -> Option<Ordering> {
    match float.abs() < 1e38 {
        true => {
            let whole = int.cmp(&(float.trunc() as i128));
            Some(whole.then(0.0f64.partial_cmp(&float.fract())?))
        }
        false => 0.0f64.partial_cmp(&float),
    }
}

/// `json.dumps(value)`.
///
/// # Errors
/// For a value that is too large.
pub fn dumps(value: &Value) -> Result<String, String> {
    let text = json::dumps(&Jinja::from(value), &Style::default(), &Budget::default());
    text.map_err(|error| error.message)
}

/// `a == b`: 1, 1.0 and True are equal, lists and dicts deeply.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same =
                |(key, one): (&String, &Value)| b.get(key).is_some_and(|two| equal(one, two));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => a.compare(b) == Some(Ordering::Equal),
            _ => a == b,
        },
    }
}

/// `a < b` and the like; `None` within for NaN.
///
/// # Errors
/// Python's words for types without an order.
pub fn compare(a: &Value, b: &Value, sign: &str) -> Result<Option<Ordering>, String> {
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return Ok(a.compare(b));
    }
    match (a, b) {
        (Value::String(a), Value::String(b)) => Ok(Some(a.chars().cmp(b.chars()))),
        (Value::Array(a), Value::Array(b)) => {
            let differing = a.iter().zip(b).find(|(a, b)| !equal(a, b));
            match differing {
                Some((a, b)) => compare(a, b, sign),
                None => Ok(Some(a.len().cmp(&b.len()))),
            }
        }
        _ => Err(format!(
            "'{sign}' not supported between instances of '{}' and '{}'",
            type_name(a),
            type_name(b)
        )),
    }
}

/// `item in container`.
///
/// # Errors
/// Python's words for what contains nothing.
pub fn contains(container: &Value, item: &Value) -> Result<bool, String> {
    match (container, item) {
        (Value::Array(items), _) => Ok(items.iter().any(|one| equal(one, item))),
        (Value::Object(map), Value::String(key)) => Ok(map.contains_key(key)),
        (Value::Object(_), Value::Array(_) | Value::Object(_)) => {
            Err(format!("unhashable type: '{}'", type_name(item)))
        }
        (Value::Object(_), _) => Ok(false),
        (Value::String(text), Value::String(part)) => Ok(text.contains(part.as_str())),
        (Value::String(_), _) => Err(format!(
            "'in <string>' requires string as left operand, not {}",
            type_name(item)
        )),
        _ => Err(format!(
            "argument of type '{}' is not iterable",
            type_name(container)
        )),
    }
}

/// The name of the Python type that a JSON value becomes.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// `shlex.quote`: the text as one word of a POSIX shell.
pub fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\"'\"'")),
    }
}

/// `str(value)` of a JSON value.
pub fn text_of_json(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        _ => repr::repr(&Jinja::from(value)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equality_is_pythons() {
        for (a, b, same) in [
            (json!(1), json!(1.0), true),
            (json!(true), json!(1), true),
            (json!("1"), json!(1), false),
            (json!([1, {"a": 2.0}]), json!([true, {"a": 2}]), true),
            (json!(9007199254740993i64), json!(9007199254740992.0), false),
            (json!(null), json!(false), false),
        ] {
            assert_eq!(equal(&a, &b), same, "{a} {b}");
        }
    }

    #[test]
    fn order_is_pythons() {
        let order = |a, b| compare(&a, &b, "<");
        assert_eq!(order(json!(1), json!(1.5)), Ok(Some(Ordering::Less)));
        assert_eq!(order(json!(-1), json!(-1.5)), Ok(Some(Ordering::Greater)));
        assert_eq!(order(json!("a"), json!("b")), Ok(Some(Ordering::Less)));
        assert_eq!(
            order(json!([1, 2]), json!([1])),
            Ok(Some(Ordering::Greater))
        );
        assert!(order(json!(1), json!("1")).is_err());
        assert!(order(json!(null), json!(1)).is_err());
    }

    #[test]
    fn text_is_pythons() {
        let value = json!([1, "it's", "a\"b'", null, true, 2.0, {"k": "\n"}]);
        assert_eq!(
            text_of_json(&value),
            r#"[1, "it's", 'a"b\'', None, True, 2.0, {'k': '\n'}]"#
        );
    }
}
