//! `'…'.format(…)`, by the rules of Python's `string.Formatter`, within the sandbox.

use super::attributes::{attribute, item};
use super::budget::Budget;
use super::error::{Error, Result, value_error};
use super::markup;
use super::percent::ascii;
use super::repr;
use super::spec;
use super::value::Value;

/// What fields are looked up in.
pub struct Fields<'f> {
    /// By their place.
    pub placed: &'f [Value],
    /// By their name.
    pub named: &'f dyn Fn(&str) -> Option<Value>,
    /// What is put in becomes HTML.
    pub marked: bool,
}

/// The text with its fields filled in.
///
/// # Errors
/// Python's words for what is wrong with the text or a field.
pub fn format(text: &str, fields: &Fields<'_>, budget: &Budget) -> Result<String> {
    let mut numbering = Numbering::default();
    fill(text, fields, &mut numbering, 3, budget)
}

#[derive(Default)]
struct Numbering {
    next: usize,
    manual: bool,
}

fn fill(
    text: &str,
    fields: &Fields<'_>,
    numbering: &mut Numbering,
    depth: usize,
    budget: &Budget,
) -> Result<String> {
    if depth == 0 {
        return Err(value_error("Max string recursion exceeded"));
    }
    let mut out = String::new();
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        at += 1;
        let doubled = chars.get(at) == Some(&c);
        match c {
            '{' | '}' if doubled => {
                out.push(c);
                at += 1;
            }
            '}' => return Err(value_error("Single '}' encountered in format string")),
            '{' => {
                let end = end_of_field(&chars, at)?;
                let field: String = chars[at..end].iter().collect();
                let filled = one(&field, fields, numbering, depth, budget)?;
                budget.text(filled.len())?;
                out.push_str(&filled);
                at = end + 1;
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

fn end_of_field(chars: &[char], from: usize) -> Result<usize> {
    if from == chars.len() {
        return Err(value_error("Single '{' encountered in format string"));
    }
    let (mut open, mut bracket) = (1, false);
    for (at, c) in chars.iter().enumerate().skip(from) {
        match c {
            '[' => bracket = true,
            ']' => bracket = false,
            '{' if !bracket => open += 1,
            '}' if !bracket => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Ok(at);
        }
    }
    Err(value_error("expected '}' before end of string"))
}

/// Name, conversion and specification of a field.
fn parts(field: &str) -> Result<(&str, Option<char>, &str)> {
    let mut bracket = false;
    let end = field.find(|c| {
        bracket = (bracket || c == '[') && c != ']';
        !bracket && (c == ':' || c == '!')
    });
    let Some(end) = end else {
        return Ok((field, None, ""));
    };
    let (name, rest) = field.split_at(end);
    let Some(rest) = rest.strip_prefix('!') else {
        return Ok((name, None, &rest[1..]));
    };
    let mut chars = rest.chars();
    let missing = "end of string while looking for conversion specifier";
    let conversion = chars.next().ok_or_else(|| value_error(missing))?;
    match chars.as_str() {
        "" => Ok((name, Some(conversion), "")),
        rest => match rest.strip_prefix(':') {
            Some(spec) => Ok((name, Some(conversion), spec)),
            None => Err(value_error("expected ':' after conversion specifier")),
        },
    }
}

fn one(
    field: &str,
    fields: &Fields<'_>,
    numbering: &mut Numbering,
    depth: usize,
    budget: &Budget,
) -> Result<String> {
    let (name, conversion, spec) = parts(field)?;
    if name.contains(['{', '}']) {
        return Err(value_error("unexpected '{' in field name"));
    }
    let value = lookup(name, fields, numbering)?;
    let value = match conversion {
        None => value,
        Some('s') => Value::from(repr::text(&value)?),
        Some('r') => Value::from(repr::repr(&value)?),
        Some('a') => Value::from(ascii(&repr::repr(&value)?)),
        Some(other) => {
            return Err(value_error(format!("Unknown conversion specifier {other}")));
        }
    };
    let spec = fill(spec, fields, numbering, depth - 1, budget)?;
    match (fields.marked, &value) {
        (true, Value::Markup(text)) if spec.is_empty() => Ok(text.as_ref().to_owned()),
        (true, Value::Markup(_)) => Err(value_error("markup takes no format specification")),
        (true, _) => Ok(markup::escape_text(&spec::format(&value, &spec, budget)?)),
        _ => spec::format(&value, &spec, budget),
    }
}

fn lookup(name: &str, fields: &Fields<'_>, numbering: &mut Numbering) -> Result<Value> {
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut rest) = name.split_at(end);
    let index = match first.is_empty() {
        true => {
            if numbering.manual {
                return Err(value_error(
                    "cannot switch from manual field specification to automatic field numbering",
                ));
            }
            numbering.next += 1;
            Some(numbering.next - 1)
        }
        false => first.parse::<usize>().ok(),
    };
    if index.is_some() && !first.is_empty() {
        if numbering.next > 0 {
            return Err(value_error(
                "cannot switch from manual field specification to automatic field numbering",
            ));
        }
        numbering.manual = true;
    }
    let mut value = match index {
        Some(index) => fields.placed.get(index).cloned().ok_or_else(|| {
            let message =
                format!("Replacement index {index} out of range for positional args tuple");
            Error::new("IndexError", message)
        })?,
        None => (fields.named)(first).ok_or_else(|| {
            let mut quoted = String::new();
            repr::quote(&mut quoted, first);
            Error::new("KeyError", quoted)
        })?,
    };
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            if end == 0 {
                return Err(value_error("Empty attribute in format string"));
            }
            value = attribute(&value, &tail[..end])?;
            rest = &tail[end..];
        } else {
            let inner = rest.strip_prefix('[').unwrap_or_default();
            let end = inner
                .find(']')
                .ok_or_else(|| value_error("Missing ']' in format string"))?;
            if end == 0 {
                return Err(value_error("Empty attribute in format string"));
            }
            let key = match inner[..end].parse::<i64>() {
                Ok(index) if !inner.starts_with(['-', '+']) => Value::Int(index),
                _ => Value::str(&inner[..end]),
            };
            value = item(&value, &key)?;
            rest = &inner[end + 1..];
            if !rest.is_empty() && !rest.starts_with(['.', '[']) {
                let message = "Only '.' or '[' may follow ']' in format field specifier";
                return Err(value_error(message));
            }
        }
    }
    Ok(value)
}
