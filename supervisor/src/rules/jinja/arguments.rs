//! What a call is given, and how it is bound to names.

use std::sync::Arc;

use super::error::{Result, type_error};
use super::value::Value;

/// Evaluated arguments.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// By their place.
    pub placed: Vec<Value>,
    /// By their name.
    pub named: Vec<(Arc<str>, Value)>,
}

/// Arguments bound to names.
pub struct Bound {
    values: Vec<Option<Value>>,
}

impl Args {
    /// Arguments by their place alone.
    pub fn of(placed: Vec<Value>) -> Self {
        Self {
            placed,
            named: Vec::new(),
        }
    }

    /// Binds to names; the first `required` must be given.
    ///
    /// # Errors
    /// `TypeError` for too many, unknown or missing ones.
    pub fn bind(self, function: &str, names: &[&str], required: usize) -> Result<Bound> {
        if self.placed.len() > names.len() {
            return Err(type_error(format!(
                "{function}() takes at most {} arguments ({} given)",
                names.len(),
                self.placed.len()
            )));
        }
        let mut values: Vec<Option<Value>> = self.placed.into_iter().map(Some).collect();
        values.resize(names.len(), None);
        for (name, value) in self.named {
            let place = names.iter().position(|known| **known == *name);
            let Some(place) = place.filter(|_| !name.is_empty()) else {
                return Err(type_error(format!(
                    "{function}() got an unexpected keyword argument '{name}'"
                )));
            };
            if values[place].is_some() {
                return Err(type_error(format!(
                    "{function}() got multiple values for argument '{name}'"
                )));
            }
            values[place] = Some(value);
        }
        if let Some(missing) = values[..required].iter().position(Option::is_none) {
            return Err(type_error(format!(
                "{function}() missing 1 required positional argument: '{}'",
                names[missing]
            )));
        }
        Ok(Bound { values })
    }

    /// Binds by place alone.
    ///
    /// # Errors
    /// `TypeError`.
    pub fn positional(self, function: &str, least: usize, most: usize) -> Result<Bound> {
        if !self.named.is_empty() {
            let message = format!("{function}() takes no keyword arguments");
            return Err(type_error(message));
        }
        let given = self.placed.len();
        if given < least || given > most {
            return Err(type_error(format!(
                "{function}() takes from {least} to {most} arguments ({given} given)"
            )));
        }
        let mut values: Vec<Option<Value>> = self.placed.into_iter().map(Some).collect();
        values.resize(most, None);
        Ok(Bound { values })
    }
}

impl Bound {
    /// One that was given.
    pub fn get(&self, at: usize) -> Option<&Value> {
        self.values.get(at)?.as_ref()
    }

    /// One that was given and is not `None`.
    pub fn some(&self, at: usize) -> Option<&Value> {
        self.get(at).filter(|value| !value.is_none())
    }

    /// One that must be there.
    pub fn value(&self, at: usize) -> Value {
        self.get(at).cloned().unwrap_or_default()
    }

    /// One that must be text.
    ///
    /// # Errors
    /// `TypeError` when it is not.
    pub fn text(&self, at: usize) -> Result<Arc<str>> {
        match self.get(at) {
            Some(Value::Str(text) | Value::Markup(text)) => Ok(Arc::clone(text)),
            Some(Value::Keys(keys)) => Ok(keys.text().into()),
            Some(other) => {
                other.defined()?;
                let kind = other.type_name();
                Err(type_error(format!("must be str, not {kind}")))
            }
            None => Err(type_error("an argument is missing")),
        }
    }

    /// One that must be an int, or what stands for it.
    ///
    /// # Errors
    /// `TypeError` when it is not.
    pub fn int(&self, at: usize, default: i64) -> Result<i64> {
        match self.get(at) {
            None => Ok(default),
            Some(value) => index(value),
        }
    }

    /// Whether one is true.
    ///
    /// # Errors
    /// When it is not there.
    pub fn flag(&self, at: usize, default: bool) -> Result<bool> {
        self.get(at).map_or(Ok(default), Value::is_true)
    }
}

/// A value as an index; huge ones as the largest.
///
/// # Errors
/// `TypeError` for what is no int.
pub fn index(value: &Value) -> Result<i64> {
    value.defined()?;
    match value {
        Value::Big(int) => Ok(match int.sign() {
            num_bigint::Sign::Minus => i64::MIN,
            _ => i64::MAX,
        }),
        other => other.as_int().ok_or_else(|| {
            let kind = other.type_name();
            type_error(format!(
                "'{kind}' object cannot be interpreted as an integer"
            ))
        }),
    }
}
