//! Filters on lists.

use crate::rules::jinja::arguments::{Args, index};
use crate::rules::jinja::attributes;
use crate::rules::jinja::error::{Error, Result, type_error};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::iterate::{all_of, iterate};
use crate::rules::jinja::value::Value;
use crate::rules::jinja::{markup, repr, sort};

use super::attribute::Getter;

fn empty(what: &str) -> Value {
    Value::missing(format!("No {what} item, sequence was empty."))
}

/// `length`
pub fn length(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("len", 0, 0)?;
    value.length().map(Value::count)
}

/// `first`
pub fn first(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("first", 0, 0)?;
    Ok(iterate(&value)?
        .advance()?
        .unwrap_or_else(|| empty("first")))
}

fn reversible(value: &Value) -> Result<Vec<Value>> {
    match value {
        Value::Stream(_) => Err(type_error(format!(
            "'{}' object is not reversible",
            value.type_name()
        ))),
        _ => all_of(value).map_err(|error| match error.kind {
            "TypeError" => type_error(format!("'{}' object is not reversible", value.type_name())),
            _ => error,
        }),
    }
}

/// `last`
pub fn last(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("last", 0, 0)?;
    Ok(reversible(&value)?.pop().unwrap_or_else(|| empty("last")))
}

/// `random`: a rendering has no chance in it, so the first item is as good as any.
pub fn random(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("random", 0, 0)?;
    match value.length()? {
        0 => Ok(empty("random")),
        _ => attributes::item(&value, &Value::Int(0)),
    }
}

/// `list`
pub fn list(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("list", 0, 0)?;
    let items = all_of(&value)?;
    interpreter.budget.items(items.len())?;
    Ok(Value::list(items))
}

/// `items`
pub fn items(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("items", 0, 0)?;
    let pairs = match &value {
        Value::Undefined(_) => Vec::new(),
        Value::Dict(dict) => dict.pairs(),
        _ => return Err(type_error("Can only get item pairs from a mapping.")),
    };
    let pairs = pairs.into_iter().map(|(k, v)| Value::tuple(vec![k, v]));
    Ok(Value::stream("generator", pairs.collect()))
}

/// `reverse`
pub fn reverse(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("reverse", 0, 0)?;
    if let Some(text) = value.as_str() {
        interpreter.budget.text(text.len())?;
        let turned: String = text.chars().rev().collect();
        return Ok(match &value {
            Value::Markup(_) => Value::Markup(turned.into()),
            _ => Value::from(turned),
        });
    }
    let wrong = |error: Error| match error.kind {
        "TypeError" => Error::new("FilterArgumentError", "argument must be iterable"),
        _ => error,
    };
    let mut items = all_of(&value).map_err(wrong)?;
    interpreter.budget.items(items.len())?;
    items.reverse();
    Ok(match &value {
        Value::Stream(_) => Value::list(items),
        Value::List(_) => Value::stream("list_reverseiterator", items),
        _ => Value::stream("reversed", items),
    })
}

/// `join`
pub fn join(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("join", &["d", "attribute"], 0)?;
    let separator = bound.get(0).cloned().unwrap_or_else(|| Value::str(""));
    let getter = Getter::new(bound.some(1), None, false);
    let mut items = Vec::new();
    for item in all_of(&value)? {
        items.push(getter.get(&item)?);
    }
    let budget = interpreter.budget;
    budget.items(items.len())?;
    let marked = interpreter.escaping
        && (markup::is_markup(&separator) || items.iter().any(markup::is_markup));
    let text = |value: &Value| match marked {
        true => markup::escape(value),
        false => repr::text(value),
    };
    let separator = text(&separator)?;
    let mut out = String::new();
    for (at, item) in items.iter().enumerate() {
        let item = text(item)?;
        budget.text(item.len() + separator.len())?;
        out.push_str(if at > 0 { &separator } else { "" });
        out.push_str(&item);
    }
    Ok(match marked {
        true => Value::Markup(out.into()),
        false => Value::from(out),
    })
}

/// `batch`
pub fn batch(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("batch", &["linecount", "fill_with"], 1)?;
    let size = bound.value(0);
    let count = match &size {
        Value::Int(_) | Value::Bool(_) => index(&size)?,
        _ => -1,
    };
    let (mut out, mut line) = (Vec::new(), Vec::new());
    for item in all_of(&value)? {
        if line.len() as i64 == count {
            out.push(Value::list(std::mem::take(&mut line)));
        }
        interpreter.budget.items(1)?;
        line.push(item);
    }
    if !line.is_empty() {
        if let Some(fill) = bound.some(1) {
            let missing = usize::try_from(index(&size)? - line.len() as i64).unwrap_or(0);
            interpreter.budget.items(missing)?;
            line.extend(std::iter::repeat_n(fill.clone(), missing));
        }
        out.push(Value::list(line));
    }
    Ok(Value::stream("generator", out))
}

/// `slice`
pub fn slice(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("slice", &["slices", "fill_with"], 1)?;
    let items = all_of(&value)?;
    let count = bound.int(0, 1)?;
    if count == 0 {
        let message = "integer division or modulo by zero";
        return Err(Error::new("ZeroDivisionError", message));
    }
    let Ok(count) = usize::try_from(count) else {
        return Ok(Value::stream("generator", Vec::new()));
    };
    interpreter
        .budget
        .items(items.len().saturating_add(count))?;
    let (each, longer) = (items.len() / count, items.len() % count);
    let (mut out, mut start) = (Vec::new(), 0);
    for at in 0..count {
        let end = start + each + usize::from(at < longer);
        let mut part = items[start..end].to_vec();
        if at >= longer {
            part.extend(bound.some(1).cloned());
        }
        out.push(Value::list(part));
        start = end;
    }
    Ok(Value::stream("generator", out))
}

/// `dictsort`
pub fn dictsort(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("dictsort", &["case_sensitive", "by", "reverse"], 0)?;
    let exact = bound.flag(0, false)?;
    let by = bound.get(1).map_or(Ok("key".into()), |_| bound.text(1))?;
    let at = match &*by {
        "key" => 0,
        "value" => 1,
        _ => {
            let message = "You can only sort by either \"key\" or \"value\"";
            return Err(Error::new("FilterArgumentError", message));
        }
    };
    let Value::Dict(dict) = &value else {
        value.defined()?;
        let kind = value.type_name();
        let message = format!("'{kind}' object has no attribute 'items'");
        return Err(Error::new("AttributeError", message));
    };
    let pairs: Vec<Value> = dict
        .pairs()
        .into_iter()
        .map(|(k, v)| Value::tuple(vec![k, v]))
        .collect();
    let budget = interpreter.budget;
    budget.items(pairs.len())?;
    let place = Value::Int(at);
    let getter = Getter::new(Some(&place), None, !exact);
    let sorted = sort::by(
        pairs,
        |pair| getter.get(pair),
        bound.flag(2, false)?,
        budget,
    )?;
    Ok(Value::list(sorted))
}
