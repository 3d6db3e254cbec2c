//! The life of one sensor, as a pure machine.
//!
//! What is wanted ([`Desired`]) is kept apart from what is ([`State`]). Every start has a
//! generation; an event that names an older one is dropped, so that no timer and no death of an old
//! process ever touches the new one. Delays grow per attempt and shrink by chance; when starts come
//! too often the sensor goes to `Cooldown` and gets one probe start per period, for ever. It never
//! gives up silently: `Parked` and `Completed` are reached by a word of the policy or of the sensor.
//!
//! ```text
//! Down -> Queued -> Starting -> Ready <-> Stalled
//!                       \---------\----------\--> Asked -> Terminated -> Killing -> (ended)
//! (ended) -> Queued | Backoff | Cooldown | Parked | Completed | Down
//! ```

mod restart;
mod state;
#[cfg(test)]
mod tests;
mod watch;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use restart::{EX_CONFIG, delay};
pub use state::{Action, Desired, EndedBy, Event, ParkedBy, StalledBy, State};

use crate::catalog::policy::{Policy, Readiness};
use restart::Restarts;
use watch::Watch;

/// How often something that does not die is signalled again.
const KILL_AGAIN: Duration = Duration::from_secs(5);

/// A start, a poll or a stop may be extended to so many times its limit.
const MOST_EXTENSION: u32 = 10;

/// One sensor's life.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lifecycle {
    /// What is wanted.
    pub desired: Desired,
    /// What is.
    pub state: State,
    /// Number of the last start.
    pub generation: u64,
    /// Why we ended the process of this generation, where we did.
    pub ended_by: Option<EndedBy>,
    restarts: Restarts,
    watch: Watch,
    /// It is stopped only to be started again.
    restarting: bool,
    spoke_hello: bool,
    config_fault: bool,
    /// Its last words promise a passing trouble; with the time that it asked for.
    transient: Option<Option<Duration>>,
    can_pause: bool,
    /// What the present state cannot be extended beyond.
    extend_to: Duration,
}

impl Lifecycle {
    /// A sensor that is down; `generation` is the number of its last start, ever, and `seed`, 0 to
    /// 1, differs between sensors.
    pub fn new(generation: u64, seed: f64) -> Self {
        Self {
            desired: Desired::Down,
            state: State::Down,
            generation,
            ended_by: None,
            restarts: Restarts::default(),
            watch: Watch::new(seed),
            restarting: false,
            spoke_hello: false,
            config_fault: false,
            transient: None,
            can_pause: false,
            extend_to: Duration::ZERO,
        }
    }

    /// Restarts since the last time that counting began anew.
    pub fn attempts(&self) -> u32 {
        self.restarts.attempts
    }

    /// It rests, alive.
    pub fn is_paused(&self) -> bool {
        self.desired == Desired::Paused
    }

    /// It was stopped only to be started again.
    pub fn is_restarting(&self) -> bool {
        self.restarting
    }

    /// A sign of life would change something.
    pub fn is_watched(&self) -> bool {
        self.watch.beats && self.state.is_up()
    }

    /// When the machine wants [`Event::Timer`].
    pub fn deadline(&self, policy: &Policy) -> Option<Duration> {
        match self.state {
            State::Ready { since } => self.watch.deadline(since, &policy.watchdog),
            state => state.deadline(),
        }
    }

    /// Takes an event at `now`; what follows is to be done in order.
    pub fn step(&mut self, event: Event, now: Duration, policy: &Policy) -> Vec<Action> {
        match event {
            Event::Start => self.start(),
            Event::Slot => self.spawn(now, policy),
            Event::Stop => self.stop(Desired::Down, now, policy),
            Event::StopNow => self.stop_now(now, policy),
            Event::Restart => self.restart(now, policy),
            Event::Renew => self.renew(now, policy),
            Event::Pause => self.pause(now, policy),
            Event::Resume => self.resume(),
            Event::Timer => self.timer(now, policy),
            Event::Lag(lag) => {
                self.forgive(lag, now, policy);
                Vec::new()
            }
            Event::Executed { generation, .. }
            | Event::Hello { generation, .. }
            | Event::Ready { generation }
            | Event::Notified { generation }
            | Event::Sign { generation }
            | Event::Beat { generation, .. }
            | Event::ConfigFault { generation }
            | Event::Transient { generation, .. }
            | Event::Fault { generation, .. }
            | Event::Measured { generation, .. }
            | Event::Ended { generation, .. } => match self.is_current(generation) {
                true => self.of_process(event, now, policy),
                false => Vec::new(),
            },
        }
    }

