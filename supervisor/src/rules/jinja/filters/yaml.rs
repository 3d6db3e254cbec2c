//! `from_yaml_string` and `to_yaml_string`: PyYAML's safe loader and dumper, over libyaml.

use num_bigint::BigInt;

use crate::catalog::yaml::{self, Data, Node, implicit, python_float};
use crate::rules::jinja::arguments::Args;
use crate::rules::jinja::budget::{Budget, MAX_VALUE_DEPTH};
use crate::rules::jinja::cells::Entries;
use crate::rules::jinja::error::{Error, Result, limit, value_error};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::value::Value;
use crate::rules::jinja::{repr, yaml_scalar};

/// `from_yaml_string`
pub fn from_yaml_string(
    interpreter: &mut Interpreter<'_>,
    value: Value,
    args: Args,
) -> Result<Value> {
    args.bind("from_yaml_string", &[], 0)?;
    let text = repr::text(&value)?;
    interpreter.budget.text(text.len().saturating_mul(4))?;
    let parsed = yaml::parse(&text).map_err(|fault| {
        let start = fault.span.start;
        let message = &fault.message;
        value_error(format!(
            "not YAML: {message} (line {}, column {})",
            start.line, start.column
        ))
    })?;
    from_node(&parsed.root, interpreter.budget)
}

/// A value from a YAML document.
///
/// # Errors
/// For keys that Python cannot have.
fn from_node(node: &Node, budget: &Budget) -> Result<Value> {
    budget.items(1)?;
    let pair =
        |(key, value): &(Node, Node)| Ok((from_node(key, budget)?, from_node(value, budget)?));
    Ok(match &node.data {
        Data::Null => Value::None,
        Data::Bool(flag) => Value::Bool(*flag),
        Data::Int(int) => Value::int(BigInt::from(*int)),
        Data::BigInt(digits) => Value::int(digits.parse().unwrap_or_default()),
        Data::Float(float) => Value::Float(*float),
        Data::Text(text) => Value::str(text.as_str()),
        Data::Time(text) => Value::Time(text.replacen('T', " ", 1).into()),
        Data::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
        Data::List(items) | Data::Set(items) => {
            let items = items.iter().map(|item| from_node(item, budget));
            Value::list(items.collect::<Result<_>>()?)
        }
        Data::Pairs(pairs) => {
            let pairs = pairs.iter().map(|one| {
                let (key, value) = pair(one)?;
                Ok(Value::tuple(vec![key, value]))
            });
            Value::list(pairs.collect::<Result<_>>()?)
        }
        Data::Map(pairs) => {
            let mut entries = Entries::new();
            for one in pairs {
                let (key, value) = pair(one)?;
                entries.insert(key.key()?, value);
            }
            Value::dict(entries)
        }
    })
}

/// `to_yaml_string`
pub fn to_yaml_string(
    interpreter: &mut Interpreter<'_>,
    value: Value,
    args: Args,
) -> Result<Value> {
    let bound = args.bind("to_yaml_string", &["indent", "allow_unicode"], 0)?;
    let indent = match bound.some(0) {
        None => 2,
        Some(_) => bound.int(0, 2)?,
    };
    let unicode = match bound.some(1) {
        None => bound.get(1).is_none(),
        Some(flag) => flag.is_true()?,
    };
    value.defined()?;
    let mut dumper = Dumper {
        out: yaml_scalar::Writer::new(unicode),
        step: usize::try_from(indent)
            .ok()
            .filter(|n| (2..10).contains(n))
            .unwrap_or(2),
        indent: None,
        budget: interpreter.budget,
    };
    dumper.node(&value, Place::Root, 0)?;
    Ok(Value::from(dumper.out.finish()))
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Item,
    Key,
    Value,
}

struct Dumper<'d> {
    out: yaml_scalar::Writer,
    step: usize,
    indent: Option<usize>,
    budget: &'d Budget,
}

