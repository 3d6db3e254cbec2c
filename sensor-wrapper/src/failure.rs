//! A failing step: what it was, on what, why, and what to do about it.

use std::fmt;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// What a step gives.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// A failing step. Shown as `step target: text (errno N); hint: ...`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The exit code; one of [`crate::codes`].
    pub code: i32,
    /// The step.
    pub step: String,
    /// What it was done to.
    pub target: String,
    /// What happened.
    pub text: String,
    /// The system's error number, if it came from the system.
    pub errno: Option<i32>,
    /// What to do.
    pub hint: String,
}

impl Failure {
    pub(crate) fn new(code: i32, step: &str, target: impl Into<String>, text: &str) -> Self {
        Self {
            code,
            step: step.into(),
            target: target.into(),
            text: text.into(),
            errno: None,
            hint: String::new(),
        }
    }

    pub(crate) fn system(code: i32, step: &str, target: impl Into<String>, e: &io::Error) -> Self {
        let text = match e.raw_os_error() {
            Some(number) => Errno::from_raw(number).desc().to_owned(),
            None => e.to_string(),
        };
        Self {
            errno: e.raw_os_error(),
            ..Self::new(code, step, target, &text)
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        Self { hint, ..self }
    }

    /// Leaves itself for the parent. It is on standard error in any case.
    pub(crate) fn report(&self, file: &Path) {
        let text = serde_json::to_vec(self).unwrap_or_default();
        let _ = std::fs::write(file, text);
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.step, self.target, self.text)?;
        if let Some(errno) = self.errno {
            write!(f, " (errno {errno})")?;
        }
        match self.hint.as_str() {
            "" => Ok(()),
            hint => write!(f, "; hint: {hint}"),
        }
    }
}

impl std::error::Error for Failure {}
