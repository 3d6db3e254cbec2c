//! What a sensor can ask of the host: events, the datastore, its state, logs.
//!
//! Requests of all threads leave one after another, numbered in that order. Answers come to the
//! reader's thread ([`crate::host`]), which never waits for a sender: a sender that waits for room
//! holds only the lock of senders.

mod datastore;
mod event;
mod open;

use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::protocol::{
    Accepted, Fail, Id, Level, Limits, Log, PollReason, RpcError, Trigger, TriggerChange, Wire,
    code,
};
pub use event::Event;
use open::{Open, Slot};

/// Why a request gave nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The host said no.
    #[error(transparent)]
    Refused(#[from] RpcError),
    /// The host is gone, or its answer is.
    #[error("the host closed the conversation")]
    Closed,
}

impl From<CallError> for Fail {
    fn from(e: CallError) -> Self {
        Fail::transient(e.to_string())
    }
}

/// What the host told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// A trigger came, changed or went.
    Trigger(TriggerChange, Trigger),
    /// The configuration changed; to be answered by [`SensorService::answer_config`].
    Config {
        /// For the answer.
        id: Id,
        /// The whole configuration.
        config: Value,
        /// The paths that differ.
        changed: Vec<String>,
    },
    /// Poll now.
    Poll(PollReason),
    /// Report nothing until `Resume`.
    Pause,
    /// Report again.
    Resume,
    /// Stop; told again to whoever asks again.
    Stop,
}

/// The sensor's end of the conversation. Shared by its threads.
pub struct SensorService {
    out: Mutex<Box<dyn Write + Send>>,
    /// Held by the thread whose request goes out next.
    turn: Mutex<()>,
    open: Mutex<Open>,
    changed: Condvar,
}

impl SensorService {
    pub(crate) fn new(out: Box<dyn Write + Send>) -> Self {
        Self {
            out: Mutex::new(out),
            turn: Mutex::new(()),
            open: Mutex::new(Open::default()),
            changed: Condvar::new(),
        }
    }

    /// Reports an event and does not wait for the answer, only for room if `limits.in_flight`
    /// events are open. If the host refuses it, that is logged.
    ///
    /// # Errors
    /// When the line is too long, or the host is gone.
    pub fn dispatch(&self, trigger: &str, payload: Value) -> Result<(), CallError> {
        self.send(Event::new(trigger, payload))
    }

    /// As [`Self::dispatch`], for an event with more.
    ///
    /// # Errors
    /// As [`Self::dispatch`].
    pub fn send(&self, event: Event) -> Result<(), CallError> {
        self.begin("dispatch", event.into_params(), Slot::Pipelined)
            .map(drop)
    }

    /// Reports an event and waits until it is on disk.
    ///
    /// # Errors
    /// When the host refuses it, or is gone before it answers.
    pub fn send_and_wait(&self, event: Event) -> Result<Accepted, CallError> {
        let result = self.call("dispatch", event.into_params())?;
        parsed(result)
    }

    /// Waits until every event is answered.
    ///
    /// # Errors
    /// When the host is gone before.
    pub fn flush(&self) -> Result<(), CallError> {
        let busy = |open: &mut Open| !open.closed && open.unanswered() > 0;
        let open = self.changed.wait_while(self.lock(), busy);
        let open = open.unwrap_or_else(PoisonError::into_inner);
        match open.unanswered() {
            0 => Ok(()),
            _ => Err(CallError::Closed),
        }
    }

    /// How many events were refused that nobody waited for.
    pub fn refused(&self) -> u64 {
        self.lock().refused
    }

    /// Stores the sensor's state, in order with the events around it.
    ///
    /// # Errors
    /// When the host is gone.
    pub fn set_state(&self, state: Value) -> Result<(), CallError> {
        self.notify("state.set", json!({"state": state}))
    }

    /// A log record.
    ///
    /// # Errors
    /// When the host is gone.
    pub fn log(&self, level: Level, message: &str) -> Result<(), CallError> {
        self.log_record(&Log {
            level,
            message: message.to_owned(),
            logger: Some("sensor".into()),
            fields: None,
            traceback: None,
        })
    }

    /// A log record with everything that can go with it.
    ///
    /// # Errors
    /// When the host is gone.
    pub fn log_record(&self, record: &Log) -> Result<(), CallError> {
        self.notify("log", json!(record))
    }

    /// One line shown beside the sensor.
    ///
    /// # Errors
    /// When the host is gone.
    pub fn status(&self, text: &str) -> Result<(), CallError> {
        self.notify("status", json!({"text": text}))
    }

    /// A sign of life, and `extend` seconds more for start, poll or stop.
    ///
    /// # Errors
    /// When the host is gone.
    pub fn heartbeat(&self, extend: Option<f64>) -> Result<(), CallError> {
        self.notify(
            "heartbeat",
            extend.map_or(Value::Null, |s| json!({"extend": s})),
        )
    }

