//! What the core wants done.

use super::agenda::{Happening, Start};
use super::child::Child;
use super::disk::Order;
use super::world::World;
use crate::catalog::Sensor;
use crate::core::record::{End, Status};
use crate::core::{Effect, Input};

impl World {
    pub fn perform(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Spawn {
                sensor,
                generation,
                spec,
                ..
            } => return Some(self.spawn((sensor, generation), &spec)),
            Effect::Tell {
                sensor,
                generation,
                line,
            } => self.told((sensor, generation), &line),
            Effect::CloseInput { sensor, generation } => {
                let start = (sensor, generation);
                if self.rng.percent(70) && !self.children[&start].hangs {
                    self.die_later(start, 500);
                }
            }
            Effect::Signal {
                sensor,
                generation,
                signal,
            } => self.signalled((sensor, generation), signal),
            Effect::Preflight { sensor, spec, .. } => {
                let fault = self.rng.percent(30).then(|| "it does not load".to_owned());
                self.seen.refused += usize::from(fault.is_some());
                let tried = Input::Tried {
                    sensor,
                    spec,
                    fault,
                };
                self.later(30, Happening::Input(tried));
            }
            Effect::Measure { sensor, generation } => {
                let rss = self.rng.below(2000);
                let measured = Input::Measured {
                    sensor,
                    generation,
                    rss,
                };
                self.later(5, Happening::Input(measured));
            }
            Effect::Credit {
                sensor,
                generation,
                pieces,
            } => self.credit((sensor, generation), pieces),
            Effect::Commit { number, batch } => {
                self.last_commit += 1;
                assert_eq!(number, self.last_commit);
                self.order(Order::Commit(number, Box::new(batch)));
            }
            Effect::Tend(chore) => self.order(Order::Tend(chore)),
            Effect::Refill(fetch) => self.order(Order::Refill(fetch)),
            Effect::Run(order) => self.run_action(&order),
            Effect::StopAction { execution, .. } => {
                if self.running.contains(&execution) {
                    self.end_action(execution, Status::Abandoned, 100);
                }
            }
            Effect::Forget { execution } => drop(self.exits.remove(&execution)),
            Effect::Reply { ask, .. } => self.people.replied(ask),
            Effect::Adopt {
                catalog,
                rules,
                sensors,
            } => self.adopted = Some((catalog, rules, sensors)),
            Effect::Datastore(view) => self.shown = view,
            Effect::Notice(notice) => {
                self.seen.stalls += usize::from(notice.kind == "sensor.stalled");
            }
            Effect::Exit { .. } => self.rested = true,
            Effect::Log { .. } => {}
        }
        None
    }

    fn credit(&mut self, start: Start, pieces: usize) {
        let child = self.children.get_mut(&start).expect("it was started");
        let left = child.unsettled.checked_sub(pieces);
        child.unsettled = left.expect("credit for nothing");
        self.later(2, Happening::Read(start));
    }

    fn spawn(&mut self, start: Start, spec: &Sensor) -> Input {
        self.may_start(start, &spec.reference);
        let (sensor, generation) = start;
        self.seen.overlaps += usize::from(self.core.sensors[sensor.0].replaces.is_some());
        if self.rng.percent(5) {
            let end = Box::new(End {
                never_began: true,
                luck: 0.5,
                ..End::default()
            });
            return Input::Ended {
                sensor,
                generation,
                end,
            };
        }
        self.children.insert(start, Child::new(spec));
        self.heard.insert(start, (self.now, self.lag));
        let executed = Input::Executed { sensor, generation };
        self.later(10, Happening::Input(executed));
        self.later(50, Happening::Talk(start));
        Input::Spawned {
            sensor,
            generation,
            pid: 7,
            interpreter: None,
        }
    }
}
