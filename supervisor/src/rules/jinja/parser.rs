//! Statements.

use std::sync::Arc;

use super::ast::{Arguments, Body, Expr, For, Kind, MacroDef, Name, Stmt, Target, Template};
use super::error::{Error, Result};
use super::lexer::{Placed, Token, normalised, syntax, tokens};
use super::names;

/// Longest template, bytes.
const MAX_SOURCE: usize = 1 << 20;
/// Deepest nesting of blocks and brackets.
const MAX_NESTING: usize = 100;

/// Compiles a template.
///
/// # Errors
/// What is wrong with it.
pub fn parse(source: &str) -> Result<Template> {
    if source.len() > MAX_SOURCE {
        return Err(super::error::limit("the template is longer than 1 MiB"));
    }
    let source = normalised(source);
    let mut parser = Parser {
        tokens: tokens(&source)?,
        at: 0,
        end: source.len(),
        depth: 0,
        too_long: None,
        template: Template::default(),
    };
    let body = parser.body(&[])?;
    if let Some((start, end)) = parser.too_long {
        return Err(syntax("too many operators or filters in a row", start, end));
    }
    let mut template = parser.template;
    (template.body, template.source) = (body, source);
    super::check::check(&template)?;
    Ok(template)
}

/// Tokens on their way to a template.
pub struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    end: usize,
    depth: usize,
    /// The first expression that is a chain of too many parts.
    pub(super) too_long: Option<(usize, usize)>,
    template: Template,
}

