//! What a path finds.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::Value;

use super::{Expression, Roots};
use crate::rules::python::type_name;

/// Most places that one search looks at.
const MAX_VISITED: usize = 200_000;

/// A place: the names, or a value.
#[derive(Clone)]
pub enum Datum<'v> {
    /// The names.
    Root(&'v Roots<'v>),
    /// A value; a letter of a text has none to borrow.
    Value(Cow<'v, Value>),
}

/// A place and the way to it.
struct Node<'v> {
    datum: Datum<'v>,
    parent: Option<Rc<Node<'v>>>,
}

type Found<'v> = Vec<Rc<Node<'v>>>;

/// Everything that an expression finds from a place.
///
/// # Errors
/// Python's words where a step cannot be taken.
pub fn find<'v>(expression: &Expression, from: Datum<'v>) -> Result<Vec<Datum<'v>>, String> {
    let start = Rc::new(Node {
        datum: from,
        parent: None,
    });
    let mut finder = Finder { visited: 0 };
    let found = finder.find(expression, &start)?;
    Ok(found.iter().map(|node| node.datum.clone()).collect())
}

struct Finder {
    visited: usize,
}

fn below<'v>(node: &Rc<Node<'v>>, datum: Datum<'v>) -> Rc<Node<'v>> {
    let parent = Some(Rc::clone(node));
    Rc::new(Node { datum, parent })
}

impl Finder {
    fn visit(&mut self, count: usize) -> Result<(), String> {
        self.visited += count;
        match self.visited > MAX_VISITED {
            true => Err("the path looks at too many places".to_owned()),
            false => Ok(()),
        }
    }

    fn find<'v>(
        &mut self,
        expression: &Expression,
        node: &Rc<Node<'v>>,
    ) -> Result<Found<'v>, String> {
        self.visit(1)?;
        Ok(match expression {
            Expression::This => vec![Rc::clone(node)],
            Expression::Root => {
                let mut top = node;
                while let Some(parent) = &top.parent {
                    top = parent;
                }
                vec![Rc::clone(top)]
            }
            Expression::Parent => {
                let parent = node.parent.as_ref().ok_or("the root has no parent")?;
                vec![Rc::clone(parent)]
            }
            Expression::Fields(names) => self.fields(names, node)?,
            Expression::Index(at) => index(*at, node)?,
            Expression::Slice(from, to) => self.slice(*from, *to, node)?,
            Expression::Child(left, right) => {
                let mut out = Vec::new();
                for node in self.find(left, node)? {
                    out.append(&mut self.find(right, &node)?);
                }
                out
            }
            Expression::Descendants(left, right) => {
                let mut out = Vec::new();
                for node in self.find(left, node)? {
                    self.descend(right, &node, &mut out)?;
                }
                out
            }
            Expression::Where(left, right) => {
                let mut out = Vec::new();
                for node in self.find(left, node)? {
                    if !self.find(right, &node)?.is_empty() {
                        out.push(node);
                    }
                }
                out
            }
            Expression::Union(left, right) => {
                let mut out = self.find(left, node)?;
                out.append(&mut self.find(right, node)?);
                out
            }
            Expression::Intersection => return Err("& is not implemented".to_owned()),
        })
    }

    /// The expression at this place, then at every place below it.
    fn descend<'v>(
        &mut self,
        expression: &Expression,
        node: &Rc<Node<'v>>,
        out: &mut Found<'v>,
    ) -> Result<(), String> {
        out.append(&mut self.find(expression, node)?);
        for child in children(node) {
            self.descend(expression, &child, out)?;
        }
        Ok(())
    }

    fn fields<'v>(&mut self, names: &[String], node: &Rc<Node<'v>>) -> Result<Found<'v>, String> {
        if names.iter().any(|name| name == "*") {
            let all = match &node.datum {
                Datum::Value(value) if !value.is_object() => Vec::new(),
                _ => children(node),
            };
            self.visit(all.len())?;
            return Ok(all);
        }
        self.visit(names.len())?;
        let found = names.iter().filter_map(|name| field(name, node));
        Ok(found.collect())
    }

    /// What is not a list is taken for a list of one.
    fn slice<'v>(
        &mut self,
        from: Option<i64>,
        to: Option<i64>,
        node: &Rc<Node<'v>>,
    ) -> Result<Found<'v>, String> {
        let Datum::Value(value) = &node.datum else {
            return Ok(vec![Rc::clone(node)]);
        };
        let single = match value.as_ref() {
            Value::Array(_) => false,
            Value::Object(_) | Value::String(_) | Value::Bool(_) => true,
            Value::Number(number) if !number.is_f64() => true,
            other => return Err(no_length(other)),
        };
        let items = if single {
            vec![below(node, node.datum.clone())]
        } else {
            children(node)
        };
        self.visit(items.len())?;
        let length = items.len() as i64;
        let clamp = |at: i64| {
            if at < 0 {
                (at + length).max(0)
            } else {
                at.min(length)
            }
        };
        let (from, to) = (from.map_or(0, clamp), to.map_or(length, clamp));
        let places = from..to.max(from);
        Ok(places.map(|at| Rc::clone(&items[at as usize])).collect())
    }
}

