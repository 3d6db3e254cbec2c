//! Rendering: statements.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::ast::{Body, Expr, For, Name, Stmt, Target, Template};
use super::budget::{Budget, MAX_DEPTH, MAX_OUTPUT};
use super::error::{Error, Result, limit, type_error, value_error};
use super::iterate::all_of;
use super::markup;
use super::objects::{Loop, Macro};
use super::repr;
use super::value::Value;
use crate::rules::cipher::Cipher;
use crate::rules::regex::Cache;

/// Names of one level.
#[derive(Debug, Default)]
pub struct Scope {
    /// The level around it.
    pub parent: Option<usize>,
    /// Its names.
    pub names: Vec<(Name, Value)>,
}

/// What filters have besides their arguments.
#[derive(Debug, Default)]
pub struct Tools {
    /// Regular expressions that were compiled before.
    pub regexes: Cache,
    /// The datastore's key.
    pub cipher: Option<Arc<Cipher>>,
}

/// One rendering.
pub struct Interpreter<'t> {
    /// What is rendered.
    pub template: &'t Template,
    /// The names that it is given.
    pub context: &'t Value,
    /// What it may still use.
    pub budget: &'t Budget,
    /// What is kept between renderings.
    pub tools: &'t Tools,
    /// What is written becomes HTML.
    pub escaping: bool,
    pub(super) scopes: Vec<Scope>,
    pub(super) current: usize,
    pub(super) depth: usize,
    /// Macros hold on to their scopes: none is dropped once there is one.
    pub(super) keeping: bool,
    out: String,
}

/// Renders a template.
///
/// # Errors
/// What goes wrong on the way.
pub fn render(
    template: &Template,
    context: &Value,
    budget: &Budget,
    tools: &Tools,
) -> Result<String> {
    let mut interpreter = Interpreter {
        template,
        context,
        budget,
        tools,
        escaping: false,
        scopes: vec![Scope::default()],
        current: 0,
        depth: 0,
        keeping: false,
        out: String::new(),
    };
    interpreter.body(&template.body)?;
    Ok(interpreter.out)
}

impl<'t> Interpreter<'t> {
    pub(super) fn body(&mut self, body: &'t Body) -> Result<()> {
        body.iter()
            .try_for_each(|stmt| self.deeper(|one| one.stmt(stmt)))
    }

