//! One line of a sensor's standard output becomes what the sensor said.

#![expect(
    clippy::result_large_err,
    reason = "a message in order is larger than one that is not"
)]

use memchr::memmem;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::call::{Call, METHODS};
use super::params::{ParamError, Params};
use super::read::call;
use super::scan::{MAX_DEPTH, id_in_prefix, too_deep};
use super::wire::{RpcError, Wire};
use super::{Id, code};

/// What a line says.
#[derive(Debug, Clone)]
pub enum FromSensor {
    /// Rung 0: the payload of the sensor's first trigger type, an object.
    Payload(Box<RawValue>),
    /// Rung 0: several of them, at least one.
    Payloads(Vec<Box<RawValue>>),
    /// A message.
    Message(Message),
    /// A message that cannot be used.
    Bad(BadMessage),
    /// Several messages, at least one, to be answered with one array.
    Batch(Vec<Result<Message, BadMessage>>),
    /// Anything else: a log line.
    Noise,
}

/// A message in order.
#[derive(Debug, Clone)]
pub struct Message {
    /// Present on a request, which must be answered, and on a response.
    pub id: Option<Id>,
    /// What it says.
    pub call: Call,
}

/// A message that cannot be used, and what to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct BadMessage {
    /// The id for the answer, if one was found.
    pub id: Option<Id>,
    /// Whether it is answered (with `id: null` where none was found): true unless it is known to
    /// be a notification or a response.
    pub reply: bool,
    /// One of [`code`].
    pub code: i64,
    /// What is wrong, for the sensor's author.
    pub message: String,
    /// `path` for wrong parameters, `nearest` for an unknown method.
    pub data: Option<Value>,
}

impl BadMessage {
    /// The answer that is due, if one is.
    pub fn answer(&self) -> Option<Wire> {
        self.reply.then(|| Wire::Error {
            id: self.id.clone(),
            error: RpcError {
                code: self.code,
                message: self.message.clone(),
                data: self.data.clone(),
            },
        })
    }
}

/// Says what a line is; `line` is without its terminator. Never fails.
pub fn classify(line: &[u8]) -> FromSensor {
    match line.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{' | b'[') => structured(line),
        _ => FromSensor::Noise,
    }
}

fn structured(line: &[u8]) -> FromSensor {
    let Ok(text) = std::str::from_utf8(line) else {
        return broken(line, code::PARSE, "the line is not UTF-8".into());
    };
    if too_deep(line) {
        let message = format!("nested deeper than {MAX_DEPTH} levels");
        return refused(line, code::TOO_LARGE, message);
    }
    match text.trim_start().starts_with('{') {
        true => object(text),
        false => array(text),
    }
}

fn object(text: &str) -> FromSensor {
    if surely_no_message(text) {
        return payload(text);
    }
    match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(envelope) if envelope.jsonrpc.is_some() => match message(&envelope) {
            Ok(message) => FromSensor::Message(message),
            Err(bad) => FromSensor::Bad(bad),
        },
        Ok(_) => payload(text),
        // Two members of one name: no message, but a payload may do that.
        Err(e) if e.classify() == Category::Data && !mentions_jsonrpc(text.as_bytes()) => {
            payload(text)
        }
        Err(e) if e.classify() == Category::Data => {
            refused(text.as_bytes(), code::INVALID_REQUEST, e.to_string())
        }
        Err(e) => broken(text.as_bytes(), code::PARSE, e.to_string()),
    }
}

fn payload(text: &str) -> FromSensor {
    match serde_json::from_str(text) {
        Ok(raw) => FromSensor::Payload(raw),
        Err(_) => FromSensor::Noise,
    }
}

fn array(text: &str) -> FromSensor {
    let elements: Vec<&RawValue> = match serde_json::from_str(text) {
        Ok(elements) => elements,
        Err(e) => return broken(text.as_bytes(), code::PARSE, e.to_string()),
    };
    if elements.is_empty() {
        return FromSensor::Noise;
    }
    let said: Vec<FromSensor> = elements.iter().map(|raw| element(raw)).collect();
    if said.iter().all(|s| matches!(s, FromSensor::Payload(_))) {
        return FromSensor::Payloads(said.into_iter().filter_map(into_payload).collect());
    }
    let is_message = |s: &FromSensor| matches!(s, FromSensor::Message(_) | FromSensor::Bad(_));
    match said.iter().any(is_message) {
        true => FromSensor::Batch(said.into_iter().map(batched).collect()),
        false => FromSensor::Noise,
    }
}

fn element(raw: &RawValue) -> FromSensor {
    match raw.get().starts_with('{') {
        true => object(raw.get()),
        false => FromSensor::Noise,
    }
}

fn into_payload(said: FromSensor) -> Option<Box<RawValue>> {
    match said {
        FromSensor::Payload(raw) => Some(raw),
        _ => None,
    }
}

