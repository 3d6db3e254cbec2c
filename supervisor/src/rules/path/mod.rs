//! The keys of criteria and the queries of `jsonpath_query`: what StackStorm's `jsonpath-rw` 1.4
//! accepts, and what it finds.

mod find;
mod parse;

use std::borrow::Cow;

use serde_json::Value;

/// A parsed path.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    expression: Expression,
}

/// What a path is made of.
#[derive(Clone, Debug, PartialEq)]
enum Expression {
    /// `$`
    Root,
    /// `` `this` ``
    This,
    /// `` `parent` ``
    Parent,
    /// `a,b`; a `*` among them means all.
    Fields(Vec<String>),
    /// `[1]`
    Index(i64),
    /// `[1:2]`, `[*]`
    Slice(Option<i64>, Option<i64>),
    /// `a.b`
    Child(Box<Expression>, Box<Expression>),
    /// `a..b`
    Descendants(Box<Expression>, Box<Expression>),
    /// `a where b`
    Where(Box<Expression>, Box<Expression>),
    /// `a | b`
    Union(Box<Expression>, Box<Expression>),
    /// `a & b`, which `jsonpath-rw` reads and cannot find.
    Intersection,
}

/// What a key is looked up in: names with their values.
pub type Roots<'v> = [(&'v str, &'v Value)];

impl Path {
    /// Parses a key without its `#tag`.
    ///
    /// # Errors
    /// What cannot be read, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expression = parse::parse(text);
        expression
            .map(|expression| Self { expression })
            .map_err(|why| format!("\"{text}\" is not a path: {why}"))
    }

    /// The first match, as StackStorm takes it; none when nothing is there.
    ///
    /// # Errors
    /// Python's words where a step cannot be taken at all, such as an index into a number.
    pub fn first<'v>(&self, roots: &'v Roots<'v>) -> Result<Option<Cow<'v, Value>>, String> {
        let found = find::find(&self.expression, find::Datum::Root(roots))?;
        match found.into_iter().next() {
            Some(find::Datum::Value(value)) => Ok(Some(value)),
            Some(find::Datum::Root(roots)) => {
                let pair = |(name, value): &(&str, &Value)| ((*name).to_owned(), (*value).clone());
                Ok(Some(Cow::Owned(Value::Object(
                    roots.iter().map(pair).collect(),
                ))))
            }
            None => Ok(None),
        }
    }

    /// All matches in a value.
    ///
    /// # Errors
    /// As for [`Path::first`].
    pub fn all<'v>(&self, value: &'v Value) -> Result<Vec<Cow<'v, Value>>, String> {
        let start = find::Datum::Value(Cow::Borrowed(value));
        let found = find::find(&self.expression, start)?.into_iter();
        Ok(found
            .filter_map(|datum| match datum {
                find::Datum::Value(value) => Some(value),
                find::Datum::Root(_) => None,
            })
            .collect())
    }

    /// The key of the datastore that a path such as `system.a.b` names.
    pub fn datastore_key(&self) -> Option<String> {
        let mut names = Vec::new();
        names_of(&self.expression, &mut names)?;
        match names.as_slice() {
            ["system", key @ ..] | ["st2kv", "system", key @ ..] if !key.is_empty() => {
                Some(key.join("."))
            }
            _ => None,
        }
    }
}

fn names_of<'e>(expression: &'e Expression, names: &mut Vec<&'e str>) -> Option<()> {
    match expression {
        Expression::Root if names.is_empty() => Some(()),
        Expression::Fields(fields) => match fields.as_slice() {
            [name] => {
                names.push(name);
                Some(())
            }
            _ => None,
        },
        Expression::Child(left, right) => {
            names_of(left, names)?;
            names_of(right, names)
        }
        _ => None,
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
            .map(|found| found.map(Cow::into_owned))
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
            ("trigger.p1[1]", json!("1")),
            ("trigger.(nope | p1)", json!("v1")),
            ("trigger.d.x.`parent`.'a b'", json!(2)),
            ("(trigger.* where x).'a b'", json!(2)),
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
            "trigger.list[1:2:3]",
            "trigger[?(@.x)]",
        ] {
            assert!(look(key).is_err(), "{key}");
        }
        assert!(look("trigger.list.0").unwrap_err().contains("list[0]"));
        assert!(Path::parse(&"(".repeat(100_000)).is_err());
    }

    #[test]
    fn work_is_bounded() {
        let mut deep = json!(1);
        for _ in 0..100 {
            deep = json!({"a": deep, "b": 1});
        }
        let path = Path::parse("*..*..*..*..*").unwrap();
        let roots = [("trigger", &deep)];
        assert!(path.first(&roots).unwrap_err().contains("too many"));
        let names = vec!["nope"; 1_000].join(",");
        let path = Path::parse(&format!("*..*..({names})")).unwrap();
        assert!(path.first(&roots).unwrap_err().contains("too many"));
    }

    #[test]
    fn keys_of_the_datastore_are_known() {
        let key = |path: &str| Path::parse(path).unwrap().datastore_key();
        assert_eq!(key("system.a.b").as_deref(), Some("a.b"));
        assert_eq!(key("system['a.b']").as_deref(), Some("a.b"));
        assert_eq!(key("trigger.a"), None);
    }
}
