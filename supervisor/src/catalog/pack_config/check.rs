//! A configuration against its schema, in words that never show a secret.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use serde_json::{Map, Value};

use super::is_dynamic;
use super::shape::{is_secret, item, joined, member};
use crate::catalog::schema::PayloadCheck;

/// Most misfits of one configuration that are told.
const MOST_TOLD: usize = 100;

/// One thing that does not fit.
pub struct Misfit {
    /// Names and indices from the top.
    pub segments: Vec<String>,
    /// The same, joined with dots.
    pub path: String,
    /// What is wrong there.
    pub message: String,
    /// The value must not be shown.
    pub secret: bool,
}

/// Everything that does not fit. With `templates`, what a template will decide is left out.
pub fn misfits(
    schema: &Value,
    check: &PayloadCheck,
    config: &Map<String, Value>,
    templates: bool,
) -> Vec<Misfit> {
    let config = Value::Object(config.clone());
    let mut found = Vec::new();
    check.each_error(&config, &mut |error| {
        if found.len() < MOST_TOLD && !(templates && is_open(error)) {
            found.push(misfit(schema, error));
        }
    });
    found
}

/// Whether a template will decide it.
fn is_open(error: &ValidationError<'_>) -> bool {
    let value = error.instance();
    match error.kind() {
        ValidationErrorKind::Required { .. }
        | ValidationErrorKind::AdditionalProperties { .. }
        | ValidationErrorKind::AdditionalItems { .. }
        | ValidationErrorKind::MinItems { .. }
        | ValidationErrorKind::MaxItems { .. }
        | ValidationErrorKind::MinProperties { .. }
        | ValidationErrorKind::MaxProperties { .. } => false,
        ValidationErrorKind::Type { .. } => value.is_string() && is_dynamic(value),
        _ => is_dynamic(value),
    }
}

fn misfit(schema: &Value, error: &ValidationError<'_>) -> Misfit {
    let mut schema = std::borrow::Cow::Borrowed(schema);
    let (mut segments, mut secret) = (Vec::new(), false);
    for segment in error.instance_path() {
        let (name, below) = match segment {
            LocationSegment::Index(index) => (index.to_string(), item(&schema, index).clone()),
            LocationSegment::Property(name) => {
                let below = member(&schema, &name).into_owned();
                (name.into_owned(), below)
            }
        };
        secret |= is_secret(&below);
        segments.push(name);
        schema = std::borrow::Cow::Owned(below);
    }
    // A container may hold a secret further down.
    let shown = !secret && !error.instance().is_object() && !error.instance().is_array();
    let message = match shown {
        true => error.to_string(),
        false => error.masked_with("the value").to_string(),
    };
    let mut path = segments
        .iter()
        .fold(String::new(), |path, name| joined(&path, name));
    if let ValidationErrorKind::Required { property } = error.kind()
        && let Some(name) = property.as_str()
    {
        path = joined(&path, name);
        let message = "it is required and not given".to_owned();
        return Misfit {
            segments,
            path,
            message,
            secret,
        };
    }
    Misfit {
        segments,
        path,
        message,
        secret,
    }
}
