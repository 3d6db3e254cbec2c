//! Equality, order and membership, as Python has them.

use std::cmp::Ordering;
use std::sync::Arc;

use num_bigint::BigInt;
use num_traits::{FromPrimitive, Signed, Zero};

use super::budget::{Budget, MAX_VALUE_DEPTH};
use super::error::{Result, limit, type_error};
use super::iterate;
use super::repr;
use super::value::{Value, View};

/// A number to count with.
#[derive(Clone, Debug)]
pub enum Number {
    /// An int that fits.
    Int(i64),
    /// Any int.
    Big(Arc<BigInt>),
    /// A float.
    Float(f64),
}

/// A value as a number; booleans are ints.
pub fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Bool(flag) => Some(Number::Int(i64::from(*flag))),
        Value::Int(int) => Some(Number::Int(*int)),
        Value::Big(int) => Some(Number::Big(Arc::clone(int))),
        Value::Float(float) => Some(Number::Float(*float)),
        _ => None,
    }
}

impl Number {
    /// As an int of any size.
    pub fn big(&self) -> BigInt {
        match self {
            Self::Int(int) => BigInt::from(*int),
            Self::Big(int) => int.as_ref().clone(),
            Self::Float(float) => BigInt::from_f64(*float).unwrap_or_default(),
        }
    }

    /// Exact; `None` for NaN.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Float(a), b) => int_with_float(&b.big(), *a).map(Ordering::reverse),
            (a, Self::Float(b)) => int_with_float(&a.big(), *b),
            (a, b) => Some(a.big().cmp(&b.big())),
        }
    }
}

fn int_with_float(int: &BigInt, float: f64) -> Option<Ordering> {
    match BigInt::from_f64(float.trunc()) {
        Some(whole) => {
            let fraction = 0.0f64.partial_cmp(&float.fract())?;
            Some(int.cmp(&whole).then(fraction))
        }
        None => 0.0f64.partial_cmp(&float),
    }
}

/// `a == b` of values that are keys already.
pub fn equal_keys(a: &Value, b: &Value) -> bool {
    equal_at(a, b, 0).unwrap_or(false)
}

/// `a == b`.
///
/// # Errors
/// For what is not there, or is nested too deeply.
pub fn equal(a: &Value, b: &Value, budget: &Budget) -> Result<bool> {
    if let (Value::List(_) | Value::Dict(_) | Value::Tuple(_), _) = (a, b) {
        budget.work(a.length()?)?;
    }
    equal_at(a, b, 0)
}

fn equal_at(a: &Value, b: &Value, depth: usize) -> Result<bool> {
    a.defined()?;
    b.defined()?;
    if depth > MAX_VALUE_DEPTH {
        return Err(limit("values are nested too deeply to be compared"));
    }
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return Ok(a.compare(&b) == Some(Ordering::Equal));
    }
    Ok(match (a, b) {
        (Value::None, Value::None) | (Value::Undefined(_), Value::Undefined(_)) => true,
        (Value::Keys(_), _) | (_, Value::Keys(_)) => repr::text(a)? == repr::text(b)?,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::Time(a), Value::Time(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            Arc::ptr_eq(a, b) || all_equal(&a.items(), &b.items(), depth)?
        }
        (Value::Tuple(a), Value::Tuple(b)) => all_equal(&a.items, &b.items, depth)?,
        (Value::Dict(a), Value::Dict(b)) => {
            Arc::ptr_eq(a, b) || dicts_equal(&a.pairs(), &b.lock().clone(), depth)?
        }
        (Value::View(View::Keys | View::Items, _), Value::View(View::Keys | View::Items, _)) => {
            let (a, b) = (iterate::all_of(a)?, iterate::all_of(b)?);
            let within = |one: &Value| b.iter().any(|two| equal_keys(one, two));
            a.len() == b.len() && a.iter().all(within)
        }
        (Value::Range(..), Value::Range(..)) => {
            all_equal(&iterate::all_of(a)?, &iterate::all_of(b)?, depth)?
        }
        (Value::Function(a), Value::Function(b)) => a == b,
        (Value::Method(a), Value::Method(b)) => a.name == b.name && same(&a.owner, &b.owner),
        _ => match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) => a == b,
            _ => same(a, b),
        },
    })
}

