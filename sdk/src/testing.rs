//! For tests: a sensor between two pipes, and the golden conversations against it.

use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// How long a sensor may be silent before a replay gives up. Only a broken one takes so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How a sensor of a conversation lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It runs.
    Passive,
    /// It polls.
    Polling,
}

/// One line of a conversation after its header.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The sensor writes this; `"*"` stands for any value.
    Sensor(Value),
    /// The host writes this.
    Host(Value),
    /// The host closes the sensor's input.
    HostEof,
    /// The sensor ends with this code, having written nothing else.
    Exit(i32),
}

/// A golden conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub about: String,
    /// Which sensor takes part.
    pub mode: Mode,
    /// What is said, in this order.
    pub steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Header {
    conversation: String,
    about: String,
    mode: Mode,
}

impl Conversation {
    /// Reads a file of `conformance/`.
    ///
    /// # Errors
    /// With the number of the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().filter(|line| !line.is_empty()).zip(1..);
        let (first, _) = lines.next().ok_or("it is empty")?;
        let header: Header = serde_json::from_str(first).map_err(|e| format!("line 1: {e}"))?;
        let steps = lines.map(|(line, n)| step(line).ok_or_else(|| format!("line {n}: {line}")));
        Ok(Self {
            name: header.conversation,
            about: header.about,
            mode: header.mode,
            steps: steps.collect::<Result<_, _>>()?,
        })
    }

    /// Plays the host's part.
    ///
    /// # Errors
    /// Says at which step the sensor did something else.
    pub fn replay(&self, mut ends: Ends) -> Result<(), String> {
        for (number, step) in self.steps.iter().enumerate() {
            ends.play(step)
                .map_err(|why| format!("{}, step {}: {why}", self.name, number + 1))?;
        }
        Ok(())
    }
}

fn step(line: &str) -> Option<Step> {
    let mut members: serde_json::Map<String, Value> = serde_json::from_str(line).ok()?;
    let (name, value) = members.iter_mut().next()?;
    Some(match name.as_str() {
        "sensor" => Step::Sensor(value.take()),
        "host" => Step::Host(value.take()),
        "host_eof" => Step::HostEof,
        "exit" => Step::Exit(i32::try_from(value.as_i64()?).ok()?),
        _ => return None,
    })
}

/// A sensor from the host's side.
pub struct Ends {
    input: Option<Box<dyn Write + Send>>,
    lines: Receiver<String>,
    exit: Box<dyn FnOnce() -> Option<i32>>,
}

impl Ends {
    /// Any sensor: where it reads, where it writes, and how to wait for its exit code.
    pub fn new(
        input: impl Write + Send + 'static,
        output: impl Read + Send + 'static,
        exit: impl FnOnce() -> Option<i32> + 'static,
    ) -> Self {
        let (send, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines
                .take_while(|line| send.send(line.clone()).is_ok())
                .count()
        });
        Self {
            input: Some(Box::new(input)),
            lines,
            exit: Box::new(exit),
        }
    }

    /// A sensor on a thread of this process, as [`crate::run_on`] runs it.
    ///
    /// # Errors
    /// When the system has no pipe.
    pub fn in_process(
        sensor: impl FnOnce(PipeReader, PipeWriter) -> i32 + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sensor_input, input) = std::io::pipe()?;
        let (output, sensor_output) = std::io::pipe()?;
        let thread = std::thread::spawn(move || sensor(sensor_input, sensor_output));
        Ok(Self::new(input, output, move || thread.join().ok()))
    }

    /// The next line of the sensor; `None` at the end of its output.
    ///
    /// # Errors
    /// When it says nothing for [`PATIENCE`].
    pub fn hear(&mut self) -> Result<Option<String>, String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err("the sensor says nothing".into()),
        }
    }

    /// Writes a message to the sensor.
    ///
    /// # Errors
    /// When it does not read any more.
    pub fn say(&mut self, message: &Value) -> Result<(), String> {
        let input = self.input.as_mut().ok_or("its input is closed")?;
        let line = format!("{message}\n");
        let said = input.write_all(line.as_bytes());
        said.and_then(|()| input.flush()).map_err(|e| e.to_string())
    }

    fn play(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Host(message) => self.say(message),
            Step::HostEof => {
                self.input = None;
                Ok(())
            }
            Step::Sensor(expected) => self.expect(expected),
            Step::Exit(code) => self.expect_exit(*code),
        }
    }

    fn expect(&mut self, expected: &Value) -> Result<(), String> {
        let line = self.hear()?;
        let line = line.ok_or_else(|| format!("the sensor ended before {expected}"))?;
        let said = serde_json::from_str(&line).map_err(|e| format!("{line}: {e}"))?;
        match difference(expected, &said, "") {
            None => Ok(()),
            Some(at) => Err(format!(
                "at {at}: expected {expected}, the sensor said {line}"
            )),
        }
    }

    fn expect_exit(&mut self, code: i32) -> Result<(), String> {
        if let Some(line) = self.hear()? {
            return Err(format!("expected the end, the sensor said {line}"));
        }
        let exit = std::mem::replace(&mut self.exit, Box::new(|| None));
        match exit() {
            Some(ended) if ended == code => Ok(()),
            ended => Err(format!("expected exit code {code}, got {ended:?}")),
        }
    }
}

/// Where a message differs from what is expected, as a path; `None` if it does not. `"*"` matches
/// anything, members may be in any order, and none may be missing or too many.
pub fn difference(expected: &Value, said: &Value, path: &str) -> Option<String> {
    match (expected, said) {
        (Value::String(any), _) if any == "*" => None,
        (Value::Object(expected), Value::Object(said)) => {
            let strange = said.keys().find(|name| !expected.contains_key(*name));
            let strange = strange.map(|name| format!("{path}/{name}"));
            strange.or_else(|| {
                expected.iter().find_map(|(name, value)| {
                    let path = format!("{path}/{name}");
                    match said.get(name) {
                        Some(other) => difference(value, other, &path),
                        None => Some(path),
                    }
                })
            })
        }
        (Value::Array(expected), Value::Array(said)) if expected.len() == said.len() => {
            let mut pairs = expected.iter().zip(said).enumerate();
            pairs.find_map(|(at, (one, other))| difference(one, other, &format!("{path}/{at}")))
        }
        // 5 and 5.0 are the same number.
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => None,
        _ if expected == said => None,
        _ => Some(path.to_owned()),
    }
}
