//! Rendering: expressions.

use std::cmp::Ordering;
use std::sync::Arc;

use super::arguments::Args;
use super::arithmetic;
use super::ast::{Arguments, Comparison, Expr, Kind};
use super::attributes;
use super::cells::Entries;
use super::check;
use super::compare;
use super::error::{Result, type_error};
use super::execute::Interpreter;
use super::value::{Missing, Value};
use super::{filters, globals, iterate, tests};

impl<'t> Interpreter<'t> {
    /// The value of an expression.
    pub(super) fn evaluate(&mut self, expr: &'t Expr) -> Result<Value> {
        let value = match &expr.kind {
            Kind::Constant(value) => Ok(value.clone()),
            Kind::Name(name) => Ok(self.lookup(name)),
            _ => self.deeper(|one| one.compound(expr)),
        };
        value.map_err(|error| error.within(expr.start, expr.end))
    }

    /// Whether an expression is true.
    pub(super) fn truth(&mut self, expr: &'t Expr) -> Result<bool> {
        let value = self.evaluate(expr)?;
        value
            .is_true()
            .map_err(|error| error.within(expr.start, expr.end))
    }

    fn compound(&mut self, expr: &'t Expr) -> Result<Value> {
        match &expr.kind {
            Kind::Constant(value) => Ok(value.clone()),
            Kind::Name(name) => Ok(self.lookup(name)),
            Kind::List(all) => Ok(Value::list(self.all(all)?)),
            Kind::Tuple(all) => Ok(Value::tuple(self.all(all)?)),
            Kind::Dict(pairs) => self.dict(pairs),
            Kind::If(test, value, otherwise) => self.inline_if(test, value, otherwise.as_deref()),
            Kind::And(a, b) => {
                let left = self.evaluate(a)?;
                if left.is_true()? {
                    self.evaluate(b)
                } else {
                    Ok(left)
                }
            }
            Kind::Or(a, b) => {
                let left = self.evaluate(a)?;
                if left.is_true()? {
                    Ok(left)
                } else {
                    self.evaluate(b)
                }
            }
            Kind::Not(inner) => Ok(Value::Bool(!self.truth(inner)?)),
            Kind::Compare(first, rest) => self.comparisons(first, rest),
            Kind::Binary(operator, a, b) => {
                let (a, b) = (self.evaluate(a)?, self.evaluate(b)?);
                arithmetic::apply(*operator, &a, &b, self.budget)
            }
            Kind::Concat(all) => {
                let parts = self.all(all)?;
                arithmetic::concatenate(&parts, self.escaping, self.budget)
            }
            Kind::Negative(inner) => arithmetic::negative(&self.evaluate(inner)?),
            Kind::Positive(inner) => arithmetic::positive(&self.evaluate(inner)?),
            Kind::Attribute(value, name) => {
                let value = self.evaluate(value)?;
                attributes::attribute(&value, name)
            }
            Kind::Item(value, key) => {
                let (value, key) = (self.evaluate(value)?, self.evaluate(key)?);
                attributes::item(&value, &key)
            }
            Kind::Slice(value, parts) => self.slice(value, parts),
            Kind::Call(function, arguments) => {
                let function = self.evaluate(function)?;
                let args = self.arguments(arguments)?;
                self.call(&function, args)
            }
            Kind::Filter(value, name, arguments) => {
                let value = match value {
                    Some(value) => self.evaluate(value)?,
                    None => Value::default(),
                };
                self.filter(name, value, arguments)
            }
            Kind::Test(value, name, arguments) => self.test(value, name, arguments),
        }
    }

    fn all(&mut self, all: &'t [Expr]) -> Result<Vec<Value>> {
        self.budget.items(all.len())?;
        all.iter().map(|one| self.evaluate(one)).collect()
    }

    fn dict(&mut self, pairs: &'t [(Expr, Expr)]) -> Result<Value> {
        self.budget.items(pairs.len() * 2)?;
        let mut entries = Entries::new();
        for (key, value) in pairs {
            let key = self.evaluate(key)?.key()?;
            let value = self.evaluate(value)?;
            entries.insert(key, value);
        }
        Ok(Value::dict(entries))
    }

    fn inline_if(
        &mut self,
        test: &'t Expr,
        value: &'t Expr,
        otherwise: Option<&'t Expr>,
    ) -> Result<Value> {
        match (self.truth(test)?, otherwise) {
            (true, _) => self.evaluate(value),
            (false, Some(otherwise)) => self.evaluate(otherwise),
            (false, None) => Ok(Value::Undefined(Arc::new(Missing {
                kind: "UndefinedError",
                message: "the inline if-expression evaluated to false and no else section was \
                          defined."
                    .to_owned(),
                lenient: true,
            }))),
        }
    }

