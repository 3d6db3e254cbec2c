//! A template's text as tokens, by Jinja's rules for white space: `trim_blocks` and
//! `lstrip_blocks` are on, and one newline at the end goes.

use std::sync::Arc;

use num_bigint::BigInt;

use super::error::{Error, Result};

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// Text outside of tags.
    Data(Arc<str>),
    /// `{{`
    VariableBegin,
    /// `}}`
    VariableEnd,
    /// `{%`
    BlockBegin,
    /// `%}`
    BlockEnd,
    /// A name or keyword.
    Name(Arc<str>),
    /// A string, its escapes resolved.
    String(Arc<str>),
    /// A whole number.
    Integer(BigInt),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A sign.
    Operator(&'static str),
}

/// A token with its place, in bytes.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The token.
    pub token: Token,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// Longest first where one begins another.
const OPERATORS: &[&str] = &[
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",", ";",
];

/// A syntax error at a place.
pub fn syntax(message: impl Into<String>, start: usize, end: usize) -> Error {
    Error::new("TemplateSyntaxError", message).within(start, end)
}

/// Newlines as Jinja takes them, and without the one at the end.
pub fn normalised(source: &str) -> String {
    let text = match source.contains('\r') {
        true => source.replace("\r\n", "\n").replace('\r', "\n"),
        false => source.to_owned(),
    };
    match text.strip_suffix('\n') {
        Some(bare) => bare.to_owned(),
        None => text,
    }
}

/// The tokens of a template whose newlines are normalised.
///
/// # Errors
/// What cannot be read.
pub fn tokens(source: &str) -> Result<Vec<Placed>> {
    let mut lexer = Lexer {
        source,
        at: 0,
        line_starting: true,
        out: Vec::new(),
    };
    while lexer.at < source.len() {
        lexer.root()?;
    }
    Ok(lexer.out)
}

#[derive(Clone, Copy, PartialEq)]
enum Tag {
    Raw(usize),
    Comment,
    Block,
    Variable,
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line_starting: bool,
    out: Vec<Placed>,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn push(&mut self, token: Token, start: usize) {
        let end = self.at;
        self.out.push(Placed { token, start, end });
    }

    fn moved(&mut self, to: usize) {
        self.at = to;
        self.line_starting = self.source[..to].ends_with('\n');
    }

    /// Text up to the next tag, then the tag.
    fn root(&mut self) -> Result<()> {
        let start = self.at;
        let found = next_tag(self.source, start);
        let Some((place, tag)) = found else {
            self.at = self.source.len();
            self.push(Token::Data(self.source[start..].into()), start);
            return Ok(());
        };
        let sign = self.source[place + 2..].chars().next();
        let data = &self.source[start..place];
        let data = stripped(data, sign, tag != Tag::Variable, self.line_starting);
        if !data.is_empty() {
            self.at = start;
            self.push(Token::Data(data.into()), start);
        }
        let signed = usize::from(matches!(sign, Some('-' | '+')));
        self.moved(place + 2 + signed);
        match tag {
            Tag::Raw(end) => {
                self.moved(end);
                self.raw()
            }
            Tag::Comment => self.comment(place),
            Tag::Block => {
                self.push(Token::BlockBegin, place);
                self.expression("%}", place)
            }
            Tag::Variable => {
                self.push(Token::VariableBegin, place);
                self.expression("}}", place)
            }
        }
    }

    fn comment(&mut self, start: usize) -> Result<()> {
        let Some(end) = self.rest().find("#}") else {
            return Err(syntax("Missing end of comment tag", start, start + 2));
        };
        let inside = &self.rest()[..end];
        let after = self.at + end + 2;
        let to = match inside.chars().last() {
            Some('-') => self.blank_from(after),
            Some('+') => after,
            _ => after + usize::from(self.source[after..].starts_with('\n')),
        };
        self.moved(to);
        Ok(())
    }

    fn blank_from(&self, at: usize) -> usize {
        let rest = &self.source[at..];
        at + rest.len() - rest.trim_start().len()
    }

    fn raw(&mut self) -> Result<()> {
        let start = self.at;
        let mut from = start;
        while let Some(found) = self.source[from..].find("{%") {
            let place = from + found;
            let inner = &self.source[place + 2..];
            let sign = inner.chars().next().filter(|c| "+-".contains(*c));
            let inner = inner[sign.map_or(0, char::len_utf8)..].trim_start();
            if let Some(end) = inner.strip_prefix("endraw").map(str::trim_start)
                && let Some((to, end_sign)) = tag_end(end)
            {
                let data = &self.source[start..place];
                let data = stripped(data, sign, true, self.line_starting);
                if !data.is_empty() {
                    self.push(Token::Data(data.into()), start);
                }
                let after = self.source.len() - end.len() + to;
                let to = match end_sign {
                    Some('-') => self.blank_from(after),
                    Some('+') => after,
                    _ => after + usize::from(self.source[after..].starts_with('\n')),
                };
                self.moved(to);
                return Ok(());
            }
            from = place + 2;
        }
        Err(syntax(
            "Missing end of raw directive",
            start,
            self.source.len(),
        ))
    }

