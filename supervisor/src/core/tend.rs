//! What the journal keeps, and who waits while it has no room; the counts of events beside it.

use serde_json::{Value, json};

use super::effect::Effect;
use super::lifecycle::Event;
use super::notice::{Level, Notice};
use super::retention::{Change, Tended};
use super::sensor::{SensorIx, Slot};
use super::step::{AcceptedEvent, After, Core, Phase};
use super::tally::Counts;

impl Core {
    /// The journal may do more than what is written to it.
    pub(super) fn may_tend(&self) -> bool {
        self.phase == Phase::Running && !self.holds && self.journal_trouble.is_none()
    }

    /// Gives the journal its next chore, if it has none.
    pub(super) fn tend(&mut self) {
        if self.may_tend()
            && let Some(chore) = self.keeper.next(self.now, self.rules.hash())
        {
            self.out.push(Effect::Tend(chore));
        }
    }

    pub(super) fn tended(&mut self, tended: Tended) {
        for change in self.keeper.tended(tended, self.now) {
            match change {
                Change::Full(why) => {
                    self.notify(Notice::new(Level::Error, "journal.full", "journal", why));
                    self.look_at_dam();
                }
                Change::Open => {
                    let text = "the journal has room again; the sensors that waited go on";
                    self.notify(Notice::new(Level::Warning, "journal.room", "journal", text));
                    self.open_dam();
                }
                Change::TooSmall(why) => {
                    self.notify(Notice::new(Level::Warning, "journal.size", "journal", why));
                }
                Change::Poor(why) => {
                    self.notify(Notice::new(Level::Warning, "journal.disk", "journal", why));
                }
                Change::Compact(ask, bytes) => self.out.push(Effect::Reply {
                    ask,
                    answer: Ok(json!({ "freed": bytes })),
                }),
            }
        }
    }

    pub(super) fn ask_compact(&mut self, ask: u64) {
        if let Err(why) = self.keeper.compact(ask) {
            let answer = Err(why);
            self.out.push(Effect::Reply { ask, answer });
        }
    }

    /// Why a sensor waits for room in the journal.
    pub(super) fn why_dammed(&self, slot: &Slot) -> Option<&str> {
        let dam = self.keeper.dam().filter(|_| self.phase == Phase::Running)?;
        let fills = |kind: &String| dam.triggers.contains(kind);
        let waits = slot.spec.trigger_types.iter().any(fills);
        waits.then_some(dam.why.as_str())
    }

    /// A piece of output with so many events is taken: the next one may be read, unless it would have
    /// no room in the journal.
    pub(super) fn give_credit(&mut self, sensor: SensorIx, generation: u64, events: usize) {
        let slot = &self.sensors[sensor.0];
        let listens = slot.life.state.is_up() && !self.holds;
        let waits = events > 0 && listens && self.why_dammed(slot).is_some();
        if !waits {
            return self.after.push(After::Credit { sensor, generation });
        }
        let now = self.now.mono;
        let dammed = &mut self.sensors[sensor.0].dammed;
        if dammed.0.is_empty() {
            dammed.1 = now;
        }
        dammed.0.push(generation);
    }

    /// Other triggers fill the journal now: whoever has none of those goes on.
    fn look_at_dam(&mut self) {
        for index in 0..self.sensors.len() {
            if self.why_dammed(&self.sensors[index]).is_none() {
                self.release(SensorIx(index));
            }
        }
    }

    /// Who waits for room is read again: there is some, or all is to be read to its end.
    pub(super) fn open_dam(&mut self) {
        for index in 0..self.sensors.len() {
            self.release(SensorIx(index));
        }
    }

    /// At the next look, as one that was too fast.
    pub(super) fn release(&mut self, sensor: SensorIx) {
        let now = self.now.mono;
        let slot = &mut self.sensors[sensor.0];
        let (waiting, since) = std::mem::take(&mut slot.dammed);
        if waiting.is_empty() {
            return;
        }
        slot.frozen.extend(waiting);
        self.fleet.freeze(sensor, now);
        if slot.life.state.is_up() {
            self.live(sensor, Event::Lag(now.saturating_sub(since)));
        }
    }

    /// Nobody hears a sensor that waits for room: its silence says nothing of it.
    pub(super) fn forgive_dammed(&mut self) {
        let now = self.now.mono;
        for index in 0..self.sensors.len() {
            let dammed = &mut self.sensors[index].dammed;
            if !dammed.0.is_empty() {
                let waited = now.saturating_sub(dammed.1);
                dammed.1 = now;
                self.live(SensorIx(index), Event::Lag(waited));
            }
        }
    }

    /// Counts are not kept back for ever where nothing else is written.
    pub(super) fn count_alone(&mut self) {
        let leaves = matches!(self.phase, Phase::Stopping(_) | Phase::StoppingNow);
        let due = match leaves {
            true => self.tally.take(self.now.mono),
            false => self.tally.due(self.now.mono),
        };
        self.batch.counts.extend(due);
    }

    /// A duplicate is no event.
    pub(super) fn count_back(&mut self, event: &AcceptedEvent) {
        let counts = counts(!event.executions.is_empty(), event.kept);
        self.tally.take_back(event.counted, counts, self.now.mono);
    }

    /// What the journal keeps and why, as people see it.
    pub fn journal_view(&self) -> Value {
        let mut shown = self.keeper.view();
        shown["trouble"] = json!(self.journal_trouble);
        shown["counts"] = self.tally.view();
        let waiting = self.names.iter().filter(|(_, sensor)| {
            let slot = &self.sensors[sensor.0];
            self.why_dammed(slot).is_some()
        });
        shown["waiting_sensors"] = waiting.map(|(name, _)| name.clone()).collect();
        shown
    }
}

/// One event.
pub(super) fn counts(matched: bool, kept: bool) -> Counts {
    Counts {
        accepted: 1,
        matched: u64::from(matched),
        dropped: u64::from(!kept),
    }
}