fn batched(said: FromSensor) -> Result<Message, BadMessage> {
    match said {
        FromSensor::Message(message) => Ok(message),
        FromSensor::Bad(bad) => Err(bad),
        _ => Err(BadMessage {
            id: None,
            reply: true,
            code: code::INVALID_REQUEST,
            message: "every element of a batch needs \"jsonrpc\": \"2.0\"".into(),
            data: None,
        }),
    }
}

/// Not JSON: a message that went wrong if it looks like one, else noise.
fn broken(line: &[u8], code: i64, message: String) -> FromSensor {
    match mentions_jsonrpc(line) {
        true => refused(line, code, message),
        false => FromSensor::Noise,
    }
}

fn refused(line: &[u8], code: i64, message: String) -> FromSensor {
    FromSensor::Bad(BadMessage {
        id: id_in_prefix(line),
        reply: mentions_jsonrpc(line),
        code,
        message,
        data: None,
    })
}

fn mentions_jsonrpc(line: &[u8]) -> bool {
    memmem::find(line, b"\"jsonrpc\"").is_some()
}

/// No member is named `jsonrpc`, not even with escapes: it need not be read to know that.
fn surely_no_message(text: &str) -> bool {
    let bytes = text.as_bytes();
    memmem::find(bytes, b"jsonrpc").is_none() && memmem::find(bytes, b"\\u").is_none()
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Keeps `null` apart from absence.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn message(envelope: &Envelope<'_>) -> Result<Message, BadMessage> {
    let id = match envelope.id.map(|raw| serde_json::from_str::<Id>(raw.get())) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => {
            return Err(invalid(None, true, "id must be a number or a text"));
        }
    };
    if envelope.jsonrpc.is_none_or(|v| v.get() != "\"2.0\"") {
        return Err(invalid(id, true, "jsonrpc must be \"2.0\""));
    }
    match envelope.method {
        Some(method) => request(id, method, envelope.params),
        None => response(id, envelope),
    }
}

fn request(
    id: Option<Id>,
    method: &RawValue,
    params: Option<&RawValue>,
) -> Result<Message, BadMessage> {
    let reply = id.is_some();
    let Ok(method) = serde_json::from_str::<String>(method.get()) else {
        return Err(invalid(id, reply, "method must be a text"));
    };
    let bad_params = |e| invalid_params(id.clone(), &method, e);
    let params = Params::parse(params).map_err(bad_params)?;
    match call(&method, &params) {
        None => Err(unknown(id, &method)),
        Some(Err(e)) => Err(bad_params(e)),
        Some(Ok(Call::Hello(_))) if !reply => {
            Err(invalid(None, false, "hello is a request: give it an id"))
        }
        Some(Ok(call)) => Ok(Message { id, call }),
    }
}

fn response(id: Option<Id>, envelope: &Envelope<'_>) -> Result<Message, BadMessage> {
    let answer = match (envelope.result, envelope.error) {
        (Some(result), None) => Ok(serde_json::from_str::<Value>(result.get())),
        (None, Some(error)) => Err(serde_json::from_str::<RpcError>(error.get())),
        (None, None) => {
            let text = "a message needs method, result or error";
            return Err(invalid(id, true, text));
        }
        (Some(_), Some(_)) => {
            return Err(invalid(
                id,
                false,
                "an answer has result or error, not both",
            ));
        }
    };
    match answer {
        Ok(Ok(result)) => Ok(Message {
            id,
            call: Call::Response(Ok(result)),
        }),
        Err(Ok(error)) => Ok(Message {
            id,
            call: Call::Response(Err(error)),
        }),
        Ok(Err(e)) | Err(Err(e)) => Err(invalid(id, false, &format!("a strange answer: {e}"))),
    }
}

fn invalid(id: Option<Id>, reply: bool, message: &str) -> BadMessage {
    BadMessage {
        id,
        reply,
        code: code::INVALID_REQUEST,
        message: message.to_owned(),
        data: None,
    }
}

fn invalid_params(id: Option<Id>, method: &str, e: ParamError) -> BadMessage {
    BadMessage {
        reply: id.is_some(),
        id,
        code: code::INVALID_PARAMS,
        message: format!("{method}: {} {}", e.path, e.message),
        data: Some(json!({"path": e.path, "message": e.message})),
    }
}

fn unknown(id: Option<Id>, method: &str) -> BadMessage {
    let nearest = nearest_method(method);
    let hint = nearest.map_or(String::new(), |n| format!("; did you mean \"{n}\"?"));
    BadMessage {
        reply: id.is_some(),
        id,
        code: code::UNKNOWN_METHOD,
        message: format!("unknown method \"{method}\"{hint}"),
        data: nearest.map(|n| json!({"nearest": n})),
    }
}

fn nearest_method(method: &str) -> Option<&'static str> {
    let closeness = |known: &str| strsim::damerau_levenshtein(method, known);
    let nearest = METHODS.into_iter().min_by_key(|known| closeness(known))?;
    (closeness(nearest) <= 3.min(nearest.len() / 2)).then_some(nearest)
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
