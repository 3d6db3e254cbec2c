//! Semantic versions, strictly, as Python's `semver` has them.

use std::cmp::Ordering;

use num_bigint::BigInt;

use crate::rules::jinja::arguments::Args;
use crate::rules::jinja::compare::{Number, number};
use crate::rules::jinja::error::{Result, type_error, value_error};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::iterate::all_of;
use crate::rules::jinja::value::Value;

struct Version {
    numbers: [BigInt; 3],
    pre: Vec<String>,
}

fn plain_number(text: &str) -> Option<BigInt> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let leading = text.len() > 1 && text.starts_with('0');
    (digits && !leading).then(|| text.parse().ok()).flatten()
}

fn identifiers(text: &str, strict: bool) -> Option<Vec<String>> {
    let all: Vec<String> = text.split('.').map(str::to_owned).collect();
    let legal = |part: &String| {
        let chars = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let number = part.bytes().all(|b| b.is_ascii_digit());
        !part.is_empty() && chars && !(strict && number && plain_number(part).is_none())
    };
    all.iter().all(legal).then_some(all)
}

impl Version {
    fn read(text: &str) -> Option<Self> {
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        if build.is_some_and(|build| identifiers(build, false).is_none()) {
            return None;
        }
        let (core, pre) = match text.split_once('-') {
            Some((core, pre)) => (core, identifiers(pre, true)?),
            None => (text, Vec::new()),
        };
        let numbers: Vec<BigInt> = core.split('.').map(plain_number).collect::<Option<_>>()?;
        let numbers = numbers.try_into().ok()?;
        Some(Self { numbers, pre })
    }

    fn parse(text: &str) -> Result<Self> {
        // A final newline passes, as Python's `$` lets it.
        Self::read(text.strip_suffix('\n').unwrap_or(text))
            .ok_or_else(|| value_error(format!("{text} is not valid SemVer string")))
    }

    fn of(value: &Value) -> Result<Self> {
        value.defined()?;
        match value {
            Value::Str(text) | Value::Markup(text) => Self::parse(text),
            Value::Keys(keys) => Self::parse(&keys.text()),
            Value::Bytes(bytes) => Self::parse(&String::from_utf8_lossy(bytes)),
            other => Err(type_error(format!(
                "not expecting type '{}'",
                other.type_name()
            ))),
        }
    }

    /// What a version is compared with may also be a dict or a list of its parts.
    fn of_other(value: &Value) -> Result<Self> {
        let part = |value: Option<Value>| match value.as_ref().and_then(number) {
            Some(Number::Float(_)) => Err(value_error("a part of a version is an int")),
            Some(int) => Ok(int.big()),
            None => Ok(BigInt::default()),
        };
        let pre = |value: Option<Value>| match value {
            Some(value) if !value.is_none() => crate::rules::jinja::repr::text(&value)
                .map(|t| t.split('.').map(str::to_owned).collect()),
            _ => Ok(Vec::new()),
        };
        match value {
            Value::List(_) | Value::Tuple(_) => {
                let parts = all_of(value)?;
                let at = |at: usize| part(parts.get(at).cloned());
                let numbers = [at(0)?, at(1)?, at(2)?];
                let pre = pre(parts.get(3).cloned())?;
                Ok(Self { numbers, pre })
            }
            Value::Dict(dict) => {
                let at = |name: &str| part(dict.get(name));
                let numbers = [at("major")?, at("minor")?, at("patch")?];
                let pre = pre(dict.get("prerelease"))?;
                Ok(Self { numbers, pre })
            }
            other => Self::of(other),
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let numbers = self.numbers.cmp(&other.numbers);
        numbers.then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ => {
                let pairs = self.pre.iter().zip(&other.pre);
                let first = pairs.map(|(a, b)| identifier(a, b)).find(|o| o.is_ne());
                first.unwrap_or_else(|| self.pre.len().cmp(&other.pre.len()))
            }
        })
    }
}

fn identifier(a: &str, b: &str) -> Ordering {
    let number = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<BigInt>().ok()).flatten()
    };
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

fn compared(value: &Value, args: Args) -> Result<Ordering> {
    let version = Version::of(value)?;
    let pattern = args.bind("version_compare", &["pattern"], 1)?.value(0);
    Ok(version.compare(&Version::of_other(&pattern)?))
}

/// `version_compare`: -1, 0 or 1
pub fn compare(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    compared(&value, args).map(|order| Value::Int(order as i64))
}

/// `version_more_than`
pub fn more_than(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    compared(&value, args).map(|order| Value::Bool(order.is_gt()))
}

/// `version_less_than`
pub fn less_than(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    compared(&value, args).map(|order| Value::Bool(order.is_lt()))
}

/// `version_equal`
pub fn equal(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    compared(&value, args).map(|order| Value::Bool(order.is_eq()))
}

/// `version_match`: an operator and a version; a version alone must be equal
pub fn matches(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let version = Version::of(&value)?;
    let pattern = args.bind("version_match", &["pattern"], 1)?.text(0)?;
    let signs = [">=", "<=", "==", "!="];
    let (sign, text) = match signs.into_iter().find(|sign| pattern.starts_with(sign)) {
        Some(sign) => (sign, &pattern[2..]),
        None if pattern.starts_with(['>', '<']) => pattern.split_at(1),
        None if pattern.starts_with(|c: char| c.is_ascii_digit()) => ("==", &*pattern),
        None => {
            return Err(value_error(format!(
                "match_expr parameter should be in format <op><ver>, where <op> is one of \
                 ['<', '>', '==', '<=', '>=', '!=']. You provided: {pattern}"
            )));
        }
    };
    let order = version.compare(&Version::parse(text)?);
    Ok(Value::Bool(match sign {
        ">=" => order.is_ge(),
        "<=" => order.is_le(),
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        ">" => order.is_gt(),
        _ => order.is_lt(),
    }))
}

fn bumped(value: &Value, args: Args, at: usize) -> Result<Value> {
    args.bind("version_bump", &[], 0)?;
    let [mut major, mut minor, mut patch] = Version::of(value)?.numbers;
    match at {
        0 => (major, minor, patch) = (major + 1, BigInt::default(), BigInt::default()),
        1 => (minor, patch) = (minor + 1, BigInt::default()),
        _ => patch += 1,
    }
    Ok(Value::from(format!("{major}.{minor}.{patch}")))
}

/// `version_bump_major`
pub fn bump_major(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    bumped(&value, args, 0)
}

/// `version_bump_minor`
pub fn bump_minor(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    bumped(&value, args, 1)
}

/// `version_bump_patch`
pub fn bump_patch(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    bumped(&value, args, 2)
}

/// `version_strip_patch`
pub fn strip_patch(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.bind("version_strip_patch", &[], 0)?;
    let [major, minor, _] = Version::of(&value)?.numbers;
    Ok(Value::from(format!("{major}.{minor}")))
}
