//! `+`, `-`, `*`, `/`, `//`, `%`, `**` and `~`, with Python's types and errors.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive, Zero};

use super::budget::{Budget, MAX_BITS};
use super::compare::{Number, number};
use super::error::{Error, Result, limit, type_error};
use super::markup::{self, escape};
use super::percent::percent;
use super::value::Value;

/// An operator with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `//`
    FloorDivide,
    /// `%`
    Modulo,
    /// `**`
    Power,
}

impl Operator {
    fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Modulo => "%",
            Self::Power => "** or pow()",
        }
    }
}

/// `a operator b`.
///
/// # Errors
/// Python's words for operands that do not fit.
pub fn apply(operator: Operator, a: &Value, b: &Value, budget: &Budget) -> Result<Value> {
    if operator == Operator::Modulo && a.as_str().is_some() {
        return percent(a, b, budget);
    }
    for operand in [a, b] {
        if let Value::Undefined(missing) = operand {
            return Err(missing.error());
        }
    }
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return numbers(operator, &a, &b);
    }
    match operator {
        Operator::Add => add(a, b, budget),
        Operator::Multiply => match (a.as_int(), b.as_int()) {
            (_, Some(times)) if is_sequence(a) => repeat(a, times, budget),
            (Some(times), _) if is_sequence(b) => repeat(b, times, budget),
            _ if is_sequence(a) || is_sequence(b) => {
                let other = if is_sequence(a) { b } else { a };
                if let Value::Big(_) = other {
                    return Err(limit("too many repetitions"));
                }
                let kind = other.type_name();
                Err(type_error(format!(
                    "can't multiply sequence by non-int of type '{kind}'"
                )))
            }
            _ => Err(unsupported(operator, a, b)),
        },
        _ => Err(unsupported(operator, a, b)),
    }
}

fn unsupported(operator: Operator, a: &Value, b: &Value) -> Error {
    type_error(format!(
        "unsupported operand type(s) for {}: '{}' and '{}'",
        operator.sign(),
        a.type_name(),
        b.type_name()
    ))
}

fn is_sequence(value: &Value) -> bool {
    matches!(
        value,
        Value::Str(_) | Value::Markup(_) | Value::Bytes(_) | Value::List(_) | Value::Tuple(_)
    )
}

fn repeat(value: &Value, times: i64, budget: &Budget) -> Result<Value> {
    let times = usize::try_from(times).unwrap_or(0);
    match value {
        Value::Str(text) | Value::Markup(text) => {
            budget.text(text.len().saturating_mul(times))?;
            let repeated = text.repeat(times);
            Ok(match value {
                Value::Markup(_) => Value::Markup(repeated.into()),
                _ => Value::str(repeated),
            })
        }
        Value::Bytes(bytes) => {
            budget.text(bytes.len().saturating_mul(times))?;
            Ok(Value::Bytes(bytes.repeat(times).into()))
        }
        _ => {
            let items = super::iterate::all_of(value)?;
            budget.items(items.len().saturating_mul(times))?;
            let mut all = Vec::new();
            for _ in 0..if items.is_empty() { 0 } else { times } {
                all.extend(items.iter().cloned());
            }
            Ok(match value {
                Value::Tuple(_) => Value::tuple(all),
                _ => Value::list(all),
            })
        }
    }
}

