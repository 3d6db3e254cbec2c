//! Filters on text.

use crate::rules::jinja::arguments::Args;
use crate::rules::jinja::arithmetic;
use crate::rules::jinja::convert::is_space;
use crate::rules::jinja::error::{Error, Result, type_error};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::markup;
use crate::rules::jinja::repr;
use crate::rules::jinja::value::Value;

/// Text of a value, markup staying markup.
fn soft(value: &Value) -> Result<Value> {
    match value {
        Value::Str(_) | Value::Markup(_) => Ok(value.clone()),
        other => repr::text(other).map(Value::from),
    }
}

fn method(
    interpreter: &mut Interpreter<'_>,
    value: &Value,
    name: &str,
    args: Args,
) -> Result<Value> {
    let text = soft(value)?;
    crate::rules::jinja::call_method(interpreter, &text, name, args)
}

/// `capitalize`
pub fn capitalize(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    method(interpreter, &value, "capitalize", args)
}

/// `lower`
pub fn lower(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    method(interpreter, &value, "lower", args)
}

/// `upper`
pub fn upper(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    method(interpreter, &value, "upper", args)
}

/// `center`
pub fn center(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let width = args.bind("center", &["width"], 0)?;
    let width = width.get(0).cloned().unwrap_or(Value::Int(80));
    method(interpreter, &value, "center", Args::of(vec![width]))
}

/// `trim`
pub fn trim(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let chars = args.bind("trim", &["chars"], 0)?;
    let args = Args::of(chars.get(0).cloned().into_iter().collect());
    method(interpreter, &value, "strip", args)
}

/// `string`
pub fn string(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("soft_str", 0, 0)?;
    soft(&value)
}

/// `title`: words begin after white space, dashes and opening brackets.
pub fn title(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("title", 0, 0)?;
    let text = soft(&value)?;
    let text = text.as_str().unwrap_or_default();
    interpreter.budget.text(text.len())?;
    let mut out = String::new();
    let mut start = true;
    for c in text.chars() {
        let between = is_space(c) || "-({[<".contains(c);
        match start {
            _ if between => out.push(c),
            true => out.extend(c.to_uppercase()),
            false => out.extend(c.to_lowercase()),
        }
        start = between;
    }
    Ok(Value::from(out))
}

/// `replace`
pub fn replace(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("replace", &["old", "new", "count"], 2)?;
    let count = bound.some(2).cloned().unwrap_or(Value::Int(-1));
    let (old, new) = (bound.value(0), bound.value(1));
    if !interpreter.escaping {
        let text = Value::from(repr::text(&value)?);
        let placed = vec![
            Value::from(repr::text(&old)?),
            Value::from(repr::text(&new)?),
            count,
        ];
        return method(interpreter, &text, "replace", Args::of(placed));
    }
    let marked = markup::is_markup;
    let text = match marked(&old) || (marked(&new) && !marked(&value)) {
        true => Value::Markup(markup::escape(&value)?.into()),
        false => soft(&value)?,
    };
    let args = Args::of(vec![soft(&old)?, soft(&new)?, count]);
    method(interpreter, &text, "replace", args)
}

/// `format`
pub fn format(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let values = match (args.placed.is_empty(), args.named.is_empty()) {
        (false, false) => {
            let message = "can't handle positional and keyword arguments at the same time";
            return Err(Error::new("FilterArgumentError", message));
        }
        (true, false) => Value::map(
            args.named
                .into_iter()
                .map(|(name, value)| (name.as_ref().to_owned(), value)),
        ),
        _ => Value::tuple(args.placed),
    };
    let modulo = arithmetic::Operator::Modulo;
    arithmetic::apply(modulo, &soft(&value)?, &values, interpreter.budget)
}

