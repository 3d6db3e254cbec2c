//! Filters that look at an attribute of each item.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::rules::jinja::arguments::Args;
use crate::rules::jinja::arithmetic::{Operator, apply};
use crate::rules::jinja::attributes;
use crate::rules::jinja::budget::Budget;
use crate::rules::jinja::cells::{Entries, Tuple};
use crate::rules::jinja::compare::{equal, order};
use crate::rules::jinja::error::{Result, type_error};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::iterate::all_of;
use crate::rules::jinja::sort as sorting;
use crate::rules::jinja::value::Value;

/// A dotted path to an attribute; nothing is the item itself.
pub struct Getter {
    parts: Vec<Value>,
    default: Option<Value>,
    fold: bool,
}

fn part(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(at) if text.bytes().all(|b| b.is_ascii_digit()) => Value::Int(at),
        _ => Value::str(text),
    }
}

impl Getter {
    /// From the argument `attribute`.
    pub fn new(attribute: Option<&Value>, default: Option<&Value>, fold: bool) -> Self {
        let parts = match attribute {
            None => Vec::new(),
            Some(value) => match value.as_str() {
                Some(text) => text.split('.').map(part).collect(),
                None => vec![value.clone()],
            },
        };
        let default = default.filter(|value| !value.is_none()).cloned();
        Self {
            parts,
            default,
            fold,
        }
    }

    /// What an item has there.
    pub fn get(&self, item: &Value) -> Result<Value> {
        let mut value = item.clone();
        for part in &self.parts {
            value = attributes::item(&value, part)?;
            if let (Some(default), false) = (&self.default, value.is_defined()) {
                value = default.clone();
            }
        }
        Ok(match (self.fold, &value) {
            (true, Value::Str(text) | Value::Markup(text)) => Value::from(text.to_lowercase()),
            _ => value,
        })
    }
}

fn items(value: &Value, budget: &Budget) -> Result<Vec<Value>> {
    let items = all_of(value)?;
    budget.items(items.len())?;
    Ok(items)
}

/// `attr`
pub fn attr(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let name = args.bind("attr", &["name"], 1)?.text(0)?;
    if let Value::Undefined(missing) = &value {
        return Err(missing.error());
    }
    // Attributes alone: a dict's keys are none.
    match &value {
        Value::Dict(_) | Value::List(_) | Value::Tuple(_) | Value::Str(_) => {
            match crate::rules::jinja::method_of(&value, &name) {
                Some(method) => Ok(method),
                None if name.starts_with("__") => attributes::attribute(&value, &name),
                None => Ok(Value::missing(format!(
                    "'{} object' has no attribute '{name}'",
                    value.type_name()
                ))),
            }
        }
        _ => attributes::attribute(&value, &name),
    }
}

/// `sort`
pub fn sort(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("sort", &["reverse", "case_sensitive", "attribute"], 0)?;
    let (reverse, exact) = (bound.flag(0, false)?, bound.flag(1, false)?);
    let getters: Vec<Getter> = match bound.some(2) {
        None => vec![Getter::new(None, None, !exact)],
        Some(value) => match value.as_str() {
            Some(text) => {
                let parts = text.split(',').map(Value::str);
                parts
                    .map(|part| Getter::new(Some(&part), None, !exact))
                    .collect()
            }
            None => vec![Getter::new(Some(value), None, !exact)],
        },
    };
    let key = |item: &Value| {
        let keys = getters.iter().map(|getter| getter.get(item));
        Ok(Value::list(keys.collect::<Result<_>>()?))
    };
    let budget = interpreter.budget;
    sorting::by(items(&value, budget)?, key, reverse, budget).map(Value::list)
}

/// `unique`
pub fn unique(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("unique", &["case_sensitive", "attribute"], 0)?;
    let getter = Getter::new(bound.some(1), None, !bound.flag(0, false)?);
    let mut seen = Entries::new();
    let mut kept = Vec::new();
    for item in items(&value, interpreter.budget)? {
        if seen
            .insert(getter.get(&item)?.key()?, Value::None)
            .is_none()
        {
            kept.push(item);
        }
    }
    Ok(Value::stream("generator", kept))
}

/// `min`
pub fn min(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    extreme(interpreter, &value, args, "<", Ordering::Less)
}

/// `max`
pub fn max(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    extreme(interpreter, &value, args, ">", Ordering::Greater)
}

fn extreme(
    interpreter: &Interpreter<'_>,
    value: &Value,
    args: Args,
    sign: &str,
    wanted: Ordering,
) -> Result<Value> {
    let bound = args.bind("min", &["case_sensitive", "attribute"], 0)?;
    let getter = Getter::new(bound.some(1), None, !bound.flag(0, false)?);
    let mut items = items(value, interpreter.budget)?.into_iter();
    let Some(mut best) = items.next() else {
        return Ok(Value::missing("No aggregated item, sequence was empty."));
    };
    let mut key = getter.get(&best)?;
    for item in items {
        let other = getter.get(&item)?;
        if order(&other, &key, sign, interpreter.budget)? == Some(wanted) {
            (best, key) = (item, other);
        }
    }
    Ok(best)
}

/// `sum`
pub fn sum(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("sum", &["attribute", "start"], 0)?;
    let getter = Getter::new(bound.some(0), None, false);
    let mut total = bound.get(1).cloned().unwrap_or(Value::Int(0));
    if total.as_str().is_some() {
        let message = "sum() can't sum strings [use ''.join(seq) instead]";
        return Err(type_error(message));
    }
    for item in items(&value, interpreter.budget)? {
        total = apply(
            Operator::Add,
            &total,
            &getter.get(&item)?,
            interpreter.budget,
        )?;
    }
    Ok(total)
}

/// `groupby`
pub fn group_by(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let names = ["attribute", "default", "case_sensitive"];
    let bound = args.bind("groupby", &names, 1)?;
    let exact = bound.flag(2, false)?;
    let getter = Getter::new(bound.get(0), bound.some(1), !exact);
    let shown = Getter::new(bound.get(0), bound.some(1), false);
    let budget = interpreter.budget;
    let sorted = sorting::by(
        items(&value, budget)?,
        |item| getter.get(item),
        false,
        budget,
    )?;
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for item in sorted {
        let key = getter.get(&item)?;
        match groups.last_mut() {
            Some((last, group)) if equal(last, &key, budget)? => group.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    let mut out = Vec::with_capacity(groups.len());
    for (key, group) in groups {
        let key = if exact { key } else { shown.get(&group[0])? };
        let items = vec![key, Value::list(group)];
        let grouped = true;
        out.push(Value::Tuple(Arc::new(Tuple { items, grouped })));
    }
    Ok(Value::list(out))
}
