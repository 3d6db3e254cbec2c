//! What people are told as it happens: the stream of `petrel run`.

use serde::{Deserialize, Serialize};

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Shown on request.
    Debug,
    /// The usual course of things.
    Info,
    /// Somebody should look at it.
    Warning,
    /// Something does not work.
    Error,
}

/// One line of the stream. Members that say nothing are left out.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// What kind of thing happened, such as `sensor.ready` or `execution.ended`.
    pub kind: &'static str,
    /// The thing it is about: a reference.
    #[serde(rename = "ref")]
    pub subject: String,
    /// One line for people; more lines are details.
    pub text: String,
    /// Process, where there is one.
    pub pid: Option<u32>,
    /// Identifier of the event.
    pub event: Option<String>,
    /// Identifier of the execution.
    pub execution: Option<String>,
}

impl Notice {
    /// A notice about `subject`.
    pub fn new(
        level: Level,
        kind: &'static str,
        subject: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            level,
            kind,
            subject: subject.into(),
            text: text.into(),
            pid: None,
            event: None,
            execution: None,
        }
    }

    /// Names the process.
    pub fn pid(mut self, pid: Option<u32>) -> Self {
        self.pid = pid;
        self
    }

    /// Names the event.
    pub fn event(mut self, id: impl Into<String>) -> Self {
        self.event = Some(id.into());
        self
    }

    /// Names the execution.
    pub fn execution(mut self, id: impl Into<String>) -> Self {
        self.execution = Some(id.into());
        self
    }
}