    /// Tokens up to the end of a tag, which counts only outside of brackets.
    fn expression(&mut self, close: &'static str, tag: usize) -> Result<()> {
        let mut open: Vec<(char, usize)> = Vec::new();
        loop {
            self.moved(self.blank_from(self.at));
            let (rest, start) = (self.rest(), self.at);
            let Some(first) = rest.chars().next() else {
                // The parser says what is missing; a bracket that is open says more.
                return match open.last() {
                    Some((bracket, at)) => Err(syntax(
                        format!(
                            "unexpected end of template, '{}' is missing",
                            partner(*bracket)
                        ),
                        *at,
                        *at + 1,
                    )),
                    None => Ok(()),
                };
            };
            if open.is_empty() && self.end_of_tag(close, tag) {
                return Ok(());
            }
            match first {
                '\'' | '"' => self.string(first)?,
                '0'..='9' => self.number()?,
                c if c == '_' || c.is_alphanumeric() => {
                    let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric());
                    self.at += end.unwrap_or(rest.len());
                    let name = &self.source[start..self.at];
                    if c.is_numeric() {
                        return Err(syntax("Invalid character in identifier", start, self.at));
                    }
                    self.push(Token::Name(name.into()), start);
                }
                c => {
                    let found = OPERATORS.iter().find(|sign| rest.starts_with(**sign));
                    let Some(sign) = found else {
                        let (message, end) =
                            (format!("unexpected char {c:?}"), start + c.len_utf8());
                        return Err(syntax(message, start, end));
                    };
                    balance(&mut open, sign, start)?;
                    self.at += sign.len();
                    self.push(Token::Operator(sign), start);
                }
            }
        }
    }

    fn end_of_tag(&mut self, close: &'static str, _tag: usize) -> bool {
        let (rest, start) = (self.rest(), self.at);
        let block = close == "%}";
        let (to, trims) = if rest.starts_with('-') && rest[1..].starts_with(close) {
            (self.blank_from(start + 3), false)
        } else if block && rest.starts_with('+') && rest[1..].starts_with(close) {
            (start + 3, false)
        } else if rest.starts_with(close) {
            (start + 2, block)
        } else {
            return false;
        };
        let newline = trims && self.source[to..].starts_with('\n');
        self.moved(to + usize::from(newline));
        let token = if block {
            Token::BlockEnd
        } else {
            Token::VariableEnd
        };
        self.push(token, start);
        true
    }

    fn string(&mut self, mark: char) -> Result<()> {
        let (start, body) = (self.at, &self.rest()[1..]);
        let mut escaped = false;
        for (at, c) in body.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if c == mark => {
                    let text =
                        unescaped(&body[..at]).map_err(|why| syntax(why, start, start + at + 2))?;
                    self.at += at + 2;
                    self.push(Token::String(text.into()), start);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(syntax(
            format!("unexpected char {mark:?}"),
            start,
            start + 1,
        ))
    }

    fn number(&mut self) -> Result<()> {
        let (start, rest) = (self.at, self.rest());
        let after_dot = self.source[..start].ends_with('.');
        let length = float_length(rest).filter(|_| !after_dot);
        if let Some(length) = length {
            self.at += length;
            let text = rest[..length].replace('_', "");
            let float = text.parse().unwrap_or(f64::NAN);
            self.push(Token::Float(float), start);
            return Ok(());
        }
        let length = integer_length(rest);
        self.at += length;
        let int = super::convert::int_of_text(&rest[..length], 0);
        let int = int.map_err(|error| syntax(error.message, start, start + length))?;
        self.push(Token::Integer(int), start);
        Ok(())
    }
}

