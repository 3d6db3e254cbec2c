//! Where it is told what of a sandbox could not be had: to the supervisor through the descriptor that
//! closes at the exec, to a person on standard error.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

use crate::codes;
use crate::failure::{Failure, Outcome};
use crate::isolation::Step;
use crate::sandbox::{Degraded, Feature};
use crate::sys::{self, Done};

/// Where a program says that it is ready.
const READY: i32 = 3;

/// Who is told.
#[derive(Debug)]
pub(crate) enum Reports {
    /// The supervisor. Closes at the exec.
    Pipe(File),
    /// A person.
    Stderr,
    /// Nobody: it was told before.
    Nobody,
}

impl Reports {
    /// To the supervisor if it gave a descriptor.
    pub fn open(exec_fd: Option<i32>, otherwise: Self) -> Outcome<Self> {
        match exec_fd {
            Some(descriptor) => sys::reopened(descriptor).map(Self::Pipe),
            None => Ok(otherwise),
        }
    }

    /// What must stay open until the exec. The pipe `ready`, if any, is the program's number 3 from now
    /// on; where that is ours, we move.
    ///
    /// # Errors
    /// When it cannot be had there.
    pub fn beside(&mut self, ready: Option<i32>) -> Outcome<Vec<i32>> {
        if let Some(given) = ready {
            if let Self::Pipe(file) = self
                && file.as_raw_fd() == READY
            {
                *file = sys::reopened(READY)?;
            }
            sys::put_at(given, READY)?;
        }
        let place = ready.map(|_| READY);
        Ok(self.descriptor().into_iter().chain(place).collect())
    }

    /// The descriptor that must stay open.
    pub fn descriptor(&self) -> Option<i32> {
        match self {
            Self::Pipe(file) => Some(file.as_raw_fd()),
            Self::Stderr | Self::Nobody => None,
        }
    }

    /// Tells that there will be no program, and why.
    pub fn failed(&mut self, failure: &Failure) {
        if let Self::Pipe(file) = self {
            let text = serde_json::to_string(failure).unwrap_or_default();
            let _ = writeln!(file, "{text}");
        }
    }

    /// Tells that something is missing.
    ///
    /// # Errors
    /// [`codes::SANDBOX`] if it is required.
    pub fn missing(&mut self, feature: Feature, why: String, required: &[Feature]) -> Outcome<()> {
        if required.contains(&feature) {
            let failure = Failure::new(codes::SANDBOX, "sandbox", feature.word(), &why);
            return Err(
                failure.hint("it is in sandbox.require; `petrel doctor` says what is there")
            );
        }
        let degraded = Degraded {
            degraded: feature,
            why,
        };
        let mut line = serde_json::to_string(&degraded).unwrap_or_default();
        line.push('\n');
        // Whoever does not listen any more does not want to know.
        let _ = match self {
            Self::Pipe(file) => file.write_all(line.as_bytes()),
            Self::Stderr => std::io::stderr().write_all(line.as_bytes()),
            Self::Nobody => Ok(()),
        };
        Ok(())
    }
}

/// Performs all steps. What cannot be had here is told, unless it is required.
pub(crate) fn isolate(steps: &[Step], reports: &mut Reports, required: &[Feature]) -> Outcome<()> {
    let mut done = Done::default();
    for step in steps {
        let missing = match sys::perform(step, &mut done) {
            Ok(missing) => missing,
            Err(failure) if step.features().is_empty() => return Err(failure),
            Err(failure) => {
                let all = step.features().iter();
                all.map(|feature| (*feature, failure.to_string())).collect()
            }
        };
        for (feature, why) in missing {
            reports.missing(feature, why, required)?;
        }
    }
    Ok(())
}