    /// Last words. The host loop says them for an error that a sensor returns; what goes on after
    /// them is up to the caller.
    ///
    /// # Errors
    /// When the host is gone.
    pub fn fail(&self, fail: &Fail) -> Result<(), CallError> {
        self.notify("fail", json!(fail))
    }

    /// Whether the host wants the sensor to stop, or is gone.
    pub fn stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Waits; true as soon as the sensor is to stop.
    pub fn wait(&self, time: Duration) -> bool {
        let going = |open: &mut Open| !open.stopping;
        let waited = self.changed.wait_timeout_while(self.lock(), time, going);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }

    /// The next thing that the host told; `None` when the time is over. No time waits for ever.
    pub fn told(&self, time: Option<Duration>) -> Option<Told> {
        let none = |open: &mut Open| !open.stopping && open.told.is_empty();
        let (lock, changed) = (self.lock(), &self.changed);
        let mut open = match time {
            Some(time) => {
                let waited = changed.wait_timeout_while(lock, time, none);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => changed
                .wait_while(lock, none)
                .unwrap_or_else(PoisonError::into_inner),
        };
        match open.stopping {
            true => Some(Told::Stop),
            false => open.told.pop_front(),
        }
    }

    /// Answers [`Told::Config`]: it is in use, or why it cannot be.
    ///
    /// # Errors
    /// When the host is gone.
    pub fn answer_config(&self, id: Id, used: Result<(), String>) -> Result<(), CallError> {
        self.write(&match used {
            Ok(()) => Wire::result(id, Value::Null),
            Err(why) => Wire::error(Some(id), RpcError::new(code::INTERNAL, why)),
        })
    }

    pub(crate) fn call(&self, method: &'static str, params: Value) -> Result<Value, CallError> {
        let id = self.begin(method, params, Slot::Awaited)?;
        let waiting = |open: &mut Open| !open.closed && !open.is_answered(id);
        let open = self.changed.wait_while(self.lock(), waiting);
        let mut open = open.unwrap_or_else(PoisonError::into_inner);
        match open.take(id) {
            Some(answer) => Ok(answer?),
            None => Err(CallError::Closed),
        }
    }

    pub(crate) fn notify(&self, method: &'static str, params: Value) -> Result<(), CallError> {
        self.write(&Wire::notification(method, params))
    }

    pub(crate) fn write(&self, message: &Wire) -> Result<(), CallError> {
        self.write_line(&message.to_line())
    }

    /// From the answer to `hello`.
    pub(crate) fn set_limits(&self, limits: Limits) {
        self.lock().limits = limits;
    }

    pub(crate) fn answered(&self, id: Option<&Id>, answer: Result<Value, RpcError>) {
        self.lock().answered(id, answer);
        self.changed.notify_all();
    }

    pub(crate) fn tell(&self, told: Told) {
        match told {
            Told::Stop => self.lock().stopping = true,
            other => self.lock().told.push_back(other),
        }
        self.changed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(crate) fn close(&self) {
        let mut open = self.lock();
        (open.closed, open.stopping) = (true, true);
        drop(open);
        self.changed.notify_all();
    }

    /// Ends the conversation from this side; the reader's thread may still hold the service.
    pub(crate) fn hang_up(&self) {
        self.close();
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        *out = Box::new(std::io::sink());
    }

    fn begin(&self, method: &'static str, params: Value, slot: Slot) -> Result<u64, CallError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let full =
            |open: &mut Open| !open.closed && open.unanswered() >= open.limits.in_flight.max(1);
        let open = self.changed.wait_while(self.lock(), full);
        let mut open = open.unwrap_or_else(PoisonError::into_inner);
        if open.closed {
            return Err(CallError::Closed);
        }
        let line = Wire::request(open.next_id(), method, params).to_line();
        if line.len() > open.limits.line_bytes + 1 {
            let text = format!("{method}: a line of {} bytes is too long", line.len() - 1);
            return Err(RpcError::new(code::TOO_LARGE, text).into());
        }
        let id = open.add(slot);
        // The answer may come before this returns; the slot is there for it.
        drop(open);
        self.write_line(&line).map(|()| id)
    }

    fn write_line(&self, line: &str) -> Result<(), CallError> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let written = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        drop(out);
        written.map_err(|_| {
            self.close();
            CallError::Closed
        })
    }

    /// A sensor's thread that panicked left nothing half done in here.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parsed<T: serde::de::DeserializeOwned>(result: Value) -> Result<T, CallError> {
    serde_json::from_value(result)
        .map_err(|e| RpcError::new(code::INTERNAL, format!("a strange answer: {e}")).into())
}
