//! Every golden conversation against a scripted sensor on this crate.
#![allow(clippy::unwrap_used, reason = "tests may fail")]

use std::fs;
use std::path::Path;

use petrel_sdk::protocol::{Fail, FailKind, Level, Scope};
use petrel_sdk::testing::{Conversation, Ends, Mode, difference};
use petrel_sdk::{
    CallError, Event, PollingSensor, Sensor, SensorService, Start, run_on, run_polling_on,
};
use serde_json::{Value, json};

#[derive(Default)]
struct Script {
    steps: Vec<Value>,
    /// What the last datastore step gave.
    last: Value,
}

impl Script {
    fn new(start: &Start) -> Self {
        let steps = start.config["script"].as_array().unwrap().clone();
        Self {
            steps: steps.into_iter().rev().collect(),
            last: Value::Null,
        }
    }

    /// Runs the next step; true if the sensor is to return.
    fn step(&mut self, service: &SensorService) -> Result<bool, Fail> {
        let Some(step) = self.steps.pop() else {
            return Ok(false);
        };
        let (name, with) = step.as_object().unwrap().iter().next().unwrap();
        let text = |name: &str| with[name].as_str().unwrap();
        let scope = match with["local"].as_bool() {
            Some(true) => Scope::Sensor,
            _ => Scope::System,
        };
        match name.as_str() {
            "dispatch" => dispatch(service, with)?,
            "echo" => service.dispatch(text("trigger"), json!({"value": self.last}))?,
            "kv.get" => self.last = service.kv_get(scope, text("name"))?.unwrap_or_default(),
            "kv.set" => {
                let value = with["value"].clone();
                service.kv_set(scope, text("name"), value, with["ttl"].as_f64())?;
            }
            "kv.delete" => self.last = service.kv_delete(scope, text("name"))?.into(),
            "kv.list" => self.last = json!(service.kv_list(scope, text("prefix"))?),
            "log" => service.log(Level::from_name(text("level")), text("message"))?,
            "status" => service.status(with.as_str().unwrap())?,
            "fail" => {
                let kind: FailKind = serde_json::from_value(with["kind"].clone()).unwrap();
                let message = text("message");
                return Err(match kind {
                    FailKind::Config => Fail::config(message),
                    FailKind::Transient => Fail::transient(message),
                    FailKind::Bug => Fail::bug(message),
                });
            }
            "return" => return Ok(true),
            other => panic!("no such step: {other}"),
        }
        Ok(false)
    }
}

fn dispatch(service: &SensorService, with: &Value) -> Result<(), Fail> {
    let mut event = Event::new(with["trigger"].as_str().unwrap(), with["payload"].clone());
    if let Some(id) = with["id"].as_str() {
        event = event.id(id);
    }
    if let Some(tag) = with["trace_tag"].as_str() {
        event = event.trace_tag(tag);
    }
    if let Some(state) = with.get("state") {
        event = event.state(state.clone());
    }
    if with["wait"] != json!(true) {
        return Ok(service.send(event)?);
    }
    match service.send_and_wait(event) {
        Ok(_) | Err(CallError::Refused(_)) => Ok(()),
        Err(closed) => Err(closed.into()),
    }
}

struct Passive(Script);

impl Sensor for Passive {
    fn run(&mut self, service: &SensorService) -> Result<(), Fail> {
        while !self.0.steps.is_empty() {
            if self.0.step(service)? {
                return Ok(());
            }
        }
        while service.told(None) != Some(petrel_sdk::Told::Stop) {}
        Ok(())
    }
}

struct Polling(Script);

impl PollingSensor for Polling {
    fn poll(&mut self, service: &SensorService) -> Result<(), Fail> {
        self.0.step(service).map(drop)
    }
}

fn replay(conversation: &Conversation) -> Result<(), String> {
    let mode = conversation.mode;
    let ends = Ends::in_process(move |input, output| match mode {
        Mode::Passive => run_on(input, output, |start| Ok(Passive(Script::new(start)))),
        Mode::Polling => run_polling_on(input, output, |start| Ok(Polling(Script::new(start)))),
    });
    conversation.replay(ends.unwrap())
}

fn conversations() -> Vec<Conversation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == "jsonl"));
    let parse = |path: &Path| Conversation::parse(&fs::read_to_string(path).unwrap());
    files.map(|path| parse(&path).unwrap()).collect()
}

#[test]
fn all_conversations() {
    let all = conversations();
    assert!(all.len() >= 8, "only {} conversations", all.len());
    let failed: Vec<String> = all.iter().filter_map(|c| replay(c).err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_different_sensor_is_noticed() {
    let all = conversations();
    let mut hello = all.into_iter().find(|c| c.name == "hello").unwrap();
    hello.steps.retain(
        |step| !matches!(step, petrel_sdk::testing::Step::Sensor(m) if m["method"] == "ready"),
    );
    let why = replay(&hello).unwrap_err();
    assert!(why.contains("expected the end"), "{why}");
}

#[test]
fn differences_have_a_path() {
    let check = |one: Value, other: Value, at: Option<&str>| {
        assert_eq!(difference(&one, &other, "").as_deref(), at, "{one} {other}");
    };
    check(json!({"a": 1, "b": "*"}), json!({"b": [1], "a": 1.0}), None);
    check(json!({"a": 1}), json!({"a": 1, "b": 2}), Some("/b"));
    check(json!({"a": {"b": "*"}}), json!({"a": {}}), Some("/a/b"));
    check(json!([1, 2]), json!([1, 3]), Some("/1"));
    check(json!([1]), json!([1, 3]), Some(""));
}
