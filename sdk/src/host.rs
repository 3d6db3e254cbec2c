//! The life of a sensor's process: hello, set-up, ready, run, clean-up, exit code.
//!
//! One thread reads standard input; the sensor runs on the thread that called [`run`]. A signal is
//! not caught: the host asks by `shutdown` and by the end of input before it sends one.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::protocol::{
    Capabilities, Fail, FromHost, HelloResult, Id, PROTOCOL, RpcError, TriggerChange, Wire, code,
    exit,
};
use crate::sensor::{PollingSensor, Sensor};
use crate::service::{SensorService, Told};

/// What a sensor is made from: the answer to `hello`, with its configuration, state and triggers.
pub type Start = HelloResult;

/// Seconds between polls when the host names none, as in StackStorm.
const POLL_INTERVAL_S: f64 = 5.0;

/// Runs a sensor on standard input and output, and ends the process.
pub fn run<S: Sensor>(new: impl FnOnce(&Start) -> Result<S, Fail>) -> ! {
    std::process::exit(run_on(std::io::stdin(), std::io::stdout(), new))
}

/// Runs a polling sensor on standard input and output, and ends the process.
pub fn run_polling<P: PollingSensor>(new: impl FnOnce(&Start) -> Result<P, Fail>) -> ! {
    let code = run_polling_on(std::io::stdin(), std::io::stdout(), new);
    std::process::exit(code)
}

/// Runs a sensor on any two ends; gives the exit code.
pub fn run_on<S: Sensor>(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    new: impl FnOnce(&Start) -> Result<S, Fail>,
) -> i32 {
    let service = Arc::new(SensorService::new(Box::new(output)));
    let reader = Arc::clone(&service);
    std::thread::spawn(move || read(&reader, input, S::CAPABILITIES));
    let said = greet(&service, S::CAPABILITIES);
    let code = match said {
        Ok(start) => finish(&service, live(&service, &start, new)),
        // The host went away before anything began.
        Err(None) => exit::DONE,
        Err(Some(fail)) => finish(&service, Err(fail)),
    };
    service.hang_up();
    code
}

/// Runs a polling sensor on any two ends; gives the exit code.
pub fn run_polling_on<P: PollingSensor>(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    new: impl FnOnce(&Start) -> Result<P, Fail>,
) -> i32 {
    run_on(input, output, |start| {
        let seconds = start.poll_interval.unwrap_or(POLL_INTERVAL_S);
        let interval = Duration::try_from_secs_f64(seconds)
            .map_err(|e| Fail::config(format!("poll_interval: {e}")))?;
        new(start).map(|sensor| Polling { sensor, interval })
    })
}

fn greet(service: &SensorService, capabilities: Capabilities) -> Result<Start, Option<Fail>> {
    let hello = json!({
        "protocol": PROTOCOL,
        "sdk": concat!("petrel-rust/", env!("CARGO_PKG_VERSION")),
        "capabilities": capabilities.names(),
    });
    let answer = service.call("hello", hello).map_err(|e| match e {
        crate::CallError::Closed => None,
        refused => Some(Fail::bug(format!("hello: {refused}"))),
    })?;
    let start: Start = serde_json::from_value(answer)
        .map_err(|e| Some(Fail::bug(format!("hello: a strange answer: {e}"))))?;
    service.set_limits(start.limits);
    Ok(start)
}

fn live<S: Sensor>(
    service: &Arc<SensorService>,
    start: &Start,
    new: impl FnOnce(&Start) -> Result<S, Fail>,
) -> Result<(), Fail> {
    if S::CAPABILITIES.heartbeat && start.heartbeat_interval > 0.0 {
        beat(Arc::clone(service), start.heartbeat_interval);
    }
    let mut sensor = new(start)?;
    let lived = sensor
        .setup(service)
        .and_then(|()| Ok(service.notify("ready", Value::Null)?))
        .and_then(|()| sensor.run(service));
    sensor.cleanup();
    lived
}

/// Says last words, if any, and waits for what is open.
fn finish(service: &SensorService, lived: Result<(), Fail>) -> i32 {
    // What went wrong because the host is gone is no fault of the sensor.
    let fail = lived.err().filter(|_| !service.is_closed());
    if let Some(fail) = &fail {
        eprintln!("E! {}", fail.message);
        let _ = service.fail(fail);
    }
    let _ = service.flush();
    fail.map_or(exit::DONE, |fail| fail.kind.exit_code())
}

