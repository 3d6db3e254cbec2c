//! From the bytes of a sensor to judged events: lines, messages, trigger types, schemas, rules.
//!
//! Runs on a thread of its own, over the immutable catalog; a sensor's pieces come in order and
//! leave in order. What is wrong with a line is a value too ([`Said`]), so nothing is lost here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use petrel_sdk::line::{Line, LineBuffer};
use petrel_sdk::protocol::{
    self, BadMessage, Call, Capabilities, Dispatch, Fail, FromSensor, Id, Log, Message, RpcError,
    code,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::clock::Wall;
use super::datastore::View;
use super::handover::{HandedIntake, HandedLine, HandedReader};
use super::passed::{Passed, PassedEvent, passes};
use super::recent::{Heard, Message as Kept, Start};
use super::sensor::SensorIx;
use crate::catalog::policy::Keep;
use crate::catalog::schema::{Checked, Validation};
use crate::catalog::{Catalog, Protocol, Sensor, TriggerType};
use crate::rules::store::{NoKeys, Store};
use crate::rules::{Judgement, RuleSet};

/// Where an answer goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The request; none where it could not be read, which is answered with `id: null`.
    pub id: Option<Id>,
    /// The batch that it came in.
    pub batch: Option<u64>,
}

/// An event that its schema accepts, with the verdicts of the rules.
#[derive(Debug)]
pub struct JudgedEvent {
    /// Who wants to know.
    pub reply: Option<Reply>,
    /// Reference of the trigger type.
    pub trigger: String,
    /// Reference of the trigger, where it is the type with parameters.
    pub trigger_ref: Option<String>,
    /// JSON text as written.
    pub payload: String,
    /// Idempotency key.
    pub key: Option<String>,
    /// The sensor's time.
    pub time: Option<String>,
    /// Trace tag.
    pub trace_tag: Option<String>,
    /// JSON text of the cursor that goes with it.
    pub state: Option<String>,
    /// What the rules say.
    pub judgement: Judgement,
    /// The same for the journal.
    pub verdict: String,
    /// Which rules.
    pub rule_set: Arc<str>,
    /// The version of the datastore that they saw.
    pub store_version: u64,
    /// What is kept of events of its trigger type.
    pub keep: Keep,
}

/// An event that was refused.
#[derive(Debug)]
pub struct RefusedEvent {
    /// Who wants to know.
    pub reply: Option<Reply>,
    /// Why.
    pub error: RpcError,
    /// The trigger it was meant for.
    pub trigger: Option<String>,
    /// What was written, at most the first 4 KiB of a line that was too long.
    pub data: Vec<u8>,
    /// SHA-256 of a line that is not kept whole.
    pub sha256: Option<String>,
}

/// One thing that a sensor said.
#[derive(Debug)]
pub enum Said {
    /// A batch begins that wants so many answers.
    Batch {
        /// Its number.
        number: u64,
        /// How many.
        answers: usize,
    },
    /// The conversation begins.
    Hello {
        /// Who wants to know.
        reply: Reply,
        /// What it can.
        capabilities: Capabilities,
    },
    /// Set-up is done.
    Ready,
    /// An event, accepted.
    Event(Box<JudgedEvent>),
    /// Events of which only the number is kept.
    Passed(Box<Passed>),
    /// An event, refused.
    Refused(Box<RefusedEvent>),
    /// A cursor: JSON text.
    State {
        /// Who wants to know.
        reply: Option<Reply>,
        /// JSON text.
        state: String,
    },
    /// A question to the datastore.
    Kv {
        /// Who wants to know.
        reply: Reply,
        /// `kv.*`.
        call: Call,
    },
    /// A log record.
    Log(Log),
    /// Its status line.
    Status(String),
    /// A sign of life.
    Heartbeat {
        /// More time is asked for.
        extend: Option<Duration>,
        /// For how long the present poll has gone on.
        poll: Option<Duration>,
    },
    /// Last words.
    Fail(Fail),
    /// A line that is neither payload nor message.
    Noise {
        /// What it says, bounded; what is not UTF-8 in it is replaced.
        text: String,
        /// All of it was UTF-8.
        is_utf8: bool,
    },
    /// A notification that came as a request: it is answered all the same.
    Taken {
        /// Who wants to know.
        reply: Reply,
    },
    /// A message that cannot be used.
    Misused {
        /// Who wants to know.
        reply: Option<Reply>,
        /// What is wrong.
        error: RpcError,
    },
    /// A payload was let through although it is not quite what its schema says; told once for a
    /// trigger type.
    Lenient {
        /// The trigger type.
        trigger: String,
        /// What does not fit.
        what: String,
    },
}

