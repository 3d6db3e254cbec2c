//! How a sensor is looked after: the knobs of `restart:`, `stop:` and `limits:`.
//!
//! A knob may be written in three places: under `sensors: <glob>:` in petrel.yaml, in the sensor's
//! own YAML, under `defaults:` in petrel.yaml; the first of these that names it wins, and what none
//! names is built in. [`Written`] is one such place, [`Policy`] is the outcome.

use std::time::Duration;

use serde::Serialize;

/// When a sensor that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartWhen {
    /// After every end, planned or not.
    Always,
    /// After a crash: a signal, or an exit code other than 0.
    OnFailure,
    /// Never by itself.
    Never,
}

/// What happens when a sensor used up its starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnLimit {
    /// Wait for the cooldown, then try one start per cooldown, for ever.
    Cooldown,
    /// Stay down until a person starts it.
    Park,
}

/// `restart.limit`: `burst` starts within `interval` are the most before `on_limit` holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// Restarts allowed within `interval`; 0 means no limit.
    pub burst: u32,
    /// Length of the sliding window.
    pub interval: Duration,
    /// What follows when the burst is used up.
    pub on_limit: OnLimit,
    /// Wait between two probe starts while the limit holds.
    pub cooldown: Duration,
}

/// `restart:`, resolved. The n-th delay is `initial_delay * multiplier^(n-1)`, at most `max_delay`,
/// then shortened by up to the share `jitter`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Restart {
    /// After which ends it is started again.
    pub policy: RestartWhen,
    /// Delay before the first restart.
    pub initial_delay: Duration,
    /// Growth per attempt; at least 1.
    pub multiplier: f64,
    /// No delay is longer.
    pub max_delay: Duration,
    /// Share of the delay that chance may take away, 0 to 1.
    pub jitter: f64,
    /// Being ready for this long (or twice the last delay, if longer) forgets earlier attempts.
    pub reset_after: Duration,
    /// When restarts come too often.
    pub limit: Limit,
}

/// `stop:`, resolved: how long each step of an ordered stop may take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stop {
    /// From the `shutdown` message (or the end of its input) to SIGTERM.
    pub request_timeout: Duration,
    /// From SIGTERM to SIGKILL of the group.
    pub grace: Duration,
    /// From SIGKILL to the report that something cannot be killed.
    pub kill_timeout: Duration,
    /// How long pipes are read after the last process is gone.
    pub drain_timeout: Duration,
}

/// `start:`, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Start {
    /// A sensor that said `hello` must say `ready` within this time.
    pub ready_timeout: Duration,
}

/// `limits:`, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Longest line of a sensor, bytes.
    pub line_bytes: usize,
    /// Most requests of a sensor without an answer.
    pub in_flight: u32,
}

/// The policy of one sensor, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Policy {
    /// `restart:`
    pub restart: Restart,
    /// `start:`
    pub start: Start,
    /// `stop:`
    pub stop: Stop,
    /// `limits:`
    pub limits: Limits,
}

impl Default for Policy {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            restart: Restart {
                policy: RestartWhen::Always,
                initial_delay: seconds(1),
                multiplier: 2.0,
                max_delay: seconds(300),
                jitter: 0.5,
                reset_after: seconds(60),
                limit: Limit {
                    burst: 10,
                    interval: seconds(600),
                    on_limit: OnLimit::Cooldown,
                    cooldown: seconds(900),
                },
            },
            start: Start {
                ready_timeout: seconds(60),
            },
            stop: Stop {
                request_timeout: seconds(5),
                grace: seconds(10),
                kill_timeout: seconds(5),
                drain_timeout: seconds(2),
            },
            limits: Limits {
                line_bytes: 1 << 20,
                in_flight: 1000,
            },
        }
    }
}