    /// One level down.
    pub(super) fn deeper<T>(&mut self, inside: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.budget.work(1)?;
        if self.depth >= MAX_DEPTH {
            return Err(limit(
                "the template is nested too deeply, or calls itself too often",
            ));
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    /// With names of its own.
    pub(super) fn scoped<T>(
        &mut self,
        parent: usize,
        names: Vec<(Name, Value)>,
        inside: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let (before, own) = (self.current, self.scopes.len());
        let parent = Some(parent);
        self.scopes.push(Scope { parent, names });
        self.current = own;
        let result = inside(self);
        self.current = before;
        if !self.keeping {
            self.scopes.truncate(own);
        }
        result
    }

    /// What is written inside, as a value.
    pub(super) fn captured(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<String> {
        let before = std::mem::take(&mut self.out);
        let result = inside(self);
        let written = std::mem::replace(&mut self.out, before);
        result.map(|()| written)
    }

    /// Text as a value: HTML where what is written becomes HTML.
    pub(super) fn written(&self, text: String) -> Value {
        match self.escaping {
            true => Value::Markup(text.into()),
            false => Value::from(text),
        }
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.budget.text(text.len())?;
        if self.out.len() + text.len() > MAX_OUTPUT {
            let most = MAX_OUTPUT >> 20;
            return Err(limit(format!("the text is longer than {most} MiB")));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn output(&mut self, value: &Value) -> Result<()> {
        match (value, self.escaping) {
            (Value::Str(text), false) | (Value::Markup(text), _) => self.write(text),
            (_, true) => self.write(&markup::escape(value)?),
            _ => self.write(&repr::text(value)?),
        }
    }

    fn stmt(&mut self, stmt: &'t Stmt) -> Result<()> {
        match stmt {
            Stmt::Data(text) => self.write(text),
            Stmt::Output(expr) => {
                let value = self.evaluate(expr)?;
                let written = self.output(&value);
                written.map_err(|error| error.within(expr.start, expr.end))
            }
            Stmt::If(branches, otherwise) => self.condition(branches, otherwise),
            Stmt::For(index) => self.for_loop(*index),
            Stmt::Set(target, expr) => {
                let value = self.evaluate(expr)?;
                let set = self.assign(target, value);
                set.map_err(|error| error.within(expr.start, expr.end))
            }
            Stmt::SetBlock(target, filter, body) => {
                let value = self.inner(body)?;
                let value = self.filtered(filter.as_ref(), value)?;
                self.assign(target, value)
            }
            Stmt::FilterBlock(filter, body) => {
                let value = self.inner(body)?;
                let value = self.filtered(Some(filter), value)?;
                self.output(&value)
            }
            Stmt::With(values, body) => self.with(values, body),
            Stmt::Macro(index) => {
                self.keeping = true;
                let name = self.template.macros[*index].name.clone();
                let value = self.make_macro(*index);
                name.into_iter()
                    .for_each(|name| self.define(name, value.clone()));
                Ok(())
            }
            Stmt::Call(call, index) => {
                self.keeping = true;
                let caller = self.make_macro(*index);
                let value = self.call_with(call, caller)?;
                self.output(&value)
            }
            Stmt::Block(index) => self.block(*index),
            Stmt::AutoEscape(expr, body) => {
                let wanted = self.evaluate(expr)?.is_true()?;
                let before = std::mem::replace(&mut self.escaping, wanted);
                let result = self.scoped(self.current, Vec::new(), |one| one.body(body));
                self.escaping = before;
                result
            }
            Stmt::Refused(tag, _) => Err(type_error(format!(
                "{{% {tag} %}} needs other templates, and there are none"
            ))),
        }
    }

    fn make_macro(&self, index: usize) -> Value {
        let scope = self.current;
        Value::Macro(Arc::new(Macro { index, scope }))
    }

    fn inner(&mut self, body: &'t Body) -> Result<Value> {
        let text =
            self.captured(|one| one.scoped(one.current, Vec::new(), |one| one.body(body)))?;
        Ok(self.written(text))
    }

    fn filtered(&mut self, filter: Option<&'t Expr>, value: Value) -> Result<Value> {
        match filter {
            Some(filter) => self.filter_text(filter, value),
            None => Ok(value),
        }
    }

    fn condition(&mut self, branches: &'t [(Expr, Body)], otherwise: &'t Body) -> Result<()> {
        for (test, body) in branches {
            if self.truth(test)? {
                return self.body(body);
            }
        }
        self.body(otherwise)
    }

    fn with(&mut self, values: &'t [(Target, Expr)], body: &'t Body) -> Result<()> {
        let mut all = Vec::with_capacity(values.len());
        for (target, expr) in values {
            all.push((target, self.evaluate(expr)?));
        }
        self.scoped(self.current, Vec::new(), |one| {
            for (target, value) in all {
                one.assign(target, value)?;
            }
            one.body(body)
        })
    }

    /// A block sees the names of the template's top, not those around it.
    pub(super) fn block(&mut self, index: usize) -> Result<()> {
        let body = &self.template.blocks[index].1;
        let before = std::mem::take(&mut self.escaping);
        let result = self.deeper(|one| one.scoped(0, Vec::new(), |one| one.body(body)));
        self.escaping = before;
        result
    }

    pub(super) fn define(&mut self, name: Name, value: Value) {
        let names = &mut self.scopes[self.current].names;
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => names.push((name, value)),
        }
    }

    pub(super) fn assign(&mut self, target: &'t Target, value: Value) -> Result<()> {
        match target {
            Target::Name(name) => {
                self.define(Arc::clone(name), value);
                Ok(())
            }
            Target::Attribute(name, attribute) => match self.lookup(name) {
                Value::Namespace(dict) => {
                    super::methods::no_cycle(
                        &value,
                        &Value::Namespace(Arc::clone(&dict)),
                        self.budget,
                    )?;
                    dict.change()?.insert(attribute.as_ref().into(), value);
                    Ok(())
                }
                _ => Err(Error::new(
                    "TemplateRuntimeError",
                    "cannot assign attribute on non-namespace object",
                )),
            },
            Target::Tuple(targets) => {
                let items = all_of(&value).map_err(|error| match error.kind {
                    "TypeError" => type_error(format!(
                        "cannot unpack non-iterable {} object",
                        value.type_name()
                    )),
                    _ => error,
                })?;
                let (wanted, given) = (targets.len(), items.len());
                if given > wanted {
                    let message = format!("too many values to unpack (expected {wanted})");
                    return Err(value_error(message));
                }
                if given < wanted {
                    return Err(value_error(format!(
                        "not enough values to unpack (expected {wanted}, got {given})"
                    )));
                }
                let mut pairs = targets.iter().zip(items);
                pairs.try_for_each(|(target, item)| self.assign(target, item))
            }
        }
    }

    fn for_loop(&mut self, index: usize) -> Result<()> {
        let of = &self.template.loops[index];
        let items = self.evaluate(&of.items)?;
        let place = (of.items.start, of.items.end);
        self.run_loop(index, &items, 0, self.current)
            .map_err(|error| error.within(place.0, place.1))
    }

    fn selected(&mut self, of: &'t For, items: &Value, scope: usize) -> Result<Vec<Value>> {
        let items = all_of(items)?;
        self.budget.items(items.len())?;
        let Some(test) = &of.test else {
            return Ok(items);
        };
        let mut kept = Vec::new();
        for item in items {
            let holds = self.scoped(scope, Vec::new(), |one| {
                one.assign(&of.target, item.clone())?;
                one.truth(test)
            })?;
            if holds {
                kept.push(item);
            }
        }
        Ok(kept)
    }

    /// Runs a loop over items; `depth` counts how often it was called by itself.
    pub(super) fn run_loop(
        &mut self,
        index: usize,
        items: &Value,
        depth: usize,
        scope: usize,
    ) -> Result<()> {
        let of = &self.template.loops[index];
        let items = self.selected(of, items, scope)?;
        if items.is_empty() {
            return self.scoped(scope, Vec::new(), |one| one.body(&of.otherwise));
        }
        let around = Arc::new(Loop {
            at: AtomicUsize::new(0),
            depth,
            again: of.recursive.then_some(index),
            scope,
            last: std::sync::Mutex::default(),
            items,
        });
        for at in 0..around.items.len() {
            self.budget.work(1)?;
            around.go_to(at);
            let names = vec![("loop".into(), Value::Loop(Arc::clone(&around)))];
            self.scoped(scope, names, |one| {
                one.assign(&of.target, around.items[at].clone())?;
                one.body(&of.body)
            })?;
        }
        Ok(())
    }
}
