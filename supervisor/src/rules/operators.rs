//! The operators of criteria, with Python's meaning of each (`st2common/operators.py`; st2.md 5.5).

use std::cmp::Ordering;

use fancy_regex::Regex;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::python::{compare, contains, equal, type_name};
use super::regex::{self, Flags};

/// What an operator does; its names are in [`OPERATORS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `value == pattern`.
    Equals,
    /// `value != pattern`.
    NotEquals,
    /// Equal in lower case.
    EqualsIgnoringCase,
    /// `pattern in value`.
    Contains,
    /// The same in lower case, of text only.
    ContainsIgnoringCase,
    /// `pattern not in value`.
    ContainsNot,
    /// The same in lower case.
    ContainsNotIgnoringCase,
    /// The text begins so.
    StartsWith,
    /// The same in lower case.
    StartsWithIgnoringCase,
    /// The text ends so.
    EndsWith,
    /// The same in lower case.
    EndsWithIgnoringCase,
    /// `value < pattern`.
    LessThan,
    /// `value > pattern`.
    GreaterThan,
    /// A shell wildcard over the whole text.
    Wildcard,
    /// A regular expression at the start of the text.
    RegexAtStart,
    /// A regular expression anywhere in the text.
    Regex,
    /// The same, ignoring case.
    RegexIgnoringCase,
    /// Fewer seconds have passed since the date.
    YoungerThan,
    /// More seconds have passed since the date.
    OlderThan,
    /// There is a value.
    Exists,
    /// There is none.
    ExistsNot,
    /// `value in pattern`.
    Inside,
    /// `value not in pattern`.
    InsideNot,
    /// Criteria on the items of a list.
    Search,
}

/// Every name; the short form of an operator follows its long one.
pub const OPERATORS: &[(&str, Operator)] = &[
    ("equals", Operator::Equals),
    ("eq", Operator::Equals),
    ("nequals", Operator::NotEquals),
    ("neq", Operator::NotEquals),
    ("iequals", Operator::EqualsIgnoringCase),
    ("ieq", Operator::EqualsIgnoringCase),
    ("contains", Operator::Contains),
    ("icontains", Operator::ContainsIgnoringCase),
    ("ncontains", Operator::ContainsNot),
    ("incontains", Operator::ContainsNotIgnoringCase),
    ("startswith", Operator::StartsWith),
    ("istartswith", Operator::StartsWithIgnoringCase),
    ("endswith", Operator::EndsWith),
    ("iendswith", Operator::EndsWithIgnoringCase),
    ("lessthan", Operator::LessThan),
    ("lt", Operator::LessThan),
    ("greaterthan", Operator::GreaterThan),
    ("gt", Operator::GreaterThan),
    ("matchwildcard", Operator::Wildcard),
    ("matchregex", Operator::RegexAtStart),
    ("regex", Operator::Regex),
    ("iregex", Operator::RegexIgnoringCase),
    ("timediff_lt", Operator::YoungerThan),
    ("td_lt", Operator::YoungerThan),
    ("timediff_gt", Operator::OlderThan),
    ("td_gt", Operator::OlderThan),
    ("exists", Operator::Exists),
    ("nexists", Operator::ExistsNot),
    ("inside", Operator::Inside),
    ("in", Operator::Inside),
    ("ninside", Operator::InsideNot),
    ("nin", Operator::InsideNot),
    ("search", Operator::Search),
];

/// The names of all operators.
pub fn known_operators() -> Vec<&'static str> {
    OPERATORS.iter().map(|(name, _)| *name).collect()
}

/// The operator of a name, in any case as StackStorm's engine takes it.
pub fn find(name: &str) -> Option<Operator> {
    let lower = name.to_lowercase();
    let found = OPERATORS.iter().find(|(known, _)| *known == lower);
    found.map(|(_, operator)| *operator)
}

/// What is needed beside value and pattern.
pub struct Given<'a> {
    /// The pattern compiled, where it is known before the event.
    pub regex: Option<&'a Result<Regex, String>>,
    /// The time of the event.
    pub now: Option<Timestamp>,
}

