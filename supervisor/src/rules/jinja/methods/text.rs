//! Methods of text.

use std::sync::Arc;

use super::{bytes, cases, search, split};
use crate::rules::jinja::arguments::Args;
use crate::rules::jinja::budget::Budget;
use crate::rules::jinja::cells::Entries;
use crate::rules::jinja::convert::is_space;
use crate::rules::jinja::error::{Result, type_error, value_error};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::iterate::all_of;
use crate::rules::jinja::markup::{escape, escape_text, is_markup, strip_tags, unescape};
use crate::rules::jinja::str_format::{self, Fields};
use crate::rules::jinja::value::Value;

/// A method of text; what it makes of markup is markup.
pub fn call(
    interpreter: &Interpreter<'_>,
    owner: &Value,
    text: &Arc<str>,
    name: &str,
    args: Args,
) -> Result<Value> {
    let budget = interpreter.budget;
    budget.text(text.len())?;
    let args = match is_markup(owner) {
        true if name != "format" => escaped(name, args)?,
        _ => args,
    };
    let result = method(text, name, args, is_markup(owner), budget)?;
    Ok(
        match is_markup(owner) && !matches!(name, "unescape" | "striptags") {
            true => marked(result),
            false => result,
        },
    )
}

/// What is given to a method of markup becomes markup first.
fn escaped(name: &str, mut args: Args) -> Result<Args> {
    if !matches!(name, "replace" | "center" | "ljust" | "rjust" | "join") {
        return Ok(args);
    }
    for value in &mut args.placed {
        match value {
            Value::Str(text) => *value = Value::from(escape_text(text)),
            Value::List(_) | Value::Tuple(_) | Value::Stream(_) if name == "join" => {
                let items = all_of(value)?.into_iter();
                let items = items.map(|item| escape(&item).map(Value::from));
                *value = Value::list(items.collect::<Result<_>>()?);
            }
            _ => {}
        }
    }
    Ok(args)
}

fn marked(value: Value) -> Value {
    match value {
        Value::Str(text) => Value::Markup(text),
        Value::List(list) => Value::list(list.items().into_iter().map(marked).collect()),
        Value::Tuple(tuple) => Value::tuple(tuple.items.iter().cloned().map(marked).collect()),
        other => other,
    }
}

fn list(parts: Vec<String>, budget: &Budget) -> Result<Value> {
    budget.items(parts.len())?;
    Ok(Value::list(parts.into_iter().map(Value::from).collect()))
}

