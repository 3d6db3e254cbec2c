//! What caused an execution: a rule, a person, a chain or an end that is tried again. Every
//! execution knows the way that led to it, so that what causes itself is seen and stopped.

use serde::{Deserialize, Serialize};

use super::clock::Wall;
use super::ids;

/// Longest way of executions of which each causes the next.
pub const MOST_DEEP: usize = 16;

/// Who asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// A rule that matched.
    #[default]
    Rule,
    /// A person, or a program that uses the API.
    Person,
    /// A chain: `parent` is its execution.
    Task,
    /// A policy: `parent` is the execution that ended badly.
    Retry,
    /// A person: `parent` is the execution that is run again.
    Rerun,
}

/// Why an execution exists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// Who asked.
    pub by: By,
    /// Identifier of the execution that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The task of the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What led here, the first first: an action, or a rule and its action. Itself is the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<String>,
    /// How often it was tried before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// How often its end was not known, and it was begun again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u32,
    /// Identifier of the first of those that are tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// Not before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Wall>,
    /// Executions of its rule with the same turn begin one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<String>,
    /// Nobody hears of its end by `notify`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Cause {
    /// Number of the execution that it comes from.
    pub fn parent_seq(&self) -> Option<u64> {
        ids::parse(ids::Kind::Execution, self.parent.as_deref()?)
    }

    /// Which try it is, from 1.
    pub fn attempt(&self) -> u32 {
        1 + self.retries + self.unknown
    }

    /// Where it goes in circles, the circle; else the whole way. None while it is short.
    pub fn too_deep(&self) -> Option<String> {
        if self.trail.len() <= MOST_DEEP {
            return None;
        }
        let (last, before) = self.trail.split_last()?;
        let circle = before.iter().rposition(|step| step == last);
        let shown = circle.map_or(&self.trail[..], |from| &self.trail[from..]);
        Some(format!(
            "stopped: executions cause each other more than {MOST_DEEP} deep: {}",
            shown.join(" → ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_shown_once() {
        let steps = ["p.ping > p.a", "p.pong > p.b"];
        let trail: Vec<String> = (0..=MOST_DEEP).map(|at| steps[at % 2].to_owned()).collect();
        let cause = |deep: usize| Cause {
            trail: trail[..deep].to_vec(),
            ..Cause::default()
        };
        assert_eq!(cause(MOST_DEEP).too_deep(), None);
        let told = cause(MOST_DEEP + 1).too_deep().expect("too deep");
        assert!(
            told.ends_with(": p.ping > p.a → p.pong > p.b → p.ping > p.a"),
            "{told}"
        );
    }
}
