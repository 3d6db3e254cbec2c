//! The trigger types of StackStorm itself (`constants/triggers.py`; reference st2.md 4.4). They are
//! there without any pack: rules on timers, webhooks, keys and executions name them.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::model::TriggerType;
use super::schema::PayloadCheck;

/// The pack that they belong to.
pub const PACK: &str = "core";

/// What messages name as the origin of a type that no file describes.
pub const ORIGIN: &str = "(built in)";

/// The name that a type has now: `core.st2.action.file_writen` was mended in StackStorm 3.3.
pub fn current(reference: &str) -> &str {
    match reference {
        "core.st2.action.file_writen" => "core.st2.action.file_written",
        other => other,
    }
}

/// All of them.
pub fn trigger_types() -> impl Iterator<Item = TriggerType> {
    let all = own_events().into_iter().chain(with_parameters());
    all.map(
        |(name, description, parameters_schema, payload_schema)| TriggerType {
            reference: format!("{PACK}.{name}"),
            pack: PACK.to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            payload_check: Arc::new(PayloadCheck::new(&payload_schema, None)),
            payload_schema,
            parameters_schema,
            keep: None,
            metadata_file: ORIGIN.to_owned(),
        },
    )
}

type Row = (&'static str, &'static str, Value, Value);

/// Those that a rule parameterises: each set of parameters is a source of its own.
fn with_parameters() -> [Row; 4] {
    [
        (
            "st2.webhook",
            "A request to a webhook that a rule names by its url.",
            closed(json!({"url": {"type": "string", "required": true}})),
            open(json!({
                "headers": {"type": "object"},
                "headers_lower": {"type": "object"},
                "body": {"anyOf": [{"type": "array"}, {"type": "object"}]},
            })),
        ),
        (
            "st2.IntervalTimer",
            "Fires again and again, an interval apart.",
            closed(json!({
                "unit": {
                    "enum": ["weeks", "days", "hours", "minutes", "seconds"],
                    "required": true,
                },
                "delta": {"type": "integer", "required": true},
                "timezone": {"type": "string"},
            })),
            firing(),
        ),
        (
            "st2.DateTimer",
            "Fires once, at a date and time.",
            closed(json!({
                "date": {"type": "string", "required": true},
                "timezone": {"type": "string"},
            })),
            firing(),
        ),
        (
            "st2.CronTimer",
            "Fires whenever the calendar fits.",
            closed(cron()),
            firing(),
        ),
    ]
}

/// What is told of executions, sensors and keys.
fn own_events() -> Vec<Row> {
    let execution = "An execution has come to its end.";
    let message = "A notification that an execution asks for.";
    let pair = || open(json!({"object": {"type": "object"}}));
    let change = open(json!({
        "old_object": {"type": "object"},
        "new_object": {"type": "object"},
    }));
    let inquiry = closed(json!({
        "id": {"type": "string", "required": true},
        "route": {"type": "string", "required": true},
    }));
    let action =
        "execution_id status start_timestamp action_name action_ref runner_ref parameters result";
    let notify = "execution_id status start_timestamp end_timestamp action_ref runner_ref channel route message data";
    let plain = json!({});
    let row = |name, description, payload| (name, description, plain.clone(), payload);
    vec![
        row("st2.generic.actiontrigger", execution, any(action)),
        row("st2.generic.notifytrigger", message, any(notify)),
        row(
            "st2.generic.inquiry",
            "An inquiry waits for its answer.",
            inquiry,
        ),
        row(
            "st2.action.file_written",
            "A file of an action was written through the API.",
            any("ref file_path host_info"),
        ),
        row(
            "st2.sensor.process_spawn",
            "The process of a sensor was started.",
            any("object id ref timestamp pid cmd"),
        ),
        row(
            "st2.sensor.process_exit",
            "The process of a sensor has ended.",
            any("object id ref timestamp pid exit_code signal class hint"),
        ),
        row("st2.key_value_pair.create", "A key was created.", pair()),
        row("st2.key_value_pair.update", "A key was set.", pair()),
        row("st2.key_value_pair.delete", "A key was deleted.", pair()),
        row(
            "st2.key_value_pair.value_change",
            "The value of a key is another than before.",
            change,
        ),
    ]
}

/// Each field takes a number or APScheduler's grammar; the bounds hold for numbers.
fn cron() -> Value {
    let bounds = [
        ("month", 1, 12),
        ("day", 1, 31),
        ("week", 1, 53),
        ("day_of_week", 0, 6),
        ("hour", 0, 23),
        ("minute", 0, 59),
        ("second", 0, 59),
    ];
    let either = json!([{"type": "string"}, {"type": "integer"}]);
    let mut fields = Map::new();
    fields.insert("timezone".into(), json!({"type": "string"}));
    fields.insert("year".into(), json!({"anyOf": either}));
    for (name, least, most) in bounds {
        let schema = json!({"anyOf": either, "minimum": least, "maximum": most});
        fields.insert(name.into(), schema);
    }
    Value::Object(fields)
}

fn firing() -> Value {
    open(json!({"executed_at": {"type": "string"}, "schedule": {"type": "object"}}))
}

/// An object of properties of any kind.
fn any(names: &str) -> Value {
    let names = names.split_whitespace();
    let properties: Map<String, Value> = names.map(|name| (name.into(), json!({}))).collect();
    open(Value::Object(properties))
}

fn open(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}

fn closed(properties: Value) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::schema::{compile, normalised};

    #[test]
    fn every_schema_is_valid_and_every_name_is_its_own() {
        let all: Vec<_> = trigger_types().collect();
        let names: std::collections::BTreeSet<_> = all.iter().map(|one| &one.reference).collect();
        assert_eq!((all.len(), names.len()), (14, 14));
        for one in &all {
            compile(&normalised(&one.parameters_schema)).unwrap();
            compile(&normalised(&one.payload_schema)).unwrap();
        }
    }

    #[test]
    fn an_old_name_means_the_new_one() {
        let now = current("core.st2.action.file_writen");
        assert!(trigger_types().any(|one| one.reference == now));
        assert_eq!(current("a.b"), "a.b");
    }
}