    fn is_current(&self, generation: u64) -> bool {
        generation == self.generation && self.state.is_live()
    }

    /// What the process of this generation did.
    fn of_process(&mut self, event: Event, now: Duration, policy: &Policy) -> Vec<Action> {
        match event {
            Event::Executed { hosted, .. } => return self.executed(hosted, now, policy),
            Event::Hello { beats, pauses, .. } => self.hello(beats, pauses, now, policy),
            Event::Ready { .. } if policy.start.ready != Readiness::Descriptor => {
                return self.ready(now);
            }
            Event::Notified { .. } if policy.start.ready == Readiness::Descriptor => {
                return self.ready(now);
            }
            Event::Sign { .. } => self.sign(now),
            Event::Beat { extend, poll, .. } => self.beat(extend, poll, now, policy),
            Event::ConfigFault { .. } => self.config_fault = true,
            Event::Transient { retry_after, .. } => self.transient = Some(retry_after),
            Event::Fault { by, .. } if self.state.is_up() => {
                self.ended_by = Some(by);
                return self.ask(now, policy);
            }
            Event::Measured { rss, .. } => return self.measured(rss, now, policy),
            Event::Ended {
                exit,
                never_began,
                luck,
                ..
            } => return self.ended(exit, never_began, luck, now, policy),
            _ => {}
        }
        Vec::new()
    }

    /// A start by a person is never refused, and counting begins anew.
    fn start(&mut self) -> Vec<Action> {
        self.desired = Desired::Up;
        match self.state {
            state if state.is_up() => return Vec::new(),
            state if state.is_ending() => self.restarting = true,
            _ => self.state = State::Queued,
        }
        self.restarts.forget();
        Vec::new()
    }

    fn spawn(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        if self.state != State::Queued {
            return Vec::new();
        }
        self.generation += 1;
        self.restarting = false;
        self.spoke_hello = false;
        self.config_fault = false;
        self.transient = None;
        self.ended_by = None;
        self.can_pause = false;
        self.watch.rest();
        self.starting(now, policy);
        vec![Action::Spawn(self.generation)]
    }

    fn starting(&mut self, now: Duration, policy: &Policy) {
        let ready_by = now + policy.start.ready_timeout;
        self.extend_to = now + policy.start.ready_timeout * MOST_EXTENSION;
        self.state = State::Starting { ready_by };
    }

    fn executed(&mut self, hosted: bool, now: Duration, policy: &Policy) -> Vec<Action> {
        let is_proof = match policy.start.ready {
            Readiness::Auto => !hosted && !self.spoke_hello,
            Readiness::Hello | Readiness::Descriptor => false,
            Readiness::None => true,
        };
        match is_proof {
            true => self.ready(now),
            false => Vec::new(),
        }
    }

    fn hello(&mut self, beats: bool, pauses: bool, now: Duration, policy: &Policy) {
        self.spoke_hello = true;
        self.can_pause |= pauses;
        if beats {
            self.watch.arm(now, &policy.watchdog);
        }
        let by_message = matches!(policy.start.ready, Readiness::Auto | Readiness::Hello);
        if self.state.is_up() && by_message {
            self.starting(now, policy);
        }
    }