/// The watchdog sees this thread only: that the process lives and its pipes work.
fn beat(service: Arc<SensorService>, interval_s: f64) {
    let interval = Duration::try_from_secs_f64(interval_s).unwrap_or(Duration::MAX);
    std::thread::spawn(
        move || {
            while !service.wait(interval) && service.heartbeat(None).is_ok() {}
        },
    );
}

fn read(service: &SensorService, input: impl Read, capabilities: Capabilities) {
    for line in BufReader::new(input).lines() {
        match line.map(|line| FromHost::parse(&line)) {
            Ok(Some(FromHost::Answer { id, result })) => service.answered(id.as_ref(), result),
            Ok(Some(FromHost::Request { id, method, params })) => {
                request(service, id, &method, params, capabilities);
            }
            Ok(Some(FromHost::Notification { method, params })) => {
                if let Some(told) = notification(&method, params) {
                    service.tell(told);
                }
            }
            Ok(None) => {}
            Err(_) => break,
        }
    }
    service.close();
}

fn request(service: &SensorService, id: Id, method: &str, params: Value, can: Capabilities) {
    let answer = match method {
        "ping" => Wire::result(id, Value::Null),
        "config" if can.config => {
            let (config, changed) = (member(&params, "config"), member(&params, "changed"));
            return service.tell(Told::Config {
                id,
                config: config.unwrap_or_default(),
                changed: changed.unwrap_or_default(),
            });
        }
        _ => {
            let text = format!("unknown method \"{method}\"");
            Wire::error(Some(id), RpcError::new(code::UNKNOWN_METHOD, text))
        }
    };
    // If it cannot be written, the service is closed and everybody knows.
    let _ = service.write(&answer);
}

fn notification(method: &str, params: Value) -> Option<Told> {
    Some(match method {
        "shutdown" => Told::Stop,
        "poll" => Told::Poll(member(&params, "reason")?),
        "pause" => Told::Pause,
        "resume" => Told::Resume,
        _ => {
            let changes = [
                TriggerChange::Added,
                TriggerChange::Updated,
                TriggerChange::Removed,
            ];
            let change = changes.into_iter().find(|c| c.method() == method)?;
            Told::Trigger(change, member(&params, "trigger")?)
        }
    })
}

fn member<T: DeserializeOwned>(params: &Value, name: &str) -> Option<T> {
    serde_json::from_value(params.get(name)?.clone()).ok()
}

/// A polling sensor as one that runs.
struct Polling<P> {
    sensor: P,
    interval: Duration,
}

impl<P: PollingSensor> Sensor for Polling<P> {
    const CAPABILITIES: Capabilities = P::CAPABILITIES;

    fn setup(&mut self, service: &SensorService) -> Result<(), Fail> {
        self.sensor.setup(service)
    }

    fn run(&mut self, service: &SensorService) -> Result<(), Fail> {
        while !service.stopping() {
            self.sensor.poll(service)?;
            service.flush()?;
            self.rest(service)?;
        }
        Ok(())
    }

    fn cleanup(&mut self) {
        self.sensor.cleanup();
    }
}

impl<P: PollingSensor> Polling<P> {
    /// Until the next poll is due, or the sensor is to stop.
    fn rest(&mut self, service: &SensorService) -> Result<(), Fail> {
        let next = now().checked_add(self.interval);
        let mut paused = false;
        loop {
            let left = next.filter(|_| !paused);
            let left = left.map(|next| next.saturating_duration_since(now()));
            match service.told(left) {
                None | Some(Told::Stop) => return Ok(()),
                Some(Told::Poll(_)) if !paused => return Ok(()),
                Some(Told::Resume) => return Ok(()),
                Some(Told::Pause) => paused = true,
                Some(Told::Poll(_)) => {}
                Some(Told::Trigger(change, trigger)) => self.sensor.trigger(change, &trigger),
                Some(Told::Config {
                    id,
                    config,
                    changed,
                }) => {
                    let used = self.sensor.configure(config, &changed);
                    service.answer_config(id, used)?;
                }
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a sensor's process has no core to tell it the time"
)]
fn now() -> Instant {
    Instant::now()
}
