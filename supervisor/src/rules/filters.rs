//! The filters that StackStorm adds to Jinja (`st2common/expressions/functions`; st2.md 6.3).

use fancy_regex::{Captures, Regex};
use minijinja::value::{Serde, Value};
use minijinja::{Environment, Error, ErrorKind};

use super::{python, regex};

/// What `use_none` leaves where a cast then makes null.
pub const NONE: &str = "%*****__%NONE%__*****%";

/// Adds the filters to an environment.
pub fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("to_complex", to_complex);
    environment.add_filter("to_json_string", to_json_string);
    environment.add_filter("from_json_string", from_json_string);
    environment.add_filter("json_escape", json_escape);
    environment.add_filter("use_none", use_none);
    environment.add_filter("string", |value: &Value| python::text(value));
    environment.add_filter("basename", |path: &str| match path.rsplit_once('/') {
        Some((_, name)) => name.to_owned(),
        None => path.to_owned(),
    });
    environment.add_filter("dirname", dirname);
    environment.add_filter("regex_match", regex_match);
    environment.add_filter("regex_search", regex_search);
    environment.add_filter("regex_replace", regex_replace);
    environment.add_filter("regex_substring", regex_substring);
    environment.add_test("in", |value: &Value, container: &Value| {
        let (value, container) = (json(value)?, json(container)?);
        python::contains(&container, &value).map_err(wrong)
    });
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// A value as JSON; what is undefined is an error.
pub fn json(value: &Value) -> Result<serde_json::Value, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    serde_json::to_value(value).map_err(|error| wrong(error.to_string()))
}

fn to_complex(value: &Value) -> Result<String, Error> {
    Ok(python::dumps(&json(value)?, ", ", ": "))
}

fn to_json_string(
    value: &Value,
    indent: Option<usize>,
    sorted: Option<bool>,
) -> Result<String, Error> {
    let mut value = json(value)?;
    if sorted == Some(true) {
        value.sort_all_objects();
    }
    match indent {
        None => Ok(python::dumps(&value, ",", ": ")),
        Some(width) => {
            let pad = vec![b' '; width];
            let formatter = serde_json::ser::PrettyFormatter::with_indent(&pad);
            let mut bytes = Vec::new();
            let mut writer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
            serde::Serialize::serialize(&value, &mut writer).map_err(|e| wrong(e.to_string()))?;
            String::from_utf8(bytes).map_err(|e| wrong(e.to_string()))
        }
    }
}

fn from_json_string(text: &Value) -> Result<Value, Error> {
    let text = text
        .as_str()
        .ok_or_else(|| wrong("from_json_string takes text"))?;
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| wrong(format!("not JSON: {error}")))?;
    Ok(Value::from(Serde(value)))
}

fn json_escape(value: &Value) -> Result<String, Error> {
    Ok(to_complex(value)?.trim_matches('"').to_owned())
}

fn use_none(value: Value) -> Value {
    match value.is_none() {
        true => Value::from(NONE),
        false => value,
    }
}

fn dirname(path: &str) -> String {
    let Some((head, _)) = path.rsplit_once('/') else {
        return String::new();
    };
    let bare = head.trim_end_matches('/');
    match bare.is_empty() {
        true => format!("{head}/"),
        false => bare.to_owned(),
    }
}

fn compiled(pattern: &str, anchored: bool, ignore_case: Option<bool>) -> Result<Regex, Error> {
    let flags = regex::Flags {
        anchored,
        ignore_case: ignore_case.unwrap_or(false),
        dot_all: false,
    };
    regex::compile(pattern, flags).map_err(wrong)
}

fn subject(value: &Value) -> Result<String, Error> {
    match value.is_undefined() {
        true => Err(Error::from(ErrorKind::UndefinedError)),
        false => Ok(python::text(value)),
    }
}

fn regex_match(value: &Value, pattern: &str, ignorecase: Option<bool>) -> Result<bool, Error> {
    let regex = compiled(pattern, true, ignorecase)?;
    regex::found(&regex, &subject(value)?).map_err(wrong)
}

fn regex_search(value: &Value, pattern: &str, ignorecase: Option<bool>) -> Result<bool, Error> {
    let regex = compiled(pattern, false, ignorecase)?;
    regex::found(&regex, &subject(value)?).map_err(wrong)
}

fn regex_replace(
    value: &Value,
    pattern: &str,
    replacement: &str,
    ignorecase: Option<bool>,
) -> Result<String, Error> {
    let regex = compiled(pattern, false, ignorecase)?;
    let text = subject(value)?;
    let replaced = regex.try_replacen(&text, 0, |found: &Captures<'_, str>| {
        expand(replacement, found)
    });
    replaced
        .map(|text| text.into_owned())
        .map_err(|error| wrong(error.to_string()))
}

/// Python's `\1`, `\g<1>` and `\g<name>`, and its escapes for white space.
fn expand(replacement: &str, found: &Captures<'_, str>) -> String {
    let mut out = String::new();
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let group = after
            .strip_prefix("g<")
            .and_then(|name| name.split_once('>'));
        let digits = after.bytes().take(2).take_while(u8::is_ascii_digit).count();
        rest = match (group, after.chars().next()) {
            (Some((name, tail)), _) => {
                let found = match name.parse() {
                    Ok(number) => found.get(number),
                    Err(_) => found.name(name),
                };
                out.push_str(found.map_or("", |m| m.as_str()));
                tail
            }
            _ if digits > 0 => {
                let number = after[..digits].parse().unwrap_or(0);
                out.push_str(found.get(number).map_or("", |m| m.as_str()));
                &after[digits..]
            }
            (None, Some(c)) => {
                match c {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    '\\' => out.push('\\'),
                    c => out.extend(['\\', c]),
                }
                &after[c.len_utf8()..]
            }
            (None, None) => after,
        };
    }
    out.push_str(rest);
    out
}

/// One of all matches; with groups, their text as `re.findall` gives it.
fn regex_substring(
    value: &Value,
    pattern: &str,
    result_index: Option<i64>,
    ignorecase: Option<bool>,
) -> Result<Value, Error> {
    let regex = compiled(pattern, false, ignorecase)?;
    let text = subject(value)?;
    let mut all = Vec::new();
    for found in regex.captures_iter(&text) {
        let found = found.map_err(|error| wrong(error.to_string()))?;
        let group = |at: usize| found.get(at).map_or("", |m| m.as_str()).to_owned();
        all.push(match found.len() {
            1 => Value::from(group(0)),
            2 => Value::from(group(1)),
            groups => (1..groups).map(group).collect(),
        });
    }
    let wanted = result_index.unwrap_or(0);
    let place = if wanted < 0 {
        wanted + all.len() as i64
    } else {
        wanted
    };
    let found = usize::try_from(place).ok().and_then(|place| all.get(place));
    found
        .cloned()
        .ok_or_else(|| wrong("list index out of range"))
}