fn no_length(value: &Value) -> String {
    let kind = type_name(value);
    format!("object of type '{kind}' has no len()")
}

/// The items of a list, the values of an object.
fn children<'v>(node: &Rc<Node<'v>>) -> Found<'v> {
    let child = |value: Cow<'v, Value>| below(node, Datum::Value(value));
    match &node.datum {
        Datum::Root(roots) => {
            let values = roots.iter().map(|(_, value)| Cow::Borrowed(*value));
            values.map(child).collect()
        }
        Datum::Value(Cow::Borrowed(Value::Array(items))) => items
            .iter()
            .map(|item| child(Cow::Borrowed(item)))
            .collect(),
        Datum::Value(Cow::Borrowed(Value::Object(map))) => map
            .values()
            .map(|item| child(Cow::Borrowed(item)))
            .collect(),
        Datum::Value(_) => Vec::new(),
    }
}

fn field<'v>(name: &str, node: &Rc<Node<'v>>) -> Option<Rc<Node<'v>>> {
    let value = match &node.datum {
        Datum::Root(roots) => roots.iter().find(|(root, _)| *root == name)?.1,
        Datum::Value(Cow::Borrowed(Value::Object(map))) => map.get(name)?,
        Datum::Value(_) => return None,
    };
    Some(below(node, Datum::Value(Cow::Borrowed(value))))
}

fn index<'v>(at: i64, node: &Rc<Node<'v>>) -> Result<Found<'v>, String> {
    let Datum::Value(value) = &node.datum else {
        return Err("the root has names, not numbers".to_owned());
    };
    let place = |length: usize| {
        let length = length as i64;
        let place = if at < 0 { at + length } else { at };
        match usize::try_from(place) {
            Ok(place) if at < length => Ok(Some(place)),
            Ok(_) => Ok(None),
            Err(_) => Err("index out of range".to_owned()),
        }
    };
    let found = match value.as_ref() {
        Value::Array(items) => match (place(items.len())?, value) {
            (Some(at), Cow::Borrowed(Value::Array(items))) => Some(Cow::Borrowed(&items[at])),
            _ => None,
        },
        Value::String(text) => {
            let at = place(text.chars().count())?;
            let letter = at.and_then(|at| text.chars().nth(at));
            letter.map(|c| Cow::Owned(Value::String(c.into())))
        }
        Value::Object(map) if at >= map.len() as i64 => None,
        Value::Object(_) => return Err(format!("an object has no item {at}")),
        other => return Err(no_length(other)),
    };
    let found = found.map(|value| below(node, Datum::Value(value)));
    Ok(found.into_iter().collect())
}
