//! The watchdog: signs of life, polls that take too long, memory and age.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::state::{Action, EndedBy, StalledBy, State};
use super::{Lifecycle, MOST_EXTENSION};
use crate::catalog::policy::{Policy, Watchdog, WatchdogMode};

/// How often memory is measured, where it is bounded.
const MEASURE_EVERY: Duration = Duration::from_secs(30);

/// A poll may take ten minutes, or so many intervals if that is longer; see [`Watch::poll_limit`].
const LONGEST_POLL: Duration = Duration::from_secs(600);
const POLL_INTERVALS: u32 = 10;

/// What is known of the present process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Watch {
    /// It announced heartbeats, and the policy looks at them.
    pub beats: bool,
    /// Differs between sensors, so that those of one age do not restart at one moment.
    seed: f64,
    /// `poll_interval` of the sensor.
    pub poll_interval: Option<Duration>,
    last_sign: Duration,
    poll: Option<Poll>,
    next_measure: Duration,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Poll {
    began: Duration,
    /// As far as it was extended.
    extended: Duration,
}

impl Watch {
    pub fn new(seed: f64) -> Self {
        Self {
            beats: false,
            seed,
            poll_interval: None,
            last_sign: Duration::ZERO,
            poll: None,
            next_measure: Duration::ZERO,
        }
    }

    /// Before a start.
    pub fn rest(&mut self) {
        self.beats = false;
        self.poll = None;
    }

    pub fn arm(&mut self, now: Duration, policy: &Watchdog) {
        self.beats = policy.mode == WatchdogMode::Heartbeat;
        self.last_sign = now;
    }

    /// It became ready.
    pub fn begin(&mut self, now: Duration) {
        self.last_sign = now;
        self.next_measure = now + MEASURE_EVERY;
    }

    /// The next thing to look at while it is ready.
    pub fn deadline(&self, since: Duration, policy: &Watchdog) -> Option<Duration> {
        let silence = self.beats.then(|| self.last_sign + policy.soft_timeout);
        let measure = (policy.max_rss_restart > 0).then_some(self.next_measure);
        let all = [
            silence,
            self.poll_end(policy),
            self.age(since, policy),
            measure,
        ];
        all.into_iter().flatten().min()
    }

    fn poll_end(&self, policy: &Watchdog) -> Option<Duration> {
        let poll = self.poll.filter(|_| self.beats)?;
        Some((poll.began + self.poll_limit(policy)).max(poll.extended))
    }

    fn poll_limit(&self, policy: &Watchdog) -> Duration {
        match policy.poll_timeout {
            Duration::ZERO => {
                let interval = self.poll_interval.unwrap_or_default();
                LONGEST_POLL.max(interval * POLL_INTERVALS)
            }
            given => given,
        }
    }

    fn age(&self, since: Duration, policy: &Watchdog) -> Option<Duration> {
        let spread = policy.max_lifetime.mul_f64(0.1 * self.seed);
        (!policy.max_lifetime.is_zero()).then(|| since + policy.max_lifetime + spread)
    }
}

impl Lifecycle {
    /// The interval of the sensor's polls, by which their length is judged.
    pub fn polls_every(&mut self, interval: Option<Duration>) {
        self.watch.poll_interval = interval;
    }

    /// A sign of life ends a stall that came of silence.
    pub(super) fn sign(&mut self, now: Duration) {
        self.watch.last_sign = now;
        let silence = StalledBy::Silence;
        if let State::Stalled { since, by, .. } = self.state
            && by == silence
        {
            self.state = State::Ready { since };
        }
    }

    pub(super) fn beat(
        &mut self,
        extend: Option<Duration>,
        poll: Option<Duration>,
        now: Duration,
        policy: &Policy,
    ) {
        self.sign(now);
        self.poll_goes_on(poll, now, policy);
        if let Some(more) = extend {
            self.extend(now + more, policy);
        }
    }