fn add(a: &Value, b: &Value, budget: &Budget) -> Result<Value> {
    match (a, b) {
        (Value::Markup(a), _) if b.as_str().is_some() => joined_markup(a, &escape(b)?, budget),
        (Value::Str(_), Value::Markup(b)) => joined_markup(&escape(a)?, b, budget),
        (Value::Str(a), Value::Str(b)) => {
            budget.text(a.len() + b.len())?;
            Ok(Value::str([a.as_ref(), b.as_ref()].concat()))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            budget.text(a.len() + b.len())?;
            Ok(Value::Bytes([a.as_ref(), b.as_ref()].concat().into()))
        }
        (Value::List(a), Value::List(b)) => {
            let (mut all, more) = (a.items(), b.items());
            budget.items(all.len() + more.len())?;
            all.extend(more);
            Ok(Value::list(all))
        }
        (Value::Tuple(a), Value::Tuple(b)) => {
            budget.items(a.items.len() + b.items.len())?;
            Ok(Value::tuple([a.items.as_slice(), &b.items].concat()))
        }
        (Value::Keys(keys), _) => add(&Value::from(keys.text()), b, budget),
        (_, Value::Keys(keys)) => add(a, &Value::from(keys.text()), budget),
        (Value::Str(_) | Value::List(_) | Value::Tuple(_), _) => {
            let (kind, other) = (a.type_name(), b.type_name());
            Err(type_error(format!(
                "can only concatenate {kind} (not \"{other}\") to {kind}"
            )))
        }
        _ => Err(unsupported(Operator::Add, a, b)),
    }
}

fn joined_markup(a: &str, b: &str, budget: &Budget) -> Result<Value> {
    budget.text(a.len() + b.len())?;
    Ok(Value::Markup([a, b].concat().into()))
}

/// `a ~ b ~ …`: the texts one after the other.
///
/// # Errors
/// When one has no text.
pub fn concatenate(parts: &[Value], escaping: bool, budget: &Budget) -> Result<Value> {
    let marked = escaping && parts.iter().any(markup::is_markup);
    let mut all = String::new();
    for part in parts {
        let text = match marked {
            true => escape(part)?,
            false => super::repr::text(part)?,
        };
        budget.text(text.len())?;
        all.push_str(&text);
    }
    Ok(match marked {
        true => Value::Markup(all.into()),
        false => Value::str(all),
    })
}

fn numbers(operator: Operator, a: &Number, b: &Number) -> Result<Value> {
    match (a, b) {
        (Number::Float(_), _) | (_, Number::Float(_)) => floats(operator, float(a)?, float(b)?),
        (Number::Int(a), Number::Int(b)) => {
            let small = match operator {
                Operator::Add => a.checked_add(*b),
                Operator::Subtract => a.checked_sub(*b),
                Operator::Multiply => a.checked_mul(*b),
                _ => None,
            };
            match small {
                Some(int) => Ok(Value::Int(int)),
                None => ints(operator, &BigInt::from(*a), &BigInt::from(*b)),
            }
        }
        _ => ints(operator, &a.big(), &b.big()),
    }
}

/// A number as a float.
///
/// # Errors
/// `OverflowError` for an int that is too large.
pub fn float(number: &Number) -> Result<f64> {
    match number {
        Number::Int(int) => Ok(*int as f64),
        Number::Float(float) => Ok(*float),
        Number::Big(int) => match int.to_f64() {
            Some(float) if float.is_finite() => Ok(float),
            _ => Err(overflow("int too large to convert to float")),
        },
    }
}

fn overflow(message: &str) -> Error {
    Error::new("OverflowError", message)
}

fn division(message: &str) -> Error {
    Error::new("ZeroDivisionError", message)
}

fn ints(operator: Operator, a: &BigInt, b: &BigInt) -> Result<Value> {
    let zero = |message| match b.is_zero() {
        true => Err(division(message)),
        false => Ok(()),
    };
    if operator == Operator::Multiply && a.bits() + b.bits() > MAX_BITS {
        return Err(limit("the number is too large"));
    }
    Ok(Value::int(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::FloorDivide => {
            zero("integer division or modulo by zero")?;
            a.div_floor(b)
        }
        Operator::Modulo => {
            zero("integer modulo by zero")?;
            a.mod_floor(b)
        }
        Operator::Divide => {
            zero("division by zero")?;
            return quotient(a, b).map(Value::Float);
        }
        Operator::Power if b.is_negative() => {
            let (a, b) = (a.to_f64(), b.to_f64());
            return floats(operator, a.unwrap_or(f64::NAN), b.unwrap_or(f64::NAN));
        }
        Operator::Power => return power(a, b),
    }))
}

