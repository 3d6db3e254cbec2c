//! Values from JSON, and `json.dumps`.

use std::sync::Arc;

use num_bigint::BigInt;

use super::budget::{Budget, MAX_VALUE_DEPTH};
use super::cells::{Dict, Key, List};
use super::error::{Result, limit, type_error};
use super::value::Value;
use crate::catalog::yaml::python_float;

impl From<&serde_json::Value> for Value {
    /// As part of an event or a configuration: templates cannot change it.
    fn from(json: &serde_json::Value) -> Self {
        from_json(json, true)
    }
}

impl From<&serde_json::Map<String, serde_json::Value>> for Value {
    fn from(map: &serde_json::Map<String, serde_json::Value>) -> Self {
        let pairs = map.iter();
        Self::map(pairs.map(|(key, value)| (key.clone(), Self::from(value))))
    }
}

/// A value from JSON.
pub fn from_json(json: &serde_json::Value, shared: bool) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::None,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(int), _, _) => Value::Int(int),
            (_, Some(int), _) => Value::int(BigInt::from(int)),
            (_, _, float) => Value::Float(float.unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::str(text.as_str()),
        Json::Array(items) => {
            let items = items.iter().map(|item| from_json(item, shared));
            Value::List(Arc::new(List::new(items.collect(), shared)))
        }
        Json::Object(map) => {
            let pair =
                |(key, value): (&String, _)| (Key::from(key.as_str()), from_json(value, shared));
            Value::Dict(Arc::new(Dict::new(map.iter().map(pair).collect(), shared)))
        }
    }
}

/// How `json.dumps` is asked to write.
pub struct Style<'s> {
    /// Between items.
    pub item: &'s str,
    /// Between key and value.
    pub key: &'s str,
    /// What a level is indented by.
    pub indent: Option<String>,
    /// Keys in their order.
    pub sorted: bool,
}

impl Default for Style<'_> {
    fn default() -> Self {
        Self {
            item: ", ",
            key: ": ",
            indent: None,
            sorted: false,
        }
    }
}

/// `json.dumps(value, …)`.
///
/// # Errors
/// For what JSON cannot say.
pub fn dumps(value: &Value, style: &Style<'_>, budget: &Budget) -> Result<String> {
    let mut dumper = Dumper {
        out: String::new(),
        style,
        budget,
    };
    dumper.value(value, 0)?;
    Ok(dumper.out)
}

struct Dumper<'d> {
    out: String,
    style: &'d Style<'d>,
    budget: &'d Budget,
}

impl Dumper<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<()> {
        self.budget.work(1)?;
        if depth > MAX_VALUE_DEPTH {
            return Err(limit("a value is nested too deeply for JSON"));
        }
        match value {
            Value::None => self.out.push_str("null"),
            Value::Bool(flag) => self.out.push_str(if *flag { "true" } else { "false" }),
            Value::Float(float) => self.out.push_str(&number(*float)),
            Value::Int(_) | Value::Big(_) => self.out.push_str(&super::repr::repr(value)?),
            Value::Str(text) | Value::Markup(text) => self.text(text)?,
            Value::Keys(keys) => self.text(&keys.text())?,
            Value::List(list) => self.items(&list.items(), depth)?,
            Value::Tuple(tuple) => self.items(&tuple.items, depth)?,
            Value::Dict(dict) => self.pairs(dict.pairs(), depth)?,
            other => {
                return Err(type_error(format!(
                    "Object of type {} is not JSON serializable",
                    other.type_name()
                )));
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<()> {
        self.budget.text(text.len())?;
        write_text(&mut self.out, text);
        Ok(())
    }

    fn line(&mut self, depth: usize) -> Result<()> {
        if let Some(indent) = &self.style.indent {
            self.budget.text(indent.len() * depth)?;
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
        Ok(())
    }

    fn between(&mut self, at: usize, depth: usize) -> Result<()> {
        if at > 0 {
            self.out.push_str(self.style.item);
        }
        self.line(depth)
    }

    fn items(&mut self, items: &[Value], depth: usize) -> Result<()> {
        self.out.push('[');
        for (at, item) in items.iter().enumerate() {
            self.between(at, depth + 1)?;
            self.value(item, depth + 1)?;
        }
        if !items.is_empty() {
            self.line(depth)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn pairs(&mut self, mut pairs: Vec<(Value, Value)>, depth: usize) -> Result<()> {
        if self.style.sorted {
            pairs = super::sort::by(pairs, |pair| Ok(pair.0.clone()), false, self.budget)?;
        }
        self.out.push('{');
        for (at, (key, value)) in pairs.iter().enumerate() {
            self.between(at, depth + 1)?;
            self.text(&key_text(key)?)?;
            self.out.push_str(self.style.key);
            self.value(value, depth + 1)?;
        }
        if !pairs.is_empty() {
            self.line(depth)?;
        }
        self.out.push('}');
        Ok(())
    }
}

fn number(float: f64) -> String {
    match float {
        _ if float.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => python_float(float),
    }
}

fn key_text(key: &Value) -> Result<String> {
    Ok(match key {
        Value::Str(text) | Value::Markup(text) => text.as_ref().to_owned(),
        Value::None => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Float(float) => number(*float),
        Value::Int(_) | Value::Big(_) => super::repr::repr(key)?,
        other => {
            return Err(type_error(format!(
                "keys must be str, int, float, bool or None, not {}",
                other.type_name()
            )));
        }
    })
}

/// Text as JSON, in ASCII.
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}
