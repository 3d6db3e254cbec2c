//! References: `pack.name`, the name of a trigger type, a rule or an action everywhere.
//!
//! StackStorm splits at the first dot, so a name may hold dots (`linux.file_watch.line` is
//! `file_watch.line` in the pack `linux`) and a pack may not.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a thing in a pack.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Ref {
    pack: String,
    name: String,
}

/// Why a text is no reference. Reads after "cannot use ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefError {
    /// There is no dot, so the pack is missing.
    #[error("\"{0}\": a reference is pack.name, and there is no dot")]
    NoDot(String),
    /// Something other than `a-z`, `0-9` and `_` stands before the first dot.
    #[error("\"{text}\": the pack \"{pack}\" may hold a-z, 0-9 and _ only")]
    Pack {
        /// The whole text.
        text: String,
        /// What stands before its first dot.
        pack: String,
    },
    /// Nothing stands after the first dot, or it holds white space or a control character.
    #[error("\"{0}\": a name must follow the dot, without white space")]
    Name(String),
}

impl Ref {
    /// Makes a reference from its parts.
    ///
    /// # Errors
    /// As [`str::parse`], for the parts joined by a dot.
    pub fn new(pack: &str, name: &str) -> Result<Self, RefError> {
        let text = || format!("{pack}.{name}");
        if !is_pack(pack) {
            return Err(RefError::Pack {
                text: text(),
                pack: pack.to_owned(),
            });
        }
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(RefError::Name(text()));
        }
        Ok(Self {
            pack: pack.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The pack: what stands before the first dot.
    pub fn pack(&self) -> &str {
        &self.pack
    }

    /// The name within the pack; it may hold dots.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Whether a text can name a pack: `[a-z0-9_]+`, as StackStorm demands in pack.yaml.
pub fn is_pack(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

impl FromStr for Ref {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        let (pack, name) = text
            .split_once('.')
            .ok_or_else(|| RefError::NoDot(text.to_owned()))?;
        Self::new(pack, name)
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.pack, self.name)
    }
}

impl From<Ref> for String {
    fn from(r: Ref) -> String {
        r.to_string()
    }
}

impl TryFrom<String> for Ref {
    type Error = RefError;

    fn try_from(text: String) -> Result<Self, RefError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_first_dot() {
        let r: Ref = "linux.file_watch.line".parse().unwrap();
        assert_eq!((r.pack(), r.name()), ("linux", "file_watch.line"));
        assert_eq!(r.to_string(), "linux.file_watch.line");
        assert_eq!(
            serde_json::to_string(&r).unwrap(),
            "\"linux.file_watch.line\""
        );
    }

    #[test]
    fn says_what_is_wrong() {
        let says = |text: &str| text.parse::<Ref>().unwrap_err().to_string();
        assert!(says("nodot").contains("no dot"));
        assert!(says("My.pack").contains("\"My\""));
        assert!(says(".name").contains("a-z"));
        assert!(says("pack.").contains("must follow"));
        assert!(says("pack.two words").contains("white space"));
        assert!(serde_json::from_str::<Ref>("\"nodot\"").is_err());
    }
}
