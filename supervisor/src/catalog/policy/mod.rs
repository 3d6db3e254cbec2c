//! How a sensor is looked after: the knobs of `restart:`, `start:`, `watchdog:`, `stop:`, `limits:`,
//! `sandbox:` and `journal:`, resolved.
//!
//! A knob may be written in three places: under `sensors: <glob>:` in petrel.yaml, in the sensor's
//! own YAML, under `defaults:` in petrel.yaml; the first of these that names it wins, and what none
//! names is built in. [`Written`](super::knobs::Written) is one such place, [`Policy`] is the outcome.

mod built_in;
mod limits;
mod sandbox;
mod words;

use std::time::Duration;

pub use limits::{Limits, LogLimits, OnExcess, ProtocolErrors, Rate};
pub use sandbox::{Filesystem, Network, NetworkMode, Profile, Sandbox, Syscalls, Tree, User};
pub use words::{
    Durability, Group, Keep, OnLimit, Readiness, RestartWhen, StopSignal, WatchdogMode, Word,
};

/// The policy of one sensor; [`Policy::default`] is what is built in.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// `restart:`
    pub restart: Restart,
    /// `start:`
    pub start: Start,
    /// `watchdog:`
    pub watchdog: Watchdog,
    /// `stop:`
    pub stop: Stop,
    /// `limits:`
    pub limits: Limits,
    /// `sandbox:`
    pub sandbox: Sandbox,
    /// `journal:`
    pub journal: Journal,
}

/// `journal:`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// When its events are acknowledged.
    pub durability: Durability,
}

impl Policy {
    /// A process under this policy is one under the other, too: only what the supervisor itself
    /// does by it differs.
    pub fn runs_like(&self, other: &Self) -> bool {
        let told = |policy: &Self| {
            let beats = policy.watchdog.mode == WatchdogMode::Heartbeat;
            (beats, policy.watchdog.interval)
        };
        let limits = |policy: &Self| Limits {
            rate: self.limits.rate.clone(),
            protocol_errors: self.limits.protocol_errors.clone(),
            log: self.limits.log.clone(),
            ..policy.limits.clone()
        };
        self.sandbox == other.sandbox && limits(self) == limits(other) && told(self) == told(other)
    }
}

/// `restart:`. The n-th delay is `initial_delay * multiplier^(n-1)`, at most `max_delay`, then
/// shortened by up to the share `jitter`.
#[derive(Clone, Debug, PartialEq)]
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
    /// Exit codes that are no failure, for `on-failure` and `on-abnormal`.
    pub success_exit_codes: Vec<u8>,
    /// Exit codes after which it is parked at once: another start would not go better.
    pub no_restart_exit_codes: Vec<u8>,
    /// Exit codes of a passing trouble: the restart does not count as an attempt.
    pub immediate_exit_codes: Vec<u8>,
    /// When restarts come too often.
    pub limit: Limit,
    /// Which other sensors of the pack are restarted with it.
    pub group: Group,
}

/// `restart.limit`: `burst` restarts within `interval` are the most before `on_limit` holds.
#[derive(Clone, Debug, PartialEq)]
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

/// `start:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// How it is known to be ready.
    pub ready: Readiness,
    /// From the moment that it is started to the proof that it is ready, where one is waited for.
    pub ready_timeout: Duration,
}

/// `watchdog:`, armed only for a sensor that announces `heartbeat`.
#[derive(Clone, Debug, PartialEq)]
pub struct Watchdog {
    /// Whether it is armed at all.
    pub mode: WatchdogMode,
    /// How often the sensor is told to beat.
    pub interval: Duration,
    /// Silence after which it is shown as stalled and asked for its stack.
    pub soft_timeout: Duration,
    /// Silence after which it is ended.
    pub timeout: Duration,
    /// From SIGABRT to SIGKILL.
    pub abort_timeout: Duration,
    /// Time in which we ourselves were not running extends the limits.
    pub lag_credit: bool,
    /// The longest that one `poll()` may take; zero means ten minutes, or ten intervals if longer.
    pub poll_timeout: Duration,
    /// Resident memory, bytes, above which it is restarted in order; 0 means none.
    pub max_rss_restart: u64,
    /// Age at which it is restarted in order, give or take a tenth; zero means none.
    pub max_lifetime: Duration,
}

/// `stop:`: how long each step of an ordered stop may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// A sensor that converses is asked by `shutdown` and the end of its input; else SIGTERM at once.
    pub request: bool,
    /// From the request to the signal.
    pub request_timeout: Duration,
    /// The signal, first to the program, after half of `grace` to its group.
    pub signal: StopSignal,
    /// From the signal to SIGKILL of the whole tree.
    pub grace: Duration,
    /// From SIGKILL to the report that something cannot be killed.
    pub kill_timeout: Duration,
    /// How long pipes are read after the last process is gone.
    pub drain_timeout: Duration,
}