/// Compiles a pattern for the operators that take one.
pub fn compiled(operator: Operator, pattern: &str) -> Option<Result<Regex, String>> {
    let flags = match operator {
        Operator::Wildcard => return Some(regex::wildcard(pattern)),
        Operator::RegexAtStart => Flags {
            anchored: true,
            dot_all: true,
            ..Flags::default()
        },
        Operator::Regex => Flags::default(),
        Operator::RegexIgnoringCase => Flags {
            ignore_case: true,
            ..Flags::default()
        },
        _ => return None,
    };
    Some(regex::compile(pattern, flags))
}

/// Applies an operator other than [`Operator::Search`].
///
/// # Errors
/// Python's words for a value or pattern that the operator cannot take.
pub fn apply(
    operator: Operator,
    value: &Value,
    pattern: &Value,
    given: &Given<'_>,
) -> Result<bool, String> {
    match operator {
        Operator::Exists => return Ok(!value.is_null()),
        Operator::ExistsNot => return Ok(value.is_null()),
        Operator::NotEquals => return Ok(!equal(value, pattern)),
        _ if pattern.is_null() => return Ok(false),
        _ => {}
    }
    let lower = |value: &Value| text(value).map(str::to_lowercase);
    match operator {
        Operator::Equals => Ok(equal(value, pattern)),
        Operator::EqualsIgnoringCase => Ok(lower(value)? == lower(pattern)?),
        Operator::Contains => contains(value, pattern),
        Operator::ContainsNot => contains(value, pattern).map(|found| !found),
        Operator::ContainsIgnoringCase => Ok(lower(value)?.contains(&lower(pattern)?)),
        Operator::ContainsNotIgnoringCase => Ok(!lower(value)?.contains(&lower(pattern)?)),
        Operator::StartsWith => Ok(text(value)?.starts_with(text(pattern)?)),
        Operator::StartsWithIgnoringCase => Ok(lower(value)?.starts_with(&lower(pattern)?)),
        Operator::EndsWith => Ok(text(value)?.ends_with(text(pattern)?)),
        Operator::EndsWithIgnoringCase => Ok(lower(value)?.ends_with(&lower(pattern)?)),
        Operator::LessThan => Ok(compare(value, pattern, "<")? == Some(Ordering::Less)),
        Operator::GreaterThan => Ok(compare(value, pattern, ">")? == Some(Ordering::Greater)),
        Operator::Inside => contains(pattern, value),
        Operator::InsideNot => contains(pattern, value).map(|found| !found),
        Operator::YoungerThan => Ok(age(value, given.now)? < seconds(pattern)?),
        Operator::OlderThan => Ok(age(value, given.now)? > seconds(pattern)?),
        Operator::Wildcard
        | Operator::RegexAtStart
        | Operator::Regex
        | Operator::RegexIgnoringCase => matches(operator, value, pattern, given),
        Operator::Search => Err("a search is no comparison".to_owned()),
        Operator::NotEquals | Operator::Exists | Operator::ExistsNot => Ok(false),
    }
}

fn matches(
    operator: Operator,
    value: &Value,
    pattern: &Value,
    given: &Given<'_>,
) -> Result<bool, String> {
    let (value, pattern) = (text(value)?, text(pattern)?);
    let at_once = match given.regex {
        Some(_) => None,
        None => compiled(operator, pattern),
    };
    match given.regex.or(at_once.as_ref()) {
        Some(Ok(regex)) => regex::found(regex, value),
        Some(Err(why)) => Err(why.clone()),
        None => Err("not a pattern".to_owned()),
    }
}

fn text(value: &Value) -> Result<&str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("this operator takes text, not '{}'", type_name(value)))
}

/// Seconds that have passed since a date; negative for one to come.
fn age(value: &Value, now: Option<Timestamp>) -> Result<f64, String> {
    let now = now.ok_or("the time of the event is not known")?;
    let written = text(value)?;
    let then = date(written).ok_or_else(|| format!("\"{written}\" is not a date"))?;
    Ok((now.as_nanosecond() - then.as_nanosecond()) as f64 / 1e9)
}

/// ISO 8601; what names no zone is UTC.
fn date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let civil = text.parse::<DateTime>().ok().or_else(|| {
        let date = text.parse::<Date>().ok()?;
        Some(date.to_datetime(jiff::civil::Time::midnight()))
    })?;
    civil
        .to_zoned(TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

fn seconds(pattern: &Value) -> Result<f64, String> {
    let number = match pattern {
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        _ => pattern.as_f64(),
    };
    number.ok_or_else(|| format!("could not convert to seconds: {pattern}"))
}
