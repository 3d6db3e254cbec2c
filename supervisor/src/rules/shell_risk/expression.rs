//! Whether an expression of Jinja can put text of an event into a command. It is read as far as
//! that needs: brackets, filters, operators; what is not understood counts as a risk.

/// Deepest nesting that is looked into.
const MAX_DEPTH: usize = 50;

/// Filters whose result is a number.
const NUMBERS: &[&str] = &["int", "float", "length", "count"];
const CONSTANTS: &[&str] = &["true", "false", "none", "True", "False", "None"];
const WORDS: &[&str] = &["and", "or", "not", "in", "is", "if", "else"];
const COMPARISONS: &[&str] = &["==", "!=", "<=", ">=", "<", ">"];
const OPERATORS: &[&str] = &["**", "//", "~", "+", "-", "*", "/", "%"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'t> {
    Name(&'t str),
    /// A number or a text.
    Constant,
    Sign(&'t str),
    Open,
    Close,
}

/// An expression in pieces, each with its depth of brackets.
pub struct Expression<'t> {
    tokens: Vec<(Token<'t>, usize)>,
}

type Part<'p, 't> = &'p [(Token<'t>, usize)];

impl<'t> Expression<'t> {
    /// None where the text is not one.
    pub fn new(text: &'t str) -> Option<Self> {
        let (mut tokens, mut depth, mut rest) = (Vec::new(), 0usize, text.trim_start());
        while !rest.is_empty() {
            let (token, length) = token(rest)?;
            if token == Token::Close {
                depth = depth.checked_sub(1)?;
            }
            tokens.push((token, depth));
            if token == Token::Open {
                depth += 1;
            }
            rest = rest[length..].trim_start();
        }
        (depth == 0 && !tokens.is_empty()).then_some(Self { tokens })
    }

    /// True where nothing of it can be more than one harmless word for the shell.
    pub fn is_harmless(&self) -> bool {
        harmless(&self.tokens, 0)
    }

    /// True where all of it is the outcome of `shell_quote`.
    pub fn is_quoted(&self) -> bool {
        simple(&self.tokens, 0) && last_filter(&self.tokens, 0) == Some("shell_quote")
    }

    /// The names that it reads: no attributes, filters, tests or keywords.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (at, (token, _)) in self.tokens.iter().enumerate() {
            let Token::Name(name) = token else {
                continue;
            };
            let before = at.checked_sub(1).map(|at| self.tokens[at].0);
            let after = self.tokens.get(at + 1).map(|(token, _)| *token);
            let known = WORDS.contains(name) || CONSTANTS.contains(name);
            let attribute = matches!(before, Some(Token::Sign("." | "|") | Token::Name("is")));
            let keyword = after == Some(Token::Sign("="));
            if !known && !attribute && !keyword && !names.iter().any(|one| one == name) {
                names.push((*name).to_owned());
            }
        }
        names
    }
}

/// The first token of a text that begins with one, and its length.
fn token(text: &str) -> Option<(Token<'_>, usize)> {
    let first = text.chars().next()?;
    let run = |is: fn(char) -> bool| text.find(|c: char| !is(c)).unwrap_or(text.len());
    if first.is_alphabetic() || first == '_' {
        let length = run(|c| c.is_alphanumeric() || c == '_');
        return Some((Token::Name(&text[..length]), length));
    }
    if first.is_ascii_digit() {
        return Some((
            Token::Constant,
            run(|c| c.is_ascii_digit() || c == '.' || c == '_'),
        ));
    }
    match first {
        '\'' | '"' => Some((Token::Constant, text_length(text, first)?)),
        '(' | '[' | '{' => Some((Token::Open, 1)),
        ')' | ']' | '}' => Some((Token::Close, 1)),
        _ => {
            let signs = COMPARISONS.iter().chain(OPERATORS);
            let sign = signs
                .copied()
                .chain(["|", ".", ",", ":", "="])
                .find(|sign| text.starts_with(sign))?;
            Some((Token::Sign(&text[..sign.len()]), sign.len()))
        }
    }
}