fn method(text: &Arc<str>, name: &str, args: Args, markup: bool, budget: &Budget) -> Result<Value> {
    let found = |place: Option<usize>| Value::Int(place.map_or(-1, |at| at as i64));
    Ok(match name {
        "capitalize" | "casefold" | "lower" | "upper" | "title" | "swapcase" => {
            args.positional(name, 0, 0)?;
            Value::from(match name {
                "capitalize" => cases::capitalize(text),
                "casefold" => cases::fold(text),
                "lower" => text.to_lowercase(),
                "upper" => text.to_uppercase(),
                "title" => cases::title(text),
                _ => cases::swap(text),
            })
        }
        "center" | "ljust" | "rjust" | "zfill" => padded(text, name, args, budget)?,
        "count" => search::count(text, &args.positional(name, 1, 3)?)?,
        "find" => found(search::find(text, &args.positional(name, 1, 3)?, false)?),
        "rfind" => found(search::find(text, &args.positional(name, 1, 3)?, true)?),
        "index" | "rindex" => {
            let bound = args.positional(name, 1, 3)?;
            match search::find(text, &bound, name == "rindex")? {
                Some(at) => Value::count(at),
                None => return Err(value_error("substring not found")),
            }
        }
        "startswith" => search::edge(text, &args.positional(name, 1, 3)?, false)?,
        "endswith" => search::edge(text, &args.positional(name, 1, 3)?, true)?,
        "encode" => {
            let bound = args.bind(name, &["encoding", "errors"], 0)?;
            let encoding = bound.get(0).map(|_| bound.text(0)).transpose()?;
            let errors = bound.get(1).map(|_| bound.text(1)).transpose()?;
            let (encoding, errors) = (encoding.as_deref(), errors.as_deref());
            bytes::encode(
                text,
                encoding.unwrap_or("utf-8"),
                errors.unwrap_or("strict"),
            )?
        }
        "expandtabs" => {
            let width = args.bind(name, &["tabsize"], 0)?.int(0, 8)?;
            let width = usize::try_from(width).unwrap_or(0);
            budget.text(text.matches('\t').count().saturating_mul(width))?;
            Value::from(split::expand_tabs(text, width))
        }
        "format" => {
            let named = |wanted: &str| {
                let mut all = args.named.iter();
                all.find(|(name, _)| &**name == wanted)
                    .map(|(_, value)| value.clone())
            };
            filled(text, &args.placed, &named, markup, budget)?
        }
        "format_map" => {
            let mapping = args.positional(name, 1, 1)?.value(0);
            filled(text, &[], &|wanted| mapping.get(wanted), markup, budget)?
        }
        "join" => joined(text, &args.positional(name, 1, 1)?.value(0), budget)?,
        "strip" | "lstrip" | "rstrip" => stripped(text, name, args)?,
        "partition" | "rpartition" => partition(text, name, args)?,
        "removeprefix" | "removesuffix" => {
            let part = args.positional(name, 1, 1)?.text(0)?;
            let bare = match name {
                "removeprefix" => text.strip_prefix(&*part),
                _ => text.strip_suffix(&*part),
            };
            Value::str(bare.unwrap_or(text))
        }
        "replace" => {
            let bound = args.positional(name, 2, 3)?;
            let (old, new, count) = (bound.text(0)?, bound.text(1)?, bound.int(2, -1)?);
            replaced(text, &old, &new, count, budget)?
        }
        "split" | "rsplit" => {
            let bound = args.bind(name, &["sep", "maxsplit"], 0)?;
            let most = usize::try_from(bound.int(1, -1)?).unwrap_or(usize::MAX - 1);
            let right = name == "rsplit";
            match bound.some(0) {
                None => list(split::words(text, most, right), budget)?,
                Some(_) => match &*bound.text(0)? {
                    "" => return Err(value_error("empty separator")),
                    separator => list(split::parts(text, separator, most, right), budget)?,
                },
            }
        }
        "splitlines" => {
            let keep = args.bind(name, &["keepends"], 0)?.flag(0, false)?;
            list(split::lines(text, keep), budget)?
        }
        "translate" => translated(text, &args.positional(name, 1, 1)?.value(0), budget)?,
        "maketrans" => table(args)?,
        "unescape" => Value::from(unescape(text)),
        "striptags" => Value::from(strip_tags(text)),
        "escape" => Value::from(escape(&args.positional(name, 1, 1)?.value(0))?),
        _ => {
            args.positional(name, 0, 0)?;
            Value::Bool(cases::is(text, name))
        }
    })
}

fn filled(
    text: &str,
    placed: &[Value],
    named: &dyn Fn(&str) -> Option<Value>,
    marked: bool,
    budget: &Budget,
) -> Result<Value> {
    let fields = Fields {
        placed,
        named,
        marked,
    };
    str_format::format(text, &fields, budget).map(Value::from)
}

fn padded(text: &str, name: &str, args: Args, budget: &Budget) -> Result<Value> {
    let bound = args.positional(name, 1, if name == "zfill" { 1 } else { 2 })?;
    let width = usize::try_from(bound.int(0, 0)?).unwrap_or(0);
    let fill = bound.get(1).map_or(Ok(" ".into()), |_| bound.text(1))?;
    if fill.chars().count() != 1 {
        return Err(type_error(
            "The fill character must be exactly one character long",
        ));
    }
    let length = text.chars().count();
    let missing = width.saturating_sub(length);
    budget.text(missing.saturating_mul(fill.len()))?;
    Ok(Value::from(match name {
        "ljust" => format!("{text}{}", fill.repeat(missing)),
        "rjust" => format!("{}{text}", fill.repeat(missing)),
        "zfill" => {
            let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
            let sign = &text[..text.len() - bare.len()];
            format!("{sign}{}{bare}", "0".repeat(missing))
        }
        _ => {
            // Python's centre: an odd blank more goes left only where the width is odd.
            let left = missing / 2 + (missing & width & 1);
            format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left))
        }
    }))
}

