//! The grammar of `jsonpath-rw`. From the loosest: `..`, `.`, `|`, `&`, `where`; a bracket after
//! a path belongs to all of it.

use super::Expression;

/// Longest path, bytes.
const MAX_LENGTH: usize = 10_000;
/// Deepest nesting of parentheses, and most steps.
const MAX_DEPTH: usize = 200;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Number(i64),
    Operator(String),
    Where,
    Descend,
    Sign(char),
}

/// Parses a path.
///
/// # Errors
/// What cannot be read, and where.
pub fn parse(text: &str) -> Result<Expression, String> {
    if text.len() > MAX_LENGTH {
        return Err("it is too long".to_owned());
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    if parser.tokens.is_empty() {
        return Err("it is empty".to_owned());
    }
    let expression = parser.expression()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expression),
        Some(_) => Err(parser.unexpected()),
    }
}

fn tokens(text: &str) -> Result<Vec<(Token, usize)>, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        let start = at;
        at += 1;
        let run = |at: usize, fits: &dyn Fn(char) -> bool| {
            at + chars[at..].iter().take_while(|c| fits(**c)).count()
        };
        let token = match c {
            ' ' | '\t' | '\n' => continue,
            '\'' | '"' | '`' => {
                let text = quoted(&chars, &mut at, c)?;
                match c {
                    '`' => Token::Operator(text),
                    _ => Token::Name(text),
                }
            }
            '.' if chars.get(at) == Some(&'.') => {
                at += 1;
                Token::Descend
            }
            '*' | '.' | '[' | ']' | '(' | ')' | '$' | ',' | ':' | '|' | '&' => Token::Sign(c),
            _ if c.is_ascii_alphabetic() || "_@".contains(c) => {
                at = run(at, &|c| c.is_ascii_alphanumeric() || "_@-".contains(c));
                let name: String = chars[start..at].iter().collect();
                match name.as_str() {
                    "where" => Token::Where,
                    _ => Token::Name(name),
                }
            }
            _ if c.is_ascii_digit() || c == '-' => {
                at = run(at, &|c| c.is_ascii_digit());
                let digits: String = chars[start..at].iter().collect();
                let number = digits.parse();
                Token::Number(number.map_err(|_| format!("{digits} is not a number"))?)
            }
            _ => {
                let place = start + 1;
                return Err(format!(
                    "unexpected {c:?} at character {place}; quote the name"
                ));
            }
        };
        out.push((token, start));
    }
    Ok(out)
}

fn quoted(chars: &[char], at: &mut usize, mark: char) -> Result<String, String> {
    let mut text = String::new();
    while let Some(c) = chars.get(*at).copied() {
        *at += 1;
        match c {
            '\\' => {
                text.extend(chars.get(*at));
                *at += 1;
            }
            _ if c == mark => return Ok(text),
            _ => text.push(c),
        }
    }
    Err("a quote is not closed".to_owned())
}

/// How tightly an operator binds.
fn level(token: &Token) -> Option<usize> {
    Some(match token {
        Token::Descend => 1,
        Token::Sign('.') => 2,
        Token::Sign('|') => 3,
        Token::Sign('&') => 4,
        Token::Where => 5,
        _ => return None,
    })
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn eat(&mut self, sign: char) -> bool {
        let found = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn unexpected(&self) -> String {
        match self.tokens.get(self.at) {
            None => "a name is missing at its end".to_owned(),
            Some((Token::Number(_), _)) => {
                "an item of a list is written in brackets, as in list[0]".to_owned()
            }
            Some((_, place)) => format!("unexpected text at character {}", place + 1),
        }
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(format!("it has more than {MAX_DEPTH} steps")),
            false => Ok(()),
        }
    }

    fn expression(&mut self) -> Result<Expression, String> {
        let mut left = self.primary()?;
        loop {
            left = match self.peek() {
                Some(Token::Sign('[')) => {
                    self.deeper()?;
                    let right = self.primary()?;
                    Expression::Child(Box::new(left), Box::new(right))
                }
                _ => match self.operation(left, 0)? {
                    (left, true) => left,
                    (left, false) => return Ok(left),
                },
            };
        }
    }

    /// The operators of at least this level that follow; and whether there were any.
    fn operation(
        &mut self,
        mut left: Expression,
        least: usize,
    ) -> Result<(Expression, bool), String> {
        let mut any = false;
        while let Some(token) = self.peek().cloned()
            && let Some(level) = level(&token).filter(|level| *level >= least)
        {
            any = true;
            self.at += 1;
            self.deeper()?;
            let right = self.primary()?;
            let (right, _) = self.operation(right, level + 1)?;
            let (a, b) = (Box::new(left), Box::new(right));
            left = match token {
                Token::Descend => Expression::Descendants(a, b),
                Token::Sign('.') => Expression::Child(a, b),
                Token::Sign('|') => Expression::Union(a, b),
                Token::Where => Expression::Where(a, b),
                _ => Expression::Intersection,
            };
        }
        Ok((left, any))
    }

    fn primary(&mut self) -> Result<Expression, String> {
        let Some(token) = self.peek().cloned() else {
            return Err(self.unexpected());
        };
        match token {
            Token::Name(_) => return self.names().map(Expression::Fields),
            Token::Operator(name) => {
                self.at += 1;
                return match name.as_str() {
                    "this" => Ok(Expression::This),
                    "parent" => Ok(Expression::Parent),
                    _ => Err(format!("there is no `{name}`: only `this` and `parent`")),
                };
            }
            Token::Sign('*') => {
                self.at += 1;
                return Ok(Expression::Fields(vec!["*".to_owned()]));
            }
            Token::Sign('$') => {
                self.at += 1;
                return Ok(Expression::Root);
            }
            Token::Sign('(') => {
                self.at += 1;
                self.deeper()?;
                let inner = self.expression()?;
                return match self.eat(')') {
                    true => Ok(inner),
                    false => Err("a parenthesis is not closed".to_owned()),
                };
            }
            Token::Sign('[') => self.at += 1,
            _ => return Err(self.unexpected()),
        }
        let inside = self.bracket()?;
        match self.eat(']') {
            true => Ok(inside),
            false if self.peek().is_none() => Err("a bracket is not closed".to_owned()),
            false => Err(self.unexpected()),
        }
    }

    fn names(&mut self) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        loop {
            match self.peek() {
                Some(Token::Name(name)) => names.push(name.clone()),
                _ => return Err(self.unexpected()),
            }
            self.at += 1;
            if !self.eat(',') {
                return Ok(names);
            }
        }
    }

    fn bracket(&mut self) -> Result<Expression, String> {
        match self.peek() {
            Some(Token::Name(_)) => return self.names().map(Expression::Fields),
            Some(Token::Sign('*')) => {
                self.at += 1;
                return Ok(Expression::Slice(None, None));
            }
            _ => {}
        }
        let from = self.number();
        match (self.eat(':'), from) {
            (true, from) => Ok(Expression::Slice(from, self.number())),
            (false, Some(at)) => Ok(Expression::Index(at)),
            (false, None) => Err(self.unexpected()),
        }
    }

    fn number(&mut self) -> Option<i64> {
        let Some(Token::Number(number)) = self.peek() else {
            return None;
        };
        let number = *number;
        self.at += 1;
        Some(number)
    }
}
