//! The keys of criteria: StackStorm's `jsonpath-rw` 1.4, as far as payloads need it
//! (`trigger.a.b`, `trigger['x y']`, `[0]`, `[-1]`, `[0:2]`, `[*]`, `.*`, `..`).

use serde_json::Value;

/// A parsed key: chains of steps, joined by `..`.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    chains: Vec<Vec<Step>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Fields(Vec<String>),
    Any,
    Index(i64),
    Slice(Option<i64>, Option<i64>, Option<i64>),
}

/// What a key is looked up in: names with their values.
pub type Roots<'v> = [(&'v str, &'v Value)];

#[derive(Clone, Copy)]
enum Datum<'v> {
    Root(&'v Roots<'v>),
    Value(&'v Value),
}

impl Path {
    /// Parses a key without its `#tag`.
    ///
    /// # Errors
    /// What cannot be read, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            chars: text.chars().collect(),
            at: 0,
        };
        parser
            .path()
            .map_err(|why| format!("\"{text}\" is not a path: {why}"))
    }

    /// The first match, as StackStorm takes it; none when nothing is there.
    ///
    /// # Errors
    /// Python's words where a step cannot be taken at all, such as an index into a number.
    pub fn first<'v>(&self, roots: &'v Roots<'v>) -> Result<Option<&'v Value>, String> {
        let found = self.found(Datum::Root(roots))?;
        match found.first() {
            Some(Datum::Value(value)) => Ok(Some(value)),
            Some(Datum::Root(_)) => Err("the root itself is not a value".to_owned()),
            None => Ok(None),
        }
    }

    /// All matches in a value.
    ///
    /// # Errors
    /// As for [`Path::first`].
    pub fn all<'v>(&self, value: &'v Value) -> Result<Vec<&'v Value>, String> {
        let found = self.found(Datum::Value(value))?.into_iter();
        Ok(found
            .filter_map(|datum| match datum {
                Datum::Value(value) => Some(value),
                Datum::Root(_) => None,
            })
            .collect())
    }

    fn found<'v>(&self, from: Datum<'v>) -> Result<Vec<Datum<'v>>, String> {
        let mut found = vec![from];
        for (at, chain) in self.chains.iter().enumerate() {
            let mut next = Vec::new();
            for datum in found {
                match at {
                    0 => walk(chain, datum, &mut next)?,
                    _ => descend(chain, datum, &mut next)?,
                }
            }
            found = next;
        }
        Ok(found)
    }
}

fn walk<'v>(chain: &[Step], datum: Datum<'v>, out: &mut Vec<Datum<'v>>) -> Result<(), String> {
    let Some((step, rest)) = chain.split_first() else {
        out.push(datum);
        return Ok(());
    };
    for next in take(step, datum)? {
        walk(rest, next, out)?;
    }
    Ok(())
}

/// The chain at this place, then at every place below it.
fn descend<'v>(chain: &[Step], datum: Datum<'v>, out: &mut Vec<Datum<'v>>) -> Result<(), String> {
    // Descending, jsonpath-rw also tries steps that do not fit; those match nothing.
    let mut here = Vec::new();
    if walk(chain, datum, &mut here).is_ok() {
        out.append(&mut here);
    }
    match datum {
        Datum::Root(roots) => {
            for (_, value) in roots {
                descend(chain, Datum::Value(value), out)?;
            }
        }
        Datum::Value(Value::Array(items)) => {
            for item in items {
                descend(chain, Datum::Value(item), out)?;
            }
        }
        Datum::Value(Value::Object(map)) => {
            for item in map.values() {
                descend(chain, Datum::Value(item), out)?;
            }
        }
        Datum::Value(_) => {}
    }
    Ok(())
}

fn take<'v>(step: &Step, datum: Datum<'v>) -> Result<Vec<Datum<'v>>, String> {
    Ok(match (step, datum) {
        (Step::Fields(names), Datum::Root(roots)) => {
            let find = |name: &String| roots.iter().find(|(root, _)| root == name);
            let found = names.iter().filter_map(find);
            found.map(|(_, value)| Datum::Value(value)).collect()
        }
        (Step::Fields(names), Datum::Value(Value::Object(map))) => {
            let found = names.iter().filter_map(|name| map.get(name));
            found.map(Datum::Value).collect()
        }
        (Step::Any, Datum::Root(roots)) => {
            roots.iter().map(|(_, value)| Datum::Value(value)).collect()
        }
        (Step::Any, Datum::Value(Value::Object(map))) => map.values().map(Datum::Value).collect(),
        (Step::Fields(_) | Step::Any, _) => Vec::new(),
        (Step::Index(at), Datum::Value(value)) => index(*at, value)?,
        (Step::Slice(from, to, by), Datum::Value(value)) => slice(*from, *to, *by, value)?,
        (Step::Index(_) | Step::Slice(..), Datum::Root(_)) => {
            return Err("the root has names, not numbers".to_owned());
        }
    })
}