/// `separator.join(items)`.
///
/// # Errors
/// For items that are no text.
pub fn joined(separator: &str, items: &Value, budget: &Budget) -> Result<Value> {
    let wrong = |_| type_error("can only join an iterable");
    items.defined()?;
    let items = all_of(items).map_err(wrong)?;
    budget.work(items.len())?;
    let mut out = String::new();
    for (at, item) in items.iter().enumerate() {
        out.push_str(if at > 0 { separator } else { "" });
        match item {
            Value::Str(text) | Value::Markup(text) => {
                budget.text(text.len() + separator.len())?;
                out.push_str(text);
            }
            other => {
                return Err(type_error(format!(
                    "sequence item {at}: expected str instance, {} found",
                    other.type_name()
                )));
            }
        }
    }
    Ok(Value::from(out))
}

/// `strip` and its like.
fn stripped(text: &str, name: &str, args: Args) -> Result<Value> {
    let bound = args.positional(name, 0, 1)?;
    let chars = bound.some(0).map(|_| bound.text(0)).transpose()?;
    let away = |c: char| match &chars {
        Some(chars) => chars.contains(c),
        None => is_space(c),
    };
    Ok(Value::str(match name {
        "lstrip" => text.trim_start_matches(away),
        "rstrip" => text.trim_end_matches(away),
        _ => text.trim_matches(away),
    }))
}

fn partition(text: &str, name: &str, args: Args) -> Result<Value> {
    let separator = args.positional(name, 1, 1)?.text(0)?;
    if separator.is_empty() {
        return Err(value_error("empty separator"));
    }
    let right = name == "rpartition";
    let parts = match (
        right,
        text.split_once(&*separator),
        text.rsplit_once(&*separator),
    ) {
        (false, Some((before, after)), _) | (true, _, Some((before, after))) => {
            [before, &separator, after]
        }
        (true, ..) => ["", "", text],
        _ => [text, "", ""],
    };
    Ok(Value::tuple(parts.map(Value::str).to_vec()))
}

/// `replace`.
///
/// # Errors
/// When the result is too long.
pub fn replaced(text: &str, old: &str, new: &str, count: i64, budget: &Budget) -> Result<Value> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let places = match old.is_empty() {
        true => text.chars().count() + 1,
        false => text.matches(old).count(),
    };
    budget.text(
        text.len()
            .saturating_add(places.min(most).saturating_mul(new.len())),
    )?;
    Ok(Value::from(text.replacen(old, new, most)))
}

fn translated(text: &str, table: &Value, budget: &Budget) -> Result<Value> {
    let Value::Dict(table) = table else {
        return Err(type_error("translate() wants a dict"));
    };
    let mut out = String::new();
    for c in text.chars() {
        budget.work(1)?;
        match table.find(&Value::Int(i64::from(c as u32)).key()?) {
            None => out.push(c),
            Some(Value::None) => {}
            Some(Value::Int(code)) => out.extend(u32::try_from(code).ok().and_then(char::from_u32)),
            Some(value) => {
                let more = value.as_str().ok_or_else(|| {
                    type_error("character mapping must return integer, None or str")
                })?;
                budget.text(more.len())?;
                out.push_str(more);
            }
        }
    }
    Ok(Value::from(out))
}

fn table(args: Args) -> Result<Value> {
    let bound = args.positional("maketrans", 1, 3)?;
    let mut entries = Entries::new();
    let code = |c: char| Value::Int(i64::from(c as u32));
    if bound.get(1).is_none() {
        let Value::Dict(dict) = bound.value(0) else {
            let message = "if you give only one argument to maketrans it must be a dict";
            return Err(type_error(message));
        };
        for (key, value) in dict.pairs() {
            let key = match key.as_str().map(|text| text.chars().collect::<Vec<_>>()) {
                Some(chars) if chars.len() == 1 => code(chars[0]),
                Some(_) => {
                    return Err(value_error(
                        "string keys in translate table must be of length 1",
                    ));
                }
                None => key,
            };
            entries.insert(key.key()?, value);
        }
        return Ok(Value::dict(entries));
    }
    let (from, to) = (bound.text(0)?, bound.text(1)?);
    if from.chars().count() != to.chars().count() {
        let message = "the first two maketrans arguments must have equal length";
        return Err(value_error(message));
    }
    for (a, b) in from.chars().zip(to.chars()) {
        entries.insert(code(a).key()?, code(b));
    }
    if bound.get(2).is_some() {
        for c in bound.text(2)?.chars() {
            entries.insert(code(c).key()?, Value::None);
        }
    }
    Ok(Value::dict(entries))
}
