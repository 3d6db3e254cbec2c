//! Filters on numbers.

use crate::rules::jinja::arguments::Args;
use crate::rules::jinja::arithmetic::{Operator, apply, negative, positive};
use crate::rules::jinja::compare::{Number, number};
use crate::rules::jinja::convert;
use crate::rules::jinja::error::{Error, Result, type_error};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::repr;
use crate::rules::jinja::value::Value;

/// `abs`
pub fn abs(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("abs", 0, 0)?;
    value.defined()?;
    match number(&value) {
        Some(Number::Float(float)) => Ok(Value::Float(float.abs())),
        Some(int) if int.big().sign() == num_bigint::Sign::Minus => negative(&value),
        Some(_) => positive(&value),
        None => {
            let kind = value.type_name();
            Err(type_error(format!("bad operand type for abs(): '{kind}'")))
        }
    }
}

/// `int`
pub fn int(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("int", &["default", "base"], 0)?;
    let default = bound.get(0).cloned().unwrap_or(Value::Int(0));
    let base = bound.int(1, 10)?;
    let first = match &value {
        Value::Str(text) | Value::Markup(text) => convert::int_of_text(text, base),
        other => convert::int(other),
    };
    let second = match first {
        Err(error) if error.is_type_or_value() => {
            convert::float(&value).and_then(convert::int_of_float)
        }
        first => return first.map(Value::int),
    };
    match second {
        Ok(int) => Ok(Value::int(int)),
        Err(error) if error.is_type_or_value() || error.kind == "OverflowError" => Ok(default),
        Err(error) => Err(error),
    }
}

/// `float`
pub fn float(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("float", &["default"], 0)?;
    match convert::float(&value) {
        Ok(float) => Ok(Value::Float(float)),
        Err(error) if error.is_type_or_value() => {
            Ok(bound.get(0).cloned().unwrap_or(Value::Float(0.0)))
        }
        Err(error) => Err(error),
    }
}

/// `round`
pub fn round(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("round", &["precision", "method"], 0)?;
    let method = bound
        .get(1)
        .map_or(Ok("common".into()), |_| bound.text(1))?;
    let round: fn(f64) -> f64 = match &*method {
        "common" => {
            return match bound.some(0) {
                None if bound.get(0).is_some() => match convert::round(&value, 0)? {
                    Value::Float(float) => convert::int_of_float(float).map(Value::int),
                    other => Ok(other),
                },
                _ => convert::round(&value, bound.int(0, 0)?),
            };
        }
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        _ => {
            let message = "method must be common, ceil or floor";
            return Err(Error::new("FilterArgumentError", message));
        }
    };
    let budget = interpreter.budget;
    let precision = bound.get(0).cloned().unwrap_or(Value::Int(0));
    let unit = apply(Operator::Power, &Value::Int(10), &precision, budget)?;
    let scaled = apply(Operator::Multiply, &value, &unit, budget)?;
    let whole = match number(&scaled) {
        Some(Number::Float(float)) => Value::int(convert::int_of_float(round(float))?),
        Some(_) => scaled,
        None => {
            let kind = scaled.type_name();
            return Err(type_error(format!("must be real number, not {kind}")));
        }
    };
    apply(Operator::Divide, &whole, &unit, budget)
}

/// `filesizeformat`
pub fn file_size(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let binary = args
        .bind("filesizeformat", &["binary"], 0)?
        .flag(0, false)?;
    let bytes = convert::float(&value)?;
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return Ok(Value::str("1 Byte"));
    }
    if bytes < base {
        let whole = convert::int_of_float(bytes)?;
        return Ok(Value::from(format!("{whole} Bytes")));
    }
    let letters = if binary { "KMGTPEZY" } else { "kMGTPEZY" };
    let suffix = if binary { "iB" } else { "B" };
    let mut text = String::new();
    for (at, letter) in letters.chars().enumerate() {
        let unit = base.powi(at as i32 + 2);
        text = format!("{:.1} {letter}{suffix}", base * bytes / unit);
        if bytes < unit {
            break;
        }
    }
    Ok(Value::from(text))
}

/// `to_human_time_from_seconds`: the calendar of the year 1 makes days and years, and what would
/// be months is lost, as in StackStorm.
pub fn human_time(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.bind("to_human_time_from_seconds", &["seconds"], 0)?;
    value.defined()?;
    let number = number(&value).ok_or_else(|| {
        let kind = value.type_name();
        Error::new(
            "AssertionError",
            format!("seconds are a number, not '{kind}'"),
        )
    })?;
    let float = match &number {
        Number::Float(float) => *float,
        other => crate::rules::jinja::arithmetic::float(other)?,
    };
    if float == 0.0 {
        return Ok(Value::str("0s"));
    }
    if float < 1.0 {
        return Ok(Value::from(format!("{}\u{3bc}s", repr::text(&value)?)));
    }
    let seconds = match convert::round(&value, 0)? {
        Value::Float(float) if float.is_finite() && float < 4e11 => float as i64,
        other => other
            .as_int()
            .filter(|s| *s < 400_000_000_000)
            .unwrap_or(i64::MAX),
    };
    let start = jiff::civil::date(1, 1, 1).to_datetime(jiff::civil::Time::midnight());
    let span = jiff::SignedDuration::from_secs(seconds);
    let date = start
        .checked_add(span)
        .map_err(|_| Error::new("OverflowError", "date value out of range"))?;
    let parts = [
        (i64::from(date.year()) - 1, "y"),
        (i64::from(date.day()) - 1, "d"),
        (i64::from(date.hour()), "h"),
        (i64::from(date.minute()), "m"),
        (i64::from(date.second()), "s"),
    ];
    let from = parts.iter().position(|(count, _)| *count != 0).unwrap_or(4);
    let shown = parts[from..]
        .iter()
        .map(|(count, unit)| format!("{count}{unit}"));
    Ok(Value::from(shown.collect::<String>()))
}