    fn comparisons(&mut self, first: &'t Expr, rest: &'t [(Comparison, Expr)]) -> Result<Value> {
        let mut left = self.evaluate(first)?;
        for (comparison, right) in rest {
            let right = self.evaluate(right)?;
            if !self.compared(*comparison, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn compared(&self, comparison: Comparison, a: &Value, b: &Value) -> Result<bool> {
        let order = |sign| compare::order(a, b, sign, self.budget);
        match comparison {
            Comparison::Equal => compare::equal(a, b, self.budget),
            Comparison::NotEqual => compare::equal(a, b, self.budget).map(|same| !same),
            Comparison::Less => Ok(order("<")? == Some(Ordering::Less)),
            Comparison::Greater => Ok(order(">")? == Some(Ordering::Greater)),
            Comparison::LessOrEqual => Ok(order("<=")?.is_some_and(Ordering::is_le)),
            Comparison::GreaterOrEqual => Ok(order(">=")?.is_some_and(Ordering::is_ge)),
            Comparison::In => compare::contains(b, a, self.budget),
            Comparison::NotIn => compare::contains(b, a, self.budget).map(|found| !found),
        }
    }

    fn slice(&mut self, value: &'t Expr, parts: &'t [Option<Expr>; 3]) -> Result<Value> {
        let value = self.evaluate(value)?;
        let mut bounds = [None, None, None];
        for (bound, part) in bounds.iter_mut().zip(parts) {
            *bound = part.as_ref().map(|part| self.evaluate(part)).transpose()?;
        }
        let cut = attributes::slice(&value, bounds.each_ref().map(Option::as_ref))?;
        if let Ok(length) = cut.length() {
            self.budget.text(length)?;
        }
        Ok(cut)
    }

    /// The value of a name: of the scopes, of the context, of Jinja itself.
    pub(super) fn lookup(&self, name: &str) -> Value {
        let mut scope = Some(self.current);
        while let Some(at) = scope {
            let names = &self.scopes[at].names;
            if let Some((_, value)) = names.iter().find(|(known, _)| **known == *name) {
                return value.clone();
            }
            scope = self.scopes[at].parent;
        }
        if let Some(value) = self.context.get(name) {
            return value;
        }
        globals::find(name).unwrap_or_else(|| Value::missing(format!("'{name}' is undefined")))
    }

    /// Evaluates arguments.
    pub(super) fn arguments(&mut self, arguments: &'t Arguments) -> Result<Args> {
        let mut args = Args::of(self.all(&arguments.placed)?);
        for (name, value) in &arguments.named {
            let value = self.evaluate(value)?;
            args.named.push((Arc::clone(name), value));
        }
        if let Some(spread) = &arguments.spread {
            let value = self.evaluate(spread)?;
            args.placed.extend(iterate::all_of(&value)?);
        }
        if let Some(spread) = &arguments.spread_named {
            let Value::Dict(dict) = self.evaluate(spread)? else {
                return Err(type_error("argument after ** must be a mapping"));
            };
            for (key, value) in dict.pairs() {
                let name = key
                    .as_str()
                    .ok_or_else(|| type_error("keywords must be strings"))?;
                if args.named.iter().any(|(known, _)| **known == *name) {
                    return Err(type_error(format!(
                        "got multiple values for keyword argument '{name}'"
                    )));
                }
                args.named.push((name.into(), value));
            }
        }
        Ok(args)
    }

    pub(super) fn filter(
        &mut self,
        name: &str,
        value: Value,
        arguments: &'t Arguments,
    ) -> Result<Value> {
        let filter = filters::find(name).ok_or_else(|| check::unknown_filter(name))?;
        let args = self.arguments(arguments)?;
        filter(self, value, args)
    }

    /// Sends text through a chain of filters, the first of which has no value of its own.
    pub(super) fn filter_text(&mut self, filter: &'t Expr, text: Value) -> Result<Value> {
        let result = match &filter.kind {
            Kind::Filter(inner, name, arguments) => {
                let value = match inner {
                    Some(inner) => self.deeper(|one| one.filter_text(inner, text))?,
                    None => text,
                };
                self.filter(name, value, arguments)
            }
            _ => self.evaluate(filter),
        };
        result.map_err(|error| error.within(filter.start, filter.end))
    }

    fn test(&mut self, value: &'t Expr, name: &str, arguments: &'t Arguments) -> Result<Value> {
        let test = tests::find(name).ok_or_else(|| check::unknown_test(name))?;
        let value = self.evaluate(value)?;
        let args = self.arguments(arguments)?;
        test(self, value, args).map(Value::Bool)
    }
}
