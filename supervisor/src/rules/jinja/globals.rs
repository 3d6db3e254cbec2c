//! The functions that Jinja has by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::arguments::{Args, index};
use super::cells::{Dict, Entries};
use super::error::{Error, Result, type_error, value_error};
use super::execute::Interpreter;
use super::iterate::{all_of, range_len};
use super::objects::{Cycler, Joiner};
use super::value::Value;

const NAMES: &[&str] = &["range", "dict", "lipsum", "cycler", "joiner", "namespace"];

/// Longest range that the sandbox allows.
const MAX_RANGE: usize = 100_000;

/// True for the name of such a function.
pub fn is_global(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The function of a name.
pub fn find(name: &str) -> Option<Value> {
    let found = NAMES.iter().find(|known| **known == name);
    found.map(|name| Value::Function(name))
}

/// Calls one.
pub fn call(interpreter: &mut Interpreter<'_>, name: &str, args: Args) -> Result<Value> {
    match name {
        "range" => range(args),
        "dict" => Ok(Value::dict(entries("dict", args)?)),
        "namespace" => {
            let dict = Dict::new(entries("namespace", args)?, false);
            Ok(Value::Namespace(Arc::new(dict)))
        }
        "cycler" => match args.placed.is_empty() {
            true => Err(Error::new(
                "RuntimeError",
                "at least one item has to be provided",
            )),
            false => Ok(Value::Cycler(Arc::new(Cycler {
                items: args.placed,
                at: AtomicUsize::new(0),
            }))),
        },
        "joiner" => {
            let text = args.bind("joiner", &["sep"], 0)?;
            Ok(Value::Joiner(Arc::new(Joiner {
                text: text.get(0).cloned().unwrap_or_else(|| Value::str(", ")),
                used: AtomicBool::new(false),
            })))
        }
        _ => lipsum(interpreter, args),
    }
}

fn range(args: Args) -> Result<Value> {
    let bound = args.positional("range", 1, 3)?;
    let first = index(&bound.value(0))?;
    let (start, stop) = match bound.get(1) {
        None => (0, first),
        Some(stop) => (first, index(stop)?),
    };
    let step = bound.int(2, 1)?;
    if step == 0 {
        return Err(value_error("range() arg 3 must not be zero"));
    }
    match range_len(start, stop, step) > MAX_RANGE {
        true => Err(Error::new(
            "OverflowError",
            "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).",
        )),
        false => Ok(Value::Range(start, stop, step)),
    }
}

/// What `dict(…)` and `update(…)` take.
///
/// # Errors
/// For what makes no dict.
pub fn entries(function: &str, args: Args) -> Result<Entries> {
    let mut entries = Entries::new();
    if args.placed.len() > 1 {
        let count = args.placed.len();
        return Err(type_error(format!(
            "{function} expected at most 1 argument, got {count}"
        )));
    }
    for source in args.placed {
        match &source {
            Value::Dict(dict) => entries.extend(dict.lock().clone()),
            other => {
                for pair in all_of(other)? {
                    let [key, value] = pair_of(&pair)?;
                    entries.insert(key.key()?, value);
                }
            }
        }
    }
    for (name, value) in args.named {
        entries.insert(name.as_ref().into(), value);
    }
    Ok(entries)
}

fn pair_of(pair: &Value) -> Result<[Value; 2]> {
    let items = all_of(pair).map_err(|_| {
        type_error("cannot convert dictionary update sequence element to a sequence")
    })?;
    let length = items.len();
    items.try_into().map_err(|_| {
        value_error(format!(
            "dictionary update sequence element has length {length}; 2 is required"
        ))
    })
}

/// Filler text; always the same, for a rendering has no chance in it.
fn lipsum(interpreter: &Interpreter<'_>, args: Args) -> Result<Value> {
    const TEXT: &str = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod \
                        tempor incididunt ut labore et dolore magna aliqua.";
    let bound = args.bind("lipsum", &["n", "html", "min", "max"], 0)?;
    let count = usize::try_from(bound.int(0, 5)?).unwrap_or(0);
    interpreter
        .budget
        .text(count.saturating_mul(TEXT.len() + 9))?;
    let html = bound.flag(1, true)?;
    let one = if html {
        format!("<p>{TEXT}</p>")
    } else {
        TEXT.to_owned()
    };
    let all = vec![one; count].join(if html { "\n" } else { "\n\n" });
    Ok(match html {
        true => Value::Markup(all.into()),
        false => Value::from(all),
    })
}
