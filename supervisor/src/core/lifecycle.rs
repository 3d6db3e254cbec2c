//! The life of one sensor, as a pure machine.
//!
//! What is wanted ([`Desired`]) is kept apart from what is ([`State`]). Every start has a
//! generation; an event that names an older one is dropped, so that no timer and no death of an old
//! process ever touches the new one. Delays grow per attempt and shrink by chance; when starts come
//! too often the sensor goes to `Cooldown` and gets one probe start per period, for ever. It never
//! gives up silently: `Parked` and `Completed` are reached by a word of the policy or of the sensor.
//!
//! ```text
//! Down -> Starting -> Ready -> Stopping -> Killing -> (ended)
//!             \---------\--------\-----------\----> Backoff | Cooldown | Parked | Completed | Down
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use super::record::Exit;
use crate::catalog::policy::{Limit, OnLimit, Policy, Restart, RestartWhen};

/// Exit code by which a program says that its configuration is wrong (`EX_CONFIG`).
pub const EX_CONFIG: i32 = 78;

/// After SIGKILL, how often something that does not die is signalled again.
const KILL_AGAIN: Duration = Duration::from_secs(5);

/// What is wanted of a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// It runs.
    Up,
    /// It does not.
    Down,
}

/// Why a sensor waits for a person or for a new configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParkedBy {
    /// The sensor said that its configuration is wrong.
    Config,
    /// Starts came too often and the policy says `park`.
    Limit,
}

/// What is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No process and none wanted.
    Down,
    /// A process was asked for and has not proven to be ready.
    Starting {
        /// When it must be ready; none for a program that never said `hello`.
        ready_by: Option<Duration>,
    },
    /// At work.
    Ready {
        /// Since when.
        since: Duration,
    },
    /// Asked to end, in its own way (`shutdown` and the end of its input) until `until`.
    Asked {
        /// Then SIGTERM.
        until: Duration,
    },
    /// Sent SIGTERM.
    Terminated {
        /// Then SIGKILL.
        until: Duration,
    },
    /// Sent SIGKILL; nothing is started before the tree is proven empty.
    Killing {
        /// Then SIGKILL again.
        until: Duration,
    },
    /// Waits for its next start.
    Backoff {
        /// The start.
        until: Duration,
    },
    /// Failed too often; waits for a probe start.
    Cooldown {
        /// The probe.
        until: Duration,
    },
    /// Waits for a person, or for a new configuration.
    Parked(ParkedBy),
    /// Ended, and its policy says that this was all.
    Completed,
}

impl State {
    /// The word that users see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Starting { .. } => "starting",
            Self::Ready { .. } => "ready",
            Self::Asked { .. } | Self::Terminated { .. } => "stopping",
            Self::Killing { .. } => "killing",
            Self::Backoff { .. } => "backoff",
            Self::Cooldown { .. } => "cooldown",
            Self::Parked(_) => "parked",
            Self::Completed => "completed",
        }
    }

    /// Whether a process exists, or was asked for.
    pub fn is_live(self) -> bool {
        matches!(
            self,
            Self::Starting { .. }
                | Self::Ready { .. }
                | Self::Asked { .. }
                | Self::Terminated { .. }
                | Self::Killing { .. }
        )
    }

    /// When this state ends by itself.
    fn deadline(self) -> Option<Duration> {
        match self {
            Self::Starting { ready_by } => ready_by,
            Self::Asked { until }
            | Self::Terminated { until }
            | Self::Killing { until }
            | Self::Backoff { until }
            | Self::Cooldown { until } => Some(until),
            Self::Down | Self::Ready { .. } | Self::Parked(_) | Self::Completed => None,
        }
    }
}

/// What can happen to a sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// It is wanted: at the start of the supervisor, or because a person says so.
    Start,
    /// It is no longer wanted.
    Stop,
    /// It must end now, without being asked.
    StopNow,
    /// It said `hello`: from now on it must say `ready`, and can be asked to end.
    Hello {
        /// Which start.
        generation: u64,
    },
    /// It is at work: the program runs (no `hello` yet), or it said `ready`.
    Ready {
        /// Which start.
        generation: u64,
    },
    /// Its last words: its configuration is wrong.
    ConfigFault {
        /// Which start.
        generation: u64,
    },
    /// Its process and all that it started are gone, or it could not be started.
    Ended {
        /// Which start.
        generation: u64,
        /// How.
        exit: Exit,
        /// Chance for the jitter, 0 to 1.
        luck: f64,
    },
    /// Time went by.
    Timer,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the process of this generation.
    Spawn(u64),
    /// Say `shutdown`, close its input.
    Ask(u64),
    /// SIGTERM to its group.
    Terminate(u64),
    /// SIGKILL to its group.
    Kill(u64),
}