/// Longest noise that is shown, characters.
const NOISE_SHOWN: usize = 500;

/// A time in a sensor's message; no number that is none, and at most a year, so that sums of times
/// never overflow.
pub fn seconds(number: f64) -> Option<Duration> {
    let year = 366.0 * 86_400.0;
    Duration::try_from_secs_f64(number.min(year)).ok()
}

/// Reads all sensors.
#[derive(Debug)]
pub struct Intake {
    catalog: Arc<Catalog>,
    rules: Arc<RuleSet>,
    rule_set: Arc<str>,
    view: View,
    /// The same for the piece at hand.
    store: Arc<dyn Store>,
    validation: Validation,
    sensors: Vec<Arc<Sensor>>,
    readers: HashMap<(SensorIx, u64), Reader>,
    lenient: HashSet<String>,
    heard: Heard,
    batches: u64,
    /// When the piece at hand was read: the time of its events, for criteria on ages.
    now: Wall,
}

#[derive(Debug)]
struct Reader {
    lines: LineBuffer,
    /// Payload lines count: no message was seen yet, or the sensor's YAML says so.
    payloads: bool,
}

impl Intake {
    /// Over these packs and rules.
    pub fn new(catalog: Arc<Catalog>, rules: Arc<RuleSet>, validation: Validation) -> Self {
        Self {
            rule_set: rules.hash().into(),
            sensors: catalog.sensors.values().cloned().collect(),
            catalog,
            rules,
            view: View::default(),
            store: Arc::new(NoKeys),
            validation,
            readers: HashMap::new(),
            lenient: HashSet::new(),
            heard: Heard::default(),
            batches: 0,
            now: Wall::default(),
        }
    }

    /// The datastore as it is from now on.
    pub fn show(&mut self, view: View) {
        self.view = view;
    }

    /// New packs, by which is judged from now on, and what each sensor is.
    pub fn adopt(&mut self, catalog: Arc<Catalog>, rules: Arc<RuleSet>, sensors: Vec<Arc<Sensor>>) {
        self.sensors = sensors;
        self.rule_set = rules.hash().into();
        self.catalog = catalog;
        self.rules = rules;
    }

    /// What only we know.
    pub fn hand_over(&self) -> HandedIntake {
        let readers = self.readers.iter().map(|((sensor, generation), reader)| {
            let line = HandedLine::of(&reader.lines);
            HandedReader {
                sensor: sensor.0,
                generation: *generation,
                payloads: reader.payloads,
                line,
            }
        });
        HandedIntake {
            readers: readers.collect(),
            lenient: self.lenient.iter().cloned().collect(),
            batches: self.batches,
        }
    }

    /// Reads on where another one stood, whose sensors have the same indexes.
    ///
    /// # Errors
    /// When that cannot be.
    pub fn resume(&mut self, handed: HandedIntake) -> Result<(), String> {
        for one in handed.readers {
            let spec = self.sensors.get(one.sensor);
            let spec = spec.ok_or("output of a sensor that was not handed over")?;
            let reader = Reader {
                lines: one.line.buffer(spec.policy.limits.line_bytes)?,
                payloads: one.payloads,
            };
            let key = (SensorIx(one.sensor), one.generation);
            self.readers.insert(key, reader);
        }
        self.lenient = handed.lenient.into_iter().collect();
        self.batches = handed.batches;
        Ok(())
    }

