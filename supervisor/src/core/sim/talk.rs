//! What a sensor's process says, and what it is told.

use serde_json::{Value, json};

use super::agenda::{Happening, Start};
use super::child::{Kind, Wants};
use super::world::World;
use crate::core::record::Exit;

/// What is answered to half a line, whose other half never came.
const NOT_JSON: i64 = -32700;

impl World {
    pub fn talk(&mut self, start: Start) {
        let quiet = self.quiet;
        let child = self.children.get_mut(&start).expect("it was started");
        if !child.alive || child.hangs {
            return;
        }
        if child.rest.is_empty()
            && let Some(code) = child.leaves
        {
            return self.die(
                start,
                Exit {
                    code: Some(code),
                    signal: None,
                },
            );
        }
        let silent = quiet && child.greeted || child.rests && self.rng.percent(80);
        if child.is_full() {
            self.later(20, Happening::Read(start));
        } else if !child.rest.is_empty() {
            self.write_on(start);
        } else if !silent {
            self.say(start);
            self.write_on(start);
        }
        match self.rng.below(200) {
            0..4 => self.die_later(start, 0),
            4..7 => self.hang(start),
            _ => self.later(40, Happening::Talk(start)),
        }
    }

    fn hang(&mut self, start: Start) {
        let child = self.children.get_mut(&start).expect("it is alive");
        child.hangs = true;
        // Some come to themselves.
        if self.rng.percent(50) {
            self.later(5000, Happening::Talk(start));
        }
    }

    /// Something to say; where it tells of events, their numbers.
    fn say(&mut self, start: Start) {
        let child = &self.children[&start];
        let (kind, greeted) = (child.kind, child.greeted);
        let text = match kind {
            Kind::Prints => self.printed(start),
            _ if !greeted => self.greeting(start),
            _ => self.message(start),
        };
        let child = self.children.get_mut(&start).expect("it is alive");
        child.rest = (text + "\n").into_bytes();
    }

