//! The parameters of a method, member by member, so that an error names the member.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// What is wrong with a parameter.
#[derive(Debug, PartialEq)]
pub(super) struct ParamError {
    pub path: String,
    pub message: String,
}

/// The members of `params`; unknown ones are never looked at.
#[derive(Debug, Default)]
pub(super) struct Params<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Params<'a> {
    /// Absent and `null` are an empty object; anything but an object is an error.
    pub fn parse(raw: Option<&'a RawValue>) -> Result<Self, ParamError> {
        let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
            return Ok(Self::default());
        };
        match serde_json::from_str(raw.get()) {
            Ok(members) => Ok(Self(members)),
            Err(_) => Err(ParamError {
                path: "params".into(),
                message: "must be an object".into(),
            }),
        }
    }

    /// A member that must be there.
    pub fn required<T: DeserializeOwned>(&self, name: &str) -> Result<T, ParamError> {
        match self.0.get(name) {
            Some(raw) => read(name, raw),
            None => Err(error(name, "is missing".into())),
        }
    }

    /// A member that may be absent or `null`.
    pub fn optional<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ParamError> {
        match self.0.get(name) {
            Some(raw) if raw.get() != "null" => read(name, raw).map(Some),
            _ => Ok(None),
        }
    }

    /// A member that may be absent, and whose `null` means something.
    pub fn nullable<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ParamError> {
        self.0.get(name).map(|raw| read(name, raw)).transpose()
    }

    /// A member that must be an object, as the text that was written.
    pub fn raw_object(&self, name: &str) -> Result<Box<RawValue>, ParamError> {
        match self.0.get(name) {
            Some(raw) if raw.get().starts_with('{') => Ok((*raw).to_owned()),
            Some(_) => Err(error(name, "must be an object".into())),
            None => Err(error(name, "is missing".into())),
        }
    }

    /// Seconds: a number that is not negative.
    pub fn seconds(&self, name: &str) -> Result<Option<f64>, ParamError> {
        match self.optional::<f64>(name)? {
            Some(s) if s < 0.0 => Err(error(name, "must not be negative".into())),
            other => Ok(other),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(name: &str, raw: &'a RawValue) -> Result<T, ParamError> {
    serde_json::from_str(raw.get()).map_err(|e| {
        let text = e.to_string();
        // The position counts within the member, which helps nobody.
        let text = text.split(" at line ").next().unwrap_or(&text);
        error(name, text.to_owned())
    })
}

fn error(name: &str, message: String) -> ParamError {
    let path = format!("params.{name}");
    ParamError { path, message }
}
