//! `value.name` and `value[key]`, as the sandbox has them: an attribute first, then an item; for
//! brackets the other way round. What begins with two underscores is out of reach.

use std::sync::Arc;

use super::arguments::index;
use super::error::{Error, Result, type_error};
use super::iterate::range_len;
use super::methods;
use super::objects::{Loop, Method};
use super::repr;
use super::value::{Missing, Value};

/// `value.name`.
///
/// # Errors
/// When the value is not there.
pub fn attribute(value: &Value, name: &str) -> Result<Value> {
    if let Value::Undefined(missing) = value {
        return Err(missing.error());
    }
    if let Some(found) = own(value, name) {
        return Ok(found);
    }
    match subscript(value, &Value::str(name)) {
        Ok(found) => Ok(found),
        Err(error) if is_lookup(&error) => Ok(undefined(value, &Value::str(name))),
        Err(error) => Err(error),
    }
}

/// `value[key]`.
///
/// # Errors
/// When the value is not there, or fails.
pub fn item(value: &Value, key: &Value) -> Result<Value> {
    if let Value::Undefined(missing) = value {
        return Err(missing.error());
    }
    match subscript(value, key) {
        Ok(found) => return Ok(found),
        Err(error) if is_lookup(&error) => {}
        Err(error) => return Err(error),
    }
    let found = key.as_str().and_then(|name| own(value, name));
    Ok(found.unwrap_or_else(|| undefined(value, key)))
}

/// True for what Jinja turns into something that is not there.
fn is_lookup(error: &Error) -> bool {
    matches!(error.kind, "TypeError" | "KeyError" | "IndexError")
}

fn undefined(value: &Value, key: &Value) -> Value {
    Value::missing(match key.as_str() {
        Some(name) => format!("'{} object' has no attribute '{name}'", of(value)),
        None => format!(
            "{} object has no element {}",
            of(value),
            repr::repr(key).unwrap_or_default()
        ),
    })
}

fn of(value: &Value) -> &'static str {
    match value {
        Value::None => "None",
        other => other.type_name(),
    }
}

fn unsafe_attribute(value: &Value, name: &str) -> Value {
    let kind = value.type_name();
    Value::Undefined(Arc::new(Missing {
        kind: "SecurityError",
        message: format!("access to attribute '{name}' of '{kind}' object is unsafe."),
        lenient: false,
    }))
}

/// What a value has by itself, before its items.
fn own(value: &Value, name: &str) -> Option<Value> {
    if name.starts_with("__") && !matches!(value, Value::Dict(dict) if dict.get(name).is_some()) {
        return Some(unsafe_attribute(value, name));
    }
    match value {
        Value::Keys(keys) => Some(Value::Keys(Arc::new(keys.below(name)))),
        Value::Namespace(dict) => dict.get(name),
        Value::Loop(of) => loop_attribute(of, name),
        Value::Tuple(tuple) if tuple.grouped && name == "grouper" => tuple.items.first().cloned(),
        Value::Tuple(tuple) if tuple.grouped && name == "list" => tuple.items.get(1).cloned(),
        Value::Range(start, stop, step) => match name {
            "start" => Some(Value::Int(*start)),
            "stop" => Some(Value::Int(*stop)),
            "step" => Some(Value::Int(*step)),
            _ => method(value, name),
        },
        Value::Int(_) | Value::Big(_) | Value::Bool(_) if matches!(name, "real" | "numerator") => {
            super::arithmetic::positive(value).ok()
        }
        Value::Int(_) | Value::Big(_) | Value::Bool(_) if name == "imag" => Some(Value::Int(0)),
        Value::Int(_) | Value::Big(_) | Value::Bool(_) if name == "denominator" => {
            Some(Value::Int(1))
        }
        Value::Float(float) if name == "real" => Some(Value::Float(*float)),
        Value::Float(_) if name == "imag" => Some(Value::Float(0.0)),
        Value::Cycler(cycler) if name == "current" => {
            let at = cycler.at.load(std::sync::atomic::Ordering::Relaxed);
            cycler.items.get(at).cloned()
        }
        _ => method(value, name),
    }
}

fn method(value: &Value, name: &str) -> Option<Value> {
    let name = methods::find(value, name)?;
    let owner = value.clone();
    Some(Value::Method(Arc::new(Method { owner, name })))
}

fn loop_attribute(of: &Arc<Loop>, name: &str) -> Option<Value> {
    let (at, length) = (of.place(), of.items.len());
    Some(match name {
        "index" => Value::count(at + 1),
        "index0" => Value::count(at),
        "revindex" => Value::count(length - at),
        "revindex0" => Value::count(length - at - 1),
        "first" => Value::Bool(at == 0),
        "last" => Value::Bool(at + 1 == length),
        "length" => Value::count(length),
        "depth" => Value::count(of.depth + 1),
        "depth0" => Value::count(of.depth),
        "previtem" => match at.checked_sub(1) {
            Some(before) => of.items[before].clone(),
            None => Value::missing("there is no previous item"),
        },
        "nextitem" => match of.items.get(at + 1) {
            Some(next) => next.clone(),
            None => Value::missing("there is no next item"),
        },
        _ => return method(&Value::Loop(Arc::clone(of)), name),
    })
}