fn all_equal(a: &[Value], b: &[Value], depth: usize) -> Result<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b) {
        if !same(a, b) && !equal_at(a, b, depth + 1)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn dicts_equal(a: &[(Value, Value)], b: &super::cells::Entries, depth: usize) -> Result<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (key, one) in a {
        match b.get(&key.key()?) {
            Some(two) if equal_at(one, two, depth + 1)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// `a is b`.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b && (-5..=256).contains(a),
        (Value::Str(a), Value::Str(b)) => Arc::ptr_eq(a, b),
        (Value::List(a), Value::List(b)) => Arc::ptr_eq(a, b),
        (Value::Dict(a), Value::Dict(b)) => Arc::ptr_eq(a, b),
        (Value::Namespace(a), Value::Namespace(b)) => Arc::ptr_eq(a, b),
        (Value::Tuple(a), Value::Tuple(b)) => Arc::ptr_eq(a, b),
        (Value::Undefined(a), Value::Undefined(b)) => Arc::ptr_eq(a, b),
        (Value::Macro(a), Value::Macro(b)) => Arc::ptr_eq(a, b),
        (Value::Stream(a), Value::Stream(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

/// `a < b` and the like; `None` where neither is less, for NaN.
///
/// # Errors
/// Python's words for types without an order.
pub fn order(a: &Value, b: &Value, sign: &str, budget: &Budget) -> Result<Option<Ordering>> {
    budget.work(1)?;
    a.defined()?;
    b.defined()?;
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return Ok(a.compare(&b));
    }
    match (a, b) {
        (Value::List(a), Value::List(b)) => sequences(&a.items(), &b.items(), sign, budget),
        (Value::Tuple(a), Value::Tuple(b)) => sequences(&a.items, &b.items, sign, budget),
        (Value::Bytes(a), Value::Bytes(b)) => Ok(Some(a.cmp(b))),
        (Value::Time(a), Value::Time(b)) => Ok(Some(a.cmp(b))),
        _ => match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) => Ok(Some(a.cmp(b))),
            _ => Err(type_error(format!(
                "'{sign}' not supported between instances of '{}' and '{}'",
                a.type_name(),
                b.type_name()
            ))),
        },
    }
}

fn sequences(a: &[Value], b: &[Value], sign: &str, budget: &Budget) -> Result<Option<Ordering>> {
    for (a, b) in a.iter().zip(b) {
        if !same(a, b) && !equal(a, b, budget)? {
            return order(a, b, sign, budget);
        }
    }
    Ok(Some(a.len().cmp(&b.len())))
}

/// `item in container`.
///
/// # Errors
/// Python's words for what contains nothing.
pub fn contains(container: &Value, item: &Value, budget: &Budget) -> Result<bool> {
    container.defined()?;
    if let Value::Range(..) = container {
        item.defined()?;
    }
    match container {
        Value::Str(text) | Value::Markup(text) => match item.as_str() {
            Some(part) => {
                budget.work(text.len() / 64)?;
                Ok(text.contains(part))
            }
            None => Err(type_error(format!(
                "'in <string>' requires string as left operand, not {}",
                item.type_name()
            ))),
        },
        Value::Dict(dict) | Value::View(View::Keys, dict) => Ok(dict.find(&item.key()?).is_some()),
        Value::Range(start, stop, step) => Ok(match number(item) {
            Some(wanted) => in_range(&wanted.big(), &wanted, *start, *stop, *step),
            None => false,
        }),
        Value::Stream(stream) => {
            while let Some(one) = stream.next()? {
                if same(&one, item) || equal(&one, item, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Bytes(bytes) => match item {
            Value::Bytes(part) => {
                Ok(part.is_empty() || bytes.windows(part.len()).any(|w| w == &**part))
            }
            Value::Int(int) => Ok(bytes.iter().any(|byte| i64::from(*byte) == *int)),
            _ => Err(type_error("a bytes-like object is required, not 'str'")),
        },
        Value::Keys(_) => Ok(false),
        _ => {
            let kind = container.type_name();
            let items = iterate::all_of(container)
                .map_err(|_| type_error(format!("argument of type '{kind}' is not iterable")))?;
            budget.work(items.len())?;
            for one in &items {
                if same(one, item) || equal(one, item, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

fn in_range(wanted: &BigInt, exact: &Number, start: i64, stop: i64, step: i64) -> bool {
    let whole = Number::Big(Arc::new(wanted.clone())).compare(exact) == Some(Ordering::Equal);
    let (start, stop) = (BigInt::from(start), BigInt::from(stop));
    let inside = match step > 0 {
        true => *wanted >= start && *wanted < stop,
        false => *wanted <= start && *wanted > stop,
    };
    whole && inside && ((wanted - start) % BigInt::from(step)).abs().is_zero()
}
