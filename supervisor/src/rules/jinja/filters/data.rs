//! JSON, paths, and the null that StackStorm's casts understand.

use serde_json::Value as Json;

use crate::rules::jinja::arguments::{Args, index};
use crate::rules::jinja::error::{Result, type_error, value_error};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::iterate::all_of;
use crate::rules::jinja::json::{Style, dumps, from_json};
use crate::rules::jinja::repr;
use crate::rules::jinja::value::Value;
use crate::rules::path::Path;

/// What `use_none` leaves where a cast then makes null.
pub const NONE: &str = "%*****__%NONE%__*****%";

/// `decrypt_kv`: the text of an encrypted item of the datastore.
pub fn decrypt_kv(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.bind("decrypt_kv", &[], 0)?;
    let hex = repr::text(&value)?;
    if hex.is_empty() {
        return Err(value_error(
            "the referenced datastore item does not exist, or its value is empty",
        ));
    }
    let Some(cipher) = &interpreter.tools.cipher else {
        return Err(value_error(
            "the value cannot be decrypted: there is no key for the datastore",
        ));
    };
    let text = cipher.decrypt(&hex).map_err(value_error)?;
    Ok(Value::str(text.as_str()))
}

/// `to_complex`: `json.dumps`
pub fn to_complex(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.bind("to_complex", &[], 0)?;
    dumps(&value, &Style::default(), interpreter.budget).map(Value::from)
}

/// `json_escape`
pub fn json_escape(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.bind("json_escape", &[], 0)?;
    let text = dumps(&value, &Style::default(), interpreter.budget)?;
    Ok(Value::str(text.trim_matches('"')))
}

fn indented(value: &Value) -> Result<Option<String>> {
    Ok(match value {
        Value::None => None,
        Value::Str(text) | Value::Markup(text) => Some(text.as_ref().to_owned()),
        other => {
            let width = usize::try_from(index(other)?).unwrap_or(0);
            if width > 1000 {
                return Err(value_error("an indent of more than 1000 blanks"));
            }
            Some(" ".repeat(width))
        }
    })
}

/// `to_json_string`
pub fn to_json_string(
    interpreter: &mut Interpreter<'_>,
    value: Value,
    args: Args,
) -> Result<Value> {
    let names = ["indent", "sort_keys", "separators"];
    let bound = args.bind("to_json_string", &names, 0)?;
    let indent = bound.get(0).map_or(Ok(None), indented)?;
    let separators = match bound.get(2) {
        None => vec![",".to_owned(), ": ".to_owned()],
        Some(Value::None) if indent.is_some() => vec![",".to_owned(), ": ".to_owned()],
        Some(Value::None) => vec![", ".to_owned(), ": ".to_owned()],
        Some(given) => {
            let parts = all_of(given)?;
            let text = |part: &Value| {
                let text = part.as_str().map(str::to_owned);
                text.ok_or_else(|| type_error("separators are text"))
            };
            parts.iter().map(text).collect::<Result<_>>()?
        }
    };
    let [item, key] = separators.as_slice() else {
        return Err(value_error("separators are two texts"));
    };
    let sorted = bound.flag(1, false)?;
    let style = Style {
        item,
        key,
        indent,
        sorted,
    };
    dumps(&value, &style, interpreter.budget).map(Value::from)
}

/// `tojson`: safe within HTML
pub fn to_json(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("tojson", &["indent"], 0)?;
    let indent = bound.get(0).map_or(Ok(None), indented)?;
    let style = Style {
        item: if indent.is_some() { "," } else { ", " },
        indent,
        sorted: true,
        ..Style::default()
    };
    let text = dumps(&value, &style, interpreter.budget)?;
    let text = text
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\'', "\\u0027");
    Ok(Value::Markup(text.into()))
}

/// `from_json_string`
pub fn from_json_string(
    interpreter: &mut Interpreter<'_>,
    value: Value,
    args: Args,
) -> Result<Value> {
    args.bind("from_json_string", &[], 0)?;
    let text = repr::text(&value)?;
    interpreter.budget.text(text.len().saturating_mul(4))?;
    let json: Json =
        serde_json::from_str(&text).map_err(|error| value_error(format!("not JSON: {error}")))?;
    Ok(from_json(&json, false))
}

/// `use_none`
pub fn use_none(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.bind("use_none", &[], 0)?;
    Ok(match value.is_none() {
        true => Value::str(NONE),
        false => value,
    })
}

/// `jsonpath_query`: all matches, or None
pub fn jsonpath_query(
    interpreter: &mut Interpreter<'_>,
    value: Value,
    args: Args,
) -> Result<Value> {
    let query = args.bind("jsonpath_query", &["query"], 1)?.text(0)?;
    value.defined()?;
    let text = dumps(&value, &Style::default(), interpreter.budget)?;
    let json: Json =
        serde_json::from_str(&text).map_err(|error| value_error(format!("no data: {error}")))?;
    let path = Path::parse(&query).map_err(value_error)?;
    let found = path.all(&json).map_err(type_error)?;
    interpreter.budget.items(found.len())?;
    Ok(match found.is_empty() {
        true => Value::None,
        false => Value::list(found.iter().map(|one| from_json(one, false)).collect()),
    })
}