    fn tick(&mut self, now: Wall) {
        self.now = now;
        self.store = self.view.at(now);
    }

    /// A piece of the output of a sensor's start, read at `now`.
    pub fn feed(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        piece: &[u8],
        now: Wall,
    ) -> Vec<Said> {
        self.tick(now);
        let mut reader = self
            .readers
            .remove(&(sensor, generation))
            .unwrap_or_else(|| Reader::new(&self.sensors[sensor.0]));
        let mut said = Vec::new();
        for line in reader.lines.push(piece) {
            self.line((sensor, generation), &mut reader.payloads, line, &mut said);
        }
        self.readers.insert((sensor, generation), reader);
        said
    }

    /// What a start that is over said last.
    pub fn last_heard(&mut self, sensor: SensorIx, generation: u64) -> Vec<Kept> {
        self.heard.take((sensor, generation))
    }

    /// The output of a sensor's start is at its end: its last line may lack a newline.
    pub fn end(&mut self, sensor: SensorIx, generation: u64, now: Wall) -> Vec<Said> {
        self.tick(now);
        let mut said = Vec::new();
        if let Some(mut reader) = self.readers.remove(&(sensor, generation))
            && let Some(line) = reader.lines.finish()
        {
            self.line((sensor, generation), &mut reader.payloads, line, &mut said);
        }
        self.heard.drained((sensor, generation));
        said
    }

    fn line(&mut self, start: Start, payloads: &mut bool, line: Line<'_>, said: &mut Vec<Said>) {
        let spec = Arc::clone(&self.sensors[start.0.0]);
        let bytes = match line {
            Line::Whole(bytes) => bytes,
            Line::TooLong {
                prefix,
                bytes,
                sha256,
            } => return said.push(too_long(&spec, prefix, bytes, &sha256, *payloads)),
        };
        let classified = protocol::classify(&bytes);
        if is_telling(&classified) {
            self.heard.line(start, self.now, &bytes);
        }
        match classified {
            FromSensor::Payload(payload) if *payloads => {
                self.payload(&spec, payload, said);
            }
            FromSensor::Payloads(list) if *payloads => {
                for payload in list {
                    self.payload(&spec, payload, said);
                }
            }
            FromSensor::Message(message) => {
                climb(&spec, payloads);
                self.message(&spec, message, None, said);
            }
            FromSensor::Bad(bad) => said.push(misused(bad, None)),
            FromSensor::Batch(messages) => {
                climb(&spec, payloads);
                self.batch(&spec, messages, said);
            }
            FromSensor::Payload(_) | FromSensor::Payloads(_) | FromSensor::Noise => {
                noise(&bytes, said);
            }
        }
    }

    fn batch(
        &mut self,
        spec: &Sensor,
        messages: Vec<Result<Message, BadMessage>>,
        said: &mut Vec<Said>,
    ) {
        self.batches += 1;
        let number = self.batches;
        let wants_answer = |message: &Result<Message, BadMessage>| match message {
            Ok(message) => message.id.is_some() && !matches!(message.call, Call::Response(_)),
            Err(bad) => bad.reply,
        };
        let answers = messages.iter().filter(|one| wants_answer(one)).count();
        said.push(Said::Batch { number, answers });
        for message in messages {
            match message {
                Ok(message) => self.message(spec, message, Some(number), said),
                Err(bad) => said.push(misused(bad, Some(number))),
            }
        }
    }

