//! `policies/*.yaml`: bounds on how often an action runs at a time, and what becomes of a failure
//! (StackStorm's `st2actions/policies`; reference st2.md 7.9).

use std::time::Duration;

use super::diagnostics::{Diagnostic, Severity, did_you_mean};
use super::fields::Fields;
use super::sensor_file::own_pack;
use super::sources::SourceFile;
use super::yaml::Data;

const KEYS: &[&str] = &[
    "name",
    "pack",
    "description",
    "enabled",
    "resource_ref",
    "policy_type",
    "parameters",
    "id",
    "ref",
    "uid",
    "metadata_file",
];

const TYPES: [&str; 3] = [
    "action.concurrency",
    "action.concurrency.attr",
    "action.retry",
];

/// What becomes of an execution that is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// It waits for its turn.
    Delay,
    /// It is canceled.
    Cancel,
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq)]
pub enum Says {
    /// At most so many at a time.
    Concurrency {
        /// That run.
        threshold: u64,
        /// The others.
        excess: Excess,
        /// Counted apart by the values of these parameters.
        attributes: Vec<String>,
    },
    /// Once more after such an end.
    Retry {
        /// After a timeout; otherwise after a failure.
        on_timeout: bool,
        /// So many times.
        most: u32,
        /// After so long.
        delay: Duration,
    },
}

/// A policy on an action.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionPolicy {
    /// `pack.name`.
    pub reference: String,
    /// Name of its pack.
    pub pack: String,
    /// `description`, or empty.
    pub description: String,
    /// `enabled`; true when not written.
    pub enabled: bool,
    /// The action: `resource_ref`.
    pub action: String,
    /// `policy_type`.
    pub kind: String,
    /// What it says.
    pub says: Says,
}

/// Reads one policy.
pub fn policy(pack: &str, file: &SourceFile, out: &mut Vec<Diagnostic>) -> Option<ActionPolicy> {
    let mut fields = Fields::of(file.document.as_ref()?, file, "a policy", out)?;
    fields.only(KEYS, Severity::Warning, "a policy");
    own_pack(&mut fields, pack);
    let (description, enabled) = (fields.text("description"), fields.flag("enabled", true));
    let name = fields.required_text("name", "the policy");
    let action = fields.required_text("resource_ref", "the policy");
    let kind = fields.required_text("policy_type", "the policy");
    let (kind, span) = kind?;
    let parameters = fields.map("parameters").unwrap_or(fields.node);
    let mut inner = Fields::of(parameters, file, "\"parameters\"", fields.out)?;
    let says = match kind.as_str() {
        "action.concurrency" => concurrency(&mut inner, false),
        "action.concurrency.attr" => concurrency(&mut inner, true),
        "action.retry" => retry(&mut inner),
        other => {
            let help = did_you_mean(other, TYPES).unwrap_or_else(|| TYPES.join(", "));
            inner.error(span, format!("unknown policy_type \"{other}\""), Some(help));
            None
        }
    };
    let faulty = inner.faulty;
    if fields.faulty || faulty {
        return None;
    }
    Some(ActionPolicy {
        reference: format!("{pack}.{}", name?.0),
        pack: pack.to_owned(),
        description,
        enabled,
        action: action?.0,
        kind,
        says: says?,
    })
}

fn concurrency(fields: &mut Fields<'_, '_>, by_attributes: bool) -> Option<Says> {
    let threshold = number(fields, "threshold", None, 1..=u64::from(u32::MAX))?;
    let excess = match fields.text("action").as_str() {
        "" | "delay" => Excess::Delay,
        "cancel" => Excess::Cancel,
        other => {
            let message = format!("\"action\" is delay or cancel, not \"{other}\"");
            fields.error(fields.span_of("action"), message, None);
            return None;
        }
    };
    let mut attributes = Vec::new();
    if by_attributes {
        let items = fields.list("attributes").and_then(|node| node.as_list());
        let texts = items.unwrap_or_default().iter();
        attributes.extend(texts.filter_map(|node| node.scalar_text()));
        if attributes.is_empty() {
            fields.missing("attributes", "the policy");
        }
    }
    Some(Says::Concurrency {
        threshold,
        excess,
        attributes,
    })
}

fn retry(fields: &mut Fields<'_, '_>) -> Option<Says> {
    let (on, span) = fields.required_text("retry_on", "the policy")?;
    let on_timeout = match on.as_str() {
        "failure" => false,
        "timeout" => true,
        other => {
            let message = format!("\"retry_on\" is failure or timeout, not \"{other}\"");
            fields.error(span, message, None);
            return None;
        }
    };
    let most = number(fields, "max_retry_count", Some(2), 1..=5)?;
    let delay = number(fields, "delay", Some(0), 0..=120)?;
    Some(Says::Retry {
        on_timeout,
        most: u32::try_from(most).unwrap_or(u32::MAX),
        delay: Duration::from_secs(delay),
    })
}

/// A whole number within bounds; an error where it is anything else.
fn number(
    fields: &mut Fields<'_, '_>,
    key: &str,
    default: Option<u64>,
    within: std::ops::RangeInclusive<u64>,
) -> Option<u64> {
    let Some(node) = fields.get(key) else {
        if default.is_none() {
            fields.missing(key, "the policy");
        }
        return default;
    };
    let found = match &node.data {
        Data::Bool(_) => None,
        _ => node.to_json().as_u64(),
    };
    let found = found.filter(|number| within.contains(number));
    if found.is_none() {
        let (least, most) = (within.start(), within.end());
        let message = format!("\"{key}\" must be a whole number from {least} to {most}");
        fields.error(node.span, message, None);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<ActionPolicy>, Vec<String>) {
        let mut out = Vec::new();
        let file = SourceFile::new("policies/x.yaml", "policies/x.yaml", text);
        let found = policy("p", &file, &mut out);
        (found, out.into_iter().map(|one| one.message).collect())
    }

    #[test]
    fn a_policy_is_read_with_its_defaults() {
        let text = "name: x\nresource_ref: p.a\npolicy_type: action.retry\nparameters: {retry_on: timeout}\n";
        let says = read(text).0.map(|one| one.says);
        let delay = Duration::ZERO;
        let retry = Says::Retry {
            on_timeout: true,
            most: 2,
            delay,
        };
        assert_eq!(says, Some(retry));
        let text = "name: x\nresource_ref: p.a\npolicy_type: action.concurrency.attr\n\
                    parameters: {threshold: 3, action: cancel, attributes: [host]}\n";
        let says = read(text).0.map(|one| one.says);
        let attributes = vec!["host".to_owned()];
        let excess = Excess::Cancel;
        let concurrency = Says::Concurrency {
            threshold: 3,
            excess,
            attributes,
        };
        assert_eq!(says, Some(concurrency));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let head = "name: x\nresource_ref: p.a\npolicy_type: ";
        for (tail, said) in [
            ("action.retri\n", "unknown policy_type"),
            (
                "action.retry\nparameters: {retry_on: success}\n",
                "failure or timeout",
            ),
            (
                "action.concurrency\nparameters: {threshold: 0}\n",
                "whole number from 1",
            ),
            ("action.concurrency\n", "has no \"threshold\""),
        ] {
            let (found, told) = read(&format!("{head}{tail}"));
            assert_eq!(found, None, "{tail}");
            assert!(
                told.iter().any(|one| one.contains(said)),
                "{tail}: {told:?}"
            );
        }
    }
}