/// One sensor's life.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    /// What is wanted.
    pub desired: Desired,
    /// What is.
    pub state: State,
    /// Number of the last start.
    pub generation: u64,
    /// Restarts since the last time that counting began anew.
    pub attempts: u32,
    spoke_hello: bool,
    config_fault: bool,
    last_delay: Duration,
    ready_since: Option<Duration>,
    /// Moments of the restarts within the limit's interval.
    recent: VecDeque<Duration>,
    /// The limit was hit, and no start since has held.
    tripped: bool,
}

impl Lifecycle {
    /// A sensor that is down; `generation` is the number of its last start, ever.
    pub fn new(generation: u64) -> Self {
        Self {
            desired: Desired::Down,
            state: State::Down,
            generation,
            attempts: 0,
            spoke_hello: false,
            config_fault: false,
            last_delay: Duration::ZERO,
            ready_since: None,
            recent: VecDeque::new(),
            tripped: false,
        }
    }

    /// When the machine wants [`Event::Timer`].
    pub fn deadline(&self) -> Option<Duration> {
        self.state.deadline()
    }

    /// Takes an event at `now`; what follows is to be done in order.
    pub fn step(&mut self, event: Event, now: Duration, policy: &Policy) -> Vec<Action> {
        match event {
            Event::Start => self.start(),
            Event::Stop => self.stop(now, policy),
            Event::StopNow => self.stop_now(now, policy),
            Event::Hello { generation } if self.is_current(generation) => {
                self.hello(now, policy);
                Vec::new()
            }
            Event::Ready { generation } if self.is_current(generation) => {
                self.ready(now);
                Vec::new()
            }
            Event::ConfigFault { generation } if self.is_current(generation) => {
                self.config_fault = true;
                Vec::new()
            }
            Event::Ended {
                generation,
                exit,
                luck,
            } if self.is_current(generation) => self.ended(exit, luck, now, policy),
            Event::Timer => self.timer(now, policy),
            Event::Hello { .. }
            | Event::Ready { .. }
            | Event::ConfigFault { .. }
            | Event::Ended { .. } => Vec::new(),
        }
    }

    fn is_current(&self, generation: u64) -> bool {
        generation == self.generation && self.state.is_live()
    }

    /// A start by a person is never refused, and counting begins anew.
    fn start(&mut self) -> Vec<Action> {
        self.desired = Desired::Up;
        if self.state.is_live() {
            return Vec::new();
        }
        self.forget_failures();
        self.spawn()
    }

    fn spawn(&mut self) -> Vec<Action> {
        self.generation += 1;
        self.spoke_hello = false;
        self.config_fault = false;
        self.ready_since = None;
        self.state = State::Starting { ready_by: None };
        vec![Action::Spawn(self.generation)]
    }

    fn stop(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        self.desired = Desired::Down;
        match self.state {
            State::Starting { .. } | State::Ready { .. } => self.ask(now, policy),
            State::Asked { .. } | State::Terminated { .. } | State::Killing { .. } => Vec::new(),
            _ => {
                self.state = State::Down;
                Vec::new()
            }
        }
    }

    fn stop_now(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        self.desired = Desired::Down;
        if self.state.is_live() {
            return self.kill(now + policy.stop.kill_timeout);
        }
        self.state = State::Down;
        Vec::new()
    }

    /// Only a program that converses understands a request; the others get the signal at once.
    fn ask(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        if !self.spoke_hello {
            return self.terminate(now, policy);
        }
        let until = now + policy.stop.request_timeout;
        self.state = State::Asked { until };
        vec![Action::Ask(self.generation)]
    }

    fn terminate(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        let until = now + policy.stop.grace;
        self.state = State::Terminated { until };
        vec![Action::Terminate(self.generation)]
    }