impl Parser {
    /// The token at hand.
    pub fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|placed| &placed.token)
    }

    /// The one after it.
    pub fn peek_second(&self) -> Option<&Token> {
        self.tokens.get(self.at + 1).map(|placed| &placed.token)
    }

    /// Where the token at hand begins.
    pub fn start(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(self.end, |placed| placed.start)
    }

    /// Where the token before it ended.
    pub fn last_end(&self) -> usize {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or(0, |placed| placed.end)
    }

    /// Takes the token at hand.
    pub fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    /// Gives the last token back.
    pub fn back(&mut self) {
        self.at -= 1;
    }

    /// True when the token at hand is this sign.
    pub fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Operator(found)) if *found == sign)
    }

    /// True when the token at hand is this name.
    pub fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(found)) if &**found == name)
    }

    /// Takes a sign if it is there.
    pub fn eat(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    /// Takes a name if it is there.
    pub fn eat_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }

    /// Takes a sign that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn expect(&mut self, sign: &'static str) -> Result<()> {
        match self.eat(sign) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("expected '{sign}'"))),
        }
    }

    /// Takes a name that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn name(&mut self) -> Result<Name> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = Arc::clone(name);
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("expected a name")),
        }
    }

    /// That the token at hand does not fit.
    pub fn unexpected(&self, expected: &str) -> Error {
        let found = match self.peek() {
            None => "end of template".to_owned(),
            Some(Token::BlockEnd) => "end of statement block".to_owned(),
            Some(Token::VariableEnd) => "end of print statement".to_owned(),
            Some(Token::Name(name)) => format!("'{name}'"),
            Some(Token::Operator(sign)) => format!("'{sign}'"),
            Some(Token::Data(_)) => "template data".to_owned(),
            Some(_) => "a value".to_owned(),
        };
        let end = self.tokens.get(self.at).map_or(self.end, |one| one.end);
        let start = self.start();
        match expected.is_empty() {
            true => syntax(format!("unexpected {found}"), start, end),
            false => syntax(format!("unexpected {found}, {expected}"), start, end),
        }
    }

    /// Goes one level down.
    ///
    /// # Errors
    /// When that is too deep.
    pub fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            let message = format!("more than {MAX_NESTING} levels of nesting");
            return Err(syntax(message, self.start(), self.start() + 1));
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Statements up to one of these tags, whose name is left to be read.
    fn body(&mut self, ends: &[&str]) -> Result<Body> {
        self.nested(|parser| parser.statements(ends))
    }

    fn statements(&mut self, ends: &[&str]) -> Result<Body> {
        let mut body = Vec::new();
        while let Some(token) = self.next() {
            match token {
                Token::Data(text) => body.push(Stmt::Data(text)),
                Token::VariableBegin => {
                    let value = self.tuple(true, &[])?;
                    if self.peek() != Some(&Token::VariableEnd) {
                        return Err(self.unexpected("expected 'end of print statement'"));
                    }
                    self.at += 1;
                    body.push(Stmt::Output(value));
                }
                Token::BlockBegin => {
                    if ends.iter().any(|end| self.is_name(end)) {
                        return Ok(body);
                    }
                    self.statement(&mut body, ends)?;
                }
                _ => {
                    self.at -= 1;
                    return Err(self.unexpected(""));
                }
            }
        }
        match ends {
            [] => Ok(body),
            _ => {
                let message = format!(
                    "Unexpected end of template. Jinja was looking for the following tags: '{}'",
                    ends.join("' or '")
                );
                Err(syntax(message, self.end, self.end))
            }
        }
    }

    fn block_end(&mut self) -> Result<()> {
        match self.peek() {
            Some(Token::BlockEnd) => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.unexpected("expected 'end of statement block'")),
        }
    }

    /// The body of a tag, and its end tag.
    fn inside(&mut self, end: &'static str) -> Result<Body> {
        // A colon may stand before the body, as in Python.
        self.eat(":");
        self.block_end()?;
        let body = self.body(&[end])?;
        self.at += 1;
        Ok(body)
    }

    fn statement(&mut self, out: &mut Body, ends: &[&str]) -> Result<()> {
        let start = self.start();
        let Some(Token::Name(tag)) = self.peek().cloned() else {
            return Err(self.unexpected("expected the name of a tag"));
        };
        self.at += 1;
        let stmt = match &*tag {
            "for" => self.for_loop()?,
            "if" => self.condition()?,
            "set" => return self.set(out),
            "with" => self.with()?,
            "filter" => self.filter_block()?,
            "macro" => self.macro_definition()?,
            "call" => self.call_block()?,
            "block" => self.block()?,
            "print" => return self.print(out),
            "autoescape" => {
                let value = self.expression(true)?;
                Stmt::AutoEscape(value, self.inside("endautoescape")?)
            }
            "include" | "extends" | "import" | "from" => self.refused(&tag)?,
            other => {
                let hint = match ends {
                    [] => String::new(),
                    _ => format!(
                        ". Jinja was looking for the following tags: '{}'",
                        ends.join("' or '")
                    ),
                };
                let message = format!("Encountered unknown tag '{other}'{hint}");
                return Err(syntax(message, start, self.last_end()));
            }
        };
        out.push(stmt);
        self.block_end()
    }

    fn refused(&mut self, tag: &str) -> Result<Stmt> {
        let tag = match tag {
            "include" => "include",
            "extends" => "extends",
            _ => "import",
        };
        let value = self.expression(true)?;
        while !matches!(self.peek(), Some(Token::BlockEnd) | None) {
            self.at += 1;
        }
        Ok(Stmt::Refused(tag, value))
    }

    fn print(&mut self, out: &mut Body) -> Result<()> {
        while self.peek() != Some(&Token::BlockEnd) {
            out.push(Stmt::Output(self.expression(true)?));
            if self.peek() != Some(&Token::BlockEnd) {
                self.expect(",")?;
            }
        }
        self.block_end()
    }

    fn for_loop(&mut self) -> Result<Stmt> {
        let target = self.target(&["in"], false)?;
        if !self.eat_name("in") {
            return Err(self.unexpected("expected 'in'"));
        }
        let items = self.tuple(false, &["recursive"])?;
        let test = match self.eat_name("if") {
            true => Some(self.expression(true)?),
            false => None,
        };
        let recursive = self.eat_name("recursive");
        self.eat(":");
        self.block_end()?;
        let body = self.body(&["endfor", "else"])?;
        let mut otherwise = Vec::new();
        if self.eat_name("else") {
            self.block_end()?;
            otherwise = self.body(&["endfor"])?;
        }
        self.at += 1;
        self.template.loops.push(For {
            target,
            items,
            test,
            recursive,
            body,
            otherwise,
        });
        Ok(Stmt::For(self.template.loops.len() - 1))
    }

    fn condition(&mut self) -> Result<Stmt> {
        let mut branches = Vec::new();
        loop {
            let test = self.tuple(false, &[])?;
            self.eat(":");
            self.block_end()?;
            let body = self.body(&["elif", "else", "endif"])?;
            branches.push((test, body));
            if !self.eat_name("elif") {
                break;
            }
        }
        let mut otherwise = Vec::new();
        if self.eat_name("else") {
            self.eat(":");
            self.block_end()?;
            otherwise = self.body(&["endif"])?;
        }
        self.at += 1;
        Ok(Stmt::If(branches, otherwise))
    }

    fn set(&mut self, out: &mut Body) -> Result<()> {
        let target = self.target(&[], true)?;
        if self.eat("=") {
            let value = self.tuple(true, &[])?;
            out.push(Stmt::Set(target, value));
            return self.block_end();
        }
        let start = self.start();
        let filter = match self.is("|") {
            true => Some(self.filters(None, start)?),
            false => None,
        };
        let body = self.inside("endset")?;
        out.push(Stmt::SetBlock(target, filter, body));
        self.block_end()
    }

    fn with(&mut self) -> Result<Stmt> {
        let mut values = Vec::new();
        while self.peek() != Some(&Token::BlockEnd) {
            if !values.is_empty() {
                self.expect(",")?;
            }
            let target = self.target(&[], false)?;
            self.expect("=")?;
            values.push((target, self.expression(true)?));
        }
        Ok(Stmt::With(values, self.inside("endwith")?))
    }

    fn filter_block(&mut self) -> Result<Stmt> {
        let start = self.start();
        let filter = self.first_filter(None, start)?;
        let filter = self.filters(Some(filter), start)?;
        Ok(Stmt::FilterBlock(filter, self.inside("endfilter")?))
    }

    fn signature(&mut self) -> Result<(Vec<Name>, Vec<Expr>)> {
        let (mut arguments, mut defaults) = (Vec::new(), Vec::new());
        self.expect("(")?;
        while !self.eat(")") {
            if !arguments.is_empty() {
                self.expect(",")?;
            }
            let name = self.plain_name()?;
            if self.eat("=") {
                defaults.push(self.expression(true)?);
            } else if !defaults.is_empty() {
                return Err(self.unexpected("non-default argument follows default argument"));
            }
            arguments.push(name);
        }
        Ok((arguments, defaults))
    }

    fn define(
        &mut self,
        name: Option<Name>,
        signature: (Vec<Name>, Vec<Expr>),
        body: Body,
    ) -> usize {
        let (arguments, defaults) = signature;
        let uses = |special: &str| {
            let given = arguments.iter().any(|name| &**name == special);
            !given && names::uses(&self.template, &body, special)
        };
        let definition = MacroDef {
            takes_more: uses("varargs"),
            takes_named: uses("kwargs"),
            takes_caller: uses("caller"),
            name,
            arguments,
            defaults,
            body,
        };
        self.template.macros.push(definition);
        self.template.macros.len() - 1
    }

    fn macro_definition(&mut self) -> Result<Stmt> {
        let name = self.plain_name()?;
        let signature = self.signature()?;
        let body = self.inside("endmacro")?;
        Ok(Stmt::Macro(self.define(Some(name), signature, body)))
    }

    fn call_block(&mut self) -> Result<Stmt> {
        let signature = match self.is("(") {
            true => self.signature()?,
            false => (Vec::new(), Vec::new()),
        };
        let call = self.expression(true)?;
        if !matches!(call.kind, Kind::Call(..)) {
            return Err(syntax("expected call", call.start, call.end));
        }
        let body = self.inside("endcall")?;
        let caller = self.define(None, signature, body);
        Ok(Stmt::Call(call, caller))
    }

    fn block(&mut self) -> Result<Stmt> {
        let start = self.start();
        let name = self.name()?;
        while self.eat_name("scoped") || self.eat_name("required") {}
        let known = self.template.blocks.iter().any(|(other, _)| *other == name);
        if known {
            let message = format!("block '{name}' defined twice");
            return Err(syntax(message, start, self.last_end()));
        }
        let body = self.inside("endblock")?;
        if self.is_name(&name) {
            self.at += 1;
        }
        self.template.blocks.push((name, body));
        Ok(Stmt::Block(self.template.blocks.len() - 1))
    }

    /// A name that may be assigned to.
    fn plain_name(&mut self) -> Result<Name> {
        let start = self.start();
        let name = self.name()?;
        let reserved = matches!(
            &*name,
            "true" | "false" | "none" | "True" | "False" | "None"
        );
        match reserved {
            true => Err(syntax(
                format!("can't assign to '{name}'"),
                start,
                self.last_end(),
            )),
            false => Ok(name),
        }
    }

    /// One target, or several with commas between them; with parentheses if they like.
    fn target(&mut self, ends: &[&str], namespaces: bool) -> Result<Target> {
        let attribute = matches!(self.peek_second(), Some(Token::Operator(".")));
        if namespaces && attribute && matches!(self.peek(), Some(Token::Name(_))) {
            let name = self.name()?;
            self.at += 1;
            return Ok(Target::Attribute(name, self.name()?));
        }
        let mut all = Vec::new();
        let mut several = false;
        loop {
            let at_end = ends.iter().any(|end| self.is_name(end)) || self.is("=") || self.is(")");
            if at_end && several {
                break;
            }
            all.push(match self.eat("(") {
                true => {
                    let inner = self.nested(|parser| parser.target(&[], namespaces))?;
                    self.expect(")")?;
                    inner
                }
                false => Target::Name(self.plain_name()?),
            });
            if !self.eat(",") {
                break;
            }
            several = true;
        }
        match (several, all.len()) {
            (false, 1) => Ok(all.remove(0)),
            _ => Ok(Target::Tuple(all)),
        }
    }

    /// A call's arguments, from its opening parenthesis.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn arguments(&mut self) -> Result<Arguments> {
        self.expect("(")?;
        let mut all = Arguments::default();
        let mut first = true;
        while !self.is(")") {
            if !first {
                self.expect(",")?;
                if self.is(")") {
                    break;
                }
            }
            first = false;
            let simple = all.spread.is_none() && all.spread_named.is_none();
            let named = matches!(self.peek(), Some(Token::Name(_)))
                && matches!(self.peek_second(), Some(Token::Operator("=")));
            if self.eat("*") {
                let allowed = all.spread.is_none() && all.spread_named.is_none();
                self.allow(allowed)?;
                all.spread = Some(self.expression(true)?);
            } else if self.eat("**") {
                self.allow(all.spread_named.is_none())?;
                all.spread_named = Some(self.expression(true)?);
            } else if named {
                self.allow(all.spread_named.is_none())?;
                let name = self.name()?;
                self.at += 1;
                let value = self.expression(true)?;
                all.named.push((name, value));
            } else {
                self.allow(simple && all.named.is_empty())?;
                all.placed.push(self.expression(true)?);
            }
        }
        self.expect(")")?;
        Ok(all)
    }

    fn allow(&self, allowed: bool) -> Result<()> {
        match allowed {
            true => Ok(()),
            false => Err(syntax(
                "invalid syntax for function call expression",
                self.start(),
                self.start() + 1,
            )),
        }
    }
}
