//! Children on both sides of an upgrade.

use std::sync::Arc;

use super::bundle::{Bundle, Received};
use super::package::{HandedAction, HandedChild};
use crate::catalog::{Runner, Sensor};
use crate::core::Input;
use crate::core::record::End;
use crate::core::sensor::SensorIx;
use crate::world::{World, action, clock, runners, sensor};

impl World {
    /// Nothing that children said is on its way.
    pub fn is_settled(&self) -> bool {
        let is_empty = self.inputs.capacity() == self.inputs.max_capacity();
        let pieces = &self.intake.pieces;
        let mut handles = self.sensors.values();
        is_empty
            && pieces.capacity() == pieces.max_capacity()
            && handles.all(sensor::Handle::is_settled)
    }

    /// All children, for the next supervisor.
    pub fn hand_over(&self, bundle: &mut Bundle) -> (Vec<HandedChild>, Vec<HandedAction>) {
        let sensors = self.sensors.iter();
        let children = sensors
            .map(|((sensor, generation), handle)| handle.hand_over(*sensor, *generation, bundle));
        let children = children.collect();
        let actions = self.actions.iter();
        let actions = actions.map(|(seq, handle)| handle.hand_over(*seq, bundle));
        (children, actions.collect())
    }

    /// Takes charge of children that were handed over. What cannot be watched is given up, as
    /// something that ended.
    pub fn take_over(
        &mut self,
        children: Vec<HandedChild>,
        actions: Vec<(Runner, HandedAction)>,
        specs: &[Arc<Sensor>],
        received: &mut Received,
    ) {
        for child in children {
            if let Some(spec) = specs.get(child.sensor) {
                self.take_child(child, spec, received);
            }
        }
        for (runner, handed) in actions {
            let seq = handed.execution;
            let data = &self.place.data;
            let inputs = self.inputs.clone();
            match action::Handle::resume(handed, received, runner, data, inputs) {
                Ok(handle) => drop(self.actions.insert(seq, handle)),
                Err(error) => {
                    let why = format!("it could not be watched after an upgrade: {error}");
                    let outcome = runners::lost(&why, clock::now().wall);
                    let execution = seq;
                    self.tell_core(Input::ActionEnded { execution, outcome });
                }
            }
        }
    }

    fn take_child(&mut self, child: HandedChild, spec: &Sensor, received: &mut Received) {
        let (sensor, generation) = (SensorIx(child.sensor), child.generation);
        let reports = self.reports(sensor, generation, spec);
        match sensor::Handle::resume(child, received, &reports) {
            Ok(handle) => drop(self.sensors.insert((sensor, generation), handle)),
            Err(error) => {
                let hint = format!("it could not be watched after an upgrade: {error}");
                let end = Box::new(End {
                    hint: Some(hint),
                    luck: sensor::luck(),
                    ..End::default()
                });
                self.tell_core(Input::Ended {
                    sensor,
                    generation,
                    end,
                });
                self.tell_core(Input::Drained { sensor, generation });
            }
        }
    }
}