/// `value[key]` of Python.
fn subscript(value: &Value, key: &Value) -> Result<Value> {
    let place = |length: usize, kind: &str| {
        let at = match key {
            Value::Undefined(missing) => return Err(missing.error()),
            Value::Int(_) | Value::Bool(_) | Value::Big(_) => index(key)?,
            _ => {
                return Err(type_error(format!(
                    "{kind} indices must be integers or slices"
                )));
            }
        };
        let at = if at < 0 {
            at.saturating_add(length as i64)
        } else {
            at
        };
        let inside = usize::try_from(at).ok().filter(|at| *at < length);
        inside.ok_or_else(|| Error::new("IndexError", format!("{kind} index out of range")))
    };
    match value {
        Value::Dict(dict) => match dict.find(&key.key()?) {
            Some(found) => Ok(found),
            None => Err(Error::new("KeyError", repr::repr(key)?)),
        },
        Value::List(list) => {
            let items = list.lock();
            Ok(items[place(items.len(), "list")?].clone())
        }
        Value::Tuple(tuple) => Ok(tuple.items[place(tuple.items.len(), "tuple")?].clone()),
        Value::Str(text) | Value::Markup(text) => {
            let at = place(text.chars().count(), "string")?;
            let c = text.chars().nth(at).map(String::from).unwrap_or_default();
            Ok(match value {
                Value::Markup(_) => Value::Markup(c.into()),
                _ => Value::from(c),
            })
        }
        Value::Bytes(bytes) => Ok(Value::Int(i64::from(bytes[place(bytes.len(), "bytes")?]))),
        Value::Range(start, stop, step) => {
            let at = place(range_len(*start, *stop, *step), "range")?;
            Ok(Value::Int(start + at as i64 * step))
        }
        Value::Keys(keys) => match key.as_str() {
            Some(name) => Ok(Value::Keys(Arc::new(keys.below(name)))),
            None => Err(type_error("a key of the datastore is text")),
        },
        other => Err(type_error(format!(
            "'{}' object is not subscriptable",
            other.type_name()
        ))),
    }
}

/// `value[from:to:by]`.
///
/// # Errors
/// For what has no slices.
pub fn slice(value: &Value, parts: [Option<&Value>; 3]) -> Result<Value> {
    if let Value::Undefined(missing) = value {
        return Err(missing.error());
    }
    let number = |part: Option<&Value>| match part {
        None | Some(Value::None) => Ok(None),
        Some(value @ (Value::Int(_) | Value::Bool(_) | Value::Big(_))) => index(value).map(Some),
        Some(other) => {
            other.defined()?;
            Err(type_error(
                "slice indices must be integers or None or have an __index__ method",
            ))
        }
    };
    let cuttable = matches!(
        value,
        Value::Str(_)
            | Value::Markup(_)
            | Value::List(_)
            | Value::Tuple(_)
            | Value::Bytes(_)
            | Value::Range(..)
    );
    if !cuttable {
        // Jinja makes what cannot be cut something that is not there.
        return Ok(Value::missing(format!(
            "{} object cannot be cut",
            of(value)
        )));
    }
    let (from, to, by) = (number(parts[0])?, number(parts[1])?, number(parts[2])?);
    let places = |length| super::iterate_slice(length, from, to, by);
    Ok(match value {
        Value::Str(text) | Value::Markup(text) => {
            let chars: Vec<char> = text.chars().collect();
            let cut: String = places(chars.len())?.map(|at| chars[at]).collect();
            match value {
                Value::Markup(_) => Value::Markup(cut.into()),
                _ => Value::from(cut),
            }
        }
        Value::List(list) => {
            let items = list.items();
            Value::list(places(items.len())?.map(|at| items[at].clone()).collect())
        }
        Value::Tuple(tuple) => {
            let items = &tuple.items;
            Value::tuple(places(items.len())?.map(|at| items[at].clone()).collect())
        }
        Value::Bytes(bytes) => {
            let cut: Vec<u8> = places(bytes.len())?.map(|at| bytes[at]).collect();
            Value::Bytes(cut.into())
        }
        _ => {
            let items = super::iterate::all_of(value)?;
            let by = by.unwrap_or(1);
            let mut cut = places(items.len())?.map(|at| items[at].clone());
            let first = cut.next();
            let count = cut.count() + usize::from(first.is_some());
            let step = if let Value::Range(_, _, step) = value {
                *step
            } else {
                1
            } * by;
            let start = first.and_then(|first| first.as_int()).unwrap_or(0);
            Value::Range(start, start + step * count as i64, step)
        }
    })
}