    fn message(
        &mut self,
        spec: &Sensor,
        message: Message,
        batch: Option<u64>,
        said: &mut Vec<Said>,
    ) {
        let reply = message.id.map(|id| Reply {
            id: Some(id),
            batch,
        });
        let one = match (message.call, reply) {
            (Call::Hello(hello), Some(reply)) => Said::Hello {
                reply,
                capabilities: hello.capabilities,
            },
            (Call::Dispatch(dispatch), reply) => return self.dispatch(spec, dispatch, reply, said),
            (Call::StateSet(state), reply) => Said::State {
                reply,
                state: state.to_string(),
            },
            (
                call @ (Call::KvGet(_) | Call::KvSet(_) | Call::KvDelete(_) | Call::KvList(_)),
                Some(reply),
            ) => Said::Kv { reply, call },
            (Call::Response(_), _) => return,
            (call, reply) => {
                said.extend(notification(call));
                said.extend(reply.map(|reply| Said::Taken { reply }));
                return;
            }
        };
        said.push(one);
    }

    fn dispatch(
        &mut self,
        spec: &Sensor,
        dispatch: Dispatch,
        reply: Option<Reply>,
        said: &mut Vec<Said>,
    ) {
        let trigger = match self.resolve(spec, dispatch.trigger.as_deref()) {
            Ok(trigger) => trigger,
            Err(error) => {
                return said.push(refused(reply, error, dispatch.trigger, &dispatch.payload));
            }
        };
        let judgement = match self.judge(&trigger, &dispatch.payload, said) {
            Ok(judgement) => judgement,
            Err(error) => {
                let name = Some(trigger.kind.reference.clone());
                return said.push(refused(reply, error, name, &dispatch.payload));
            }
        };
        let (key, state) = (dispatch.id, dispatch.state);
        let event = PassedEvent {
            reply,
            payload: dispatch.payload,
            time: dispatch.time,
            trace_tag: dispatch.trace_tag,
        };
        match trigger.passes(&judgement) && key.is_none() && state.is_none() {
            true => self.pass(&trigger, event, said),
            false => said.push(Said::Event(Box::new(JudgedEvent {
                key,
                state: state.map(|state| state.to_string()),
                ..self.judged(trigger, event, judgement)
            }))),
        }
    }

    /// Rung 0: the payload of the sensor's first trigger type.
    fn payload(&mut self, spec: &Sensor, payload: Box<RawValue>, said: &mut Vec<Said>) {
        let trigger = match self.resolve(spec, None) {
            Ok(trigger) => trigger,
            Err(error) => return said.push(refused(None, error, None, &payload)),
        };
        let judgement = match self.judge(&trigger, &payload, said) {
            Ok(judgement) => judgement,
            Err(error) => {
                let name = Some(trigger.kind.reference.clone());
                return said.push(refused(None, error, name, &payload));
            }
        };
        let event = PassedEvent {
            reply: None,
            payload,
            time: None,
            trace_tag: None,
        };
        match trigger.passes(&judgement) {
            true => self.pass(&trigger, event, said),
            false => said.push(Said::Event(Box::new(
                self.judged(trigger, event, judgement),
            ))),
        }
    }

    /// Only its number is kept.
    fn pass(&self, trigger: &Resolved, event: PassedEvent, said: &mut Vec<Said>) {
        if let Some(Said::Passed(last)) = said.last_mut()
            && last.trigger == trigger.kind.reference
            && last.trigger_ref == trigger.reference
        {
            return last.events.push(event);
        }
        said.push(Said::Passed(Box::new(Passed {
            trigger: trigger.kind.reference.clone(),
            trigger_ref: trigger.reference.clone(),
            keep: trigger.keep(),
            rule_set: Arc::clone(&self.rule_set),
            store_version: self.view.version(),
            events: vec![event],
        })));
    }

    fn judged(&self, trigger: Resolved, event: PassedEvent, judgement: Judgement) -> JudgedEvent {
        JudgedEvent {
            reply: event.reply,
            trigger: trigger.kind.reference.clone(),
            keep: trigger.keep(),
            trigger_ref: trigger.reference,
            payload: payload_text(event.payload),
            key: None,
            time: event.time,
            trace_tag: event.trace_tag,
            state: None,
            verdict: judgement.verdict_text(),
            judgement,
            rule_set: Arc::clone(&self.rule_set),
            store_version: self.view.version(),
        }
    }

