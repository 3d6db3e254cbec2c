//! The methods of Python's values.

mod bytes;
mod cases;
mod containers;
mod search;
mod split;
mod text;

pub use split::lines;

use super::arguments::Args;
use super::budget::Budget;
use super::error::{Result, value_error};
use super::execute::Interpreter;
use super::value::Value;

const TEXT: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];
const MARKUP: &[&str] = &["unescape", "striptags", "escape"];
const LIST: &[&str] = &[
    "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse",
    "sort",
];
const DICT: &[&str] = &[
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];
const INT: &[&str] = &["bit_length", "bit_count", "conjugate", "as_integer_ratio"];
const FLOAT: &[&str] = &["is_integer", "conjugate", "as_integer_ratio"];
const BYTES: &[&str] = &[
    "decode",
    "hex",
    "startswith",
    "endswith",
    "upper",
    "lower",
    "strip",
];
const TIME: &[&str] = &["isoformat"];

/// The methods of a value.
fn of(value: &Value) -> &'static [&'static str] {
    match value {
        Value::Str(_) | Value::Markup(_) => TEXT,
        Value::List(_) => LIST,
        Value::Dict(_) => DICT,
        Value::Tuple(_) | Value::Range(..) => &["count", "index"],
        Value::Int(_) | Value::Big(_) | Value::Bool(_) => INT,
        Value::Float(_) => FLOAT,
        Value::Bytes(_) => BYTES,
        Value::Time(_) => TIME,
        Value::Loop(_) => &["cycle", "changed"],
        Value::Cycler(_) => &["next", "reset"],
        Value::View(..) => &["isdisjoint"],
        _ => &[],
    }
}

/// The name of a method that a value has.
pub fn find(value: &Value, name: &str) -> Option<&'static str> {
    let more: &[&str] = match value {
        Value::Markup(_) => MARKUP,
        _ => &[],
    };
    let mut all = of(value).iter().chain(more);
    all.find(|known| **known == name).copied()
}

/// Calls a method.
///
/// # Errors
/// Python's words for what goes wrong.
pub fn call(
    interpreter: &mut Interpreter<'_>,
    owner: &Value,
    name: &str,
    args: Args,
) -> Result<Value> {
    interpreter.budget.work(1)?;
    match owner {
        Value::Str(text) | Value::Markup(text) => text::call(interpreter, owner, text, name, args),
        Value::List(list) => containers::list(interpreter, list, name, args),
        Value::Dict(dict) => containers::dict(interpreter, dict, name, args),
        Value::Tuple(_) | Value::Range(..) => {
            let items = super::iterate::all_of(owner)?;
            containers::sequence(&items, name, args, interpreter.budget)
        }
        Value::View(..) => {
            let other = args.positional(name, 1, 1)?.value(0);
            let items = super::iterate::all_of(owner)?;
            for item in super::iterate::all_of(&other)? {
                if super::compare::contains(&Value::list(items.clone()), &item, interpreter.budget)?
                {
                    return Ok(Value::Bool(false));
                }
            }
            Ok(Value::Bool(true))
        }
        Value::Bytes(bytes) => bytes::call(bytes, name, args),
        Value::Time(text) => {
            args.positional(name, 0, 0)?;
            Ok(Value::from(text.replacen(' ', "T", 1)))
        }
        Value::Cycler(cycler) => containers::cycle(cycler, name, args),
        _ => number(owner, name, args),
    }
}

fn number(owner: &Value, name: &str, args: Args) -> Result<Value> {
    args.positional(name, 0, 0)?;
    let number = super::compare::number(owner);
    let int = number
        .as_ref()
        .map(super::compare::Number::big)
        .unwrap_or_default();
    Ok(match (owner, name) {
        (Value::Float(float), "is_integer") => {
            Value::Bool(float.is_finite() && float.fract() == 0.0)
        }
        (Value::Float(float), "as_integer_ratio") => ratio(*float)?,
        (_, "as_integer_ratio") => Value::tuple(vec![Value::int(int), Value::Int(1)]),
        (_, "bit_length") => Value::count(int.bits() as usize),
        (_, "bit_count") => {
            let ones = int.magnitude().iter_u64_digits().map(u64::count_ones);
            Value::Int(i64::from(ones.sum::<u32>()))
        }
        _ => super::arithmetic::positive(owner)?,
    })
}

fn ratio(float: f64) -> Result<Value> {
    if !float.is_finite() {
        return Err(value_error("cannot convert to an integer ratio"));
    }
    let (mut top, mut shift) = (float, 0u32);
    while top.fract() != 0.0 {
        (top, shift) = (top * 2.0, shift + 1);
    }
    let bottom = num_bigint::BigInt::from(1) << shift;
    let top = super::convert::int_of_float(top)?;
    Ok(Value::tuple(vec![Value::int(top), Value::int(bottom)]))
}

/// A container must not come to hold itself: nothing would ever drop it.
///
/// # Errors
/// When it would.
pub fn no_cycle(value: &Value, container: &Value, budget: &Budget) -> Result<()> {
    let mut waiting = vec![value.clone()];
    while let Some(value) = waiting.pop() {
        budget.work(1)?;
        if super::compare::same(&value, container) {
            return Err(value_error("a container cannot hold itself"));
        }
        match &value {
            Value::List(list) => waiting.extend(list.items()),
            Value::Dict(dict) | Value::Namespace(dict) => {
                waiting.extend(dict.lock().values().cloned());
            }
            Value::View(_, dict) => waiting.push(Value::Dict(dict.clone())),
            Value::Tuple(tuple) => waiting.extend(tuple.items.iter().cloned()),
            Value::Method(method) => waiting.push(method.owner.clone()),
            Value::Loop(of) => waiting.extend(of.items.iter().cloned()),
            Value::Cycler(cycler) => waiting.extend(cycler.items.iter().cloned()),
            Value::Stream(_) => {
                return Err(value_error(
                    "turn it into a list first, with the filter list",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}