fn text_length(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn harmless(part: Part<'_, '_>, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    let inside = |part| harmless(part, depth + 1);
    if let Some((value, rest)) = split(part, depth_of(part), &[Token::Name("if")]) {
        // The condition decides, and is not seen.
        let other = split(rest, depth_of(rest), &[Token::Name("else")]);
        return inside(value) && other.is_none_or(|(_, other)| inside(other));
    }
    for word in ["or", "and"] {
        if let Some((one, other)) = split(part, depth_of(part), &[Token::Name(word)]) {
            return inside(one) && inside(other);
        }
    }
    let level = depth_of(part);
    let at_top = |token: &Token<'_>| part.iter().any(|(one, at)| *at == level && one == token);
    let answers = COMPARISONS.iter().map(|sign| Token::Sign(sign));
    let words = ["in", "is", "not"].map(Token::Name);
    if answers.chain(words).any(|token| at_top(&token)) {
        return true;
    }
    let signs: Vec<Token<'_>> = OPERATORS.iter().map(|sign| Token::Sign(sign)).collect();
    if let Some((one, other)) = split(part, level, &signs) {
        return (one.is_empty() || inside(one)) && inside(other);
    }
    alone(part, depth)
}

/// A value with its attributes and filters, and no operator.
fn alone(part: Part<'_, '_>, depth: usize) -> bool {
    let level = depth_of(part);
    if !simple(part, level) {
        return false;
    }
    let read = part.iter().filter(|(token, _)| match token {
        Token::Name(name) => !CONSTANTS.contains(name),
        _ => false,
    });
    match last_filter(part, level) {
        Some(filter) => {
            filter == "shell_quote" || NUMBERS.contains(&filter) || {
                let before = split(part, level, &[Token::Sign("|")]).map(|(value, _)| value);
                let arguments = part
                    .iter()
                    .any(|(token, at)| *at > level && matches!(token, Token::Name(_)));
                before.is_some_and(|value| !arguments && read_nothing(value))
            }
        }
        None if read.count() == 0 => true,
        None => group(part).is_some_and(|inner| harmless(inner, depth + 1)),
    }
}

fn read_nothing(part: Part<'_, '_>) -> bool {
    part.iter().all(|(token, _)| match token {
        Token::Name(name) => CONSTANTS.contains(name),
        _ => true,
    })
}

/// The depth of what is not in brackets of the part's own.
fn depth_of(part: Part<'_, '_>) -> usize {
    part.iter().map(|(_, depth)| *depth).min().unwrap_or(0)
}

/// The inside of brackets that are the whole part.
fn group<'p, 't>(part: Part<'p, 't>) -> Option<Part<'p, 't>> {
    let level = depth_of(part);
    let [(Token::Open, _), inner @ .., (Token::Close, _)] = part else {
        return None;
    };
    let one = !inner.is_empty() && inner.iter().all(|(_, depth)| *depth > level);
    let list = inner
        .iter()
        .any(|(token, at)| *at == level + 1 && matches!(token, Token::Sign("," | ":")));
    (one && !list).then_some(inner)
}

/// What stands before and after the first of these tokens that is not in brackets.
fn split<'p, 't>(
    part: Part<'p, 't>,
    level: usize,
    wanted: &[Token<'_>],
) -> Option<(Part<'p, 't>, Part<'p, 't>)> {
    let at = part
        .iter()
        .position(|(token, depth)| *depth == level && wanted.iter().any(|one| one == token))?;
    Some((&part[..at], &part[at + 1..]))
}

/// True where no operator stands outside brackets.
fn simple(part: Part<'_, '_>, level: usize) -> bool {
    part.iter().all(|(token, depth)| match token {
        Token::Sign(sign) => *depth > level || ["|", "."].contains(sign),
        Token::Name(name) => *depth > level || !WORDS.contains(name),
        _ => true,
    })
}

fn last_filter<'t>(part: Part<'_, 't>, level: usize) -> Option<&'t str> {
    let at = part
        .iter()
        .rposition(|(token, depth)| *depth == level && *token == Token::Sign("|"))?;
    let (Token::Name(name), _) = part.get(at + 1)? else {
        return None;
    };
    // Only the arguments may follow: an attribute of the outcome is something else.
    let more = part[at + 2..]
        .iter()
        .any(|(token, depth)| *depth == level && *token == Token::Sign("."));
    (!more).then_some(name)
}
