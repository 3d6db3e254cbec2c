//! Python's `ast.literal_eval`, as far as its values exist in JSON.

use serde_json::{Map, Number, Value};

/// Deepest nesting.
const MAX_DEPTH: usize = 64;

/// The value of a Python literal: tuples and sets become lists.
///
/// # Errors
/// What is not a literal, in one sentence.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser {
        text: text.trim_start_matches([' ', '\t']),
        at: 0,
    };
    let wrong = || format!("\"{text}\" is not a literal");
    let value = parser.tuple_or_value(0).ok_or_else(wrong)?;
    parser.blank();
    match parser.rest().is_empty() {
        true => Ok(value),
        false => Err(wrong()),
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn blank(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.blank();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    /// At the top, `1, 2` is a tuple without brackets.
    fn tuple_or_value(&mut self, depth: usize) -> Option<Value> {
        let first = self.value(depth)?;
        if !self.eat(",") {
            return Some(first);
        }
        let mut items = vec![first];
        self.blank();
        while !self.rest().is_empty() {
            items.push(self.value(depth)?);
            if !self.eat(",") {
                break;
            }
            self.blank();
        }
        Some(Value::Array(items))
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.blank();
        match self.rest().chars().next()? {
            '[' => self.items("[", "]", depth).map(Value::Array),
            '(' => self.bracketed(depth),
            '{' => self.braces(depth),
            '\'' | '"' => self.strings().map(Value::String),
            c if c.is_ascii_digit() || "+-.".contains(c) => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Option<Value> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let value = match &rest[..end] {
            "None" => Value::Null,
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            _ => return None,
        };
        self.at += end;
        Some(value)
    }

    fn number(&mut self) -> Option<Value> {
        let mut negative = false;
        while self.eat("-") || self.rest().starts_with('+') {
            match self.rest().starts_with('+') && self.eat("+") {
                true => {}
                false => negative = !negative,
            }
        }
        self.blank();
        let rest = self.rest();
        let mut end = 0;
        for (at, c) in rest.char_indices() {
            let exponent = at > 0 && "+-".contains(c) && rest[..at].ends_with(['e', 'E']);
            if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || exponent) {
                break;
            }
            end = at + 1;
        }
        self.at += end;
        number(&rest[..end], negative)
    }

    fn items(&mut self, open: &str, close: &str, depth: usize) -> Option<Vec<Value>> {
        self.eat(open);
        let mut items = Vec::new();
        loop {
            if self.eat(close) {
                return Some(items);
            }
            items.push(self.value(depth + 1)?);
            if !self.eat(",") {
                return self.eat(close).then_some(items);
            }
        }
    }

    /// A tuple, or one value in brackets.
    fn bracketed(&mut self, depth: usize) -> Option<Value> {
        let start = self.at;
        let mut items = self.items("(", ")", depth)?;
        let inside = self.text[start..self.at].trim_end_matches(')').trim_end();
        match items.len() == 1 && !inside.ends_with(',') {
            true => items.pop(),
            false => Some(Value::Array(items)),
        }
    }

    fn braces(&mut self, depth: usize) -> Option<Value> {
        self.eat("{");
        let mut map = Map::new();
        if self.eat("}") {
            return Some(Value::Object(map));
        }
        let first = self.value(depth + 1)?;
        if !self.eat(":") {
            return self.set(first, depth);
        }
        let mut key = first;
        loop {
            let value = self.value(depth + 1)?;
            map.insert(key_text(&key)?, value);
            if !self.eat(",") {
                return self.eat("}").then_some(Value::Object(map));
            }
            if self.eat("}") {
                return Some(Value::Object(map));
            }
            key = self.value(depth + 1)?;
            if !self.eat(":") {
                return None;
            }
        }
    }

    fn set(&mut self, first: Value, depth: usize) -> Option<Value> {
        let mut items = vec![first];
        while self.eat(",") {
            if self.eat("}") {
                return Some(Value::Array(items));
            }
            items.push(self.value(depth + 1)?);
        }
        self.eat("}").then_some(Value::Array(items))
    }

    /// Strings that stand side by side are one.
    fn strings(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            self.blank();
            match self.rest().chars().next() {
                Some(mark @ ('\'' | '"')) => self.string(mark, &mut text)?,
                _ => return Some(text),
            }
        }
    }

    fn string(&mut self, mark: char, out: &mut String) -> Option<()> {
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => {
                    let (_, escaped) = chars.next()?;
                    let digits = match escaped {
                        'x' => 2,
                        'u' => 4,
                        'U' => 8,
                        _ => {
                            out.extend(simple_escape(escaped));
                            continue;
                        }
                    };
                    let code: String = (&mut chars).take(digits).map(|(_, c)| c).collect();
                    out.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
                }
                '\n' => return None,
                _ if c == mark => {
                    self.at += at + 1;
                    return Some(());
                }
                _ => out.push(c),
            }
        }
        None
    }
}

fn simple_escape(c: char) -> Vec<char> {
    match c {
        'n' => vec!['\n'],
        't' => vec!['\t'],
        'r' => vec!['\r'],
        'a' => vec!['\u{7}'],
        'b' => vec!['\u{8}'],
        'f' => vec!['\u{c}'],
        'v' => vec!['\u{b}'],
        '0' => vec!['\0'],
        '\\' | '\'' | '"' => vec![c],
        '\n' => vec![],
        _ => vec!['\\', c],
    }
}

fn key_text(key: &Value) -> Option<String> {
    match key {
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(key.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn number(written: &str, negative: bool) -> Option<Value> {
    let well = !written.starts_with('_') && !written.ends_with('_') && !written.contains("__");
    let bare = written.replace('_', "").to_ascii_lowercase();
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| Some((bare.strip_prefix(prefix)?, radix)));
    if let Some((digits, radix)) = radix.filter(|_| well) {
        return int(i128::from_str_radix(digits, radix).ok()?, negative);
    }
    let digits = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit());
    if digits && well {
        let leading = bare.starts_with('0') && bare.bytes().any(|b| b != b'0');
        return match bare.parse::<i128>() {
            Ok(number) if !leading => int(number, negative),
            _ => None,
        };
    }
    let shaped = bare.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = bare.parse().ok().filter(|_| shaped && well)?;
    Number::from_f64(if negative { -number } else { number }).map(Value::Number)
}

fn int(size: i128, negative: bool) -> Option<Value> {
    let number = if negative { -size } else { size };
    match i64::try_from(number) {
        Ok(small) => Some(Value::from(small)),
        Err(_) => {
            Some(u64::try_from(number).map_or_else(|_| Value::from(number as f64), Value::from))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use serde_json::json;

    #[test]
    fn literals_are_read() {
        for (text, value) in [
            ("['a', 'b']", json!(["a", "b"])),
            (
                "{'a': None, 'b': (1, 2.5), }",
                json!({"a": null, "b": [1, 2.5]}),
            ),
            ("(1)", json!(1)),
            ("(1,)", json!([1])),
            ("1, 2", json!([1, 2])),
            ("-5", json!(-5)),
            ("1e3", json!(1000.0)),
            ("0x1f", json!(31)),
            ("1_000", json!(1000)),
            (r"'a\n\x41\u00e9' 'b'", json!("a\nAéb")),
            ("True", json!(true)),
            ("{1, 2}", json!([1, 2])),
            ("{1: 'x'}", json!({"1": "x"})),
        ] {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_literal_is_refused() {
        for text in [
            "", "plain", "a,b", "[1, 2", "yes", "1 and 2", "[1] x", "'a", "{1: }", "01",
            "not-json", "1 2",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
