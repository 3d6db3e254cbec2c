//! Python's regular expressions as filters.

use std::sync::Arc;

use fancy_regex::{Captures, Regex};

use crate::rules::jinja::arguments::{Args, Bound};
use crate::rules::jinja::error::{Error, Result};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::repr;
use crate::rules::jinja::value::Value;
use crate::rules::regex::{self, Flags};

fn wrong(message: impl Into<String>) -> Error {
    Error::new("re.error", message)
}

fn compiled(
    interpreter: &Interpreter<'_>,
    bound: &Bound,
    ignore_case: usize,
    anchored: bool,
) -> Result<Arc<Regex>> {
    let flags = Flags {
        anchored,
        ignore_case: bound.flag(ignore_case, false)?,
        dot_all: false,
    };
    let pattern = bound.text(0)?;
    interpreter.budget.work(200 + pattern.len())?;
    interpreter
        .tools
        .regexes
        .get(&pattern, flags)
        .map_err(wrong)
}

fn subject(interpreter: &Interpreter<'_>, value: &Value) -> Result<String> {
    let text = repr::text(value)?;
    interpreter.budget.text(text.len())?;
    Ok(text)
}

fn found(
    interpreter: &Interpreter<'_>,
    value: &Value,
    args: Args,
    name: &str,
    anchored: bool,
) -> Result<Value> {
    let bound = args.bind(name, &["pattern", "ignorecase"], 1)?;
    let text = subject(interpreter, value)?;
    let regex = compiled(interpreter, &bound, 1, anchored)?;
    regex::found(&regex, &text).map(Value::Bool).map_err(wrong)
}

/// `regex_match`
pub fn matches(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    found(interpreter, &value, args, "regex_match", true)
}

/// `regex_search`
pub fn search(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    found(interpreter, &value, args, "regex_search", false)
}

/// All matches, as `re.finditer` gives them: one of no text may follow directly on another match.
fn all<'t>(
    regex: &Regex,
    text: &'t str,
    mut each: impl FnMut(Captures<'t, str>) -> Result<()>,
) -> Result<()> {
    let mut at = 0;
    while at <= text.len() {
        let found = regex.captures_from_pos(text, at);
        let found = found.map_err(|error| wrong(regex::explain(&error)))?;
        let Some(captures) = found else {
            break;
        };
        let (start, end) = captures.get(0).map_or((at, at), |m| (m.start(), m.end()));
        let next = text[end..].chars().next().map_or(1, char::len_utf8);
        at = if end == start { end + next } else { end };
        each(captures)?;
    }
    Ok(())
}

/// `regex_replace`
pub fn replace(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let names = ["pattern", "replacement", "ignorecase"];
    let bound = args.bind("regex_replace", &names, 2)?;
    let text = subject(interpreter, &value)?;
    let regex = compiled(interpreter, &bound, 2, false)?;
    let replacement = regex::Replacement::parse(&bound.text(1)?, &regex).map_err(wrong)?;
    let (mut out, mut last) = (String::new(), 0);
    all(&regex, &text, |captures| {
        let Some(whole) = captures.get(0) else {
            return Ok(());
        };
        out.push_str(&text[last..whole.start()]);
        let start = out.len();
        replacement.expand(&captures, &mut out);
        interpreter.budget.text(out.len() - start + 16)?;
        last = whole.end();
        Ok(())
    })?;
    out.push_str(&text[last..]);
    Ok(Value::from(out))
}

/// `regex_substring`: one of all matches; with groups, their texts as `re.findall` gives them
pub fn substring(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let names = ["pattern", "result_index", "ignorecase"];
    let bound = args.bind("regex_substring", &names, 1)?;
    let text = subject(interpreter, &value)?;
    let regex = compiled(interpreter, &bound, 2, false)?;
    let mut matches = Vec::new();
    all(&regex, &text, |captures| {
        let group = |at: usize| Value::str(captures.get(at).map_or("", |m| m.as_str()));
        interpreter.budget.items(captures.len())?;
        matches.push(match captures.len() {
            1 => group(0),
            2 => group(1),
            groups => Value::tuple((1..groups).map(group).collect()),
        });
        Ok(())
    })?;
    let wanted = bound.int(1, 0)?;
    let place = if wanted < 0 {
        wanted + matches.len() as i64
    } else {
        wanted
    };
    let found = usize::try_from(place)
        .ok()
        .and_then(|place| matches.get(place));
    found
        .cloned()
        .ok_or_else(|| Error::new("IndexError", "list index out of range"))
}