/// `indent`
pub fn indent(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("indent", &["width", "first", "blank"], 0)?;
    let blank = bound.flag(2, false)?;
    let pad = match bound.get(0).map(|width| (width, width.as_str())) {
        None => " ".repeat(4),
        Some((_, Some(text))) => text.to_owned(),
        Some((width, None)) => {
            let width = crate::rules::jinja::arguments::index(width)?;
            let width = usize::try_from(width).unwrap_or(0);
            interpreter.budget.text(width)?;
            " ".repeat(width)
        }
    };
    value.defined()?;
    let Some(text) = value.as_str() else {
        let kind = value.type_name();
        return Err(type_error(format!(
            "unsupported operand type(s) for +=: '{kind}' and 'str'"
        )));
    };
    let lines = crate::rules::jinja::lines(&format!("{text}\n"));
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        interpreter.budget.text(line.len() + pad.len())?;
        out.push_str(if at > 0 { "\n" } else { "" });
        let indented = if at == 0 {
            bound.flag(1, false)?
        } else {
            blank || !line.is_empty()
        };
        out.push_str(if indented { &pad } else { "" });
        out.push_str(line);
    }
    Ok(match &value {
        Value::Markup(_) => Value::Markup(out.into()),
        _ => Value::from(out),
    })
}

/// `truncate`
pub fn truncate(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let names = ["length", "killwords", "end", "leeway"];
    let bound = args.bind("truncate", &names, 0)?;
    let length = bound.int(0, 255)?;
    let end = bound.get(2).map_or(Ok("...".into()), |_| bound.text(2))?;
    let leeway = match bound.some(3) {
        None => 5,
        Some(_) => bound.int(3, 5)?,
    };
    let end_length = end.chars().count() as i64;
    if length < end_length {
        let message = format!("expected length >= {end_length}, got {length}");
        return Err(Error::new("AssertionError", message));
    }
    if leeway < 0 {
        let message = format!("expected leeway >= 0, got {leeway}");
        return Err(Error::new("AssertionError", message));
    }
    if value.length()? as i64 <= length.saturating_add(leeway) {
        return Ok(value);
    }
    let Some(text) = value.as_str() else {
        return Err(type_error("truncate takes text"));
    };
    interpreter.budget.text(text.len())?;
    let keep = (length - end_length) as usize;
    let cut: String = text.chars().take(keep).collect();
    let cut = match bound.flag(1, false)? {
        true => cut.as_str(),
        false => cut
            .rsplit_once(' ')
            .map_or(cut.as_str(), |(before, _)| before),
    };
    Ok(Value::from(format!("{cut}{end}")))
}

/// `wordcount`
pub fn word_count(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("wordcount", 0, 0)?;
    let text = soft(&value)?;
    let text = text.as_str().unwrap_or_default();
    interpreter.budget.text(text.len())?;
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    Ok(Value::count(words.filter(|word| !word.is_empty()).count()))
}

/// `shell_quote`, our own: the text as one word of a POSIX shell, as `shlex.quote` makes it.
pub fn shell_quote(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("shell_quote", 0, 0)?;
    let text = repr::text(&value)?;
    interpreter.budget.text(text.len())?;
    Ok(Value::from(crate::rules::python::shell_quoted(&text)))
}

fn path(value: &Value) -> Result<String> {
    value.defined()?;
    match value {
        Value::Str(text) | Value::Markup(text) => Ok(text.as_ref().to_owned()),
        Value::Keys(keys) => Ok(keys.text()),
        other => Err(type_error(format!(
            "expected str, bytes or os.PathLike object, not {}",
            other.type_name()
        ))),
    }
}

/// `basename`
pub fn basename(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.bind("basename", &[], 0)?;
    let path = path(&value)?;
    Ok(Value::str(
        path.rsplit_once('/')
            .map_or(path.as_str(), |(_, name)| name),
    ))
}

/// `dirname`
pub fn dirname(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.bind("dirname", &[], 0)?;
    let path = path(&value)?;
    let Some((head, _)) = path.rsplit_once('/') else {
        return Ok(Value::str(""));
    };
    let bare = head.trim_end_matches('/');
    Ok(Value::from(match bare.is_empty() {
        true => format!("{head}/"),
        false => bare.to_owned(),
    }))
}
