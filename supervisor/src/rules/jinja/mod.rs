//! Jinja2 3.1 as StackStorm sets it up, on values that behave as Python's do: a sandbox, strict
//! about what is undefined, with `trim_blocks` and `lstrip_blocks`.
//!
//! It is an engine of its own because exactness is the point: a template of a pack may use
//! anything that Python has (`'%05d' % n`, `d.update(x)`, big integers, tuples), and an engine
//! whose values are not Python's cannot be taught that. Every rendering has a budget.

pub mod arguments;
pub mod arithmetic;
pub mod ast;
pub mod attributes;
pub mod budget;
mod call;
pub mod cells;
mod check;
pub mod compare;
pub mod convert;
pub mod error;
mod evaluate;
pub mod execute;
mod expressions;
pub mod filters;
mod globals;
pub mod iterate;
pub mod json;
mod lexer;
mod markup;
mod methods;
pub mod names;
pub mod objects;
mod parser;
mod percent;
pub mod repr;
mod sort;
mod spec;
mod str_format;
mod tests;
pub mod value;
mod yaml_scalar;

pub use error::{Error, Result};
pub use execute::{Interpreter, render};
pub use parser::parse;
pub use percent::ascii;
pub use value::Value;

/// The places of a slice, as Python takes them.
///
/// # Errors
/// For a step of zero.
pub fn iterate_slice(
    length: usize,
    from: Option<i64>,
    to: Option<i64>,
    by: Option<i64>,
) -> Result<impl Iterator<Item = usize>> {
    let by = by.unwrap_or(1);
    if by == 0 {
        return Err(error::value_error("slice step cannot be zero"));
    }
    let length = length as i64;
    let (low, high) = if by > 0 {
        (0, length)
    } else {
        (-1, length - 1)
    };
    let clamp = |at: i64| {
        let at = if at < 0 {
            at.saturating_add(length)
        } else {
            at
        };
        at.clamp(low, high)
    };
    let (start, end) = match by > 0 {
        true => (from.map_or(low, clamp), to.map_or(high, clamp)),
        false => (from.map_or(high, clamp), to.map_or(low, clamp)),
    };
    let mut at = start;
    Ok(std::iter::from_fn(move || {
        let inside = if by > 0 { at < end } else { at > end };
        let place = usize::try_from(at).ok().filter(|_| inside)?;
        at = at.saturating_add(by);
        Some(place)
    }))
}

/// A value that a template may change without others seeing it.
///
/// # Errors
/// When it is too large.
pub fn own_copy(value: &Value, budget: &budget::Budget) -> Result<Value> {
    budget.items(1)?;
    Ok(match value {
        Value::List(list) => {
            let items = list.items();
            let items = items.iter().map(|item| own_copy(item, budget));
            Value::list(items.collect::<Result<_>>()?)
        }
        Value::Dict(dict) => {
            let mut entries = cells::Entries::new();
            for (key, value) in dict.pairs() {
                entries.insert(key.key()?, own_copy(&value, budget)?);
            }
            Value::dict(entries)
        }
        other => other.clone(),
    })
}

fn lines(text: &str) -> Vec<String> {
    methods::lines(text, false)
}

fn lines_with_ends(text: &str) -> Vec<String> {
    methods::lines(text, true)
}

fn method_of(value: &Value, name: &str) -> Option<Value> {
    let name = methods::find(value, name)?;
    let owner = value.clone();
    Some(Value::Method(std::sync::Arc::new(objects::Method {
        owner,
        name,
    })))
}

fn call_method(
    interpreter: &mut Interpreter<'_>,
    owner: &Value,
    name: &str,
    args: arguments::Args,
) -> Result<Value> {
    methods::call(interpreter, owner, name, args)
}

/// Pairs in the order of their keys.
fn sorted_pairs(
    pairs: Vec<(Value, Value)>,
    budget: &budget::Budget,
) -> Result<Vec<(Value, Value)>> {
    sort::by(pairs, |pair| Ok(pair.0.clone()), false, budget)
}