fn quotient(a: &BigInt, b: &BigInt) -> Result<f64> {
    if a.bits() <= 1000 && b.bits() <= 1000 {
        return Ok(a.to_f64().unwrap_or(f64::NAN) / b.to_f64().unwrap_or(f64::NAN));
    }
    // Beyond the range of floats only the ratio counts: 70 significant bits of it are kept.
    let shift = a.bits() as i64 - b.bits() as i64 - 70;
    let whole = match shift > 0 {
        true => a / (b << shift.unsigned_abs()),
        false => (a << shift.unsigned_abs()) / b,
    };
    let scaled = whole.to_f64().unwrap_or(f64::NAN);
    let half = (shift / 2) as i32;
    let result = scaled * 2f64.powi(half) * 2f64.powi(shift as i32 - half);
    match result.is_finite() {
        true => Ok(result),
        false => Err(overflow("integer division result too large for a float")),
    }
}

fn power(a: &BigInt, b: &BigInt) -> Result<Value> {
    if a.magnitude() <= &num_bigint::BigUint::from(1u8) {
        let odd = b.is_odd();
        return Ok(match (a.is_negative(), a.is_zero()) {
            (true, _) => Value::Int(if odd { -1 } else { 1 }),
            (_, true) => Value::Int(i64::from(b.is_zero())),
            _ => Value::Int(1),
        });
    }
    match b.to_u32() {
        Some(exponent) if a.bits().saturating_mul(u64::from(exponent)) <= MAX_BITS => {
            Ok(Value::int(a.pow(exponent)))
        }
        _ => Err(limit("the power is too large a number")),
    }
}

fn floats(operator: Operator, a: f64, b: f64) -> Result<Value> {
    let zero = |message| match b == 0.0 {
        true => Err(division(message)),
        false => Ok(()),
    };
    Ok(Value::Float(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => {
            zero("float division by zero")?;
            a / b
        }
        Operator::FloorDivide => {
            zero("float floor division by zero")?;
            floor_division(a, b).0
        }
        Operator::Modulo => {
            zero("float modulo")?;
            floor_division(a, b).1
        }
        Operator::Power => float_power(a, b)?,
    }))
}

fn float_power(a: f64, b: f64) -> Result<f64> {
    if a == 0.0 && b < 0.0 {
        return Err(division("0.0 cannot be raised to a negative power"));
    }
    if a < 0.0 && a.is_finite() && b.is_finite() && b.fract() != 0.0 {
        return Err(type_error("complex numbers are not supported"));
    }
    let result = a.powf(b);
    match result.is_infinite() && a.is_finite() && b.is_finite() {
        true => Err(overflow("(34, 'Numerical result out of range')")),
        false => Ok(result),
    }
}

/// Quotient and remainder, the remainder with the sign of the divisor.
pub fn floor_division(a: f64, b: f64) -> (f64, f64) {
    let mut rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest != 0.0 {
        if (b < 0.0) != (rest < 0.0) {
            rest += b;
            quotient -= 1.0;
        }
    } else {
        rest = 0.0f64.copysign(b);
    }
    let floor = if quotient != 0.0 {
        let floor = quotient.floor();
        if quotient - floor > 0.5 {
            floor + 1.0
        } else {
            floor
        }
    } else {
        0.0f64.copysign(a / b)
    };
    (floor, rest)
}

/// `-a`.
///
/// # Errors
/// For what is no number.
pub fn negative(a: &Value) -> Result<Value> {
    match number(a) {
        Some(Number::Float(float)) => Ok(Value::Float(-float)),
        Some(int) => Ok(Value::int(-int.big())),
        None => Err(unary("-", a)),
    }
}

/// `+a`.
///
/// # Errors
/// For what is no number.
pub fn positive(a: &Value) -> Result<Value> {
    match number(a) {
        Some(Number::Float(float)) => Ok(Value::Float(float)),
        Some(int) => Ok(Value::int(int.big())),
        None => Err(unary("+", a)),
    }
}

fn unary(sign: &str, a: &Value) -> Error {
    match a {
        Value::Undefined(missing) => missing.error(),
        other => {
            let kind = other.type_name();
            type_error(format!("bad operand type for unary {sign}: '{kind}'"))
        }
    }
}