    /// The trigger that a sensor may dispatch under this name.
    fn resolve(&self, spec: &Sensor, name: Option<&str>) -> Result<Resolved, RpcError> {
        let Some(name) = name.or_else(|| spec.trigger_types.first().map(String::as_str)) else {
            let message = format!("{} names no trigger type to dispatch", spec.reference);
            return Err(RpcError::new(code::UNKNOWN_TRIGGER, message));
        };
        let own = || format!("{}.{name}", spec.pack);
        let known = &self.catalog.trigger_types;
        let with_parameters = self.rules.trigger(name);
        let kind = with_parameters.map_or(name, |trigger| &trigger.trigger_type);
        let Some(trigger) = known.get(kind).or_else(|| known.get(&own())) else {
            return Err(unknown_trigger(spec, name));
        };
        let listed = spec.trigger_types.contains(&trigger.reference);
        if trigger.pack == "core" || !(listed || trigger.pack == spec.pack) {
            let message = format!(
                "{} may not dispatch {}: it is of another pack, and {} does not name it",
                spec.reference, trigger.reference, spec.metadata_file
            );
            return Err(RpcError::new(code::OUT_OF_SCOPE, message));
        }
        Ok(Resolved {
            kind: Arc::clone(trigger),
            reference: with_parameters.map(|trigger| trigger.reference.clone()),
        })
    }

    fn judge(
        &mut self,
        trigger: &Resolved,
        payload: &RawValue,
        said: &mut Vec<Said>,
    ) -> Result<Judgement, RpcError> {
        let value = object(payload)?;
        let kind = &trigger.kind;
        let checked = kind.payload_check.check(&value, self.validation);
        if let Some(what) = lenient(checked)?
            && self.lenient.insert(kind.reference.clone())
        {
            let trigger = kind.reference.clone();
            said.push(Said::Lenient { trigger, what });
        }
        let name = trigger.reference.as_ref().unwrap_or(&kind.reference);
        let now = jiff::Timestamp::from_microsecond(self.now.0).ok();
        Ok(self.rules.judge(name, &value, now, &self.store))
    }
}

/// What a sensor dispatches: a trigger type, or a trigger of it that has parameters.
struct Resolved {
    kind: Arc<TriggerType>,
    /// Of the trigger with parameters.
    reference: Option<String>,
}

impl Resolved {
    fn keep(&self) -> Keep {
        self.kind.keep.unwrap_or_default()
    }

    fn passes(&self, judgement: &Judgement) -> bool {
        passes(self.keep(), judgement)
    }
}

impl Reader {
    fn new(spec: &Sensor) -> Self {
        Self {
            lines: LineBuffer::new(spec.policy.limits.line_bytes),
            payloads: spec.protocol != Protocol::Rpc,
        }
    }
}

/// What is worth keeping of a conversation: logs are kept elsewhere, and beats tell nothing.
fn is_telling(said: &FromSensor) -> bool {
    match said {
        FromSensor::Noise => false,
        FromSensor::Message(message) => {
            !matches!(message.call, Call::Log(_) | Call::Heartbeat { .. })
        }
        _ => true,
    }
}

/// From the first message on, other lines are noise, unless the sensor's YAML pins payloads.
fn climb(spec: &Sensor, payloads: &mut bool) {
    if spec.protocol != Protocol::Payload {
        *payloads = false;
    }
}

