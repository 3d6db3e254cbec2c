//! Expressions, by Jinja's precedence.

use super::arithmetic::Operator;
use super::ast::{Arguments, Comparison, Expr, Kind, Name};
use super::error::Result;
use super::lexer::{Token, syntax};
use super::names;
use super::parser::Parser;
use super::value::Value;

/// Most operators, filters, attributes and the like in a row.
const MAX_HEIGHT: usize = 250;

impl Parser {
    fn expr(&mut self, kind: Kind, start: usize) -> Expr {
        let end = self.last_end();
        let mut expr = Expr {
            kind,
            start,
            end,
            height: 0,
        };
        let below = names::children(&expr).into_iter().map(|child| child.height);
        expr.height = below.max().map_or(0, |height| height + 1);
        if expr.height > MAX_HEIGHT {
            // A chain as long as this would exhaust the stack of whoever walks it.
            self.too_long.get_or_insert((start, end));
            expr.kind = Kind::Constant(Value::None);
            expr.height = 0;
        }
        expr
    }

    /// One expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn expression(&mut self, conditional: bool) -> Result<Expr> {
        self.nested(|parser| match conditional {
            true => parser.conditional(),
            false => parser.or(),
        })
    }

    fn conditional(&mut self) -> Result<Expr> {
        let start = self.start();
        let mut value = self.or()?;
        while self.eat_name("if") {
            let test = self.or()?;
            let otherwise = match self.eat_name("else") {
                true => Some(Box::new(self.nested(Self::conditional)?)),
                false => None,
            };
            let kind = Kind::If(Box::new(test), Box::new(value), otherwise);
            value = self.expr(kind, start);
        }
        Ok(value)
    }

    fn or(&mut self) -> Result<Expr> {
        let start = self.start();
        let mut left = self.and()?;
        while self.eat_name("or") {
            let right = self.and()?;
            left = self.expr(Kind::Or(Box::new(left), Box::new(right)), start);
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr> {
        let start = self.start();
        let mut left = self.not()?;
        while self.eat_name("and") {
            let right = self.not()?;
            left = self.expr(Kind::And(Box::new(left), Box::new(right)), start);
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr> {
        let start = self.start();
        match self.eat_name("not") {
            true => {
                let inner = self.nested(Self::not)?;
                Ok(self.expr(Kind::Not(Box::new(inner)), start))
            }
            false => self.compare(),
        }
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let signs = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        if let Some((_, found)) = signs.into_iter().find(|(sign, _)| self.is(sign)) {
            self.next();
            return Some(found);
        }
        if self.eat_name("in") {
            return Some(Comparison::In);
        }
        let not_in = self.is_name("not")
            && matches!(self.peek_second(), Some(Token::Name(name)) if &**name == "in");
        if not_in {
            self.next();
            self.next();
        }
        not_in.then_some(Comparison::NotIn)
    }

    fn compare(&mut self) -> Result<Expr> {
        let start = self.start();
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison() {
            rest.push((comparison, self.sum()?));
        }
        match rest.is_empty() {
            true => Ok(first),
            false => Ok(self.expr(Kind::Compare(Box::new(first), rest), start)),
        }
    }

    fn binary(
        &mut self,
        signs: &[(&str, Operator)],
        operand: impl Fn(&mut Self) -> Result<Expr>,
    ) -> Result<Expr> {
        let start = self.start();
        let mut left = operand(self)?;
        while let Some((_, operator)) = signs.iter().find(|(sign, _)| self.is(sign)) {
            self.next();
            let right = operand(self)?;
            let kind = Kind::Binary(*operator, Box::new(left), Box::new(right));
            left = self.expr(kind, start);
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expr> {
        let signs = [("+", Operator::Add), ("-", Operator::Subtract)];
        self.binary(&signs, Self::concat)
    }

    fn concat(&mut self) -> Result<Expr> {
        let start = self.start();
        let mut all = vec![self.product()?];
        while self.eat("~") {
            all.push(self.product()?);
        }
        match all.len() {
            1 => Ok(all.remove(0)),
            _ => Ok(self.expr(Kind::Concat(all), start)),
        }
    }

    fn product(&mut self) -> Result<Expr> {
        let signs = [
            ("*", Operator::Multiply),
            ("/", Operator::Divide),
            ("//", Operator::FloorDivide),
            ("%", Operator::Modulo),
        ];
        self.binary(&signs, Self::power)
    }

    fn power(&mut self) -> Result<Expr> {
        self.binary(&[("**", Operator::Power)], |parser| parser.unary(true))
    }

    fn unary(&mut self, filtered: bool) -> Result<Expr> {
        let start = self.start();
        let value = if self.eat("-") {
            let inner = self.nested(|parser| parser.unary(false))?;
            self.expr(Kind::Negative(Box::new(inner)), start)
        } else if self.eat("+") {
            let inner = self.nested(|parser| parser.unary(false))?;
            self.expr(Kind::Positive(Box::new(inner)), start)
        } else {
            self.primary()?
        };
        let value = self.postfix(value)?;
        match filtered {
            true => self.filters(Some(value), start),
            false => Ok(value),
        }
    }

    fn primary(&mut self) -> Result<Expr> {
        let start = self.start();
        let Some(token) = self.next() else {
            return Err(self.unexpected("expected an expression"));
        };
        let kind = match token {
            Token::Name(name) => match &*name {
                "true" | "True" => Kind::Constant(Value::Bool(true)),
                "false" | "False" => Kind::Constant(Value::Bool(false)),
                "none" | "None" => Kind::Constant(Value::None),
                _ => Kind::Name(name),
            },
            Token::String(text) => {
                let mut all = text.as_ref().to_owned();
                while let Some(Token::String(more)) = self.peek() {
                    all.push_str(more);
                    self.next();
                }
                Kind::Constant(Value::from(all))
            }
            Token::Integer(int) => Kind::Constant(Value::int(int)),
            Token::Float(float) => Kind::Constant(Value::Float(float)),
            Token::Operator("(") => {
                let inner = self.nested(|parser| parser.tuple_or_nothing(true))?;
                self.expect(")")?;
                return Ok(Expr {
                    start,
                    end: self.last_end(),
                    ..inner
                });
            }
            Token::Operator("[") => Kind::List(self.items("]")?),
            Token::Operator("{") => self.dict()?,
            _ => {
                self.back();
                return Err(self.unexpected("expected an expression"));
            }
        };
        Ok(self.expr(kind, start))
    }

    fn items(&mut self, close: &'static str) -> Result<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.is(close) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            if self.is(close) {
                break;
            }
            items.push(self.expression(true)?);
        }
        self.expect(close)?;
        Ok(items)
    }

    fn dict(&mut self) -> Result<Kind> {
        let mut pairs = Vec::new();
        while !self.is("}") {
            if !pairs.is_empty() {
                self.expect(",")?;
            }
            if self.is("}") {
                break;
            }
            let key = self.expression(true)?;
            self.expect(":")?;
            pairs.push((key, self.expression(true)?));
        }
        self.expect("}")?;
        Ok(Kind::Dict(pairs))
    }

    fn tuple_ends(&self, ends: &[&str]) -> bool {
        matches!(
            self.peek(),
            None | Some(Token::VariableEnd | Token::BlockEnd)
        ) || self.is(")")
            || ends.iter().any(|end| self.is_name(end))
    }

    /// One expression, or several with commas between them.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn tuple(&mut self, conditional: bool, ends: &[&str]) -> Result<Expr> {
        let (start, mut all, mut several) = (self.start(), Vec::new(), false);
        loop {
            if !all.is_empty() && !self.eat(",") {
                break;
            }
            several |= !all.is_empty();
            if self.tuple_ends(ends) {
                break;
            }
            all.push(self.expression(conditional)?);
        }
        match (all.len(), several) {
            (0, _) => Err(self.unexpected("Expected an expression")),
            (1, false) => Ok(all.remove(0)),
            _ => Ok(self.expr(Kind::Tuple(all), start)),
        }
    }

    /// The same within parentheses, where there may be none.
    fn tuple_or_nothing(&mut self, conditional: bool) -> Result<Expr> {
        let start = self.start();
        match self.is(")") {
            true => Ok(self.expr(Kind::Tuple(Vec::new()), start)),
            false => self.tuple(conditional, &[]),
        }
    }

    fn postfix(&mut self, mut value: Expr) -> Result<Expr> {
        let start = value.start;
        loop {
            let kind = if self.eat(".") {
                match self.next() {
                    Some(Token::Name(name)) => Kind::Attribute(Box::new(value), name),
                    Some(Token::Integer(int)) => {
                        let at = self.expr(Kind::Constant(Value::int(int)), start);
                        Kind::Item(Box::new(value), Box::new(at))
                    }
                    _ => {
                        self.back();
                        return Err(self.unexpected("expected name or number"));
                    }
                }
            } else if self.eat("[") {
                self.nested(|parser| parser.subscript(value))?
            } else if self.is("(") {
                let arguments = self.nested(Self::arguments)?;
                Kind::Call(Box::new(value), Box::new(arguments))
            } else {
                return Ok(value);
            };
            value = self.expr(kind, start);
        }
    }

    fn subscript(&mut self, value: Expr) -> Result<Kind> {
        let start = self.start();
        let mut all = Vec::new();
        let mut slice = None;
        loop {
            match self.slice_or_index()? {
                Part::Index(index) => all.push(index),
                Part::Slice(parts) => slice = Some(parts),
            }
            if !self.eat(",") {
                break;
            }
        }
        self.expect("]")?;
        match (slice, all.len()) {
            (Some(parts), 0) => Ok(Kind::Slice(Box::new(value), parts)),
            (None, 1) => Ok(Kind::Item(Box::new(value), Box::new(all.remove(0)))),
            _ => {
                let key = self.expr(Kind::Tuple(all), start);
                Ok(Kind::Item(Box::new(value), Box::new(key)))
            }
        }
    }

    fn slice_or_index(&mut self) -> Result<Part> {
        let mut parts = [None, None, None];
        if !self.is(":") {
            let index = self.expression(true)?;
            if !self.is(":") {
                return Ok(Part::Index(index));
            }
            parts[0] = Some(index);
        }
        for part in &mut parts[1..] {
            if !self.eat(":") {
                break;
            }
            if !self.is(":") && !self.is("]") && !self.is(",") {
                *part = Some(self.expression(true)?);
            }
        }
        Ok(Part::Slice(Box::new(parts)))
    }

    /// Filters, tests and calls that follow a value.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn filters(&mut self, mut value: Option<Expr>, start: usize) -> Result<Expr> {
        loop {
            if self.eat("|") {
                value = Some(self.first_filter(value, start)?);
                continue;
            }
            let Some(known) = value else {
                return Err(self.unexpected("expected a filter"));
            };
            if self.is_name("is") {
                value = Some(self.test(known)?);
            } else if self.is("(") {
                let arguments = self.nested(Self::arguments)?;
                let kind = Kind::Call(Box::new(known), Box::new(arguments));
                value = Some(self.expr(kind, start));
            } else {
                return Ok(known);
            }
        }
    }

    fn dotted(&mut self) -> Result<Name> {
        let mut name = self.name()?;
        while self.eat(".") {
            let more = self.name()?;
            name = format!("{name}.{more}").into();
        }
        Ok(name)
    }

    /// A filter after its `|`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn first_filter(&mut self, value: Option<Expr>, start: usize) -> Result<Expr> {
        let name = self.dotted()?;
        let arguments = match self.is("(") {
            true => self.nested(Self::arguments)?,
            false => Arguments::default(),
        };
        let kind = Kind::Filter(value.map(Box::new), name, Box::new(arguments));
        Ok(self.expr(kind, start))
    }

    fn test(&mut self, value: Expr) -> Result<Expr> {
        let start = value.start;
        self.next();
        let negated = self.eat_name("not");
        let name = self.dotted()?;
        let takes = match self.peek() {
            Some(Token::Name(next)) => !matches!(&**next, "else" | "or" | "and"),
            Some(Token::String(_) | Token::Integer(_) | Token::Float(_)) => true,
            Some(Token::Operator(sign)) => matches!(*sign, "[" | "{"),
            _ => false,
        };
        let arguments = if self.is("(") {
            self.nested(Self::arguments)?
        } else if takes {
            if self.is_name("is") {
                let (from, to) = (self.start(), self.start() + 2);
                return Err(syntax("You cannot chain multiple tests with is", from, to));
            }
            let argument = self.nested(Self::primary)?;
            let argument = self.postfix(argument)?;
            Arguments {
                placed: vec![argument],
                ..Arguments::default()
            }
        } else {
            Arguments::default()
        };
        let test = self.expr(
            Kind::Test(Box::new(value), name, Box::new(arguments)),
            start,
        );
        Ok(match negated {
            true => self.expr(Kind::Not(Box::new(test)), start),
            false => test,
        })
    }
}

enum Part {
    Index(Expr),
    Slice(Box<[Option<Expr>; 3]>),
}
