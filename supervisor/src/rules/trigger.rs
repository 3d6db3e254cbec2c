//! Triggers: trigger types with the parameters that rules give them.

use serde_json::{Map, Value};

use crate::catalog::{Rule, WhenMissed};

/// A trigger type with parameters. Rules with equal ones share it, as in StackStorm, where it gets
/// a name by chance; here its reference is made of what it is, so it is the same after a restart.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// 24 hexadecimal digits.
    pub id: String,
    /// `pack.` and its id; without parameters the reference of its type.
    pub reference: String,
    /// Reference of its type.
    pub trigger_type: String,
    /// The parameters.
    pub parameters: Map<String, Value>,
}

impl Trigger {
    /// The trigger of a type with these parameters.
    pub fn new(trigger_type: &str, parameters: Map<String, Value>) -> Self {
        let mut sorted = Value::Object(parameters.clone());
        sorted.sort_all_objects();
        let hash = blake3::hash(format!("trigger:{trigger_type}:{sorted}").as_bytes());
        let id = hash.to_hex()[..24].to_owned();
        let pack = trigger_type.split('.').next().unwrap_or(trigger_type);
        Self {
            reference: match parameters.is_empty() {
                true => trigger_type.to_owned(),
                false => format!("{pack}.{id}"),
            },
            id,
            trigger_type: trigger_type.to_owned(),
            parameters,
        }
    }

    /// The trigger that a rule waits for.
    pub fn of(rule: &Rule) -> Self {
        Self::new(&rule.trigger_type, rule.trigger_parameters.clone())
    }

    /// The same for a timer whose missed moments are treated otherwise: it fires at other times, so
    /// it is another trigger.
    pub fn of_timer(rule: &Rule) -> Self {
        let mut parameters = rule.trigger_parameters.clone();
        if rule.missed != WhenMissed::default() {
            parameters.insert("missed".to_owned(), format!("{:?}", rule.missed).into());
        }
        Self {
            parameters: rule.trigger_parameters.clone(),
            ..Self::new(&rule.trigger_type, parameters)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn trigger(parameters: Value) -> Trigger {
        Trigger::new("p.t", parameters.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn equal_parameters_are_one_trigger_in_whatever_order() {
        let (one, two) = (
            json!({"a": 1, "b": {"c": 2, "d": 3}}),
            json!({"b": {"d": 3, "c": 2}, "a": 1}),
        );
        assert_eq!(trigger(one.clone()).reference, trigger(two).reference);
        assert_ne!(trigger(one).reference, trigger(json!({"a": 1})).reference);
        assert_eq!(trigger(json!({})).reference, "p.t");
        assert!(trigger(json!({"a": 1})).reference.starts_with("p."));
    }
}
