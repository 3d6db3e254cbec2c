//! What concerns all sensors at once: whose deadline is next, and who may be started.
//!
//! At most so many are in the middle of their start at a time: a thousand that begin together would
//! take so long that all of them seem to hang. A slot is given back when the sensor is ready, or
//! after [`HOLD`], so that a few slow ones never hold up the rest.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::lifecycle::State;
use super::sensor::SensorIx;

/// The longest that a start holds its slot.
pub const HOLD: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Fleet {
    due: BTreeSet<(Duration, SensorIx)>,
    /// Who is not read until then, for being ahead of its rate.
    frozen: BTreeSet<(Duration, SensorIx)>,
    waiting: VecDeque<SensorIx>,
    /// Who holds a slot, since when; oldest first.
    starting: VecDeque<(Duration, SensorIx)>,
    slots: usize,
}

impl Fleet {
    /// With so many start slots.
    pub fn new(slots: usize) -> Self {
        Self {
            due: BTreeSet::new(),
            frozen: BTreeSet::new(),
            waiting: VecDeque::new(),
            starting: VecDeque::new(),
            slots: slots.max(1),
        }
    }

    /// A sensor went from one state and deadline to another.
    pub fn moved(
        &mut self,
        sensor: SensorIx,
        before: (State, Option<Duration>),
        after: (State, Option<Duration>),
        now: Duration,
    ) {
        if before.1 != after.1 {
            if let Some(at) = before.1 {
                self.due.remove(&(at, sensor));
            }
            self.due.extend(after.1.map(|at| (at, sensor)));
        }
        let starts = |state| matches!(state, State::Starting { .. });
        match (starts(before.0), starts(after.0)) {
            (false, true) => self.starting.push_back((now, sensor)),
            (true, false) => self.starting.retain(|(_, other)| *other != sensor),
            _ => {}
        }
        if after.0 == State::Queued && before.0 != State::Queued {
            self.waiting.push_back(sensor);
        }
    }

    /// The next sensor that may be started.
    pub fn grant(&mut self, now: Duration) -> Option<SensorIx> {
        let is_over = |since: Duration| now.saturating_sub(since) >= HOLD;
        let held = self.starting.iter().filter(|(since, _)| !is_over(*since));
        match held.count() < self.slots {
            true => self.waiting.pop_front(),
            false => None,
        }
    }

    /// Sensors whose deadline has come.
    pub fn due(&self, now: Duration) -> Vec<SensorIx> {
        let come = self.due.iter().take_while(|(at, _)| *at <= now);
        come.map(|(_, sensor)| *sensor).collect()
    }

    /// A sensor is not read until `until`.
    pub fn freeze(&mut self, sensor: SensorIx, until: Duration) {
        self.frozen.insert((until, sensor));
    }

    /// All of them may be read at the next look.
    pub fn unfreeze(&mut self, now: Duration) {
        let all = std::mem::take(&mut self.frozen);
        self.frozen = all.into_iter().map(|(_, sensor)| (now, sensor)).collect();
    }

    /// Sensors that may be read again.
    pub fn thawed(&mut self, now: Duration) -> Vec<SensorIx> {
        let mut thawed = Vec::new();
        while let Some(&(until, sensor)) = self.frozen.first()
            && until <= now
        {
            self.frozen.pop_first();
            thawed.push(sensor);
        }
        thawed
    }

    /// When a sensor wants to be looked at, or may be read again.
    pub fn first_due(&self) -> Option<Duration> {
        let first = self.due.first().map(|(at, _)| *at);
        let thaw = self.frozen.first().map(|(until, _)| *until);
        first.into_iter().chain(thaw).min()
    }

    /// When a sensor wants to be looked at, or a slot is given back that somebody waits for.
    pub fn deadline(&self) -> Option<Duration> {
        let first = self.first_due();
        let slot = self.starting.len().checked_sub(self.slots);
        let slot = slot.filter(|_| !self.waiting.is_empty());
        let slot = slot.and_then(|at| self.starting.get(at));
        let slot = slot.map(|(since, _)| *since + HOLD);
        first.into_iter().chain(slot).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn starting() -> State {
        State::Starting { ready_by: SECOND }
    }

    #[test]
    fn a_slot_is_free_when_a_start_is_over_or_takes_too_long() {
        let mut fleet = Fleet::new(1);
        let queued = (State::Queued, None);
        for sensor in [0, 1, 2].map(SensorIx) {
            fleet.moved(sensor, (State::Down, None), queued, SECOND);
        }
        assert_eq!(fleet.grant(SECOND), Some(SensorIx(0)));
        let deadline = Some(9 * SECOND);
        fleet.moved(SensorIx(0), queued, (starting(), deadline), SECOND);
        assert_eq!(fleet.grant(SECOND), None);
        assert_eq!(fleet.deadline(), Some(SECOND + HOLD));
        assert_eq!(fleet.grant(SECOND + HOLD), Some(SensorIx(1)));
        fleet.moved(SensorIx(1), queued, (starting(), deadline), SECOND + HOLD);
        assert_eq!(fleet.grant(SECOND + HOLD), None);
        let ready = State::Ready { since: SECOND };
        fleet.moved(SensorIx(1), (starting(), deadline), (ready, None), SECOND);
        assert_eq!(fleet.grant(SECOND + HOLD), Some(SensorIx(2)));
        assert_eq!(fleet.due(9 * SECOND), [SensorIx(0)]);
        assert_eq!(fleet.due(8 * SECOND), []);
    }
}
