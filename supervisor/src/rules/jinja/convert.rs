//! `int(value)`, `float(value)` and `round`.

use num_bigint::BigInt;
use num_traits::{FromPrimitive, Num, Signed};

use super::arithmetic;
use super::compare::{Number, number};
use super::error::{Error, Result, type_error, value_error};
use super::repr;
use super::value::Value;

/// A float as an int, cut off.
///
/// # Errors
/// For what is not finite.
pub fn int_of_float(float: f64) -> Result<BigInt> {
    match BigInt::from_f64(float.trunc()) {
        Some(int) => Ok(int),
        None if float.is_nan() => Err(value_error("cannot convert float NaN to integer")),
        None => Err(Error::new(
            "OverflowError",
            "cannot convert float infinity to integer",
        )),
    }
}

/// `int(value)`.
///
/// # Errors
/// For what is no int.
pub fn int(value: &Value) -> Result<BigInt> {
    value.defined()?;
    match value {
        Value::Str(text) | Value::Markup(text) => int_of_text(text, 10),
        // Its `__int__` goes by way of a float.
        Value::Keys(keys) => int_of_float(float_of_text(&keys.text())?),
        _ => match number(value) {
            Some(Number::Float(float)) => int_of_float(float),
            Some(int) => Ok(int.big()),
            None => Err(type_error(format!(
                "int() argument must be a string, a bytes-like object or a real number, not '{}'",
                value.type_name()
            ))),
        },
    }
}

/// Decimal digits of any script as ASCII ones.
fn plain_digits(text: &str) -> String {
    let text = text.trim_matches(is_space);
    match text.is_ascii() {
        true => text.to_owned(),
        false => text.chars().map(plain_digit).collect(),
    }
}

/// The zeros of the scripts that have digits of their own.
const ZEROS: &[u32] = &[
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
    0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50,
    0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
];

/// The ASCII digit for a decimal digit; any other character as it is.
pub fn plain_digit(c: char) -> char {
    let code = c as u32;
    let zero = ZEROS
        .iter()
        .find(|zero| (**zero..**zero + 10).contains(&code));
    let digit = zero.and_then(|zero| char::from_digit(code - zero, 10));
    digit.unwrap_or(c)
}

/// What Python's `str` methods take for white space.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn well_underscored(digits: &str) -> bool {
    !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__")
}

/// `int(text, base)`.
///
/// # Errors
/// `ValueError` in Python's words.
pub fn int_of_text(text: &str, base: i64) -> Result<BigInt> {
    let wrong = || {
        let mut quoted = String::new();
        repr::quote(&mut quoted, text);
        value_error(format!(
            "invalid literal for int() with base {base}: {quoted}"
        ))
    };
    if base != 0 && !(2..=36).contains(&base) {
        return Err(value_error("int() base must be >= 2 and <= 36, or 0"));
    }
    let plain = plain_digits(text);
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, of)| Some((lower.strip_prefix(prefix)?, of)))
        .filter(|(_, of)| base == 0 || base == *of);
    let (body, base) = match prefixed {
        // An underscore may follow the prefix.
        Some((body, of)) => (body.strip_prefix('_').unwrap_or(body), of),
        None if base == 0 => {
            let bare = lower.replace('_', "");
            if bare.starts_with('0') && !bare.trim_matches('0').is_empty() {
                return Err(wrong());
            }
            (lower.as_str(), 10)
        }
        None => (lower.as_str(), base),
    };
    let clean = body.replace('_', "");
    let shaped = well_underscored(body) && clean.chars().all(|c| c.is_ascii_alphanumeric());
    if !shaped || clean.is_empty() {
        return Err(wrong());
    }
    if clean.len() > 4300 && !matches!(base, 2 | 4 | 8 | 16 | 32) {
        return Err(value_error(
            "Exceeds the limit (4300 digits) for integer string conversion",
        ));
    }
    let int = BigInt::from_str_radix(&clean, base as u32).map_err(|_| wrong())?;
    Ok(if negative { -int } else { int })
}

/// `float(value)`.
///
/// # Errors
/// For what is no float.
pub fn float(value: &Value) -> Result<f64> {
    value.defined()?;
    match value {
        Value::Str(text) | Value::Markup(text) => float_of_text(text),
        Value::Keys(keys) => float_of_text(&keys.text()),
        _ => match number(value) {
            Some(number) => arithmetic::float(&number),
            None => Err(type_error(format!(
                "float() argument must be a string or a real number, not '{}'",
                value.type_name()
            ))),
        },
    }
}

/// `float(text)`.
///
/// # Errors
/// `ValueError` in Python's words.
pub fn float_of_text(text: &str) -> Result<f64> {
    let wrong = || {
        let mut quoted = String::new();
        repr::quote(&mut quoted, text);
        value_error(format!("could not convert string to float: {quoted}"))
    };
    let plain = plain_digits(text);
    let bare = plain.trim_start_matches(['+', '-']).to_ascii_lowercase();
    if plain.len() - bare.len() > 1 {
        return Err(wrong());
    }
    let named = matches!(bare.as_str(), "inf" | "infinity" | "nan");
    let between = |c: char| c.is_ascii_digit();
    let chars: Vec<char> = bare.chars().collect();
    let underscores = chars.iter().enumerate().all(|(at, c)| {
        let near = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| between(*c));
        *c != '_' || (near(at.checked_sub(1)) && near(Some(at + 1)))
    });
    let shaped = bare
        .chars()
        .all(|c| c.is_ascii_digit() || "._e+-".contains(c));
    match named || (shaped && underscores) {
        true => plain.replace('_', "").parse().map_err(|_| wrong()),
        false => Err(wrong()),
    }
}

/// `round(value, digits)`: halves go to the even neighbour.
///
/// # Errors
/// For what is no number.
pub fn round(value: &Value, digits: i64) -> Result<Value> {
    value.defined()?;
    match number(value) {
        Some(Number::Float(float)) => Ok(Value::Float(round_float(float, digits))),
        Some(int) if digits >= 0 => Ok(Value::int(int.big())),
        Some(int) => Ok(Value::int(round_int(&int.big(), digits.unsigned_abs()))),
        None => Err(type_error(format!(
            "type {} doesn't define __round__ method",
            value.type_name()
        ))),
    }
}

fn round_int(int: &BigInt, places: u64) -> BigInt {
    if places > 5000 {
        return BigInt::default();
    }
    let unit = BigInt::from(10).pow(places as u32);
    let half = &unit / 2;
    let rest = num_integer::Integer::mod_floor(int, &unit);
    let down = int - &rest;
    let even = num_integer::Integer::is_even(&(&down / &unit));
    match rest > half || (rest == half && !even) {
        true => down + unit,
        false => down,
    }
}

fn round_float(float: f64, digits: i64) -> f64 {
    if !float.is_finite() || digits > 330 {
        return float;
    }
    if digits < -310 {
        return 0.0f64.copysign(float);
    }
    if digits >= 0 {
        let text = format!("{float:.*}", digits as usize);
        return text.parse().unwrap_or(float);
    }
    let Ok(whole) = int_of_float(float) else {
        return float;
    };
    // A fraction breaks a tie that the whole part shows.
    let places = digits.unsigned_abs();
    let doubled = (whole * 10)
        + BigInt::from(float.fract().signum() as i64 * i64::from(float.fract() != 0.0));
    let rounded: BigInt = round_int(&doubled, places + 1) / 10;
    let result = num_traits::ToPrimitive::to_f64(&rounded).unwrap_or(float);
    match rounded.is_positive() || rounded.is_negative() {
        true => result,
        false => 0.0f64.copysign(float),
    }
}