    fn kill(&mut self, until: Duration) -> Vec<Action> {
        self.state = State::Killing { until };
        vec![Action::Kill(self.generation)]
    }

    fn hello(&mut self, now: Duration, policy: &Policy) {
        self.spoke_hello = true;
        if let State::Starting { .. } | State::Ready { .. } = self.state {
            let ready_by = Some(now + policy.start.ready_timeout);
            self.state = State::Starting { ready_by };
            self.ready_since = None;
        }
    }

    fn ready(&mut self, now: Duration) {
        if let State::Starting { .. } = self.state {
            self.state = State::Ready { since: now };
            self.ready_since = Some(now);
        }
    }

    fn timer(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        match self.state {
            State::Asked { .. } => self.terminate(now, policy),
            State::Starting { .. } | State::Terminated { .. } => {
                self.kill(now + policy.stop.kill_timeout)
            }
            State::Killing { .. } => self.kill(now + KILL_AGAIN),
            State::Backoff { .. } | State::Cooldown { .. } => self.spawn(),
            State::Down | State::Ready { .. } | State::Parked(_) | State::Completed => Vec::new(),
        }
    }

    fn ended(&mut self, exit: Exit, luck: f64, now: Duration, policy: &Policy) -> Vec<Action> {
        self.forget_if_it_held(now, &policy.restart);
        if self.desired == Desired::Down {
            self.state = State::Down;
            return Vec::new();
        }
        if self.config_fault || exit.code == Some(EX_CONFIG) {
            self.state = State::Parked(ParkedBy::Config);
            return Vec::new();
        }
        if !wants_restart(policy.restart.policy, exit) {
            self.state = State::Completed;
            return Vec::new();
        }
        self.restart(luck, now, &policy.restart)
    }

    fn restart(&mut self, luck: f64, now: Duration, policy: &Restart) -> Vec<Action> {
        if self.tripped || self.limit_is_hit(now, &policy.limit) {
            self.tripped = true;
            self.state = match policy.limit.on_limit {
                OnLimit::Park => State::Parked(ParkedBy::Limit),
                OnLimit::Cooldown => State::Cooldown {
                    until: now + policy.limit.cooldown,
                },
            };
            return Vec::new();
        }
        self.attempts += 1;
        self.recent.push_back(now);
        self.last_delay = delay(policy, self.attempts, luck);
        if self.last_delay.is_zero() {
            return self.spawn();
        }
        self.state = State::Backoff {
            until: now + self.last_delay,
        };
        Vec::new()
    }

    fn limit_is_hit(&mut self, now: Duration, limit: &Limit) -> bool {
        while self
            .recent
            .front()
            .is_some_and(|&at| now.saturating_sub(at) >= limit.interval)
        {
            self.recent.pop_front();
        }
        limit.burst > 0 && self.recent.len() >= limit.burst as usize
    }

    /// Twice the last delay, so that a long delay before a short life never counts as success.
    fn forget_if_it_held(&mut self, now: Duration, policy: &Restart) {
        let needed = policy.reset_after.max(self.last_delay * 2);
        let held = self
            .ready_since
            .is_some_and(|since| now.saturating_sub(since) >= needed);
        if held {
            self.forget_failures();
        }
    }

    fn forget_failures(&mut self) {
        self.attempts = 0;
        self.last_delay = Duration::ZERO;
        self.recent.clear();
        self.tripped = false;
    }
}

fn wants_restart(policy: RestartWhen, exit: Exit) -> bool {
    match policy {
        RestartWhen::Always => true,
        RestartWhen::OnFailure => exit.code != Some(0),
        RestartWhen::Never => false,
    }
}

/// The wait before restart number `attempt` (from 1): `initial * multiplier^(attempt-1)`, at most
/// `max_delay`, then shortened by the share `jitter * luck`.
pub fn delay(policy: &Restart, attempt: u32, luck: f64) -> Duration {
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let grown = policy.initial_delay.as_secs_f64() * policy.multiplier.powi(exponent);
    let capped = grown.min(policy.max_delay.as_secs_f64());
    Duration::from_secs_f64(capped * (1.0 - policy.jitter * luck.clamp(0.0, 1.0)))
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
