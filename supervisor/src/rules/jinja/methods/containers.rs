//! Methods of lists, dicts and their like.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::no_cycle;
use crate::rules::jinja::arguments::{Args, index};
use crate::rules::jinja::budget::Budget;
use crate::rules::jinja::cells::{Dict, Entries, List};
use crate::rules::jinja::compare::{equal, same};
use crate::rules::jinja::error::{Error, Result, type_error, value_error};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::iterate::all_of;
use crate::rules::jinja::objects::Cycler;
use crate::rules::jinja::value::{Value, View};
use crate::rules::jinja::{globals, repr, sort};

fn place(items: &[Value], wanted: &Value, budget: &Budget) -> Result<Option<usize>> {
    budget.work(items.len())?;
    for (at, item) in items.iter().enumerate() {
        if same(item, wanted) || equal(item, wanted, budget)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// `count` and `index`.
pub fn sequence(items: &[Value], name: &str, args: Args, budget: &Budget) -> Result<Value> {
    let bound = args.positional(name, 1, if name == "index" { 3 } else { 1 })?;
    let wanted = bound.value(0);
    if name == "count" {
        let mut count = 0;
        for item in items {
            count += i64::from(same(item, &wanted) || equal(item, &wanted, budget)?);
        }
        return Ok(Value::Int(count));
    }
    let length = items.len() as i64;
    let clamp = |at: i64| {
        let at = if at < 0 {
            at.saturating_add(length)
        } else {
            at
        };
        at.clamp(0, length) as usize
    };
    let from = clamp(bound.int(1, 0)?);
    let to = clamp(bound.int(2, length)?).max(from);
    match place(&items[from..to], &wanted, budget)? {
        Some(at) => Ok(Value::count(from + at)),
        None => {
            let wanted = repr::repr(&wanted)?;
            Err(value_error(format!("{wanted} is not in list")))
        }
    }
}

/// A method of a list.
pub fn list(
    interpreter: &Interpreter<'_>,
    list: &Arc<List>,
    name: &str,
    args: Args,
) -> Result<Value> {
    let budget = interpreter.budget;
    let own = Value::List(Arc::clone(list));
    match name {
        "count" | "index" => return sequence(&list.items(), name, args, budget),
        "copy" => {
            args.positional(name, 0, 0)?;
            let items = list.items();
            budget.items(items.len())?;
            return Ok(Value::list(items));
        }
        "append" => {
            let item = args.positional(name, 1, 1)?.value(0);
            budget.items(1)?;
            no_cycle(&item, &own, budget)?;
            list.change()?.push(item);
        }
        "extend" => {
            let items = all_of(&args.positional(name, 1, 1)?.value(0))?;
            budget.items(items.len())?;
            items
                .iter()
                .try_for_each(|item| no_cycle(item, &own, budget))?;
            list.change()?.extend(items);
        }
        "insert" => {
            let bound = args.positional(name, 2, 2)?;
            let (at, item) = (bound.int(0, 0)?, bound.value(1));
            no_cycle(&item, &own, budget)?;
            let mut items = list.change()?;
            budget.items(items.len())?;
            let length = items.len() as i64;
            let at = if at < 0 {
                at.saturating_add(length)
            } else {
                at
            };
            items.insert(at.clamp(0, length) as usize, item);
        }
        "pop" => return pop(list, args),
        "remove" => {
            let wanted = args.positional(name, 1, 1)?.value(0);
            let Some(at) = place(&list.items(), &wanted, budget)? else {
                return Err(value_error("list.remove(x): x not in list"));
            };
            list.change()?.remove(at);
        }
        "clear" => {
            args.positional(name, 0, 0)?;
            list.change()?.clear();
        }
        "reverse" => {
            args.positional(name, 0, 0)?;
            list.change()?.reverse();
        }
        _ => {
            if !args.placed.is_empty() {
                return Err(type_error("sort() takes no positional arguments"));
            }
            let bound = args.bind("sort", &["key", "reverse"], 0)?;
            if bound.some(0).is_some() {
                return Err(type_error(
                    "sort() with a key is not possible in a template",
                ));
            }
            let reverse = bound.flag(1, false)?;
            let sorted = sort::by(list.items(), |item| Ok(item.clone()), reverse, budget)?;
            *list.change()? = sorted;
        }
    }
    Ok(Value::None)
}

fn pop(list: &List, args: Args) -> Result<Value> {
    let at = args.positional("pop", 0, 1)?.int(0, -1)?;
    let mut items = list.change()?;
    if items.is_empty() {
        return Err(Error::new("IndexError", "pop from empty list"));
    }
    let length = items.len() as i64;
    let at = if at < 0 {
        at.saturating_add(length)
    } else {
        at
    };
    match (0..length).contains(&at) {
        true => Ok(items.remove(at as usize)),
        false => Err(Error::new("IndexError", "pop index out of range")),
    }
}

/// A method of a dict.
pub fn dict(
    interpreter: &Interpreter<'_>,
    dict: &Arc<Dict>,
    name: &str,
    args: Args,
) -> Result<Value> {
    let budget = interpreter.budget;
    let own = Value::Dict(Arc::clone(dict));
    match name {
        "keys" | "values" | "items" => {
            args.positional(name, 0, 0)?;
            let view = match name {
                "keys" => View::Keys,
                "values" => View::Values,
                _ => View::Items,
            };
            Ok(Value::View(view, Arc::clone(dict)))
        }
        "get" => {
            let bound = args.positional(name, 1, 2)?;
            let found = dict.find(&bound.value(0).key()?);
            Ok(found.unwrap_or_else(|| bound.get(1).cloned().unwrap_or(Value::None)))
        }
        "copy" => {
            args.positional(name, 0, 0)?;
            let entries = dict.lock().clone();
            budget.items(entries.len() * 2)?;
            Ok(Value::dict(entries))
        }
        "fromkeys" => {
            let bound = args.positional(name, 1, 2)?;
            let value = bound.get(1).cloned().unwrap_or(Value::None);
            let mut entries = Entries::new();
            for key in all_of(&bound.value(0))? {
                budget.items(2)?;
                entries.insert(key.key()?, value.clone());
            }
            Ok(Value::dict(entries))
        }
        "update" => {
            let more = globals::entries("update", args)?;
            budget.items(more.len() * 2)?;
            more.values()
                .try_for_each(|value| no_cycle(value, &own, budget))?;
            dict.change()?.extend(more);
            Ok(Value::None)
        }
        "setdefault" => {
            let bound = args.positional(name, 1, 2)?;
            let key = bound.value(0).key()?;
            if let Some(found) = dict.find(&key) {
                return Ok(found);
            }
            let value = bound.get(1).cloned().unwrap_or(Value::None);
            no_cycle(&value, &own, budget)?;
            budget.items(2)?;
            dict.change()?.insert(key, value.clone());
            Ok(value)
        }
        "pop" => {
            let bound = args.positional(name, 1, 2)?;
            let key = bound.value(0).key()?;
            let found = dict.change()?.shift_remove(&key);
            match found.or_else(|| bound.get(1).cloned()) {
                Some(value) => Ok(value),
                None => Err(Error::new("KeyError", repr::repr(&bound.value(0))?)),
            }
        }
        "popitem" => {
            args.positional(name, 0, 0)?;
            match dict.change()?.pop() {
                Some((key, value)) => Ok(Value::tuple(vec![key.0, value])),
                None => Err(Error::new("KeyError", "'popitem(): dictionary is empty'")),
            }
        }
        _ => {
            args.positional(name, 0, 0)?;
            dict.change()?.clear();
            Ok(Value::None)
        }
    }
}

/// `cycler.next()` and `cycler.reset()`.
pub fn cycle(cycler: &Cycler, name: &str, args: Args) -> Result<Value> {
    args.positional(name, 0, 0)?;
    if name == "reset" {
        cycler.at.store(0, Ordering::Relaxed);
        return Ok(Value::None);
    }
    let at = cycler.at.load(Ordering::Relaxed);
    cycler
        .at
        .store((at + 1) % cycler.items.len(), Ordering::Relaxed);
    index(&Value::count(at)).map(|_| cycler.items[at].clone())
}