    fn ready(&mut self, now: Duration) -> Vec<Action> {
        let State::Starting { .. } = self.state else {
            return Vec::new();
        };
        self.state = State::Ready { since: now };
        self.restarts.ready_since = Some(now);
        self.watch.begin(now);
        match (self.desired, self.can_pause) {
            (Desired::Paused, true) => vec![Action::Pause(self.generation)],
            _ => Vec::new(),
        }
    }

    fn stop(&mut self, desired: Desired, now: Duration, policy: &Policy) -> Vec<Action> {
        self.desired = desired;
        self.restarting = false;
        match self.state {
            state if state.is_up() => self.ask(now, policy),
            state if state.is_ending() => Vec::new(),
            _ => {
                self.state = State::Down;
                Vec::new()
            }
        }
    }

    fn stop_now(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        self.desired = Desired::Down;
        self.restarting = false;
        if self.state.is_live() {
            return self.kill(now, policy);
        }
        self.state = State::Down;
        Vec::new()
    }

    fn restart(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        if !self.state.is_up() {
            return self.start();
        }
        self.desired = Desired::Up;
        self.restarting = true;
        self.ask(now, policy)
    }

    fn renew(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        match self.desired {
            Desired::Up => self.restart(now, policy),
            rests => self.stop(rests, now, policy),
        }
    }

    fn pause(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        if self.desired == Desired::Paused {
            return Vec::new();
        }
        match self.state {
            State::Ready { .. } | State::Stalled { .. } if self.can_pause => {
                self.desired = Desired::Paused;
                vec![Action::Pause(self.generation)]
            }
            _ => self.stop(Desired::Paused, now, policy),
        }
    }

    fn resume(&mut self) -> Vec<Action> {
        let paused = self.desired == Desired::Paused;
        if paused && self.state.is_up() {
            self.desired = Desired::Up;
            return vec![Action::Resume(self.generation)];
        }
        match paused {
            true => self.start(),
            false => Vec::new(),
        }
    }

    /// Only a program that converses understands a request; the others get the signal at once.
    fn ask(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        if !self.spoke_hello || !policy.stop.request {
            return self.terminate(now, policy);
        }
        let until = now + policy.stop.request_timeout;
        self.extend_to = now + policy.stop.request_timeout * MOST_EXTENSION;
        self.state = State::Asked { until };
        vec![Action::Ask(self.generation)]
    }

    /// First the leader, which may want to end its children in its own way.
    fn terminate(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        let until = now + policy.stop.grace / 2;
        self.extend_to = now + policy.stop.grace * MOST_EXTENSION;
        let group = false;
        self.state = State::Terminated { until, group };
        vec![Action::Terminate(self.generation)]
    }

    fn terminate_group(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        let until = now + policy.stop.grace / 2;
        self.state = State::Terminated { until, group: true };
        vec![Action::TerminateGroup(self.generation)]
    }

    fn kill(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        let until = now + policy.stop.kill_timeout;
        self.state = State::Killing { until };
        vec![Action::Kill(self.generation)]
    }

    fn kill_again(&mut self, now: Duration) -> Vec<Action> {
        let until = now + KILL_AGAIN;
        self.state = State::Unkillable { until };
        vec![Action::Kill(self.generation)]
    }

    fn timer(&mut self, now: Duration, policy: &Policy) -> Vec<Action> {
        if self.deadline(policy).is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        match self.state {
            State::Starting { .. } => {
                self.ended_by = Some(EndedBy::StartTimeout);
                self.kill(now, policy)
            }
            State::Ready { since } => self.watched(since, now, policy),
            State::Stalled { by, .. } => self.give_up_on(by, now, policy),
            State::Asked { .. } => self.terminate(now, policy),
            State::Terminated { group: false, .. } => self.terminate_group(now, policy),
            State::Terminated { .. } | State::Aborting { .. } => self.kill(now, policy),
            State::Killing { .. } | State::Unkillable { .. } => self.kill_again(now),
            State::Backoff { .. } | State::Cooldown { .. } => {
                self.state = State::Queued;
                Vec::new()
            }
            State::Down | State::Queued | State::Parked(_) | State::Completed => Vec::new(),
        }
    }
}
