//! Rendering: calls.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::arguments::Args;
use super::ast::{Expr, Kind, Name};
use super::cells::Entries;
use super::compare;
use super::error::{Result, limit, type_error};
use super::execute::Interpreter;
use super::objects::{Loop, Macro};
use super::value::Value;
use super::{globals, methods};

impl<'t> Interpreter<'t> {
    /// Calls a value.
    pub(super) fn call(&mut self, function: &Value, args: Args) -> Result<Value> {
        match function {
            Value::Method(method) => match &method.owner {
                Value::Loop(of) => loop_method(of, method.name, args, self),
                owner => methods::call(self, owner, method.name, args),
            },
            Value::Function(name) => globals::call(self, name, args),
            Value::Macro(of) => self.call_macro(of, args),
            Value::Loop(of) => self.call_loop(of, args),
            Value::Joiner(joiner) => {
                args.positional("joiner", 0, 0)?;
                match joiner.used.swap(true, Ordering::Relaxed) {
                    true => Ok(joiner.text.clone()),
                    false => Ok(Value::str("")),
                }
            }
            Value::Undefined(missing) => Err(missing.error()),
            other => {
                let kind = other.type_name();
                Err(type_error(format!("'{kind}' object is not callable")))
            }
        }
    }

    /// Evaluates a call with a caller.
    pub(super) fn call_with(&mut self, call: &'t Expr, caller: Value) -> Result<Value> {
        let Kind::Call(function, arguments) = &call.kind else {
            return self.evaluate(call);
        };
        let function = self.evaluate(function)?;
        let mut args = self.arguments(arguments)?;
        args.named.push(("caller".into(), caller));
        let result = self.call(&function, args);
        result.map_err(|error| error.within(call.start, call.end))
    }

    fn call_macro(&mut self, of: &Macro, args: Args) -> Result<Value> {
        let names = self.bound(of, args)?;
        let definition = &self.template.macros[of.index];
        let first = definition.arguments.len() - definition.defaults.len();
        let text = self.captured(|one| {
            one.scoped(of.scope, names, |one| {
                // Defaults see the arguments before them.
                for (at, name) in definition.arguments.iter().enumerate() {
                    let given = one.scopes[one.current].names.iter().any(|(n, _)| n == name);
                    if given {
                        continue;
                    }
                    let value = match at.checked_sub(first) {
                        Some(at) => one.evaluate(&definition.defaults[at])?,
                        None => Value::missing(format!("parameter '{name}' was not provided")),
                    };
                    one.define(Arc::clone(name), value);
                }
                one.body(&definition.body)
            })
        })?;
        Ok(self.written(text))
    }

    fn bound(&mut self, of: &Macro, args: Args) -> Result<Vec<(Name, Value)>> {
        let definition = &self.template.macros[of.index];
        let title = definition.name.as_deref().unwrap_or("None");
        let wanted = definition.arguments.len();
        let mut placed = args.placed;
        let more = placed.split_off(placed.len().min(wanted));
        let mut names: Vec<(Name, Value)> =
            definition.arguments.iter().cloned().zip(placed).collect();
        let (mut left, mut caller) = (Entries::new(), None);
        for (name, value) in args.named {
            let known = definition.arguments.contains(&name);
            if known && names.iter().any(|(given, _)| *given == name) {
                return Err(type_error(format!(
                    "macro '{title}' got multiple values for argument '{name}'"
                )));
            }
            match known {
                true => names.push((name, value)),
                false if &*name == "caller" && definition.takes_caller => caller = Some(value),
                false => drop(left.insert(name.as_ref().into(), value)),
            }
        }
        if definition.takes_caller {
            let caller = caller.unwrap_or_else(|| Value::missing("No caller defined"));
            names.push(("caller".into(), caller));
        }
        if definition.takes_named {
            names.push(("kwargs".into(), Value::dict(std::mem::take(&mut left))));
        }
        if definition.takes_more {
            names.push(("varargs".into(), Value::tuple(more)));
        } else if !more.is_empty() {
            return Err(type_error(format!(
                "macro '{title}' takes not more than {wanted} argument(s)"
            )));
        }
        match left.keys().next() {
            None => Ok(names),
            Some(key) => {
                let name = super::repr::repr(&key.0)?;
                Err(type_error(format!(
                    "macro '{title}' takes no keyword argument {name}"
                )))
            }
        }
    }

    /// `loop(items)` of a recursive loop.
    fn call_loop(&mut self, of: &Loop, args: Args) -> Result<Value> {
        let items = args.positional("loop", 1, 1)?.value(0);
        let Some(index) = of.again else {
            return Err(type_error(
                "The loop must have the 'recursive' marker to be called recursively.",
            ));
        };
        let (depth, scope) = (of.depth + 1, of.scope);
        if depth > super::budget::MAX_DEPTH {
            return Err(limit("the loop calls itself too often"));
        }
        let text =
            self.captured(|one| one.deeper(|one| one.run_loop(index, &items, depth, scope)))?;
        Ok(self.written(text))
    }
}

fn loop_method(
    of: &Arc<Loop>,
    name: &str,
    args: Args,
    interpreter: &Interpreter<'_>,
) -> Result<Value> {
    match name {
        "cycle" => match args.placed.len() {
            0 => Err(type_error("no items for cycling given")),
            length => Ok(args.placed[of.place() % length].clone()),
        },
        _ => {
            let given = Value::tuple(args.placed);
            let changed = match of.swap_last(given.clone()) {
                Some(before) => !compare::equal(&before, &given, interpreter.budget)?,
                None => true,
            };
            Ok(Value::Bool(changed))
        }
    }
}
