//! `'…' % values`.

use super::budget::Budget;
use super::compare::{Number, number};
use super::error::{Error, Result, type_error, value_error};
use super::markup;
use super::repr;
use super::spec::{Spec, number_by};
use super::value::Value;

/// `template % values`.
///
/// # Errors
/// Python's words for values that do not fit.
pub fn percent(template: &Value, values: &Value, budget: &Budget) -> Result<Value> {
    let marked = markup::is_markup(template);
    let given = match values {
        Value::Tuple(tuple) => tuple.items.clone(),
        other => vec![other.clone()],
    };
    let mut formatter = Formatter {
        chars: template.as_str().unwrap_or_default().chars().collect(),
        at: 0,
        mapping: matches!(values, Value::Dict(_)).then_some(values),
        given,
        used: 0,
        marked,
        budget,
        out: String::new(),
    };
    formatter.run()?;
    let left = formatter.used < formatter.given.len();
    let loose = matches!(
        values,
        Value::Dict(_)
            | Value::List(_)
            | Value::Bytes(_)
            | Value::Range(..)
            | Value::Loop(_)
            | Value::Undefined(_)
    );
    if left && !loose {
        let message = "not all arguments converted during string formatting";
        return Err(type_error(message));
    }
    Ok(match marked {
        true => Value::Markup(formatter.out.into()),
        false => Value::str(formatter.out),
    })
}

struct Formatter<'f> {
    chars: Vec<char>,
    at: usize,
    mapping: Option<&'f Value>,
    given: Vec<Value>,
    used: usize,
    marked: bool,
    budget: &'f Budget,
    out: String,
}

fn incomplete() -> Error {
    value_error("incomplete format")
}

