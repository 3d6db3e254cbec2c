//! What users see: the catalog, the sensors, the events and the executions as JSON in the shapes of
//! StackStorm's API (`/v1`), with our own members beside.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Core;
use super::cause::{By, Cause};
use super::clock::Wall;
use super::control::Switch;
use super::datastore::Key;
use super::ids;
use super::isolation;
use super::record::{KvItem, LastExit, Status};
use super::seal::{MASK, masked};
use super::sensor::Slot;
use crate::catalog::knobs;
use crate::catalog::policy::Word;
use crate::catalog::{Action, Catalog, Pack, Rule, RuleKind, Sensor, TriggerType};
use crate::rules::store::Owner;
use crate::rules::verdict::Verdict;

/// A stable identifier, 24 hexadecimal digits, of a thing that is named by its reference.
pub fn stable_id(kind: &str, reference: &str) -> String {
    let hash = blake3::hash(format!("{kind}:{reference}").as_bytes());
    hash.to_hex()[..24].to_owned()
}

/// A pack, as `/v1/packs` has it.
pub fn pack(pack: &Pack) -> Value {
    json!({
        "id": stable_id("pack", &pack.name),
        "ref": pack.name,
        "name": pack.name,
        "description": pack.description,
        "version": pack.version,
        "author": pack.author,
        "email": pack.email,
        "path": pack.dir,
    })
}

/// A sensor, as `/v1/sensortypes` has it.
pub fn sensor_type(sensor: &Sensor) -> Value {
    let entry_point = sensor.file_path.file_stem().map(|stem| {
        let stem = stem.to_string_lossy();
        format!("sensors.{stem}.{}", sensor.class_name)
    });
    json!({
        "id": stable_id("sensor_type", &sensor.reference),
        "uid": format!("sensor_type:{}:{}", sensor.pack, sensor.class_name),
        "ref": sensor.reference,
        "pack": sensor.pack,
        "name": sensor.class_name,
        "class_name": sensor.class_name,
        "description": sensor.description,
        "enabled": sensor.enabled,
        "enabled_source": sensor.enabled_source,
        "entry_point": entry_point,
        "artifact_uri": format!("file://{}", sensor.file_path.display()),
        "poll_interval": sensor.poll_interval,
        "trigger_types": sensor.trigger_types,
        "metadata_file": sensor.metadata_file,
    })
}

/// A trigger type, as `/v1/triggertypes` has it.
pub fn trigger_type(kind: &TriggerType) -> Value {
    json!({
        "id": stable_id("trigger_type", &kind.reference),
        "uid": format!("trigger_type:{}:{}", kind.pack, kind.name),
        "ref": kind.reference,
        "pack": kind.pack,
        "name": kind.name,
        "description": kind.description,
        "payload_schema": kind.payload_schema,
        "parameters_schema": kind.parameters_schema,
        "keep": kind.keep.unwrap_or_default().word(),
        "tags": [],
        "metadata_file": kind.metadata_file,
    })
}

/// A rule, as `/v1/rules` has it.
pub fn rule(rule: &Rule) -> Value {
    let criteria: Map<String, Value> = rule
        .criteria
        .iter()
        .map(|one| {
            let mut body = json!({"type": one.operator, "pattern": one.pattern});
            if let Some(condition) = &one.condition {
                body["condition"] = json!(condition);
            }
            (one.key.clone(), body)
        })
        .collect();
    let kind = match rule.kind {
        RuleKind::Standard => "standard",
        RuleKind::Backstop => "backstop",
    };
    json!({
        "id": stable_id("rule", &rule.reference),
        "uid": format!("rule:{}:{}", rule.pack, rule.name),
        "ref": rule.reference,
        "pack": rule.pack,
        "name": rule.name,
        "description": rule.description,
        "enabled": rule.enabled,
        "enabled_source": rule.enabled_source,
        "type": {"ref": kind, "parameters": {}},
        "trigger": {
            "type": rule.trigger_type,
            "ref": rule.trigger_type,
            "parameters": rule.trigger_parameters,
        },
        "criteria": criteria,
        "action": {"ref": rule.action, "parameters": rule.parameters},
        "tags": [],
        "metadata_file": rule.metadata_file,
    })
}

/// An action, as `/v1/actions` has it.
pub fn action(action: &Action) -> Value {
    json!({
        "id": stable_id("action", &action.reference),
        "uid": format!("action:{}:{}", action.pack, action.name),
        "ref": action.reference,
        "pack": action.pack,
        "name": action.name,
        "description": action.description,
        "enabled": action.enabled,
        "enabled_source": action.enabled_source,
        "runner_type": action.runner_type,
        "entry_point": action.entry_point,
        "parameters": action.parameters,
        "tags": [],
        "metadata_file": action.metadata_file,
    })
}

