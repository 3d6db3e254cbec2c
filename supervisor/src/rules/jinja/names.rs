//! The names that a template takes from outside.

use std::collections::HashSet;

use super::ast::{Arguments, Body, Expr, Kind, Name, Stmt, Target, Template};

/// Names that a template asks its context for, without those that Jinja has by itself.
pub fn asked_for(template: &Template) -> HashSet<String> {
    let mut finder = Finder {
        template,
        scopes: vec![HashSet::new()],
        asked: HashSet::new(),
    };
    finder.body(&template.body);
    finder.asked.retain(|name| !super::globals::is_global(name));
    finder.asked
}

/// True when a body asks for a name that it does not define.
pub fn uses(template: &Template, body: &Body, name: &str) -> bool {
    let mut finder = Finder {
        template,
        scopes: vec![HashSet::new()],
        asked: HashSet::new(),
    };
    finder.body(body);
    finder.asked.contains(name)
}

struct Finder<'t> {
    template: &'t Template,
    scopes: Vec<HashSet<Name>>,
    asked: HashSet<String>,
}

impl<'t> Finder<'t> {
    fn load(&mut self, name: &Name) {
        if !self.scopes.iter().any(|scope| scope.contains(name)) {
            self.asked.insert(name.as_ref().to_owned());
        }
    }

    fn store(&mut self, name: &Name) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(Name::clone(name));
        }
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Name(name) => self.store(name),
            Target::Attribute(name, _) => self.load(name),
            Target::Tuple(all) => all.iter().for_each(|one| self.target(one)),
        }
    }

    fn body(&mut self, body: &'t Body) {
        body.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn inner(&mut self, names: &[Name], inside: impl FnOnce(&mut Self)) {
        self.scopes.push(names.iter().cloned().collect());
        inside(self);
        self.scopes.pop();
    }

    fn definition(&mut self, index: usize) {
        let Some(definition) = self.template.macros.get(index) else {
            return;
        };
        let mut names = definition.arguments.clone();
        let special = [
            ("varargs", definition.takes_more),
            ("kwargs", definition.takes_named),
            ("caller", definition.takes_caller),
        ];
        names.extend(
            special
                .iter()
                .filter(|(_, used)| *used)
                .map(|(name, _)| Name::from(*name)),
        );
        self.inner(&names, |finder| {
            definition
                .defaults
                .iter()
                .for_each(|value| finder.expr(value));
            finder.body(&definition.body);
        });
    }

    fn stmt(&mut self, stmt: &'t Stmt) {
        match stmt {
            Stmt::Data(_) => {}
            Stmt::Output(value) | Stmt::Refused(_, value) => self.expr(value),
            Stmt::For(index) => self.for_loop(*index),
            Stmt::If(branches, otherwise) => {
                for (test, body) in branches {
                    self.expr(test);
                    self.body(body);
                }
                self.body(otherwise);
            }
            Stmt::Set(target, value) => {
                self.expr(value);
                self.target(target);
            }
            Stmt::SetBlock(target, filter, body) => {
                self.inner(&[], |finder| finder.body(body));
                filter.iter().for_each(|filter| self.expr(filter));
                self.target(target);
            }
            Stmt::With(values, body) => {
                values.iter().for_each(|(_, value)| self.expr(value));
                self.inner(&[], |finder| {
                    values.iter().for_each(|(target, _)| finder.target(target));
                    finder.body(body);
                });
            }
            Stmt::FilterBlock(value, body) | Stmt::AutoEscape(value, body) => {
                self.expr(value);
                self.inner(&[], |finder| finder.body(body));
            }
            Stmt::Macro(index) => {
                let name = self
                    .template
                    .macros
                    .get(*index)
                    .and_then(|one| one.name.clone());
                name.iter().for_each(|name| self.store(name));
                self.definition(*index);
            }
            Stmt::Call(call, index) => {
                self.expr(call);
                self.definition(*index);
            }
            Stmt::Block(index) => {
                let body = self.template.blocks.get(*index).map(|(_, body)| body);
                let names = [Name::from("self"), Name::from("super")];
                self.inner(&names, |finder| {
                    body.iter().for_each(|body| finder.body(body))
                });
            }
        }
    }

    fn for_loop(&mut self, index: usize) {
        let Some(of) = self.template.loops.get(index) else {
            return;
        };
        self.expr(&of.items);
        self.inner(&[Name::from("loop")], |finder| {
            finder.target(&of.target);
            of.test.iter().for_each(|test| finder.expr(test));
            finder.body(&of.body);
        });
        self.inner(&[], |finder| finder.body(&of.otherwise));
    }

    fn arguments(&mut self, arguments: &'t Arguments) {
        let named = arguments.named.iter().map(|(_, value)| value);
        let spread = arguments.spread.iter().chain(&arguments.spread_named);
        for value in arguments.placed.iter().chain(named).chain(spread) {
            self.expr(value);
        }
    }

    fn expr(&mut self, expr: &'t Expr) {
        match &expr.kind {
            Kind::Constant(_) => {}
            Kind::Name(name) => self.load(name),
            Kind::Filter(value, _, arguments) => {
                value.iter().for_each(|value| self.expr(value));
                self.arguments(arguments);
            }
            Kind::Call(value, arguments) | Kind::Test(value, _, arguments) => {
                self.expr(value);
                self.arguments(arguments);
            }
            _ => children(expr)
                .into_iter()
                .for_each(|child| self.expr(child)),
        }
    }
}

/// The expressions directly within one.
pub fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        Kind::Constant(_) | Kind::Name(_) => Vec::new(),
        Kind::List(all) | Kind::Tuple(all) | Kind::Concat(all) => all.iter().collect(),
        Kind::Dict(pairs) => pairs.iter().flat_map(|(k, v)| [k, v]).collect(),
        Kind::If(test, value, otherwise) => {
            let mut all = vec![test.as_ref(), value.as_ref()];
            all.extend(otherwise.as_deref());
            all
        }
        Kind::And(a, b) | Kind::Or(a, b) | Kind::Binary(_, a, b) | Kind::Item(a, b) => vec![a, b],
        Kind::Not(a) | Kind::Negative(a) | Kind::Positive(a) | Kind::Attribute(a, _) => vec![a],
        Kind::Compare(first, rest) => {
            let mut all = vec![first.as_ref()];
            all.extend(rest.iter().map(|(_, value)| value));
            all
        }
        Kind::Slice(value, parts) => {
            let mut all = vec![value.as_ref()];
            all.extend(parts.iter().flatten());
            all
        }
        Kind::Call(value, arguments) | Kind::Test(value, _, arguments) => {
            let mut all = vec![value.as_ref()];
            all.extend(given(arguments));
            all
        }
        Kind::Filter(value, _, arguments) => {
            let mut all: Vec<&Expr> = value.as_deref().into_iter().collect();
            all.extend(given(arguments));
            all
        }
    }
}

fn given(arguments: &Arguments) -> impl Iterator<Item = &Expr> {
    let named = arguments.named.iter().map(|(_, value)| value);
    let spread = arguments.spread.iter().chain(&arguments.spread_named);
    arguments.placed.iter().chain(named).chain(spread)
}
