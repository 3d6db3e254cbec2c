//! A template, parsed.

use std::sync::Arc;

use super::arithmetic::Operator;
use super::value::Value;

/// A name.
pub type Name = Arc<str>;

/// An expression and its place, in bytes.
#[derive(Debug)]
pub struct Expr {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Levels below it.
    pub height: usize,
}

/// A kind of expression.
#[derive(Debug)]
pub enum Kind {
    /// A value.
    Constant(Value),
    /// A name.
    Name(Name),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `(a, b)`
    Tuple(Vec<Expr>),
    /// `{a: b}`
    Dict(Vec<(Expr, Expr)>),
    /// `a if b else c`
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    /// `a and b`
    And(Box<Expr>, Box<Expr>),
    /// `a or b`
    Or(Box<Expr>, Box<Expr>),
    /// `not a`
    Not(Box<Expr>),
    /// `a < b <= c`
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    /// `a + b`
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// `a ~ b`
    Concat(Vec<Expr>),
    /// `-a`
    Negative(Box<Expr>),
    /// `+a`
    Positive(Box<Expr>),
    /// `a.name`
    Attribute(Box<Expr>, Name),
    /// `a[b]`
    Item(Box<Expr>, Box<Expr>),
    /// `a[b:c:d]`
    Slice(Box<Expr>, Box<[Option<Expr>; 3]>),
    /// `a(…)`
    Call(Box<Expr>, Box<Arguments>),
    /// `a | name(…)`; without `a` what stands in a block.
    Filter(Option<Box<Expr>>, Name, Box<Arguments>),
    /// `a is name(…)`
    Test(Box<Expr>, Name, Box<Arguments>),
}

/// What a call is given.
#[derive(Debug, Default)]
pub struct Arguments {
    /// By their place.
    pub placed: Vec<Expr>,
    /// By their name.
    pub named: Vec<(Name, Expr)>,
    /// `*args`
    pub spread: Option<Expr>,
    /// `**kwargs`
    pub spread_named: Option<Expr>,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `in`
    In,
    /// `not in`
    NotIn,
}

/// What is assigned to.
#[derive(Debug)]
pub enum Target {
    /// A name.
    Name(Name),
    /// `name.attribute` of a namespace.
    Attribute(Name, Name),
    /// Several.
    Tuple(Vec<Target>),
}

/// Statements one after the other.
pub type Body = Vec<Stmt>;

/// A statement.
#[derive(Debug)]
pub enum Stmt {
    /// Text as it stands.
    Data(Arc<str>),
    /// `{{ … }}`
    Output(Expr),
    /// `{% for %}`: an index into [`Template::loops`].
    For(usize),
    /// `{% if %}`: conditions with their bodies, and the `else`.
    If(Vec<(Expr, Body)>, Body),
    /// `{% set a = b %}`
    Set(Target, Expr),
    /// `{% set a | filter %}…{% endset %}`
    SetBlock(Target, Option<Expr>, Body),
    /// `{% with %}`
    With(Vec<(Target, Expr)>, Body),
    /// `{% filter %}`
    FilterBlock(Expr, Body),
    /// `{% macro %}`: an index into [`Template::macros`].
    Macro(usize),
    /// `{% call %}`: the call, and the macro that is `caller`.
    Call(Expr, usize),
    /// `{% block %}`: an index into [`Template::blocks`].
    Block(usize),
    /// `{% autoescape %}`
    AutoEscape(Expr, Body),
    /// What cannot be done in text alone, such as `{% include %}`.
    Refused(&'static str, Expr),
}

/// A loop.
#[derive(Debug)]
pub struct For {
    /// What each item is assigned to.
    pub target: Target,
    /// What it goes through.
    pub items: Expr,
    /// `if …`
    pub test: Option<Expr>,
    /// `loop(…)` may be called.
    pub recursive: bool,
    /// For each item.
    pub body: Body,
    /// When there is none.
    pub otherwise: Body,
}

/// A macro, or the body of a call block.
#[derive(Debug)]
pub struct MacroDef {
    /// Its name; none for a call block.
    pub name: Option<Name>,
    /// The names of its arguments.
    pub arguments: Vec<Name>,
    /// Values of the last of them.
    pub defaults: Vec<Expr>,
    /// Its body.
    pub body: Body,
    /// It uses `varargs`.
    pub takes_more: bool,
    /// It uses `kwargs`.
    pub takes_named: bool,
    /// It uses `caller`.
    pub takes_caller: bool,
}

/// A template.
#[derive(Debug, Default)]
pub struct Template {
    /// Its text, newlines normalised.
    pub source: String,
    /// What it does.
    pub body: Body,
    /// Its loops.
    pub loops: Vec<For>,
    /// Its macros.
    pub macros: Vec<MacroDef>,
    /// Its blocks, with their names.
    pub blocks: Vec<(Name, Body)>,
}
