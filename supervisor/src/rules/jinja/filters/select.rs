//! `map`, `select` and their like, and `default`.

use std::sync::Arc;

use super::attribute::Getter;
use crate::rules::jinja::arguments::Args;
use crate::rules::jinja::cells::Stream;
use crate::rules::jinja::error::{Error, Result};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::iterate::{Items, all_of, iterate};
use crate::rules::jinja::tests;
use crate::rules::jinja::value::Value;

/// `default`
pub fn default(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("default", &["default_value", "boolean"], 0)?;
    let empty = match &value {
        Value::Keys(keys) => keys.is_missing(),
        other => !other.is_defined(),
    };
    if empty || (bound.flag(1, false)? && !value.is_true()?) {
        return Ok(bound.get(0).cloned().unwrap_or_else(|| Value::str("")));
    }
    Ok(value)
}

fn wrong(message: &str) -> Error {
    Error::new("FilterArgumentError", message)
}

/// A generator of Python works when it is asked; here it works at once, and an error waits for
/// the one who asks for more than what came before it.
fn lazily(
    interpreter: &mut Interpreter<'_>,
    value: &Value,
    mut each: impl FnMut(&mut Interpreter<'_>, Value) -> Result<Option<Value>>,
) -> Result<Value> {
    let mut out = Vec::new();
    let mut run = || {
        if !value.is_true()? {
            return Ok(());
        }
        let mut items = match iterate(value)? {
            Items::Loop(_) => iterate(&Value::list(all_of(value)?))?,
            items => items,
        };
        while let Some(item) = items.advance()? {
            interpreter.budget.items(1)?;
            out.extend(each(interpreter, item)?);
        }
        Ok(())
    };
    let error: Option<Error> = run().err();
    match error {
        Some(error) if error.kind == crate::rules::jinja::error::LIMIT => Err(error),
        error => Ok(Value::Stream(Arc::new(Stream::new(
            "generator",
            out,
            error,
        )))),
    }
}

/// `map`
pub fn map(interpreter: &mut Interpreter<'_>, value: Value, mut args: Args) -> Result<Value> {
    let by_attribute =
        args.placed.is_empty() && args.named.iter().any(|(n, _)| &**n == "attribute");
    if by_attribute {
        let bound = args.bind("map", &["attribute", "default"], 1)?;
        let getter = Getter::new(bound.some(0), bound.some(1), false);
        return lazily(interpreter, &value, |_, item| getter.get(&item).map(Some));
    }
    if args.placed.is_empty() {
        return lazily(interpreter, &value, |_, _| {
            Err(wrong("map requires a filter argument"))
        });
    }
    let name = args.placed.remove(0);
    let filter = name.as_str().and_then(super::find);
    lazily(interpreter, &value, |interpreter, item| match filter {
        Some(filter) => filter(interpreter, item, args.clone()).map(Some),
        None => {
            let name = crate::rules::jinja::repr::text(&name)?;
            Err(Error::new(
                "TemplateRuntimeError",
                format!("No filter named '{name}'."),
            ))
        }
    })
}

fn selected(
    interpreter: &mut Interpreter<'_>,
    value: &Value,
    mut args: Args,
    wanted: bool,
    by_attribute: bool,
) -> Result<Value> {
    let getter = match (by_attribute, args.placed.is_empty()) {
        (false, _) => Getter::new(None, None, false),
        (true, false) => Getter::new(
            Some(&args.placed.remove(0)).filter(|v| !v.is_none()),
            None,
            false,
        ),
        (true, true) => {
            return lazily(interpreter, value, |_, _| {
                Err(wrong("Missing parameter for attribute name"))
            });
        }
    };
    let test = match args.placed.is_empty() {
        true => None,
        false => Some(args.placed.remove(0)),
    };
    lazily(interpreter, value, |interpreter, item| {
        let seen = getter.get(&item)?;
        let holds = match &test {
            Some(name) => tests::call(interpreter, name, seen, args.clone())?,
            None => seen.is_true()?,
        };
        Ok((holds == wanted).then_some(item))
    })
}

/// `select`
pub fn select(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    selected(interpreter, &value, args, true, false)
}

/// `reject`
pub fn reject(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    selected(interpreter, &value, args, false, false)
}

/// `selectattr`
pub fn select_attr(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    selected(interpreter, &value, args, true, true)
}

/// `rejectattr`
pub fn reject_attr(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    selected(interpreter, &value, args, false, true)
}