impl Formatter<'_> {
    fn run(&mut self) -> Result<()> {
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '%' => self.conversion()?,
                c => self.out.push(c),
            }
        }
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next_value(&mut self) -> Result<Value> {
        let value = self.given.get(self.used).cloned();
        self.used += 1;
        value.ok_or_else(|| type_error("not enough arguments for format string"))
    }

    fn conversion(&mut self) -> Result<()> {
        let keyed = self.key()?;
        let mut spec = Spec::default();
        let mut left = false;
        while let Some(c) = self.peek().filter(|c| "#0- +".contains(*c)) {
            match c {
                '#' => spec.alternate = true,
                '0' => spec.zero = true,
                '-' => left = true,
                '+' => spec.sign = Some('+'),
                _ => spec.sign = spec.sign.or(Some(' ')),
            }
            self.at += 1;
        }
        let (width, negative) = self.size()?.unwrap_or((0, false));
        spec.width = width;
        left |= negative;
        if self.peek() == Some('.') {
            self.at += 1;
            let (precision, negative) = self.size()?.unwrap_or((0, false));
            spec.precision = Some(if negative { 0 } else { precision });
        }
        if self.peek().is_some_and(|c| "hlL".contains(c)) {
            self.at += 1;
        }
        let kind = self.peek().ok_or_else(incomplete)?;
        self.at += 1;
        if kind == '%' {
            self.out.push('%');
            return Ok(());
        }
        spec.align = Some(if left { '<' } else { '>' });
        let value = match keyed {
            Some(value) => value,
            None => self.next_value()?,
        };
        let written = self.write(kind, spec, &value)?;
        self.out.push_str(&written);
        Ok(())
    }

    fn key(&mut self) -> Result<Option<Value>> {
        if self.peek() != Some('(') {
            return Ok(None);
        }
        let (start, mut open) = (self.at + 1, 1);
        while open > 0 {
            self.at += 1;
            match self.peek() {
                Some('(') => open += 1,
                Some(')') => open -= 1,
                Some(_) => {}
                None => return Err(value_error("incomplete format key")),
            }
        }
        let key: String = self.chars[start..self.at].iter().collect();
        self.at += 1;
        let Some(mapping) = self.mapping else {
            return Err(type_error("format requires a mapping"));
        };
        self.used = self.given.len();
        let mut quoted = String::new();
        repr::quote(&mut quoted, &key);
        let found = mapping.get(&key);
        found
            .map(Some)
            .ok_or_else(|| Error::new("KeyError", quoted))
    }

    fn size(&mut self) -> Result<Option<(usize, bool)>> {
        if self.peek() == Some('*') {
            self.at += 1;
            let value = self.next_value()?;
            let size = value.as_int().ok_or_else(|| type_error("* wants int"))?;
            return Ok(Some((size.unsigned_abs() as usize, size < 0)));
        }
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let text: String = self.chars[start..self.at].iter().collect();
        match (text.is_empty(), text.parse()) {
            (true, _) => Ok(None),
            (_, Ok(size)) => Ok(Some((size, false))),
            _ => Err(value_error("width too big")),
        }
    }

    fn write(&self, kind: char, mut spec: Spec, value: &Value) -> Result<String> {
        match kind {
            's' | 'r' | 'a' => {
                let text = match (kind, self.marked) {
                    ('s', true) => markup::escape(value)?,
                    ('s', _) => repr::text(value)?,
                    (_, marked) => {
                        value.defined()?;
                        let text = repr::repr(value)?;
                        let text = if kind == 'a' { ascii(&text) } else { text };
                        if marked {
                            markup::escape_text(&text)
                        } else {
                            text
                        }
                    }
                };
                let text: String = match spec.precision {
                    Some(most) => text.chars().take(most).collect(),
                    None => text,
                };
                self.padded(&text, &spec)
            }
            'c' => self.padded(&character(value)?, &spec),
            'd' | 'i' | 'u' | 'o' | 'x' | 'X' => self.int(kind, spec, value),
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                value.defined()?;
                let float = super::convert::float(value).map_err(|error| match error.kind {
                    "OverflowError" => error,
                    _ => type_error(format!("must be real number, not {}", value.type_name())),
                })?;
                if value.as_str().is_some() {
                    return Err(type_error("must be real number, not str"));
                }
                spec.kind = Some(kind);
                zero_fill(&mut spec, float.is_finite());
                number_by(&Number::Float(float), &spec, self.budget)
            }
            other => Err(value_error(format!(
                "unsupported format character '{other}' (0x{:x}) at index {}",
                other as u32,
                self.at - 1
            ))),
        }
    }

    fn padded(&self, text: &str, spec: &Spec) -> Result<String> {
        let missing = spec.width.saturating_sub(text.chars().count());
        self.budget.text(missing.saturating_add(text.len()))?;
        let blanks = " ".repeat(missing);
        Ok(match spec.align {
            Some('<') => format!("{text}{blanks}"),
            _ => format!("{blanks}{text}"),
        })
    }

    fn int(&self, kind: char, mut spec: Spec, value: &Value) -> Result<String> {
        value.defined()?;
        let wrong = || {
            let need = if "diu".contains(kind) {
                "a real number"
            } else {
                "an integer"
            };
            let given = value.type_name();
            type_error(format!("%{kind} format: {need} is required, not {given}"))
        };
        let int = match number(value).ok_or_else(wrong)? {
            Number::Float(_) if !"diu".contains(kind) => return Err(wrong()),
            Number::Float(float) => super::convert::int_of_float(float)?,
            other => other.big(),
        };
        let digits = spec.precision.take();
        spec.kind = Some(if "iu".contains(kind) { 'd' } else { kind });
        zero_fill(&mut spec, true);
        let Some(digits) = digits else {
            return number_by(&Number::Big(int.into()), &spec, self.budget);
        };
        // A precision is the least number of digits.
        let mut bare = spec.clone();
        (bare.width, bare.fill, bare.align) = (0, Some('0'), Some('='));
        let plain = number_by(&Number::Big(int.clone().into()), &bare, self.budget)?;
        let shown = plain.chars().filter(char::is_ascii_alphanumeric).count();
        let prefix = if spec.alternate && "oxX".contains(kind) {
            2
        } else {
            0
        };
        bare.width = plain.chars().count() + digits.saturating_sub(shown - prefix);
        let body = number_by(&Number::Big(int.into()), &bare, self.budget)?;
        match spec.fill == Some('0') && spec.width > body.len() {
            true => {
                bare.width = spec.width;
                number_by(&number(value).ok_or_else(wrong)?, &bare, self.budget)
            }
            false => self.padded(&body, &spec),
        }
    }
}

fn zero_fill(spec: &mut Spec, finite: bool) {
    if spec.zero && finite && spec.align != Some('<') {
        (spec.fill, spec.align) = (Some('0'), Some('='));
    }
}

fn character(value: &Value) -> Result<String> {
    value.defined()?;
    match value {
        Value::Int(_) | Value::Bool(_) => {
            let code = value.as_int().unwrap_or(-1);
            let c = u32::try_from(code).ok().and_then(char::from_u32);
            let wrong = || Error::new("OverflowError", "%c arg not in range(0x110000)");
            c.map(String::from).ok_or_else(wrong)
        }
        _ => match value.as_str() {
            Some(text) if text.chars().count() == 1 => Ok(text.to_owned()),
            _ => Err(type_error("%c requires int or char")),
        },
    }
}

/// Text with everything beyond ASCII as escapes.
pub fn ascii(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c as u32 {
            ..0x80 => out.push(c),
            code @ 0x80..0x100 => out.push_str(&format!("\\x{code:02x}")),
            code @ 0x100..0x1_0000 => out.push_str(&format!("\\u{code:04x}")),
            code => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out
}