    /// A heartbeat says for how long the present poll has gone on; the next poll ends its stall.
    fn poll_goes_on(&mut self, poll: Option<Duration>, now: Duration, policy: &Policy) {
        let began = poll.map(|age| now.saturating_sub(age));
        let before = self.watch.poll;
        self.watch.poll = began.map(|began| {
            // Two beats of one poll compute its begin from two clocks.
            let same = before.filter(|old| began < old.began + policy.watchdog.interval / 2);
            same.unwrap_or(Poll {
                began,
                extended: Duration::ZERO,
            })
        });
        if let State::Stalled { since, by, .. } = self.state
            && by == StalledBy::Poll
            && self
                .watch
                .poll_end(&policy.watchdog)
                .is_none_or(|end| now < end)
        {
            self.state = State::Ready { since };
        }
    }

    /// More time for a start, a poll or a stop, within bounds.
    fn extend(&mut self, to: Duration, policy: &Policy) {
        let most = self.extend_to;
        match &mut self.state {
            State::Starting { ready_by: until }
            | State::Asked { until }
            | State::Terminated { until, .. } => *until = (*until).max(to.min(most)),
            State::Ready { .. } | State::Stalled { .. } => {
                let limit = self.watch.poll_limit(&policy.watchdog) * MOST_EXTENSION;
                if let Some(poll) = &mut self.watch.poll {
                    poll.extended = poll.extended.max(to.min(poll.began + limit));
                }
            }
            _ => {}
        }
    }

    /// Something of a ready sensor is due.
    pub(super) fn watched(
        &mut self,
        since: Duration,
        now: Duration,
        policy: &Policy,
    ) -> Vec<Action> {
        let dog = &policy.watchdog;
        let due = |at: Option<Duration>| at.is_some_and(|at| now >= at);
        if self.watch.beats && now >= self.watch.last_sign + dog.soft_timeout {
            let until = (self.watch.last_sign + dog.timeout).max(now);
            return self.stall(since, until, StalledBy::Silence);
        }
        if due(self.watch.poll_end(dog)) {
            let until = now + dog.timeout.saturating_sub(dog.soft_timeout);
            return self.stall(since, until, StalledBy::Poll);
        }
        if due(self.watch.age(since, dog)) {
            return self.restart_for(EndedBy::Age, now, policy);
        }
        self.watch.next_measure = now + MEASURE_EVERY;
        vec![Action::Measure(self.generation)]
    }

    fn stall(&mut self, since: Duration, until: Duration, by: StalledBy) -> Vec<Action> {
        self.state = State::Stalled { since, until, by };
        vec![Action::Trace(self.generation)]
    }

    /// The hard limit.
    pub(super) fn give_up_on(
        &mut self,
        by: StalledBy,
        now: Duration,
        policy: &Policy,
    ) -> Vec<Action> {
        self.ended_by = Some(match by {
            StalledBy::Silence => EndedBy::Silence,
            StalledBy::Poll => EndedBy::Poll,
        });
        let until = now + policy.watchdog.abort_timeout;
        self.state = State::Aborting { until };
        vec![Action::Abort(self.generation)]
    }

    pub(super) fn measured(&mut self, rss: u64, now: Duration, policy: &Policy) -> Vec<Action> {
        let most = policy.watchdog.max_rss_restart;
        match self.state.is_up() && most > 0 && rss > most {
            true => self.restart_for(EndedBy::Memory, now, policy),
            false => Vec::new(),
        }
    }

    fn restart_for(&mut self, by: EndedBy, now: Duration, policy: &Policy) -> Vec<Action> {
        self.ended_by = Some(by);
        self.restarting = true;
        self.ask(now, policy)
    }

    /// While we were not running nobody could be heard: what waits for a sensor waits longer, and
    /// one interval more, in which what it wrote meanwhile is read.
    pub(super) fn forgive(&mut self, lag: Duration, now: Duration, policy: &Policy) {
        if !policy.watchdog.lag_credit {
            return;
        }
        let credit = lag + lag.min(policy.watchdog.interval);
        self.watch.last_sign = (self.watch.last_sign + credit).min(now);
        if let Some(poll) = &mut self.watch.poll {
            poll.began = (poll.began + credit).min(now);
        }
        match &mut self.state {
            State::Starting { ready_by: until }
            | State::Stalled { until, .. }
            | State::Asked { until }
            | State::Terminated { until, .. }
            | State::Aborting { until } => *until += credit,
            _ => {}
        }
    }
}
