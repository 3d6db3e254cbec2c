//! The golden conversations of `sdk/conformance`, with the supervisor as the host: what the sensor
//! writes goes through intake and core over a journal that commits at once, and every request must
//! get the kind of answer that the conversation has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::clock::{Now, Wall};
use super::input::Duplicate;
use super::intake::Intake;
use super::record::Batch;
use super::sensor::SensorIx;
use super::step::Boot;
use super::{Core, Effect, Input};
use crate::catalog::schema::{PayloadCheck, Validation};
use crate::catalog::{Catalog, Protocol, Reload, Sensor, TriggerType};
use crate::rules::{self, RuleSet};

const SENSOR: SensorIx = SensorIx(0);

/// Answers of a made-up host that ours has no reason to give: a range that only the conversation
/// knows, and values that nobody stored before.
const MADE_UP: [(&str, u64); 2] = [("dispatch_refused", 5), ("polling", 4)];

fn catalog() -> Catalog {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let mut catalog = Catalog::default();
    for name in ["tick", "other"] {
        let kind = TriggerType {
            reference: format!("conformance.{name}"),
            pack: "conformance".into(),
            name: name.into(),
            description: String::new(),
            payload_check: Arc::new(PayloadCheck::new(&schema, None)),
            payload_schema: schema.clone(),
            parameters_schema: json!({}),
            keep: None,
            metadata_file: String::new(),
        };
        catalog
            .trigger_types
            .insert(kind.reference.clone(), Arc::new(kind));
    }
    let sensor = Sensor {
        reference: "conformance.Scripted".into(),
        pack: "conformance".into(),
        class_name: "Scripted".into(),
        description: String::new(),
        enabled: true,
        enabled_source: None,
        file_path: PathBuf::from("/packs/conformance/sensors/scripted.py"),
        poll_interval: None,
        trigger_types: catalog.trigger_types.keys().cloned().collect(),
        is_command: false,
        reload: Reload::Restart,
        code: String::new(),
        instance: None,
        protocol: Protocol::Auto,
        policy: Default::default(),
        policy_sources: Default::default(),
        metadata_file: String::new(),
    };
    catalog
        .sensors
        .insert(sensor.reference.clone(), Arc::new(sensor));
    catalog
}

struct Host {
    core: Core,
    intake: Intake,
    answers: BTreeMap<u64, Value>,
    /// Identifiers of events, by their key: the journal's part.
    seen: BTreeMap<String, String>,
}

impl Host {
    fn new() -> Self {
        let catalog = Arc::new(catalog());
        let (rules, _) = RuleSet::compile(Arc::clone(&catalog), &rules::Host::default());
        let boot = Boot {
            catalog: Arc::clone(&catalog),
            parallel: 1,
            ..Boot::default()
        };
        let mut host = Self {
            core: Core::new(boot),
            intake: Intake::new(catalog, Arc::new(rules), Validation::Strict),
            answers: BTreeMap::new(),
            seen: BTreeMap::new(),
        };
        host.step(Input::Begin);
        host.step(Input::Spawned {
            sensor: SENSOR,
            generation: 1,
            pid: 7,
            interpreter: None,
        });
        host
    }

    fn step(&mut self, input: Input) {
        let now = Now {
            mono: Duration::from_secs(1),
            wall: Wall(1_480_310_219_110_000),
        };
        for effect in self.core.step(input, now) {
            match effect {
                Effect::Commit { number, batch } => {
                    let duplicates = self.duplicates(&batch);
                    self.step(Input::Committed {
                        upto: number,
                        duplicates,
                    });
                }
                Effect::Tell { line, .. } => {
                    let message: Value = serde_json::from_str(&line).expect("a line of JSON");
                    let id = message["id"].as_u64().expect("an answer");
                    assert_eq!(self.answers.insert(id, message), None, "answered twice");
                }
                _ => {}
            }
        }
    }

    fn duplicates(&mut self, batch: &Batch) -> Vec<Duplicate> {
        let mut duplicates = Vec::new();
        for event in &batch.events {
            let Some(key) = &event.key else { continue };
            match self.seen.get(key) {
                Some(first) => duplicates.push(Duplicate {
                    event: event.seq,
                    first: first.clone(),
                }),
                None => drop(self.seen.insert(key.clone(), event.id())),
            }
        }
        duplicates
    }

    fn hear(&mut self, message: &Value) {
        let mut message = message.clone();
        if message["params"]["capabilities"] == "*" {
            message["params"]["capabilities"] = json!(["heartbeat"]);
        }
        let line = format!("{message}\n");
        let said = self.intake.feed(SENSOR, 1, line.as_bytes(), Wall(0));
        self.step(Input::Said {
            sensor: SENSOR,
            generation: 1,
            said,
        });
    }
}

fn replay(name: &str, text: &str) -> usize {
    let mut host = Host::new();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    for line in &lines {
        if line["sensor"].is_object() && line["sensor"]["method"].is_string() {
            host.hear(&line["sensor"]);
        }
    }
    let mut compared = 0;
    for line in &lines {
        let (expected, id) = (&line["host"], line["host"]["id"].as_u64());
        let Some(id) = id.filter(|id| !MADE_UP.contains(&(name, *id))) else {
            continue;
        };
        if expected["method"].is_string() {
            continue;
        }
        let answer = host.answers.get(&id);
        let answer = answer.unwrap_or_else(|| panic!("{name}: no answer to {id}"));
        assert_alike(name, expected, answer);
        compared += 1;
    }
    compared
}

/// The same code of an error; a result of the same members, or the same plain value.
fn assert_alike(name: &str, expected: &Value, answer: &Value) {
    let told = format!("{name}: {answer} for {expected}");
    assert_eq!(expected["error"]["code"], answer["error"]["code"], "{told}");
    match &expected["result"] {
        Value::Object(members) if answer["result"].is_object() => {
            for member in members.keys() {
                assert!(answer["result"].get(member).is_some(), "{member} in {told}");
            }
        }
        Value::Array(_) => assert!(answer["result"].is_array(), "{told}"),
        plain => assert_eq!(plain, &answer["result"], "{told}"),
    }
}

#[test]
fn the_supervisor_holds_its_side_of_every_conversation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/conformance");
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).expect("the conversations") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            let name = path.file_stem().expect("a name").to_string_lossy();
            let text = std::fs::read_to_string(&path).expect("a conversation");
            compared += replay(&name, &text);
        }
    }
    println!("{compared} answers compared");
    assert!(compared > 30);
}