fn partner(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

fn balance(open: &mut Vec<(char, usize)>, sign: &str, at: usize) -> Result<()> {
    match sign {
        "(" | "[" | "{" => open.extend(sign.chars().map(|c| (c, at))),
        ")" | "]" | "}" => {
            let expected = open.pop().map(|(c, _)| partner(c));
            match expected {
                Some(c) if sign.starts_with(c) => {}
                Some(c) => {
                    let message = format!("unexpected '{sign}', expected '{c}'");
                    return Err(syntax(message, at, at + 1));
                }
                None => return Err(syntax(format!("unexpected '{sign}'"), at, at + 1)),
            }
        }
        _ => {}
    }
    Ok(())
}

/// Where the next tag begins, and what it is.
fn next_tag(source: &str, from: usize) -> Option<(usize, Tag)> {
    let bytes = source.as_bytes();
    let mut at = from;
    while let Some(found) = source[at..].find('{') {
        let place = at + found;
        let tag = match bytes.get(place + 1) {
            Some(b'{') => Some(Tag::Variable),
            Some(b'#') => Some(Tag::Comment),
            Some(b'%') => Some(raw_begin(source, place).map_or(Tag::Block, Tag::Raw)),
            _ => None,
        };
        if let Some(tag) = tag {
            return Some((place, tag));
        }
        at = place + 1;
    }
    None
}

fn raw_begin(source: &str, place: usize) -> Option<usize> {
    let inner = &source[place + 2..];
    let inner = inner.strip_prefix(['+', '-']).unwrap_or(inner).trim_start();
    let inner = inner.strip_prefix("raw")?.trim_start();
    let (close, strip) = match inner.strip_prefix("-%}") {
        Some(rest) => (rest, true),
        None => (inner.strip_prefix("%}")?, false),
    };
    let rest = if strip { close.trim_start() } else { close };
    Some(source.len() - rest.len())
}

/// The length of the end of a block, and its sign.
fn tag_end(text: &str) -> Option<(usize, Option<char>)> {
    let sign = text.chars().next().filter(|c| "+-".contains(*c));
    let skip = usize::from(sign.is_some());
    text[skip..].starts_with("%}").then_some((skip + 2, sign))
}

/// Text before a tag without the white space that the tag takes away.
fn stripped(data: &str, sign: Option<char>, is_block: bool, line_starting: bool) -> &str {
    match sign {
        Some('-') => data.trim_end(),
        Some('+') => data,
        _ if is_block => {
            let line = data.rfind('\n').map_or(0, |at| at + 1);
            let blank = data[line..].chars().all(char::is_whitespace);
            match (line > 0 || line_starting) && blank {
                true => &data[..line],
                false => data,
            }
        }
        _ => data,
    }
}

fn digits_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let joined = *byte == b'_' && at > 0 && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !byte.is_ascii_digit() && !joined {
            break;
        }
        at += 1;
    }
    at
}

fn float_length(text: &str) -> Option<usize> {
    let whole = digits_length(text);
    let fraction = text[whole..].strip_prefix('.').map_or(0, digits_length);
    let mut end = whole + if fraction > 0 { fraction + 1 } else { 0 };
    let exponent = text[end..].strip_prefix(['e', 'E']).and_then(|rest| {
        let bare = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        let digits = digits_length(bare);
        (digits > 0).then_some(1 + rest.len() - bare.len() + digits)
    });
    end += exponent.unwrap_or(0);
    (fraction > 0 || exponent.is_some()).then_some(end)
}

fn integer_length(text: &str) -> usize {
    let lower = text.get(..2).unwrap_or("").to_ascii_lowercase();
    let radix = match lower.as_str() {
        "0x" => 16,
        "0o" => 8,
        "0b" => 2,
        _ => return zero_or_digits(text),
    };
    let bytes = text.as_bytes();
    let is_digit = |b: &u8| char::from(*b).is_digit(radix);
    let mut at = 2;
    while let Some(byte) = bytes.get(at) {
        let joined = *byte == b'_' && bytes.get(at + 1).is_some_and(is_digit);
        if !is_digit(byte) && !joined {
            break;
        }
        at += 1;
    }
    if at > 2 { at } else { 1 }
}

/// A number does not begin with a zero, unless it is nothing else.
fn zero_or_digits(text: &str) -> usize {
    let length = digits_length(text);
    let zeros = text[..length]
        .find(|c| c != '0' && c != '_')
        .unwrap_or(length);
    match text.starts_with('0') && zeros < length {
        true => zeros,
        false => length,
    }
}

/// A string with Python's escapes resolved.
fn unescaped(body: &str) -> std::result::Result<String, String> {
    if !body.contains('\\') {
        return Ok(body.to_owned());
    }
    let mut out = String::new();
    let chars: Vec<char> = body.chars().collect();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        at += 1;
        if c != '\\' {
            out.push(c);
            continue;
        }
        let escape = chars.get(at).copied().unwrap_or('\\');
        at += 1;
        let code = |digits: usize, radix: u32, from: usize| {
            let text: String = chars.iter().skip(from).take(digits).collect();
            let whole = text.chars().count() == digits && text.chars().all(|c| c.is_digit(radix));
            whole
                .then(|| u32::from_str_radix(&text, radix).ok())
                .flatten()
                .and_then(char::from_u32)
                .ok_or_else(|| format!("truncated or illegal escape \\{escape}"))
        };
        match escape {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'v' => out.push('\u{b}'),
            '\\' | '\'' | '"' => out.push(escape),
            '\n' => {}
            'x' | 'u' | 'U' => {
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                out.push(code(digits, 16, at)?);
                at += digits;
            }
            '0'..='7' => {
                let more = chars[at..].iter().take(2);
                let digits = 1 + more.take_while(|c| c.is_digit(8)).count();
                out.push(code(digits, 8, at - 1)?);
                at += digits - 1;
            }
            'N' => return Err("names of characters are not supported in strings".to_owned()),
            other => out.extend(['\\', other]),
        }
    }
    Ok(out)
}
