//! Python's format specifications: `[[fill]align][sign][#][0][width][grouping][.precision][type]`.

use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive};

use super::arithmetic::float;
use super::budget::Budget;
use super::compare::{Number, number};
use super::error::{Error, Result, type_error, value_error};
use super::repr;
use super::value::Value;
use crate::catalog::yaml::python_float;

/// A specification, taken apart.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// What fills up to the width.
    pub fill: Option<char>,
    /// `<`, `>`, `^` or `=`.
    pub align: Option<char>,
    /// `+`, `-` or a blank.
    pub sign: Option<char>,
    /// `#`.
    pub alternate: bool,
    /// A `0` before the width.
    pub zero: bool,
    /// Least length, characters.
    pub width: usize,
    /// `,` or `_`.
    pub grouping: Option<char>,
    /// Digits, or characters.
    pub precision: Option<usize>,
    /// The letter at the end.
    pub kind: Option<char>,
}

/// More digits than this are refused.
const MAX_PRECISION: usize = 10_000;

fn digits(chars: &[char], at: &mut usize) -> Result<Option<usize>> {
    let start = *at;
    while chars.get(*at).is_some_and(char::is_ascii_digit) {
        *at += 1;
    }
    if start == *at {
        return Ok(None);
    }
    let text: String = chars[start..*at].iter().collect();
    let parsed = text.parse().ok().filter(|n| *n < 1 << 40);
    parsed
        .map(Some)
        .ok_or_else(|| value_error("Too many decimal digits in format string"))
}

impl Spec {
    /// Takes a specification apart.
    ///
    /// # Errors
    /// `ValueError` in Python's words.
    pub fn parse(text: &str) -> Result<Self> {
        let chars: Vec<char> = text.chars().collect();
        let mut spec = Self::default();
        let mut at = 0;
        let is_align = |c: Option<&char>| c.copied().filter(|c| "<>^=".contains(*c));
        if let Some(align) = is_align(chars.get(1)) {
            (spec.fill, spec.align, at) = (Some(chars[0]), Some(align), 2);
        } else if let Some(align) = is_align(chars.first()) {
            (spec.align, at) = (Some(align), 1);
        }
        let take = |at: &mut usize, allowed: &str| {
            let found = chars.get(*at).copied().filter(|c| allowed.contains(*c));
            *at += usize::from(found.is_some());
            found
        };
        spec.sign = take(&mut at, "+- ");
        take(&mut at, "z");
        spec.alternate = take(&mut at, "#").is_some();
        spec.zero = take(&mut at, "0").is_some();
        if spec.zero && spec.fill.is_none() {
            spec.fill = Some('0');
            spec.align = spec.align.or(Some('='));
        }
        spec.width = digits(&chars, &mut at)?.unwrap_or(0);
        spec.grouping = take(&mut at, ",_");
        if take(&mut at, ".").is_some() {
            let precision = digits(&chars, &mut at)?;
            spec.precision =
                Some(precision.ok_or_else(|| value_error("Format specifier missing precision"))?);
        }
        spec.kind = chars.get(at).copied();
        match chars.len() > at + 1 {
            true => Err(value_error("Invalid format specifier")),
            false => Ok(spec),
        }
    }

    /// Fills up to the width; `prefix` is the sign and base that `=` puts first.
    fn pad(&self, prefix: &str, body: &str, default: char, budget: &Budget) -> Result<String> {
        let length = prefix.chars().count() + body.chars().count();
        let missing = self.width.saturating_sub(length);
        let fill = self.fill.unwrap_or(' ');
        budget.text((missing * fill.len_utf8()).saturating_add(body.len()))?;
        let fills = |count: usize| fill.to_string().repeat(count);
        Ok(match self.align.unwrap_or(default) {
            '<' => format!("{prefix}{body}{}", fills(missing)),
            '^' => {
                let left = missing / 2;
                format!("{}{prefix}{body}{}", fills(left), fills(missing - left))
            }
            '=' => format!("{prefix}{}{body}", fills(missing)),
            _ => format!("{}{prefix}{body}", fills(missing)),
        })
    }
}