    /// The number of an event that the present line tells of.
    fn number(&mut self, start: Start) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        let child = self.children.get_mut(&start).expect("it is alive");
        child.numbers.push(number);
        number
    }

    fn payload(&mut self, start: Start) -> (u64, Value) {
        let number = self.number(start);
        let by = format!("{}/{}/{}", self.life, start.0.0, start.1);
        let matches = self.rng.percent(70);
        // Its number stands first, so that it is seen in what is kept of a line that is too long.
        (number, json!({"n": number, "by": by, "matches": matches}))
    }

    fn printed(&mut self, start: Start) -> String {
        match self.rng.below(10) {
            0 => "some words".to_owned(),
            1 => {
                let both = [self.payload(start).1, self.payload(start).1];
                json!(both).to_string()
            }
            2 => {
                let (_, mut payload) = self.payload(start);
                payload["text"] = json!("x".repeat(500));
                payload.to_string()
            }
            _ => self.payload(start).1.to_string(),
        }
    }

    fn request(&mut self, start: Start, wants: Wants) -> u64 {
        let child = self.children.get_mut(&start).expect("it is alive");
        child.last_id += 1;
        child.open.insert(child.last_id, wants);
        child.last_id
    }

    fn greeting(&mut self, start: Start) -> String {
        let id = self.request(start, Wants::Greeting);
        let all = ["heartbeat", "pause", "poll", "config", "triggers"];
        let can: Vec<_> = all.iter().filter(|_| self.rng.percent(80)).collect();
        let child = self.children.get_mut(&start).expect("it is alive");
        child.greeted = true;
        let hello = json!({"jsonrpc": "2.0", "id": id, "method": "hello",
            "params": {"protocol": 1, "sdk": "sim", "capabilities": can}});
        let ready = json!({"jsonrpc": "2.0", "method": "ready"});
        match self.rng.percent(90) {
            true => format!("{hello}\n{ready}"),
            // It will not be ready in time.
            false => hello.to_string(),
        }
    }

    fn message(&mut self, start: Start) -> String {
        match self.rng.below(40) {
            0 => "no message at all".to_owned(),
            1 => json!({"jsonrpc": "2.0", "method": "nobody knows"}).to_string(),
            2 => {
                let lines = [self.dispatch(start), self.dispatch(start)];
                json!(lines).to_string()
            }
            3 => self.refusal(start),
            4..6 => self.keep(start),
            6..9 => {
                let poll = self.rng.pick(&[None, Some(0), Some(3), Some(700)]);
                json!({"jsonrpc": "2.0", "method": "heartbeat", "params": {"poll_s": poll}})
                    .to_string()
            }
            9 => json!({"jsonrpc": "2.0", "method": "heartbeat", "params": {"extend_s": 20}})
                .to_string(),
            10 => json!({"jsonrpc": "2.0", "method": "log",
                "params": {"level": "info", "message": "a word", "logger": "l"}})
            .to_string(),
            11 if self.rng.percent(20) => self.last_words(start),
            _ => self.dispatch(start).to_string(),
        }
    }

    fn dispatch(&mut self, start: Start) -> Value {
        let (number, payload) = self.payload(start);
        let mut params = json!({"trigger": "p.t", "payload": payload});
        if self.rng.percent(20) {
            params["id"] = json!(self.rng.below(5).to_string());
        }
        let mut message = json!({"jsonrpc": "2.0", "method": "dispatch", "params": params});
        if self.rng.percent(80) {
            message["id"] = json!(self.request(start, Wants::Event(number)));
        }
        message
    }

    fn refusal(&mut self, start: Start) -> String {
        let (number, payload) = self.payload(start);
        let id = self.request(start, Wants::Refusal(number));
        let params = json!({"trigger": "p.nope", "payload": payload});
        json!({"jsonrpc": "2.0", "id": id, "method": "dispatch", "params": params}).to_string()
    }

    /// A cursor, or an item of the datastore.
    fn keep(&mut self, start: Start) -> String {
        self.last_number += 1;
        let value = format!("\"v{}\"", self.last_number);
        let id = self.request(start, Wants::Kept(value.clone()));
        let key = self.rng.below(4);
        let call = match self.rng.below(3) {
            0 => json!({"method": "state.set", "params": {"state": value.trim_matches('"')}}),
            1 => json!({"method": "kv.set",
                "params": {"key": format!("k{key}"), "scope": "system", "value": value, "ttl": 30}}),
            _ => {
                let child = self.children.get_mut(&start).expect("it is alive");
                child.open.insert(id, Wants::Anything);
                json!({"method": "kv.get", "params": {"key": format!("k{key}"), "scope": "system"}})
            }
        };
        let mut message = json!({"jsonrpc": "2.0", "id": id});
        message["method"] = call["method"].clone();
        message["params"] = call["params"].clone();
        message.to_string()
    }

    fn last_words(&mut self, start: Start) -> String {
        let (kind, code) = self
            .rng
            .pick(&[("config", 78), ("transient", 75), ("bug", 1)]);
        let child = self.children.get_mut(&start).expect("it is alive");
        child.leaves = Some(code);
        let params = json!({"kind": kind, "message": "no more", "retry_after_s": 2});
        json!({"jsonrpc": "2.0", "method": "fail", "params": params}).to_string()
    }

    /// A line from us.
    pub fn told(&mut self, start: Start, line: &str) {
        let told: Value = serde_json::from_str(line).expect("a line of JSON");
        match told {
            Value::Array(all) => all.iter().for_each(|one| self.told_one(start, one)),
            one => self.told_one(start, &one),
        }
    }

    fn told_one(&mut self, start: Start, told: &Value) {
        let child = self.children.get_mut(&start).expect("it was started");
        assert!(child.greeted, "written to before hello: {told}");
        match told["method"].as_str() {
            Some("pause") => child.rests = true,
            Some("resume") => child.rests = false,
            Some(_) => {}
            None => self.answered(start, told),
        }
    }

    /// Every request is answered once, and not before what it asks for is on disk.
    fn answered(&mut self, start: Start, answer: &Value) {
        if answer["id"].is_null() {
            // To a message of which nobody can say what it was.
            return;
        }
        let child = self.children.get_mut(&start).expect("it was started");
        let id = answer["id"].as_u64().expect("our own numbers");
        let wanted = child.open.remove(&id);
        let wanted = wanted.unwrap_or_else(|| panic!("answered twice, or never asked: {answer}"));
        let journal = &self.journal;
        if answer["error"]["code"] == NOT_JSON {
            assert!(!child.alive, "a whole line was not read: {answer}");
            return;
        }
        match wanted {
            Wants::Greeting => self.greets_in_order(start),
            Wants::Event(number) if answer["error"].is_object() => {
                let refused = journal.refusals.contains(&number);
                assert!(refused, "{number} is refused and not on disk: {answer}");
            }
            Wants::Event(number) if answer["result"]["kept"] == false => {
                let passed = journal.passed.contains(&number);
                assert!(passed, "{number} is not kept, and nobody let it pass");
            }
            Wants::Event(number) => {
                let event = answer["result"]["event"].as_str().expect("an identifier");
                let own = journal.said.get(&number).is_some_and(|id| id == event);
                let other = journal.known.contains(&number);
                assert!(own || other, "{number} is answered and not on disk");
                self.answered.insert(event.to_owned());
            }
            Wants::Refusal(number) => {
                let refused = journal.refusals.contains(&number);
                assert!(refused, "{number} is refused and not on disk: {answer}");
            }
            Wants::Kept(value) => {
                let bare = serde_json::from_str::<String>(&value).expect("text");
                let kept = [&value, &bare];
                let kept = kept.iter().any(|one| journal.values.contains(*one));
                let other = self.is_superseded(start);
                assert!(
                    kept || other,
                    "{value} is answered and not on disk: {answer}"
                );
            }
            Wants::Anything => {}
        }
    }

    /// Another one has taken its place: what it has to say of the sensor does not count any more.
    fn is_superseded(&self, (sensor, _): Start) -> bool {
        let core = &self.core;
        let slot = &core.sensors[sensor.0];
        let reference = &slot.spec.reference;
        match core.names.get(reference) {
            Some(other) => *other != sensor && core.sensors[other.0].replaces != Some(sensor),
            None => {
                let last = core.forgotten.get(reference);
                last.is_some_and(|last| last.generation > slot.life.generation)
            }
        }
    }

    /// What the start before said is taken before the next one is greeted.
    fn greets_in_order(&mut self, (sensor, generation): Start) {
        let older = self.children.range((sensor, 0)..(sensor, generation));
        for (start, child) in older {
            assert!(child.is_drained, "greeted before {start:?} was read");
        }
    }
}
