//! The way from one core to the next in the same process, as `daemon/upgrade.rs` goes it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::agenda::Happening;
use super::child::{Child, Kind, Wants};
use super::packs::Packs;
use super::world::World;
use crate::core::handover::{Handed, HandedIntake};
use crate::core::intake::Intake;
use crate::core::{Core, Input};

/// The longest that reading is held up for what is under way to come to rest.
const REST: Duration = Duration::from_secs(2);

/// What goes through the sealed file.
fn carried<T: Serialize + DeserializeOwned>(one: &T) -> T {
    let text = serde_json::to_string(one).expect("it can be written");
    serde_json::from_str(&text).expect("it can be read")
}

impl World {
    /// Somebody wants another program in our place.
    pub fn upgrade(&mut self) {
        self.later(2000, Happening::Upgrade);
        if self.going.is_some() || self.core.why_not().is_some() {
            return;
        }
        self.upgrades += 1;
        self.going = Some(self.upgrades);
        self.gate_is_shut = true;
        self.core.hold(true);
        self.agenda
            .at(self.now + REST, Happening::Late(self.upgrades));
    }

    /// Goes, if all is at rest.
    pub fn try_to_go(&mut self) {
        let settled =
            |one: &Child| one.unsettled == 0 && (one.alive || one.is_reaped || one.end_is_read);
        let rests = self.going.is_some()
            && self.core.why_not().is_none()
            && self.core.is_settled()
            && self.agenda.is_settled()
            && self.people.unanswered().is_empty()
            && self.pieces.is_empty()
            && self.children.values().all(settled);
        if rests {
            self.go();
        }
    }

    /// Everything goes on here.
    pub fn give_up(&mut self) {
        self.seen.given_up += usize::from(self.going.is_some());
        self.going = None;
        self.gate_is_shut = false;
        self.core.hold(false);
        self.read_on();
        self.step(Input::Timer);
    }

    /// What was held back is looked at.
    fn read_on(&mut self) {
        let all: Vec<_> = self.children.keys().copied().collect();
        for start in all {
            self.later(2, Happening::Read(start));
        }
    }

    fn go(&mut self) {
        self.nobody_waits();
        self.seen.upgrades += 1;
        let handed: Handed = carried(&self.core.hand_over());
        let intake: HandedIntake = carried(&self.intake.hand_over());
        // Files may change at any time.
        if self.rng.percent(30) {
            self.files.change(&mut self.rng);
        }
        self.agenda.forget_answers();
        self.going = None;
        self.gate_is_shut = false;
        let packs = self.files.read();
        self.journal
            .keep_rule_set(packs.rules.hash(), &packs.rules.text());
        let mut boot = self.boot(&packs);
        boot.recovered = self.recovered(Some(&handed));
        boot.handed = Some(handed);
        self.core = Core::new(boot);
        self.begin_reading(&packs);
        let resumed = self.intake.resume(intake);
        assert_eq!(resumed, Ok(()));
        self.last_commit = 0;
        self.step(Input::Begin);
        let news = self.news();
        self.step(Input::News(Box::new(news)));
        self.read_on();
    }

    /// All is settled: whoever asked something was answered, but for a greeting that waits for what
    /// the start before it has not said yet.
    fn nobody_waits(&self) {
        for (start, child) in &self.children {
            let said_all = child.pipe.is_empty() && child.rest.is_empty();
            let current = self.core.sensors[start.0.0].life.generation == start.1;
            if child.kind == Kind::Prints || !said_all || !child.alive || !current {
                continue;
            }
            let waits = child.open.values().find(|one| **one != Wants::Greeting);
            assert_eq!(waits, None, "{start:?} waits");
        }
    }

    pub fn begin_reading(&mut self, packs: &Packs) {
        let (catalog, rules) = (Arc::clone(&packs.catalog), Arc::clone(&packs.rules));
        self.intake = Intake::new(Arc::clone(&catalog), Arc::clone(&rules), Default::default());
        self.intake.adopt(catalog, rules, self.core.specs());
        self.adopted = None;
    }
}
