//! Whoever asks: what they ask for, what that means for the sensors, and that they are answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::agenda::Happening;
use super::packs::SENSORS;
use super::world::World;
use crate::core::input::{Ask, Control, Injected, Verb, Verdict, Wanted};
use crate::core::kv::KvAsk;
use crate::core::lifecycle::Desired;
use crate::core::reload::News;
use crate::core::{Core, Input};

/// What people said of the sensors, and which of their questions are open.
#[derive(Debug, Default)]
pub struct People {
    last_ask: u64,
    open: BTreeMap<u64, &'static str>,
    stopped: BTreeSet<String>,
    paused: BTreeSet<String>,
    enabled: BTreeMap<String, bool>,
}

impl People {
    /// A new supervisor knows nothing of what was stopped, or asked.
    pub fn begin_anew(&mut self) {
        *self = Self::default();
    }

    fn asks(&mut self, question: &Ask) -> u64 {
        let word = match question {
            Ask::Kv(_) => "kv",
            Ask::Reload(_) => "reload",
            Ask::Control(_) => "control",
            Ask::Run(_) => "run",
            Ask::Inject(_) => "inject",
            Ask::Rejected(_) => "rejected",
            Ask::Compact => "compact",
            Ask::Cancel { .. } => "cancel",
            Ask::Decide { .. } => "decide",
            Ask::Hide { .. } => "hide",
            Ask::By { .. } => "by",
        };
        self.last_ask += 1;
        self.open.insert(self.last_ask, word);
        self.last_ask
    }

    pub fn replied(&mut self, ask: u64) {
        let asked = self.open.remove(&ask);
        assert!(asked.is_some(), "{ask} is answered twice, or never asked");
    }

    pub fn unanswered(&self) -> Vec<&'static str> {
        self.open.values().copied().collect()
    }

    /// What is to be of a sensor that is enabled.
    pub fn wants(&self, reference: &str) -> Desired {
        match reference {
            _ if self.paused.contains(reference) => Desired::Paused,
            _ if self.stopped.contains(reference) => Desired::Down,
            _ => Desired::Up,
        }
    }

    /// Before the core hears it.
    pub fn hear(&mut self, input: &Input, core: &Core) {
        if let Input::Ask {
            question: Ask::Control(control),
            ..
        } = input
        {
            let all = core.names.iter();
            let named = all.filter(|(name, _)| {
                let of = &control.sensors[0];
                *name == of || of == "p.*"
            });
            for (name, sensor) in named {
                let enabled = core.sensors[sensor.0].is_enabled();
                self.said(name, control.verb, enabled);
            }
        }
    }

    fn said(&mut self, name: &str, verb: Verb, enabled: bool) {
        let (stopped, paused) = (&mut self.stopped, &mut self.paused);
        match verb {
            Verb::Start | Verb::Restart if enabled => {
                stopped.remove(name);
                paused.remove(name);
            }
            Verb::Resume if enabled => drop(paused.remove(name)),
            Verb::Stop => {
                paused.remove(name);
                stopped.insert(name.to_owned());
            }
            Verb::Pause if enabled => {
                stopped.remove(name);
                paused.insert(name.to_owned());
            }
            Verb::Enable => drop(stopped.remove(name)),
            Verb::Disable => {
                stopped.remove(name);
                paused.remove(name);
            }
            Verb::Start | Verb::Restart | Verb::Resume | Verb::Pause | Verb::Poll => {}
        }
    }

    /// After each step: what is enabled anew runs, whatever was said of it before.
    pub fn see(&mut self, core: &Core) {
        let is = |name: &str| {
            let sensor = core.names.get(name)?;
            Some(core.sensors[sensor.0].is_enabled())
        };
        for name in SENSORS {
            let now = is(name);
            let before = match now {
                Some(now) => self.enabled.insert(name.to_owned(), now),
                None => self.enabled.remove(name),
            };
            match (before, now) {
                (Some(false), Some(true)) => drop(self.stopped.remove(name)),
                (Some(true), Some(false)) | (_, None) | (None, _) => {
                    self.stopped.remove(name);
                    self.paused.remove(name);
                }
                _ => {}
            }
        }
    }
}