fn index(at: i64, value: &Value) -> Result<Vec<Datum<'_>>, String> {
    match value {
        Value::Array(items) => {
            let length = items.len() as i64;
            let place = if at < 0 { at + length } else { at };
            match usize::try_from(place) {
                Ok(place) => Ok(items.get(place).map(Datum::Value).into_iter().collect()),
                Err(_) => Err("list index out of range".to_owned()),
            }
        }
        Value::String(text) if at >= text.chars().count() as i64 => Ok(Vec::new()),
        Value::Object(map) if at >= map.len() as i64 => Ok(Vec::new()),
        Value::String(_) => Err("an index into text has no value of its own here".to_owned()),
        Value::Object(_) => Err(format!("an object has no item {at}")),
        _ => Err(format!(
            "object of type '{}' has no len()",
            super::python::type_name(value)
        )),
    }
}

/// What is not a list is taken for a list of one.
fn slice(
    from: Option<i64>,
    to: Option<i64>,
    by: Option<i64>,
    value: &Value,
) -> Result<Vec<Datum<'_>>, String> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    let by = by.unwrap_or(1);
    if by == 0 {
        return Err("slice step cannot be zero".to_owned());
    }
    let length = items.len() as i64;
    let (low, high) = if by > 0 {
        (0, length)
    } else {
        (-1, length - 1)
    };
    let clamp = |at: i64| (if at < 0 { at + length } else { at }).clamp(low, high);
    let (start, end) = match by > 0 {
        true => (from.map_or(low, clamp), to.map_or(high, clamp)),
        false => (from.map_or(high, clamp), to.map_or(low, clamp)),
    };
    let mut out = Vec::new();
    let mut at = start;
    while (by > 0 && at < end) || (by < 0 && at > end) {
        out.extend(
            usize::try_from(at)
                .ok()
                .and_then(|at| items.get(at))
                .map(Datum::Value),
        );
        at = at.saturating_add(by);
    }
    Ok(out)
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

