//! Filters and tests that do not exist are told before any event. Below an `if` they are told
//! only when they are reached, as in Jinja.

use super::ast::{Body, Expr, Kind, Stmt, Template};
use super::error::{Error, Result};
use super::names::children;
use super::{filters, tests};
use crate::catalog::diagnostics::did_you_mean;

/// Checks all of a template.
///
/// # Errors
/// The first filter or test that does not exist.
pub fn check(template: &Template) -> Result<()> {
    Checker { template }.body(&template.body, false)
}

struct Checker<'t> {
    template: &'t Template,
}

impl Checker<'_> {
    fn body(&self, body: &Body, soft: bool) -> Result<()> {
        body.iter().try_for_each(|stmt| self.stmt(stmt, soft))
    }

    fn stmt(&self, stmt: &Stmt, soft: bool) -> Result<()> {
        match stmt {
            Stmt::Data(_) => Ok(()),
            Stmt::Output(value) | Stmt::Set(_, value) | Stmt::Refused(_, value) => {
                expr(value, soft)
            }
            Stmt::For(index) => {
                let of = &self.template.loops[*index];
                expr(&of.items, soft)?;
                of.test.iter().try_for_each(|test| expr(test, false))?;
                self.body(&of.body, false)?;
                self.body(&of.otherwise, false)
            }
            Stmt::If(branches, otherwise) => {
                for (test, body) in branches {
                    expr(test, true)?;
                    self.body(body, true)?;
                }
                self.body(otherwise, true)
            }
            Stmt::SetBlock(_, filter, body) => {
                filter.iter().try_for_each(|filter| expr(filter, false))?;
                self.body(body, false)
            }
            Stmt::With(values, body) => {
                values
                    .iter()
                    .try_for_each(|(_, value)| expr(value, false))?;
                self.body(body, false)
            }
            Stmt::FilterBlock(value, body) | Stmt::AutoEscape(value, body) => {
                expr(value, false)?;
                self.body(body, false)
            }
            Stmt::Macro(index) => self.definition(*index),
            Stmt::Call(call, index) => {
                expr(call, soft)?;
                self.definition(*index)
            }
            Stmt::Block(index) => self.body(&self.template.blocks[*index].1, false),
        }
    }

    fn definition(&self, index: usize) -> Result<()> {
        let definition = &self.template.macros[index];
        definition
            .defaults
            .iter()
            .try_for_each(|value| expr(value, false))?;
        self.body(&definition.body, false)
    }
}

fn expr(of: &Expr, soft: bool) -> Result<()> {
    let soft_inside = soft || matches!(of.kind, Kind::If(..));
    match &of.kind {
        Kind::Filter(_, name, _) if !soft && filters::find(name).is_none() => {
            return Err(unknown_filter(name).within(of.start, of.end));
        }
        Kind::Test(_, name, _) if !soft && tests::find(name).is_none() => {
            return Err(unknown_test(name).within(of.start, of.end));
        }
        _ => {}
    }
    children(of)
        .into_iter()
        .try_for_each(|child| expr(child, soft_inside))
}

/// That there is no such filter.
pub fn unknown_filter(name: &str) -> Error {
    unknown("filter", name, filters::NAMES)
}

/// That there is no such test.
pub fn unknown_test(name: &str) -> Error {
    unknown("test", name, tests::NAMES)
}

fn unknown(what: &str, name: &str, known: &[&str]) -> Error {
    let hint = did_you_mean(name, known.iter().copied());
    let hint = hint.map_or_else(String::new, |hint| format!(" ({hint})"));
    Error::new(
        "TemplateAssertionError",
        format!("No {what} named '{name}'.{hint}"),
    )
}
