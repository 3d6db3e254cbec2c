//! What the author of a sensor implements.

use serde_json::Value;

use crate::protocol::{Capabilities, Fail, FailKind, Trigger, TriggerChange};
use crate::service::SensorService;

/// A sensor that waits for things to happen.
///
/// ```no_run
/// use std::time::Duration;
/// use petrel_sdk::{Fail, Sensor, SensorService, Start, run};
///
/// struct Clock;
///
/// impl Sensor for Clock {
///     fn run(&mut self, service: &SensorService) -> Result<(), Fail> {
///         while !service.wait(Duration::from_secs(60)) {
///             service.dispatch("examples.minute", serde_json::json!({}))?;
///         }
///         Ok(())
///     }
/// }
///
/// fn main() {
///     run(|_: &Start| Ok(Clock))
/// }
/// ```
pub trait Sensor {
    /// What it wants to hear through [`SensorService::told`].
    const CAPABILITIES: Capabilities = Capabilities::NONE;

    /// Before `ready` is said.
    ///
    /// # Errors
    /// Last words: the sensor ends.
    fn setup(&mut self, _service: &SensorService) -> Result<(), Fail> {
        Ok(())
    }

    /// Reports until [`SensorService::stopping`]; to return earlier is to end as planned.
    ///
    /// # Errors
    /// Last words: the sensor ends.
    fn run(&mut self, service: &SensorService) -> Result<(), Fail>;

    /// Before the end, however it came.
    fn cleanup(&mut self) {}
}

/// A sensor that looks every `poll_interval` seconds.
pub trait PollingSensor {
    /// What it wants to hear; `poll`, `pause` and `resume` need no code here.
    const CAPABILITIES: Capabilities = Capabilities::POLLING;

    /// Before `ready` is said.
    ///
    /// # Errors
    /// Last words: the sensor ends.
    fn setup(&mut self, _service: &SensorService) -> Result<(), Fail> {
        Ok(())
    }

    /// Looks once. The next poll begins when every event of this one is answered and the interval
    /// is over, counted from the end of this one as in StackStorm.
    ///
    /// # Errors
    /// Last words: the sensor ends.
    fn poll(&mut self, service: &SensorService) -> Result<(), Fail>;

    /// A trigger came, changed or went; between two polls. Needs the capability `triggers`.
    fn trigger(&mut self, _change: TriggerChange, _trigger: &Trigger) {}

    /// The configuration changed; between two polls. Needs the capability `config`.
    ///
    /// # Errors
    /// Says why it cannot be used; the host starts the sensor again.
    fn configure(&mut self, _config: Value, _changed: &[String]) -> Result<(), String> {
        Err("not supported".into())
    }

    /// Before the end, however it came.
    fn cleanup(&mut self) {}
}

impl Capabilities {
    /// Nothing but what every sensor must understand.
    pub const NONE: Self = Self {
        config: false,
        triggers: false,
        poll: false,
        pause: false,
        heartbeat: false,
    };

    /// What every [`PollingSensor`] can do.
    pub const POLLING: Self = Self {
        poll: true,
        pause: true,
        ..Self::NONE
    };
}

impl Fail {
    /// The configuration is wrong: to start again is useless until it changes.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(FailKind::Config, message)
    }

    /// Something outside does not work now.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(FailKind::Transient, message)
    }

    /// A bug.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(FailKind::Bug, message)
    }

    fn new(kind: FailKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            path: None,
            hint: None,
            retry_after_s: None,
        }
    }

    /// Where in the configuration.
    #[must_use]
    pub fn at(self, path: impl Into<String>) -> Self {
        let path = Some(path.into());
        Self { path, ..self }
    }

    /// What to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { hint, ..self }
    }

    /// Seconds to wait before the next start.
    #[must_use]
    pub fn retry_after(self, seconds: f64) -> Self {
        let retry_after_s = Some(seconds);
        Self {
            retry_after_s,
            ..self
        }
    }
}