/// `format(value, spec)`.
///
/// # Errors
/// Python's words for what does not fit the value.
pub fn format(value: &Value, spec: &str, budget: &Budget) -> Result<String> {
    value.defined()?;
    if spec.is_empty() {
        return repr::text(value);
    }
    match (value, number(value)) {
        (Value::Str(text) | Value::Markup(text), _) => text_by(text, &Spec::parse(spec)?, budget),
        (Value::Keys(keys), _) => text_by(&keys.text(), &Spec::parse(spec)?, budget),
        (_, Some(number)) => number_by(&number, &Spec::parse(spec)?, budget),
        _ => Err(type_error(format!(
            "unsupported format string passed to {}.__format__",
            value.type_name()
        ))),
    }
}

fn text_by(text: &str, spec: &Spec, budget: &Budget) -> Result<String> {
    if spec.kind.is_some_and(|kind| kind != 's') {
        return Err(unknown_code(spec, "str"));
    }
    if spec.sign.is_some() {
        return Err(value_error("Sign not allowed in string format specifier"));
    }
    if spec.alternate {
        let message = "Alternate form (#) not allowed in string format specifier";
        return Err(value_error(message));
    }
    // A zero before the width of text fills it on the right.
    let mut spec = spec.clone();
    if spec.align == Some('=') {
        if !spec.zero {
            let message = "'=' alignment not allowed in string format specifier";
            return Err(value_error(message));
        }
        spec.align = None;
    }
    if spec.grouping.is_some() {
        return Err(value_error("Cannot specify ',' with 's'."));
    }
    let cut: String = text
        .chars()
        .take(spec.precision.unwrap_or(usize::MAX))
        .collect();
    spec.pad("", &cut, '<', budget)
}

fn unknown_code(spec: &Spec, kind: &str) -> Error {
    let code = spec.kind.unwrap_or(' ');
    value_error(format!(
        "Unknown format code '{code}' for object of type '{kind}'"
    ))
}

/// A number by a specification.
///
/// # Errors
/// `ValueError` in Python's words.
pub fn number_by(number: &Number, spec: &Spec, budget: &Budget) -> Result<String> {
    match (number, spec.kind) {
        (Number::Float(value), Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n' | '%') | None) => {
            float_by(*value, spec, budget)
        }
        (Number::Float(_), _) => Err(unknown_code(spec, "float")),
        (_, Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')) => {
            float_by(float(number)?, spec, budget)
        }
        _ => int_by(&number.big(), spec, budget),
    }
}

fn sign_of(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.sign) {
        (true, _) => "-",
        (_, Some('+')) => "+",
        (_, Some(' ')) => " ",
        _ => "",
    }
}

fn int_by(int: &BigInt, spec: &Spec, budget: &Budget) -> Result<String> {
    if spec.precision.is_some() {
        let message = "Precision not allowed in integer format specifier";
        return Err(value_error(message));
    }
    budget.work(int.bits() as usize / 64)?;
    let size = int.magnitude();
    let (base, body) = match spec.kind {
        None | Some('d' | 'n') => ("", repr::text(&Value::int(int.abs()))?),
        Some('b') => ("0b", size.to_str_radix(2)),
        Some('o') => ("0o", size.to_str_radix(8)),
        Some('x') => ("0x", size.to_str_radix(16)),
        Some('X') => ("0X", size.to_str_radix(16).to_uppercase()),
        Some('c') => {
            let c = int.to_u32().and_then(char::from_u32);
            let c =
                c.ok_or_else(|| Error::new("OverflowError", "%c arg not in range(0x110000)"))?;
            return spec.pad("", &c.to_string(), '<', budget);
        }
        Some(_) => return Err(unknown_code(spec, "int")),
    };
    let prefix = if spec.alternate { base } else { "" };
    let prefix = format!("{}{prefix}", sign_of(int.is_negative(), spec));
    let every = if base.is_empty() { 3 } else { 4 };
    if spec.grouping == Some(',') && every == 4 {
        let code = spec.kind.unwrap_or(' ');
        return Err(value_error(format!("Cannot specify ',' with '{code}'.")));
    }
    let body = grouped(&body, "", &prefix, every, spec);
    spec.pad(&prefix, &body, '>', budget)
}

