//! What the rules said of one event, small enough to be kept beside it. Read with the text of its
//! rule set, it says which rules fired, which did not and at which criterion, and which failed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A verdict as the journal keeps it, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Rules that asked for their action.
    #[serde(default, rename = "m", skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<String>,
    /// Rules that did not match, with what stopped them.
    #[serde(default, rename = "x", skip_serializing_if = "BTreeMap::is_empty")]
    pub missed: BTreeMap<String, Miss>,
    /// Rules that could not be applied, and why.
    #[serde(default, rename = "f", skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, String>,
}

/// Why a rule did not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Miss {
    /// The criterion of this number, from 0 in written order, is the first that did not hold.
    Criterion(usize),
    /// It has criteria, and the payload is empty.
    EmptyPayload,
    /// It is a backstop, and a standard rule matched.
    NotNeeded,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl std::str::FromStr for Verdict {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_survives_the_journal_and_is_small() {
        let verdict = Verdict {
            matched: vec!["p.a".into()],
            missed: [
                ("p.b".into(), Miss::Criterion(1)),
                ("p.c".into(), Miss::NotNeeded),
            ]
            .into(),
            failed: [("p.d".into(), "why".into())].into(),
        };
        let text = verdict.to_string();
        assert_eq!(
            text,
            r#"{"m":["p.a"],"x":{"p.b":{"criterion":1},"p.c":"not_needed"},"f":{"p.d":"why"}}"#
        );
        assert_eq!(text.parse::<Verdict>().unwrap(), verdict);
        assert_eq!(Verdict::default().to_string(), "{}");
    }
}