impl World {
    /// Somebody does something.
    pub fn person(&mut self) {
        self.later(150, Happening::Person);
        if self.going.is_some() {
            // The API rests, and nobody looks at files.
            return;
        }
        match self.rng.below(100) {
            0..45 => self.control(),
            45..70 => self.reload(),
            70..80 => self.ask(Ask::Run(Box::new(Wanted {
                action: "p.a".into(),
                parameters: Map::new(),
                user: "somebody".into(),
                again: None,
            }))),
            80..88 => self.inject(),
            88..94 => {
                let execution = self.rng.below(self.core.last_execution + 1);
                if self.journal.executions.contains_key(&execution) {
                    let user = "somebody".into();
                    self.ask(Ask::Cancel { execution, user });
                }
            }
            94..98 => self.decide(),
            _ => self.ask(Ask::Kv(KvAsk::List {
                owner: None,
                prefix: String::new(),
                decrypt: false,
            })),
        }
    }

    pub fn ask(&mut self, question: Ask) {
        let ask = self.people.asks(&question);
        self.step(Input::Ask { ask, question });
    }

    fn control(&mut self) {
        let verb = self.rng.pick(&[
            Verb::Start,
            Verb::Start,
            Verb::Stop,
            Verb::Restart,
            Verb::Pause,
            Verb::Resume,
            Verb::Poll,
            Verb::Enable,
            Verb::Enable,
            Verb::Disable,
        ]);
        let sensors = self
            .rng
            .pick(&["p.A", "p.B", "p.C", "p.C", "p.*", "p.nobody"]);
        let for_seconds = self.rng.percent(40).then(|| self.rng.below(50) as f64);
        self.seen.controls += 1;
        self.ask(Ask::Control(Control {
            verb,
            sensors: vec![sensors.into()],
            reason: None,
            for_seconds,
            user: None,
        }));
    }

    /// Says what became of an execution whose end is not known.
    fn decide(&mut self) {
        let pending = self.core.executions.pending.keys().next().copied();
        let verdict = self
            .rng
            .pick(&[Verdict::Retry, Verdict::Succeeded, Verdict::Failed]);
        if pending.is_some() {
            self.seen.decided += 1;
        }
        if verdict == Verdict::Retry
            && let Some(seq) = pending
        {
            // It may begin once more.
            self.begins_again.insert(seq);
        }
        self.ask(Ask::Decide {
            execution: pending.unwrap_or(self.core.last_execution),
            verdict,
            user: "somebody".into(),
        });
    }

    /// Their number is part of what is injected, as of what sensors say.
    fn inject(&mut self) {
        self.last_number += 1;
        let number = self.last_number;
        let mut payload = Map::new();
        payload.insert("n".into(), json!(number));
        payload.insert("by".into(), Value::from("somebody"));
        payload.insert("matches".into(), json!(self.rng.percent(70)));
        self.whole.push(number);
        self.ask(Ask::Inject(Injected {
            trigger: "p.t".into(),
            payload,
            trace_tag: None,
        }));
    }

    /// Files change, and are read because somebody says so, or because that is seen.
    fn reload(&mut self) {
        for _ in 0..=self.rng.below(2) {
            self.files.change(&mut self.rng);
        }
        self.seen.reloads += 1;
        let news = self.news();
        match self.rng.percent(50) {
            true => self.ask(Ask::Reload(Box::new(news))),
            false => self.step(Input::News(Box::new(news))),
        }
    }

    pub fn news(&self) -> News {
        let packs = self.files.read();
        News {
            catalog: Arc::unwrap_or_clone(packs.catalog),
            rules: packs.rules,
            retention: self.retention,
            kept: BTreeMap::new(),
        }
    }
}