/// What needs no answer of its own.
fn notification(call: Call) -> Option<Said> {
    match call {
        Call::Ready => Some(Said::Ready),
        Call::Log(log) => Some(Said::Log(log)),
        Call::Status(text) => Some(Said::Status(text)),
        Call::Heartbeat { extend_s, poll_s } => Some(Said::Heartbeat {
            extend: extend_s.and_then(seconds),
            poll: poll_s.and_then(seconds),
        }),
        Call::Fail(fail) => Some(Said::Fail(fail)),
        Call::Hello(_)
        | Call::Dispatch(_)
        | Call::StateSet(_)
        | Call::KvGet(_)
        | Call::KvSet(_)
        | Call::KvDelete(_)
        | Call::KvList(_)
        | Call::Response(_) => None,
    }
}

/// What is empty counts as an object.
pub fn payload_text(payload: Box<RawValue>) -> String {
    match payload.get().starts_with('{') {
        true => Box::<str>::from(payload).into_string(),
        false => "{}".to_owned(),
    }
}

/// A payload is an object; what is empty counts as one, as StackStorm has it.
fn object(payload: &RawValue) -> Result<Value, RpcError> {
    let rejected = |path: &str, message: String| {
        RpcError::new(code::PAYLOAD_REJECTED, message.clone())
            .with_data(json!({"path": path, "message": message}))
    };
    let value: Value = serde_json::from_str(payload.get())
        .map_err(|e| rejected("", format!("the payload cannot be read: {e}")))?;
    match &value {
        Value::Object(_) => Ok(value),
        Value::Null => Ok(json!({})),
        Value::Array(items) if items.is_empty() => Ok(json!({})),
        _ => Err(rejected("", "the payload is not an object".to_owned())),
    }
}

fn lenient(checked: Checked) -> Result<Option<String>, RpcError> {
    match checked {
        Checked::Accepted => Ok(None),
        Checked::Coerced(what) => Ok(Some(what.join("; "))),
        Checked::Warned(what) => Ok(Some(what)),
        Checked::Rejected { path, message } => {
            let text = format!("the payload does not fit its schema: {path}: {message}");
            let data = json!({"path": path, "message": message});
            Err(RpcError::new(code::PAYLOAD_REJECTED, text).with_data(data))
        }
    }
}

fn refused(
    reply: Option<Reply>,
    error: RpcError,
    trigger: Option<String>,
    payload: &RawValue,
) -> Said {
    Said::Refused(Box::new(RefusedEvent {
        reply,
        error,
        trigger,
        data: payload.get().as_bytes().to_vec(),
        sha256: None,
    }))
}

fn unknown_trigger(spec: &Sensor, name: &str) -> RpcError {
    let known = spec.trigger_types.join(", ");
    let message = format!(
        "trigger \"{name}\" does not exist; {} dispatches: {known}",
        spec.reference
    );
    RpcError::new(code::UNKNOWN_TRIGGER, message)
}

fn misused(bad: BadMessage, batch: Option<u64>) -> Said {
    Said::Misused {
        reply: bad.reply.then_some(Reply { id: bad.id, batch }),
        error: RpcError {
            code: bad.code,
            message: bad.message,
            data: bad.data,
        },
    }
}

fn too_long(spec: &Sensor, prefix: Vec<u8>, bytes: u64, sha256: &[u8], payloads: bool) -> Said {
    let limit = spec.policy.limits.line_bytes;
    let message = format!("a line of {bytes} bytes was skipped; the most is {limit}");
    let id = protocol::id_in_prefix(&prefix);
    // A program that only prints payloads does not read answers.
    let reply = (!payloads || id.is_some()).then_some(Reply { id, batch: None });
    Said::Refused(Box::new(RefusedEvent {
        reply,
        error: RpcError::new(code::TOO_LARGE, message),
        trigger: None,
        data: prefix,
        sha256: Some(sha256.iter().map(|byte| format!("{byte:02x}")).collect()),
    }))
}

fn noise(bytes: &[u8], said: &mut Vec<Said>) {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end();
    if !text.is_empty() {
        said.push(Said::Noise {
            text: text.chars().take(NOISE_SHOWN).collect(),
            is_utf8: std::str::from_utf8(bytes).is_ok(),
        });
    }
}
