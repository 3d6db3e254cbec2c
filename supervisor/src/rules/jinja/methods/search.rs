//! Places in text, in characters, with the bounds that Python's methods take.

use crate::rules::jinja::arguments::{Bound, index};
use crate::rules::jinja::error::{Result, type_error};
use crate::rules::jinja::value::Value;

/// The bytes between two bounds, and where they begin, in bytes; none when they are crossed.
fn between(text: &str, bound: &Bound, at: usize) -> Result<Option<(usize, usize)>> {
    if bound.get(at).is_none() && bound.get(at + 1).is_none() {
        return Ok(Some((0, text.len())));
    }
    let length = text.chars().count() as i64;
    let place = |at: usize, default: i64| match bound.some(at) {
        None => Ok(default),
        Some(value) => index(value).map(|at| {
            if at < 0 {
                at.saturating_add(length).max(0)
            } else {
                at
            }
        }),
    };
    let (from, to) = (place(at, 0)?, place(at + 1, length)?.min(length));
    if from > to {
        return Ok(None);
    }
    let byte = |at: i64| {
        let mut places = text.char_indices().map(|(at, _)| at);
        places.nth(at as usize).unwrap_or(text.len())
    };
    Ok(Some((byte(from), byte(to))))
}

/// `find` and `rfind`: the place of a part, in characters.
pub fn find(text: &str, bound: &Bound, last: bool) -> Result<Option<usize>> {
    let part = bound.text(0)?;
    let Some((from, to)) = between(text, bound, 1)? else {
        return Ok(None);
    };
    let inside = &text[from..to];
    let found = match last {
        true => inside.rfind(&*part),
        false => inside.find(&*part),
    };
    Ok(found.map(|at| text[..from + at].chars().count()))
}

/// `count`.
pub fn count(text: &str, bound: &Bound) -> Result<Value> {
    let part = bound.text(0)?;
    let Some((from, to)) = between(text, bound, 1)? else {
        return Ok(Value::Int(0));
    };
    let inside = &text[from..to];
    Ok(Value::count(match part.is_empty() {
        true => inside.chars().count() + 1,
        false => inside.matches(&*part).count(),
    }))
}

/// `startswith` and `endswith`, of one text or of any of a tuple.
pub fn edge(text: &str, bound: &Bound, end: bool) -> Result<Value> {
    let name = if end { "endswith" } else { "startswith" };
    let inside = between(text, bound, 1)?;
    let fits = |part: &str| {
        inside.is_some_and(|(from, to)| match end {
            true => text[from..to].ends_with(part),
            false => text[from..to].starts_with(part),
        })
    };
    let wrong = |value: &Value, of: &str| {
        let kind = value.type_name();
        type_error(format!("{name} {of} str or a tuple of str, not {kind}"))
    };
    let first = bound.value(0);
    first.defined()?;
    match &first {
        Value::Tuple(tuple) => {
            for part in &tuple.items {
                let part = part.as_str().ok_or_else(|| wrong(part, "tuple must be"))?;
                if fits(part) {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        Value::Keys(keys) => Ok(Value::Bool(fits(&keys.text()))),
        other => match other.as_str() {
            Some(part) => Ok(Value::Bool(fits(part))),
            None => Err(wrong(other, "first arg must be")),
        },
    }
}
