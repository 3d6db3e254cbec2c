//! What must hold of the core after every step.

use super::agenda::Start;
use super::disk::Order;
use super::packs::OVERLAPS;
use super::world::World;
use crate::core::lifecycle::{Desired, State};
use crate::core::step::Phase;

impl World {
    /// After each step.
    pub fn look(&self) {
        if self.core.phase == Phase::Stopped {
            return;
        }
        self.nothing_is_forgotten();
        if self.core.phase == Phase::Running {
            self.nobody_is_silent();
        }
    }

    /// Whatever a sensor waits for, the core wants to be woken for it.
    fn nothing_is_forgotten(&self) {
        let wakes = self.core.deadline();
        for slot in &self.core.sensors {
            let wants = slot.life.deadline(&slot.spec.policy);
            let kept = wants.is_none_or(|at| wakes.is_some_and(|wakes| wakes <= at));
            let reference = &slot.spec.reference;
            assert!(
                kept,
                "{reference} waits for {wants:?}, and {wakes:?} is next"
            );
        }
    }

    /// A sensor that is to run does, or is about to, or says why not.
    fn nobody_is_silent(&self) {
        let core = &self.core;
        for (reference, sensor) in &core.names {
            let slot = &core.sensors[sensor.0];
            let life = &slot.life;
            let wanted = match self.people.wants(reference) {
                Desired::Up if !slot.is_enabled() => Desired::Down,
                wanted => wanted,
            };
            let desired = life.desired;
            assert_eq!(desired, wanted, "of {reference}, which is {:?}", life.state);
            let words = slot.fail.is_some() || slot.last_words.is_some();
            let child = self.children.get(&(*sensor, life.generation));
            let own = !words || child.is_some_and(|child| child.leaves.is_some());
            assert!(own, "last words of another start: {:?}", slot.last_words);
            let waits = life.deadline(&slot.spec.policy).is_some();
            let explained = match life.state {
                State::Down => life.desired != Desired::Up,
                State::Backoff { .. } | State::Cooldown { .. } => waits,
                State::Queued => core.holds || core.deadline().is_some(),
                _ => true,
            };
            assert!(explained, "{reference} is silent: {life:?}");
        }
    }

    /// Before a process is made.
    pub fn may_start(&self, (sensor, generation): Start, reference: &str) {
        let core = &self.core;
        let slot = &core.sensors[sensor.0];
        assert_eq!(core.phase, Phase::Running, "{reference} starts in the end");
        assert!(!core.holds, "{reference} starts although nothing may start");
        assert!(slot.is_enabled(), "{reference} starts although disabled");
        assert_eq!(self.people.wants(reference), Desired::Up, "{reference}");
        assert!(!slot.retired, "{reference} starts although it is gone");
        for ((other, number), child) in &self.children {
            if child.reference != reference {
                continue;
            }
            assert_ne!(*number, generation, "{reference}: two starts of one number");
            let lives = child.alive || !child.is_reaped;
            let leaves = core.sensors[other.0].life.state.is_ending();
            let beside = other != &sensor
                && reference == OVERLAPS
                && (slot.replaces == Some(*other) || leaves);
            let state = core.sensors[other.0].life.state;
            assert!(
                !lives || beside,
                "beside {other:?}, {state:?}: {sensor:?} {reference}"
            );
        }
    }

    /// A sensor that beats and falls silent does not stay.
    pub fn is_noticed(&self) {
        for ((sensor, generation), (heard, lag)) in &self.heard {
            let slot = &self.core.sensors[sensor.0];
            let life = &slot.life;
            let up = matches!(life.state, State::Ready { .. } | State::Stalled { .. });
            if life.generation != *generation || !up || !life.is_watched() {
                continue;
            }
            let credit = (self.lag - *lag) * 2;
            let most = *heard + slot.spec.policy.watchdog.timeout + credit;
            let late = self.now.saturating_sub(most);
            let reference = &slot.spec.reference;
            assert!(
                late.as_millis() <= 1500,
                "{reference} is silent for too long: {life:?}"
            );
        }
    }

    /// After an ordered stop.
    pub fn is_at_rest(&self) {
        let lives = self.children.values().find(|child| child.alive);
        assert!(lives.is_none(), "left behind: {lives:?}");
        assert!(self.running.is_empty(), "actions left behind");
        // Nobody waits for what was to be removed.
        let written = self.orders.iter().all(|one| matches!(one, Order::Tend(_)));
        assert!(written, "not on disk: {:?}", self.orders);
        let open = self.people.unanswered();
        assert!(open.is_empty(), "nobody answered: {open:?}");
        let lost = self.whole.iter().find(|number| !self.journal.has(**number));
        assert_eq!(lost, None, "said, and nowhere");
    }
}