/// A message that was refused, as the journal has it.
#[derive(Clone, Debug)]
pub struct RejectedRow {
    /// Its number among the refused.
    pub seq: u64,
    /// Reference of the sensor that said it.
    pub sensor: String,
    /// When.
    pub at: Wall,
    /// JSON-RPC error code that it was answered with.
    pub code: i64,
    /// Why.
    pub reason: String,
    /// The trigger that it was meant for, where known.
    pub trigger: Option<String>,
    /// The payload, or the first bytes of the line.
    pub data: Vec<u8>,
    /// SHA-256 of a line that is not kept whole.
    pub sha256: Option<String>,
}

/// A refused message; `whole` with what was said.
pub fn rejected(row: &RejectedRow, whole: bool) -> Value {
    let mut shown = json!({
        "id": row.seq,
        "sensor": row.sensor,
        "trigger": row.trigger,
        "rejected_at": row.at.rfc3339(),
        "code": row.code,
        "reason": row.reason,
        "bytes": row.data.len(),
    });
    if whole {
        shown["data"] = String::from_utf8_lossy(&row.data).into();
        shown["sha256"] = json!(row.sha256);
    }
    shown
}

/// An event with what the rules said of it, as the journal has it.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its number.
    pub seq: u64,
    /// Trigger type.
    pub trigger: String,
    /// Reference of the trigger, where it is the type with parameters.
    pub trigger_ref: Option<String>,
    /// Sensor; empty for an event of Petrel itself.
    pub sensor: String,
    /// When it was accepted.
    pub received: Wall,
    /// The sensor's time.
    pub time: Option<String>,
    /// Trace tag.
    pub trace_tag: Option<String>,
    /// JSON text.
    pub payload: String,
    /// JSON text.
    pub verdict: String,
}

/// An event, as `/v1/triggerinstances` has it; `whole` adds what the rules said.
pub fn event(row: &EventRow, whole: bool) -> Value {
    let mut shown = json!({
        "id": ids::format(ids::Kind::Event, row.received, row.seq),
        "trigger": row.trigger,
        "occurrence_time": row.received.rfc3339(),
        "status": "processed",
        "payload": raw(&row.payload),
        "trigger_ref": row.trigger_ref.as_ref().unwrap_or(&row.trigger),
        "sensor": (!row.sensor.is_empty()).then_some(&row.sensor),
        "time": row.time,
        "trace_tag": row.trace_tag,
    });
    if whole {
        shown["rules"] = verdict(&row.verdict);
    }
    shown
}

/// A rule that asked for its action, or failed, on an event.
#[derive(Clone, Debug)]
pub struct EnforcementRow {
    /// Number of the event, and when it was accepted.
    pub event: (u64, Wall),
    /// Rule.
    pub rule: String,
    /// Number of the execution, and when it was asked for.
    pub execution: Option<(u64, Wall)>,
    /// Why the rule failed.
    pub failure: Option<String>,
}

/// An enforcement, as `/v1/ruleenforcements` has it.
pub fn enforcement(row: &EnforcementRow) -> Value {
    let event = ids::format(ids::Kind::Event, row.event.1, row.event.0);
    let execution = row
        .execution
        .map(|(seq, at)| ids::format(ids::Kind::Execution, at, seq));
    json!({
        "id": stable_id("enforcement", &format!("{event}:{}", row.rule)),
        "trigger_instance_id": event,
        "rule": {"ref": row.rule, "id": stable_id("rule", &row.rule)},
        "execution_id": execution,
        "failure_reason": row.failure,
        "enforced_at": row.execution.map_or(row.event.1, |(_, at)| at).rfc3339(),
        "status": if row.failure.is_some() { "failed" } else { "succeeded" },
    })
}

/// An item of the datastore, as `/v1/keys` has it; a secret one with its ciphertext.
pub fn kv_item(key: &Key, item: &KvItem) -> Value {
    let uid = format!("key_value_pair:{}:{}", key.scope(), key.name());
    let of_user = match key.owner() {
        Owner::User => key.name().split_once(':'),
        Owner::System => None,
    };
    json!({
        "id": stable_id("key_value_pair", &uid),
        "uid": uid,
        "name": of_user.map_or(key.name(), |(_, name)| name),
        "user": of_user.map(|(user, _)| user),
        "scope": key.scope(),
        "value": item.value,
        "secret": item.secret,
        "encrypted": item.secret,
        "expire_timestamp": item.expires.map(Wall::rfc3339),
    })
}

/// An execution, as the journal has it.
#[derive(Clone, Debug)]
pub struct ExecutionRow {
    /// Its number.
    pub seq: u64,
    /// Number of the event, and when that was accepted.
    pub event: Option<(u64, Wall)>,
    /// Trigger type of the event.
    pub trigger: Option<String>,
    /// Rule.
    pub rule: String,
    /// Action.
    pub action: String,
    /// JSON text.
    pub parameters: String,
    /// Where it stands.
    pub status: Status,
    /// When it was asked for.
    pub requested: Wall,
    /// When its program began.
    pub started: Option<Wall>,
    /// When it was over.
    pub ended: Option<Wall>,
    /// JSON text.
    pub result: Option<String>,
    /// Why it exists.
    pub cause: Cause,
}

