//! JSON made of bytes: a payload, a pattern, a context.

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Value};

/// Deepest nesting of what is made.
const MAX_DEPTH: usize = 6;

/// Text that means something to some part of the rules.
const WORDS: &[&str] = &[
    "",
    "a",
    "trigger",
    "None",
    "3",
    "-1.5e3",
    "1480310219.11",
    "2026-11-24T00:00:00Z",
    "{{ trigger.a }}",
    "{{ trigger }}",
    "{% for x in trigger.a %}{{ x }}{% endfor %}",
    "(a+)+$",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    "[abc]*",
    "\u{e9}\u{301}\u{1f600}",
    "\u{0}",
];

/// Names of fields: few, so that paths and payloads meet.
const NAMES: &[&str] = &["a", "b", "v", "o", "l", "x-y", "item", "name", "", "\u{e9}"];

/// Any value.
pub fn value(from: &mut Unstructured<'_>) -> Result<Value> {
    at_depth(from, 0)
}

fn at_depth(from: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let kinds = if depth < MAX_DEPTH { 8 } else { 6 };
    Ok(match from.int_in_range(0..=kinds)? {
        0 => Value::Null,
        1 => Value::Bool(from.arbitrary()?),
        2 => Value::from(from.arbitrary::<i8>()?),
        3 => Value::from(from.arbitrary::<i64>()?),
        4 => Value::from(from.arbitrary::<f64>()?),
        5 => Value::from(word(from)?),
        6 => Value::from(from.arbitrary::<String>()?),
        7 => {
            let length = from.int_in_range(0..=6)?;
            let items = (0..length).map(|_| at_depth(from, depth + 1));
            Value::Array(items.collect::<Result<_>>()?)
        }
        _ => {
            let length = from.int_in_range(0..=6)?;
            let entries = (0..length).map(|_| Ok((name(from)?, at_depth(from, depth + 1)?)));
            Value::Object(entries.collect::<Result<Map<_, _>>>()?)
        }
    })
}

fn word(from: &mut Unstructured<'_>) -> Result<String> {
    from.choose(WORDS).map(|word| (*word).to_owned())
}

/// The name of a field.
pub fn name(from: &mut Unstructured<'_>) -> Result<String> {
    match from.ratio(1, 8)? {
        true => from.arbitrary(),
        false => from.choose(NAMES).map(|name| (*name).to_owned()),
    }
}

/// A recorded case, as `tests/vectors` has them: what begins with a brace and is JSON.
pub fn case(data: &[u8]) -> Option<Value> {
    match data.first() {
        Some(b'{') => serde_json::from_slice(data).ok(),
        _ => None,
    }
}