/// What a scalar is written as, and whether it is text.
fn scalar(value: &Value) -> Result<Option<(String, bool)>> {
    Ok(Some(match value {
        Value::None => ("null".to_owned(), false),
        Value::Bool(flag) => (flag.to_string(), false),
        Value::Int(_) | Value::Big(_) => (repr::repr(value)?, false),
        Value::Float(float) => (number(*float), false),
        Value::Str(text) => (text.as_ref().to_owned(), true),
        Value::Keys(keys) => (keys.text(), true),
        Value::Time(text) => (text.as_ref().to_owned(), false),
        Value::List(_) | Value::Tuple(_) | Value::Dict(_) => return Ok(None),
        other => {
            let kind = other.type_name();
            let message = format!("cannot represent an object of type {kind}");
            return Err(Error::new("RepresenterError", message));
        }
    }))
}

fn number(float: f64) -> String {
    match float {
        _ if float.is_nan() => ".nan".to_owned(),
        f64::INFINITY => ".inf".to_owned(),
        f64::NEG_INFINITY => "-.inf".to_owned(),
        _ => {
            let text = python_float(float);
            match !text.contains('.') && text.contains('e') {
                true => text.replacen('e', ".0e", 1),
                false => text,
            }
        }
    }
}

impl Dumper<'_> {
    fn node(&mut self, value: &Value, place: Place, depth: usize) -> Result<()> {
        self.budget.work(1)?;
        if depth > MAX_VALUE_DEPTH {
            return Err(limit("a value is nested too deeply for YAML"));
        }
        if let Some((text, is_text)) = scalar(value)? {
            // White space of every level is written too.
            self.budget.text(text.len() + self.indent.unwrap_or(0))?;
            let plain = !is_text || implicit(&text) == "str";
            let indent = self.indent.map_or(self.step, |indent| indent + self.step);
            self.out.scalar(&text, plain, place == Place::Key, indent);
            return Ok(());
        }
        let before = self.indent;
        let result = match value {
            Value::Dict(dict) if dict.lock().is_empty() => {
                self.out.indicator("{}", true, false);
                Ok(())
            }
            Value::Dict(dict) => self.mapping(dict.pairs(), place, depth),
            _ => match crate::rules::jinja::iterate::all_of(value)? {
                items if items.is_empty() => {
                    self.out.indicator("[]", true, false);
                    Ok(())
                }
                items => self.sequence(&items, place, depth),
            },
        };
        self.indent = before;
        result
    }

    fn deeper(&mut self) {
        self.indent = Some(self.indent.map_or(0, |indent| indent + self.step));
    }

    fn sequence(&mut self, items: &[Value], place: Place, depth: usize) -> Result<()> {
        let within_mapping = matches!(place, Place::Key | Place::Value);
        if !within_mapping || self.out.indention {
            self.deeper();
        }
        for item in items {
            self.out.write_indent(self.indent.unwrap_or(0));
            self.out.indicator("-", true, true);
            self.node(item, Place::Item, depth + 1)?;
        }
        Ok(())
    }

    fn mapping(&mut self, pairs: Vec<(Value, Value)>, _: Place, depth: usize) -> Result<()> {
        self.deeper();
        let sorted = crate::rules::jinja::sorted_pairs(pairs.clone(), self.budget);
        for (key, value) in sorted.unwrap_or(pairs) {
            let indent = self.indent.unwrap_or(0);
            self.out.write_indent(indent);
            let simple = match scalar(&key)? {
                Some((text, _)) => text.len() <= 128 && !yaml_scalar::is_multiline(&text),
                None => key.length()? == 0,
            };
            if simple {
                self.node(&key, Place::Key, depth + 1)?;
                self.out.indicator(":", false, false);
            } else {
                self.out.indicator("?", true, true);
                self.node(&key, Place::Value, depth + 1)?;
                self.out.write_indent(indent);
                self.out.indicator(":", true, true);
            }
            self.node(&value, Place::Value, depth + 1)?;
        }
        Ok(())
    }
}
