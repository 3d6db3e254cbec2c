//! The tests of Jinja, and StackStorm's `in`.

use std::cmp::Ordering;

use super::arguments::Args;
use super::compare::{contains, equal, order, same};
use super::error::{Result, type_error};
use super::execute::Interpreter;
use super::iterate::iterate;
use super::markup::is_markup;
use super::value::{Value, View};
use super::{arithmetic, filters};

/// A test.
pub type Test = fn(&mut Interpreter<'_>, Value, Args) -> Result<bool>;

/// All tests.
pub const NAMES: &[&str] = &[
    "odd",
    "even",
    "divisibleby",
    "defined",
    "undefined",
    "filter",
    "test",
    "none",
    "boolean",
    "false",
    "true",
    "integer",
    "float",
    "lower",
    "upper",
    "string",
    "mapping",
    "number",
    "sequence",
    "iterable",
    "callable",
    "sameas",
    "escaped",
    "in",
    "==",
    "eq",
    "equalto",
    "!=",
    "ne",
    ">",
    "gt",
    "greaterthan",
    "ge",
    ">=",
    "<",
    "lt",
    "lessthan",
    "<=",
    "le",
];

/// The test of a name.
pub fn find(name: &str) -> Option<Test> {
    Some(match name {
        "odd" => |i, v, a| parity(i, &v, a, 1),
        "even" => |i, v, a| parity(i, &v, a, 0),
        "divisibleby" => |i, v, a| {
            let by = a.bind("divisibleby", &["num"], 1)?.value(0);
            let rest = arithmetic::apply(arithmetic::Operator::Modulo, &v, &by, i.budget)?;
            equal(&rest, &Value::Int(0), i.budget)
        },
        "defined" => |_, v, a| alone(a).map(|()| v.is_defined()),
        "undefined" => |_, v, a| alone(a).map(|()| !v.is_defined()),
        "filter" => |_, v, a| {
            alone(a)?;
            v.key()?;
            Ok(v.as_str().is_some_and(|name| filters::find(name).is_some()))
        },
        "test" => |_, v, a| {
            alone(a)?;
            v.key()?;
            Ok(v.as_str().is_some_and(|name| find(name).is_some()))
        },
        "none" => |_, v, a| alone(a).map(|()| v.is_none()),
        "boolean" => |_, v, a| alone(a).map(|()| matches!(v, Value::Bool(_))),
        "true" => |_, v, a| alone(a).map(|()| matches!(v, Value::Bool(true))),
        "false" => |_, v, a| alone(a).map(|()| matches!(v, Value::Bool(false))),
        "integer" => |_, v, a| alone(a).map(|()| matches!(v, Value::Int(_) | Value::Big(_))),
        "float" => |_, v, a| alone(a).map(|()| matches!(v, Value::Float(_))),
        "lower" => {
            |_, v, a| alone(a).and_then(|()| cased(&v, char::is_lowercase, char::is_uppercase))
        }
        "upper" => {
            |_, v, a| alone(a).and_then(|()| cased(&v, char::is_uppercase, char::is_lowercase))
        }
        "string" => |_, v, a| alone(a).map(|()| v.as_str().is_some()),
        "mapping" => |_, v, a| alone(a).map(|()| matches!(v, Value::Dict(_))),
        "number" => |_, v, a| alone(a).map(|()| super::compare::number(&v).is_some()),
        "sequence" => |_, v, a| alone(a).map(|()| is_sequence(&v)),
        "iterable" => |_, v, a| {
            alone(a)?;
            v.defined()?;
            Ok(iterate(&v).is_ok())
        },
        "callable" => |_, v, a| alone(a).map(|()| is_callable(&v)),
        "sameas" => |_, v, a| Ok(same(&v, &a.bind("sameas", &["other"], 1)?.value(0))),
        "escaped" => |_, v, a| alone(a).map(|()| is_markup(&v)),
        "in" => |i, v, a| contains(&other(a)?, &v, i.budget),
        "==" | "eq" | "equalto" => |i, v, a| equal(&v, &other(a)?, i.budget),
        "!=" | "ne" => |i, v, a| equal(&v, &other(a)?, i.budget).map(|same| !same),
        ">" | "gt" | "greaterthan" => {
            |i, v, a| Ok(order(&v, &other(a)?, ">", i.budget)? == Some(Ordering::Greater))
        }
        ">=" | "ge" => {
            |i, v, a| Ok(order(&v, &other(a)?, ">=", i.budget)?.is_some_and(Ordering::is_ge))
        }
        "<" | "lt" | "lessthan" => {
            |i, v, a| Ok(order(&v, &other(a)?, "<", i.budget)? == Some(Ordering::Less))
        }
        "<=" | "le" => {
            |i, v, a| Ok(order(&v, &other(a)?, "<=", i.budget)?.is_some_and(Ordering::is_le))
        }
        _ => return None,
    })
}

fn alone(args: Args) -> Result<()> {
    args.positional("test", 0, 0).map(drop)
}

fn other(args: Args) -> Result<Value> {
    Ok(args.positional("test", 1, 1)?.value(0))
}

fn parity(interpreter: &Interpreter<'_>, value: &Value, args: Args, wanted: i64) -> Result<bool> {
    alone(args)?;
    let two = Value::Int(2);
    let rest = arithmetic::apply(
        arithmetic::Operator::Modulo,
        value,
        &two,
        interpreter.budget,
    )?;
    equal(&rest, &Value::Int(wanted), interpreter.budget)
}

fn cased(value: &Value, wanted: fn(char) -> bool, unwanted: fn(char) -> bool) -> Result<bool> {
    let text = super::repr::text(value)?;
    Ok(text.chars().any(wanted) && !text.chars().any(unwanted))
}

/// `len` and `[]` of Python.
fn is_sequence(value: &Value) -> bool {
    !matches!(
        value,
        Value::View(View::Keys | View::Values | View::Items, _)
    ) && (matches!(value, Value::Undefined(missing) if missing.lenient)
        || value.is_defined() && value.length().is_ok() && !matches!(value, Value::Loop(_)))
}

fn is_callable(value: &Value) -> bool {
    matches!(
        value,
        Value::Undefined(_)
            | Value::Method(_)
            | Value::Function(_)
            | Value::Macro(_)
            | Value::Loop(_)
            | Value::Joiner(_)
    )
}

/// Calls a test by its name, as `select` does.
///
/// # Errors
/// When there is none, or it fails.
pub fn call(
    interpreter: &mut Interpreter<'_>,
    name: &Value,
    value: Value,
    args: Args,
) -> Result<bool> {
    let name = super::repr::text(name)?;
    match find(&name) {
        Some(test) => test(interpreter, value, args),
        None => Err(type_error(format!("No test named '{name}'."))),
    }
}