/// Separators between groups; zeros that fill up to the width take part.
fn grouped(whole: &str, rest: &str, prefix: &str, every: usize, spec: &Spec) -> String {
    let Some(separator) = spec.grouping else {
        return format!("{whole}{rest}");
    };
    let mut whole = whole.to_owned();
    if spec.fill == Some('0') && spec.align == Some('=') {
        let room = spec.width.saturating_sub(prefix.len() + rest.len());
        while whole.len() + (whole.len() - 1) / every < room.min(100_000) {
            // A separator cannot be the first character: one zero more then.
            whole.insert(0, '0');
        }
    }
    let mut out = String::new();
    for (at, c) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(every) {
            out.push(separator);
        }
        out.push(c);
    }
    out + rest
}

fn float_by(value: f64, spec: &Spec, budget: &Budget) -> Result<String> {
    let negative = value.is_sign_negative() && !value.is_nan();
    let size = value.abs();
    if spec.precision.is_some_and(|n| n > MAX_PRECISION) {
        return Err(super::error::limit("the precision is too large"));
    }
    let body = match spec.kind {
        _ if !size.is_finite() => {
            let text = if size.is_nan() { "nan" } else { "inf" };
            let percent = if spec.kind == Some('%') { "%" } else { "" };
            format!("{text}{percent}")
        }
        Some('%') => format!("{}%", fixed(size * 100.0, spec)),
        Some('f' | 'F') => fixed(size, spec),
        Some('e' | 'E') => exponential(size, spec.precision.unwrap_or(6), spec.alternate),
        Some(_) => general(size, spec.precision.unwrap_or(6), spec.alternate, false),
        None => match spec.precision {
            Some(precision) => general(size, precision, spec.alternate, true),
            None => python_float(size),
        },
    };
    let body = match spec.kind {
        Some('E' | 'G' | 'F') => body.to_uppercase(),
        _ => body,
    };
    let prefix = sign_of(negative, spec);
    let end = body
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(body.len());
    let body = match end {
        0 => body,
        _ => grouped(&body[..end], &body[end..], prefix, 3, spec),
    };
    spec.pad(prefix, &body, '>', budget)
}

fn fixed(size: f64, spec: &Spec) -> String {
    let precision = spec.precision.unwrap_or(6);
    let point = if spec.alternate && precision == 0 {
        "."
    } else {
        ""
    };
    format!("{size:.precision$}{point}")
}

/// `%e`: a digit, a point, digits, and an exponent of at least two digits.
pub fn exponential(size: f64, precision: usize, point: bool) -> String {
    let text = format!("{size:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let point = if point && precision == 0 { "." } else { "" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{point}e{sign}{:02}", exponent.abs())
}

/// `%g`; `repr` keeps one digit after the point, as a float without a type letter does.
pub fn general(size: f64, precision: usize, alternate: bool, repr: bool) -> String {
    let precision = precision.max(1);
    let shown = format!("{size:.*e}", precision - 1);
    let exponent: i32 = shown
        .split_once('e')
        .and_then(|(_, e)| e.parse().ok())
        .unwrap_or(0);
    let limit = precision as i32 - i32::from(repr);
    let trim = |text: &str| match alternate || !text.contains('.') {
        true => text.to_owned(),
        false => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
    };
    if exponent < -4 || exponent >= limit.max(i32::from(repr && precision == 1)) {
        let text = exponential(size, precision - 1, alternate);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{exponent}", trim(mantissa));
    }
    let after = (precision as i32 - 1 - exponent).max(0) as usize;
    let text = trim(&format!("{size:.after$}"));
    match repr && !text.contains('.') {
        true => format!("{text}.0"),
        false => text,
    }
}
