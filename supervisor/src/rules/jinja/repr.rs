//! `str(value)` and `repr(value)`.

use std::sync::LazyLock;

use fancy_regex::Regex;

use super::budget::{MAX_BITS, MAX_VALUE_DEPTH};
use super::error::{Result, limit, value_error};
use super::value::{Value, View};
use crate::catalog::yaml::python_float;

/// `str(value)`.
///
/// # Errors
/// For what is not there, or is nested too deeply.
pub fn text(value: &Value) -> Result<String> {
    value.defined()?;
    Ok(match value {
        Value::Undefined(_) => String::new(),
        Value::Str(text) | Value::Markup(text) | Value::Time(text) => text.as_ref().to_owned(),
        Value::Keys(keys) => keys.text(),
        other => repr(other)?,
    })
}

/// `repr(value)`.
///
/// # Errors
/// When it is nested too deeply.
pub fn repr(value: &Value) -> Result<String> {
    let mut out = String::new();
    write(&mut out, value, 0)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value, depth: usize) -> Result<()> {
    if depth > MAX_VALUE_DEPTH {
        return Err(limit("a value is nested too deeply to be written"));
    }
    if out.len() > super::budget::MAX_OUTPUT {
        return Err(limit("a value is too long to be written"));
    }
    match value {
        Value::Undefined(_) => out.push_str("Undefined"),
        Value::None => out.push_str("None"),
        Value::Bool(flag) => out.push_str(if *flag { "True" } else { "False" }),
        Value::Int(int) => out.push_str(&format!("{int}")),
        Value::Big(int) => {
            if int.bits() > MAX_BITS.min(14_284) {
                let message = "Exceeds the limit (4300 digits) for integer string conversion";
                return Err(value_error(message));
            }
            out.push_str(&format!("{int}"));
        }
        Value::Float(float) => out.push_str(&python_float(*float)),
        Value::Str(text) => quote(out, text),
        Value::Markup(text) => {
            out.push_str("Markup(");
            quote(out, text);
            out.push(')');
        }
        Value::Bytes(bytes) => quote_bytes(out, bytes),
        Value::Time(text) => out.push_str(text),
        Value::List(list) => write_all(out, "[", &list.items(), "]", depth)?,
        Value::Tuple(tuple) => {
            let close = if tuple.items.len() == 1 { ",)" } else { ")" };
            write_all(out, "(", &tuple.items, close, depth)?;
        }
        Value::Dict(dict) => write_pairs(out, &dict.pairs(), depth)?,
        Value::Namespace(dict) => {
            out.push_str("<Namespace ");
            write_pairs(out, &dict.pairs(), depth)?;
            out.push('>');
        }
        Value::View(View::Keys, dict) => {
            write_all(out, "dict_keys([", &dict.keys(), "])", depth)?;
        }
        Value::View(view, dict) => {
            let pairs = dict.pairs().into_iter();
            let (open, items): (_, Vec<Value>) = match view {
                View::Items => (
                    "dict_items([",
                    pairs.map(|(k, v)| Value::tuple(vec![k, v])).collect(),
                ),
                _ => ("dict_values([", pairs.map(|(_, v)| v).collect()),
            };
            write_all(out, open, &items, "])", depth)?;
        }
        Value::Range(start, stop, 1) => out.push_str(&format!("range({start}, {stop})")),
        Value::Range(start, stop, step) => out.push_str(&format!("range({start}, {stop}, {step})")),
        Value::Function(name @ ("dict" | "range")) => out.push_str(&format!("<class '{name}'>")),
        Value::Function(name) => out.push_str(&format!("<function {name}>")),
        Value::Method(method) => {
            let kind = method.owner.type_name();
            out.push_str(&format!(
                "<built-in method {} of {kind} object>",
                method.name
            ));
        }
        Value::Keys(keys) => out.push_str(&keys.text()),
        other => out.push_str(&format!("<{} object>", other.type_name())),
    }
    Ok(())
}

fn write_all(
    out: &mut String,
    open: &str,
    items: &[Value],
    close: &str,
    depth: usize,
) -> Result<()> {
    out.push_str(open);
    for (at, item) in items.iter().enumerate() {
        out.push_str(if at > 0 { ", " } else { "" });
        write(out, item, depth + 1)?;
    }
    out.push_str(close);
    Ok(())
}

fn write_pairs(out: &mut String, pairs: &[(Value, Value)], depth: usize) -> Result<()> {
    out.push('{');
    for (at, (key, value)) in pairs.iter().enumerate() {
        out.push_str(if at > 0 { ", " } else { "" });
        write(out, key, depth + 1)?;
        out.push_str(": ");
        write(out, value, depth + 1)?;
    }
    out.push('}');
    Ok(())
}

/// A string as `repr` writes it.
pub fn quote(out: &mut String, text: &str) {
    let mark = mark_for(text.contains('\''), text.contains('"'));
    out.push(mark);
    for c in text.chars() {
        let code = c as u32;
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if c == mark => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ if is_printable(c) => out.push(c),
            _ if code < 0x100 => out.push_str(&format!("\\x{code:02x}")),
            _ if code < 0x1_0000 => out.push_str(&format!("\\u{code:04x}")),
            _ => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out.push(mark);
}

fn mark_for(single: bool, double: bool) -> char {
    if single && !double { '"' } else { '\'' }
}

fn quote_bytes(out: &mut String, bytes: &[u8]) {
    let mark = mark_for(bytes.contains(&b'\''), bytes.contains(&b'"'));
    out.extend(['b', mark]);
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ if char::from(*byte) == mark => out.extend(['\\', mark]),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push(mark);
}

static UNPRINTABLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\A[\p{C}\p{Z}]\z").ok());

/// `str.isprintable` of one character.
pub fn is_printable(c: char) -> bool {
    if (' '..='~').contains(&c) {
        return true;
    }
    let mut buffer = [0; 4];
    let text = c.encode_utf8(&mut buffer);
    UNPRINTABLE
        .as_ref()
        .is_none_or(|regex| !regex.is_match(text).unwrap_or(false))
}
