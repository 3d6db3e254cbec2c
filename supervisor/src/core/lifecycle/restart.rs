//! What follows when a process has ended: when the next one is started, or why none is.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::state::{Desired, EndedBy, ParkedBy, State};
use super::{Action, Lifecycle};
use crate::catalog::policy::{Limit, OnLimit, Policy, Restart, RestartWhen};
use crate::core::record::Exit;

/// Exit code by which a program says that its configuration is wrong (`EX_CONFIG`).
pub const EX_CONFIG: i32 = 78;

/// A program that so many times in a row never began waits for a change.
const NEVER_BEGAN: u32 = 3;

/// How much of the jitter of delays a cooldown has.
const COOLDOWN_SPREAD: f64 = 0.2;

/// The restarts of late.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Restarts {
    /// Since the last time that counting began anew.
    pub attempts: u32,
    /// When the present process became ready.
    pub ready_since: Option<Duration>,
    last_delay: Duration,
    /// Moments of the restarts within the limit's interval.
    recent: VecDeque<Duration>,
    /// The limit was hit, and no start since has held.
    tripped: bool,
    /// Starts in a row in which the program never began.
    never_began: u32,
}

impl Restarts {
    /// Counting begins anew.
    pub fn forget(&mut self) {
        *self = Self {
            ready_since: self.ready_since,
            ..Self::default()
        };
    }

    /// Twice the last delay, so that a long delay before a short life never counts as success.
    fn forget_if_it_held(&mut self, now: Duration, policy: &Restart) {
        let needed = policy.reset_after.max(self.last_delay * 2);
        let held = self
            .ready_since
            .take()
            .is_some_and(|since| now.saturating_sub(since) >= needed);
        if held {
            self.forget();
        }
    }

    fn limit_is_hit(&mut self, now: Duration, limit: &Limit) -> bool {
        let is_old = |at: &Duration| now.saturating_sub(*at) >= limit.interval;
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
        limit.burst > 0 && self.recent.len() >= limit.burst as usize
    }

    fn count(&mut self, never_began: bool) {
        self.never_began = match never_began {
            true => self.never_began + 1,
            false => 0,
        };
    }
}

impl Lifecycle {
    pub(super) fn ended(
        &mut self,
        exit: Exit,
        never_began: bool,
        luck: f64,
        now: Duration,
        policy: &Policy,
    ) -> Vec<Action> {
        self.restarts.forget_if_it_held(now, &policy.restart);
        self.restarts.count(never_began);
        if self.desired != Desired::Up {
            self.state = State::Down;
        } else if std::mem::take(&mut self.restarting) {
            self.state = State::Queued;
        } else if let Some(by) = self.parks(exit, &policy.restart) {
            self.state = State::Parked(by);
        } else if self.is_passing(exit, &policy.restart) {
            self.wait(self.retry_after(&policy.restart), now);
        } else if !self.wants_restart(exit, &policy.restart) {
            self.state = State::Completed;
        } else {
            return self.count_and_wait(luck, now, &policy.restart);
        }
        Vec::new()
    }

    /// Another start would not go better.
    fn parks(&self, exit: Exit, policy: &Restart) -> Option<ParkedBy> {
        let code = exit.code.and_then(|code| u8::try_from(code).ok());
        if self.config_fault {
            return Some(ParkedBy::Config);
        }
        match self.ended_by {
            Some(EndedBy::Protocol) => return Some(ParkedBy::Protocol),
            Some(EndedBy::Rate) => return Some(ParkedBy::Rate),
            _ => {}
        }
        if code.is_some_and(|code| policy.no_restart_exit_codes.contains(&code)) {
            return Some(match exit.code == Some(EX_CONFIG) {
                true => ParkedBy::Config,
                false => ParkedBy::ExitCode,
            });
        }
        (self.restarts.never_began >= NEVER_BEGAN).then_some(ParkedBy::Start)
    }

    /// The sensor said that the trouble will pass: that is no attempt.
    fn is_passing(&self, exit: Exit, policy: &Restart) -> bool {
        let code = exit.code.and_then(|code| u8::try_from(code).ok());
        let by_code = code.is_some_and(|code| policy.immediate_exit_codes.contains(&code));
        (self.transient.is_some() || by_code) && policy.policy != RestartWhen::Never
    }

    fn retry_after(&self, policy: &Restart) -> Duration {
        self.transient.flatten().unwrap_or(policy.initial_delay)
    }

    fn wants_restart(&self, exit: Exit, policy: &Restart) -> bool {
        let success = exit
            .code
            .and_then(|code| u8::try_from(code).ok())
            .is_some_and(|code| policy.success_exit_codes.contains(&code));
        let by_us = self.ended_by.is_some_and(|by| !by.is_ordered());
        match policy.policy {
            RestartWhen::Always => true,
            RestartWhen::OnFailure => !success || by_us,
            RestartWhen::OnAbnormal => exit.code.is_none() || by_us,
            RestartWhen::Never => false,
        }
    }

    fn count_and_wait(&mut self, luck: f64, now: Duration, policy: &Restart) -> Vec<Action> {
        let restarts = &mut self.restarts;
        if restarts.tripped || restarts.limit_is_hit(now, &policy.limit) {
            restarts.tripped = true;
            // Those that share a dead dependency are not to try it at one moment.
            let spread = policy.jitter * COOLDOWN_SPREAD * luck.clamp(0.0, 1.0);
            let cooldown = policy.limit.cooldown.mul_f64(1.0 - spread);
            return self.cool_down(cooldown, now, &policy.limit);
        }
        restarts.attempts += 1;
        if policy.limit.burst > 0 {
            restarts.recent.push_back(now);
        }
        restarts.last_delay = delay(policy, restarts.attempts, luck);
        self.wait(self.restarts.last_delay, now);
        Vec::new()
    }

    fn cool_down(&mut self, cooldown: Duration, now: Duration, limit: &Limit) -> Vec<Action> {
        let until = now + cooldown;
        self.state = match limit.on_limit {
            OnLimit::Cooldown => State::Cooldown { until },
            OnLimit::Park | OnLimit::Escalate => State::Parked(ParkedBy::Limit),
        };
        match limit.on_limit {
            OnLimit::Escalate => vec![Action::Escalate],
            _ => Vec::new(),
        }
    }

    fn wait(&mut self, delay: Duration, now: Duration) {
        self.state = match delay {
            Duration::ZERO => State::Queued,
            delay => State::Backoff { until: now + delay },
        };
    }
}

/// The wait before restart number `attempt` (from 1): `initial * multiplier^(attempt-1)`, at most
/// `max_delay`, then shortened by the share `jitter * luck`.
pub fn delay(policy: &Restart, attempt: u32, luck: f64) -> Duration {
    if policy.initial_delay.is_zero() {
        // It never grows, and nothing times infinity is no number.
        return Duration::ZERO;
    }
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let grown = policy.initial_delay.as_secs_f64() * policy.multiplier.powi(exponent);
    let capped = grown.min(policy.max_delay.as_secs_f64());
    Duration::from_secs_f64(capped * (1.0 - policy.jitter * luck.clamp(0.0, 1.0)))
}
