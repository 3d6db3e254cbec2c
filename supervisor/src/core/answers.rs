//! Answers to sensors.

use petrel_sdk::protocol::{RpcError, Wire};
use serde_json::Value;

use super::effect::Effect;
use super::intake::Reply;
use super::recent::Message;
use super::sensor::SensorIx;
use super::step::{After, Core, Phase};

impl Core {
    pub(super) fn answer_later(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        reply: Option<Reply>,
        result: Value,
    ) {
        if let Some(reply) = reply {
            self.after.push(After::Answer {
                sensor,
                generation,
                reply,
                result,
            });
        }
    }

    pub(super) fn answer(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        reply: &Reply,
        result: Value,
    ) {
        let Some(id) = reply.id.clone() else { return };
        let line = Wire::result(id, result).to_line();
        self.send_answer(sensor, generation, reply.batch, line);
    }

    pub(super) fn answer_error(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        reply: &Reply,
        error: RpcError,
    ) {
        let line = Wire::error(reply.id.clone(), error).to_line();
        self.send_answer(sensor, generation, reply.batch, line);
    }

    fn send_answer(&mut self, sensor: SensorIx, generation: u64, batch: Option<u64>, line: String) {
        let whole = match batch {
            None => Some(line),
            Some(number) => self.sensors[sensor.0]
                .batches
                .add(number, line.trim_end().to_owned())
                .map(|array| array + "\n"),
        };
        if let Some(line) = whole {
            self.tell(sensor, generation, line);
        }
    }

    /// Only to the living, and only once it said `hello`.
    pub(super) fn tell(&mut self, sensor: SensorIx, generation: u64, line: String) {
        let slot = &mut self.sensors[sensor.0];
        if slot.converses && slot.life.generation == generation && self.phase != Phase::Stopped {
            let message = Message::new(self.now.wall, line.as_bytes());
            slot.recent(self.now.mono).tell(message);
            self.out.push(Effect::Tell {
                sensor,
                generation,
                line,
            });
        }
    }
}