impl ExecutionRow {
    /// A chain asked for it.
    pub fn is_task(&self) -> bool {
        self.cause.by == By::Task
    }
}

/// An execution, as `/v1/executions` has it.
pub fn execution(row: &ExecutionRow, catalog: &Catalog) -> Value {
    let action = catalog.actions.get(&row.action);
    let runner = action.map(|action| &action.runner_type);
    let (pack, name) = row.action.split_once('.').unwrap_or(("", &row.action));
    let event = row
        .event
        .map(|(seq, at)| ids::format(ids::Kind::Event, at, seq));
    let took = row
        .ended
        .map(|end| end.since(row.started.unwrap_or(row.requested)));
    json!({
        "id": ids::format(ids::Kind::Execution, row.requested, row.seq),
        "action": {"ref": row.action, "pack": pack, "name": name, "runner_type": runner},
        "runner": {"name": runner},
        "context": {"user": "petrel", "trigger_instance": {"id": event}},
        "rule": (!row.rule.is_empty()).then(|| json!({"ref": row.rule})),
        "cause": row.cause,
        "parent": row.cause.parent,
        "trigger_instance": {"id": event, "trigger": row.trigger},
        "parameters": shown_parameters(&row.parameters, action.map(AsRef::as_ref)),
        "status": row.status.word(),
        "requested_timestamp": row.requested.rfc3339(),
        "start_timestamp": row.started.unwrap_or(row.requested).rfc3339(),
        "end_timestamp": row.ended.map(Wall::rfc3339),
        "elapsed_seconds": took.map(|t| t.as_secs_f64()),
        "result": row.result.as_deref().map(raw),
    })
}

/// What is sealed is masked, and what the action calls secret.
fn shown_parameters(text: &str, action: Option<&Action>) -> Value {
    let Value::Object(parameters) = raw(text) else {
        return raw(text);
    };
    let mut shown = masked(&parameters);
    for (name, schema) in action.iter().flat_map(|one| one.all_parameters.iter()) {
        if schema["secret"] == json!(true)
            && let Some(value) = shown.get_mut(name)
            && !value.is_null()
        {
            *value = json!(MASK);
        }
    }
    json!(shown)
}

/// What the rules said, with its members spelled out.
fn verdict(text: &str) -> Value {
    let Ok(verdict) = serde_json::from_str::<Verdict>(text) else {
        return raw(text);
    };
    json!({
        "matched": verdict.matched,
        "missed": verdict.missed,
        "failed": verdict.failed,
    })
}

/// JSON text from the journal; what cannot be a value (`1e400`) is shown as text.
fn raw(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

impl Core {
    /// One sensor, with its life and the policy that it is looked after by.
    pub fn sensor_view(&self, reference: &str, mono: Duration, wall: Wall) -> Option<Value> {
        let slot = &self.sensors[self.sensor_named(reference)?.0];
        let mut shown = sensor_type(&slot.spec);
        let life = self.life_view(slot, mono, wall);
        if let (Value::Object(all), Value::Object(life)) = (&mut shown, life) {
            all.extend(life);
            all.insert("policy".into(), knobs::shown(&slot.spec.policy));
            all.insert("policy_sources".into(), json!(slot.spec.policy_sources));
        }
        Some(shown)
    }

    fn life_view(&self, slot: &Slot, mono: Duration, wall: Wall) -> Value {
        let waits = matches!(slot.life.state.word(), "backoff" | "cooldown");
        let next_start = slot
            .life
            .deadline(&slot.spec.policy)
            .filter(|_| waits)
            .map(|at| {
                let left = at.saturating_sub(mono).as_micros();
                Wall(wall.0 + i64::try_from(left).unwrap_or(0)).rfc3339()
            });
        let uptime = slot
            .started
            .filter(|_| slot.pid.is_some())
            .map(|at| mono.saturating_sub(at).as_secs_f64());
        json!({
            "state": slot.shown_state(),
            "enabled": slot.is_enabled(),
            "override": slot.memory.switch.as_ref().map(Switch::view),
            "pid": slot.pid,
            "uptime": uptime,
            "restarts": slot.memory.restarts,
            "attempts": slot.life.attempts(),
            "generation": slot.life.generation,
            "last_exit": slot.memory.last_exit.as_ref().map(last_exit),
            "next_start": next_start,
            "status": slot.status,
            "isolation": isolation::view(slot),
            "survivors": slot.survivors,
            "events": slot.counters.events,
            "rejected": slot.counters.rejected,
            "stdout_noise": slot.counters.noise,
            "last_event": slot.last_event.map(Wall::rfc3339),
            "journal": self.journal_trouble.as_deref().or_else(|| self.why_dammed(slot)),
        })
    }
}

fn last_exit(exit: &LastExit) -> Value {
    json!({
        "code": exit.exit.code,
        "signal": exit.exit.signal,
        "text": exit.exit.words(),
        "at": exit.at.rfc3339(),
        "uptime": exit.uptime,
        "reason": exit.reason,
        "class": exit.class,
        "hint": exit.hint,
    })
}
