//! A document: PyYAML's values, each with its place.

use serde_json::{Map, Value};

use crate::catalog::diagnostics::Span;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub data: Data,
    /// Where it stands; of an alias, the place of the alias.
    pub span: Span,
}

/// What PyYAML's safe loader can make of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// `null`, `~` or nothing.
    Null,
    /// `yes`, `on`, `true` and their opposites.
    Bool(bool),
    /// An integer in any of YAML 1.1's notations.
    Int(i128),
    /// A decimal integer beyond 128 bits, its digits.
    BigInt(String),
    /// A float.
    Float(f64),
    /// Text.
    Text(String),
    /// A date or a time, in ISO format as Python writes it.
    Time(String),
    /// `!!binary`.
    Bytes(Vec<u8>),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in written order, merges done, duplicates gone.
    Map(Vec<(Node, Node)>),
    /// `!!set`.
    Set(Vec<Node>),
    /// `!!omap` and `!!pairs`.
    Pairs(Vec<(Node, Node)>),
}

impl Node {
    /// The value under a text key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Key and value under a text key of a map.
    pub fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        let entries = self.as_map()?.iter();
        entries
            .map(|(k, v)| (k, v))
            .find(|(k, _)| k.as_text() == Some(key))
    }

    /// The entries of a map.
    pub fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// Text that is text, not a number or date.
    pub fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// True for `null`.
    pub fn is_null(&self) -> bool {
        self.data == Data::Null
    }

    /// A scalar as Python's `str` shows it; none for what is not a scalar.
    pub fn scalar_text(&self) -> Option<String> {
        Some(match &self.data {
            Data::Text(text) | Data::Time(text) | Data::BigInt(text) => text.clone(),
            Data::Bool(true) => "True".into(),
            Data::Bool(false) => "False".into(),
            Data::Int(number) => number.to_string(),
            Data::Float(number) => python_float(*number),
            _ => return None,
        })
    }

    /// What the value is, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a boolean",
            Data::Int(_) | Data::BigInt(_) | Data::Float(_) => "a number",
            Data::Text(_) => "text",
            Data::Time(_) => "a date",
            Data::Bytes(_) => "binary data",
            Data::List(_) | Data::Set(_) | Data::Pairs(_) => "a list",
            Data::Map(_) => "a map",
        }
    }

    /// As JSON. What JSON lacks becomes what is nearest: keys become text as `json.dumps` does it,
    /// dates ISO text, sets lists, bytes a list of numbers, and integers beyond 64 bits floats.
    pub fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(flag) => Value::Bool(*flag),
            Data::Int(number) => json_int(*number),
            Data::BigInt(digits) => digits.parse::<f64>().map_or(Value::Null, Value::from),
            Data::Float(number) => Value::from(*number),
            Data::Text(text) | Data::Time(text) => Value::String(text.clone()),
            Data::Bytes(bytes) => Value::from(bytes.clone()),
            Data::List(items) | Data::Set(items) => items.iter().map(Node::to_json).collect(),
            Data::Map(entries) => Value::Object(json_object(entries)),
            Data::Pairs(pairs) => pairs
                .iter()
                .map(|(key, value)| Value::from(vec![key.to_json(), value.to_json()]))
                .collect(),
        }
    }
}

fn json_int(number: i128) -> Value {
    if let Ok(small) = i64::try_from(number) {
        return Value::from(small);
    }
    u64::try_from(number).map_or_else(|_| Value::from(number as f64), Value::from)
}

fn json_object(entries: &[(Node, Node)]) -> Map<String, Value> {
    let entries = entries.iter();
    entries
        .map(|(key, value)| (json_key(key), value.to_json()))
        .collect()
}

/// The text that `json.dumps` makes of a key.
fn json_key(key: &Node) -> String {
    match &key.data {
        Data::Null => "null".into(),
        Data::Bool(flag) => flag.to_string(),
        _ => key.scalar_text().unwrap_or_default(),
    }
}

/// A float as Python's `repr` writes it: the shortest digits that read back the same, plain
/// between 1e-4 and 1e16, with an exponent of at least two digits outside.
pub fn python_float(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    let size = number.abs();
    if number == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{number:?}");
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, power) = match exponent.strip_prefix('-') {
        Some(power) => ('-', power),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{power:0>2}")
}

#[cfg(test)]
mod tests {
    use super::python_float;

    #[test]
    fn floats_look_as_in_python() {
        let cases = [
            (1480310219.11, "1480310219.11"),
            (2.0, "2.0"),
            (-0.0, "-0.0"),
            (1e16, "1e+16"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1.5e300, "1.5e+300"),
            (9007199254740993.0, "9007199254740992.0"),
        ];
        for (number, text) in cases {
            assert_eq!(python_float(number), text);
        }
    }
}