impl Parser {
    fn blank(&mut self) {
        while matches!(self.chars.get(self.at), Some(' ' | '\t')) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.blank();
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn path(&mut self) -> Result<Path, String> {
        let mut chains = vec![Vec::new()];
        match self.peek() {
            None => return Err("it is empty".to_owned()),
            Some('$') => self.at += 1,
            Some('[') => {}
            Some(_) => chains[0].push(self.fields()?),
        }
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '[' => self.bracket(&mut chains)?,
                '.' if self.eat('.') => {
                    let first = match self.eat('[') {
                        true => None,
                        false => Some(self.fields()?),
                    };
                    chains.push(first.iter().cloned().collect());
                    if first.is_none() {
                        self.bracket(&mut chains)?;
                    }
                }
                '.' => {
                    let step = self.fields()?;
                    self.push(&mut chains, step);
                }
                _ => return Err(format!("unexpected {c:?} at character {}", self.at)),
            }
        }
        Ok(Path { chains })
    }

    fn push(&self, chains: &mut [Vec<Step>], step: Step) {
        if let Some(chain) = chains.last_mut() {
            chain.push(step);
        }
    }

    /// One name, or several with commas between them.
    fn fields(&mut self) -> Result<Step, String> {
        let mut names = vec![self.name()?];
        while self.eat(',') {
            names.push(self.name()?);
        }
        Ok(match names.iter().any(|name| name == "*") {
            true => Step::Any,
            false => Step::Fields(names),
        })
    }

    fn name(&mut self) -> Result<String, String> {
        let legal = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '@';
        match self.peek() {
            Some(mark @ ('\'' | '"')) => self.quoted(mark),
            Some('*') => {
                self.at += 1;
                Ok("*".to_owned())
            }
            Some(c) if legal(c) => {
                let start = self.at;
                let inner = |c: &&char| legal(**c) || c.is_ascii_digit() || **c == '-';
                self.at += self.chars[start..].iter().take_while(inner).count();
                Ok(self.chars[start..self.at].iter().collect())
            }
            Some(c) if c.is_ascii_digit() => {
                Err("an item of a list is written in brackets, as in list[0]".to_owned())
            }
            Some(c) => Err(format!(
                "unexpected {c:?} at character {}; quote the name",
                self.at + 1
            )),
            None => Err("a name is missing at its end".to_owned()),
        }
    }

    fn quoted(&mut self, mark: char) -> Result<String, String> {
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.chars.get(self.at).copied() {
            self.at += 1;
            match c {
                '\\' => {
                    text.extend(self.chars.get(self.at));
                    self.at += 1;
                }
                _ if c == mark => return Ok(text),
                _ => text.push(c),
            }
        }
        Err("a quote is not closed".to_owned())
    }

    fn bracket(&mut self, chains: &mut [Vec<Step>]) -> Result<(), String> {
        let step = match self.peek() {
            Some('*') => {
                self.at += 1;
                Step::Slice(None, None, None)
            }
            Some(c) if c.is_ascii_digit() || c == '-' || c == ':' => self.numbers()?,
            _ => self.fields()?,
        };
        if !self.eat(']') {
            return Err("a bracket is not closed".to_owned());
        }
        self.push(chains, step);
        Ok(())
    }

    fn numbers(&mut self) -> Result<Step, String> {
        let mut parts = vec![self.number()?];
        while self.eat(':') {
            parts.push(self.number()?);
        }
        match parts.as_slice() {
            [Some(at)] => Ok(Step::Index(*at)),
            [from, to] => Ok(Step::Slice(*from, *to, None)),
            [from, to, by] => Ok(Step::Slice(*from, *to, *by)),
            _ => Err("too many colons".to_owned()),
        }
    }

    fn number(&mut self) -> Result<Option<i64>, String> {
        self.blank();
        let start = self.at;
        self.at += usize::from(self.chars.get(self.at) == Some(&'-'));
        while self.chars.get(self.at).is_some_and(char::is_ascii_digit) {
            self.at += 1;
        }
        let digits: String = self.chars[start..self.at].iter().collect();
        match digits.is_empty() {
            true => Ok(None),
            false => digits
                .parse()
                .map(Some)
                .map_err(|_| format!("{digits} is not a number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn look(key: &str) -> Result<Option<Value>, String> {
        let payload = json!({
            "p1": "v1", "list": ["v1", true, 1], "headers": {"X-Custom": "cv"}, "k.dot": "dotted",
            "d": {"a b": 2, "x": {"y": [{"z": 1}, {"z": 2}]}},
        });
        let roots = [("trigger", &payload)];
        Path::parse(key)?
            .first(&roots)
            .map(Option::<&Value>::cloned)
    }

    #[test]
    fn keys_of_the_reference_find_what_they_should() {
        for (key, value) in [
            ("trigger.headers['X-Custom']", json!("cv")),
            ("trigger.headers.\"X-Custom\"", json!("cv")),
            ("trigger['headers'].X-Custom", json!("cv")),
            ("trigger.d['a b']", json!(2)),
            ("trigger.d.x.y[1].z", json!(2)),
            ("trigger.d.x.y[*].z", json!(1)),
            ("trigger.d..z", json!(1)),
            ("trigger.list[-1]", json!(1)),
            ("trigger.list[1:]", json!(true)),
            ("trigger.'k.dot'", json!("dotted")),
            (" $.trigger.p1 ", json!("v1")),
            ("trigger.d.*", json!(2)),
        ] {
            assert_eq!(look(key), Ok(Some(value)), "{key}");
        }
        for key in [
            "trigger.k.dot",
            "trigger.d.x.y[5].z",
            "foo.bar",
            "trigger.p1.x",
        ] {
            assert_eq!(look(key), Ok(None), "{key}");
        }
    }

    #[test]
    fn keys_that_cannot_be_read_say_why() {
        for key in [
            "trigger.list.0",
            "trigger.(",
            "",
            "trigger.list.`len`",
            "trigger[",
            "trigger.'x",
        ] {
            assert!(look(key).is_err(), "{key}");
        }
        assert!(look("trigger.list.0").unwrap_err().contains("list[0]"));
    }
}
