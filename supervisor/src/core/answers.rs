//! Answers to sensors, and what the datastore answers.

use petrel_sdk::protocol::{self, Call, KvDelete, KvGet, KvList, KvSet, RpcError, Wire, code};
use serde_json::{Value, json};

use super::datastore::{Scope, stored_text};
use super::effect::Effect;
use super::intake::Reply;
use super::record;
use super::sensor::SensorIx;
use super::step::{After, Core, Phase};

impl Core {
    pub(super) fn kv(&mut self, sensor: SensorIx, generation: u64, reply: Reply, call: Call) {
        match self.kv_result(sensor, call) {
            Ok((result, write)) => {
                let waits = write.is_some();
                self.batch.kv.extend(write);
                match waits {
                    true => self.answer_later(sensor, generation, Some(reply), result),
                    false => self.answer(sensor, generation, &reply, result),
                }
            }
            Err(error) => self.answer_error(sensor, generation, &reply, error),
        }
    }

    fn kv_result(
        &mut self,
        sensor: SensorIx,
        call: Call,
    ) -> Result<(Value, Option<record::KvWrite>), RpcError> {
        let reference = self.sensors[sensor.0].spec.reference.clone();
        let now = self.now.wall;
        match call {
            Call::KvGet(KvGet {
                key,
                scope,
                decrypt,
            }) => {
                no_crypto(decrypt)?;
                let key = Scope::from(scope).full_key(&reference, &key);
                Ok((json!(self.store.get(&key, now)), None))
            }
            Call::KvSet(KvSet {
                key,
                scope,
                value,
                ttl_s,
                encrypt,
            }) => {
                no_crypto(encrypt)?;
                let key = Scope::from(scope).full_key(&reference, &key);
                let ttl = ttl_s.map(|seconds| seconds.ceil() as u64);
                let write = self.store.set(key, stored_text(&value), ttl, now);
                let write = write.map_err(datastore_error)?;
                Ok((Value::Null, Some(write)))
            }
            Call::KvDelete(KvDelete { key, scope }) => {
                let key = Scope::from(scope).full_key(&reference, &key);
                let write = self.store.delete(&key, now);
                Ok((json!(write.is_some()), write))
            }
            Call::KvList(KvList {
                prefix,
                scope,
                limit,
                offset,
                decrypt,
            }) => {
                no_crypto(decrypt)?;
                let scope = Scope::from(scope);
                let cut = scope.full_key(&reference, "").len();
                let prefix = scope.full_key(&reference, &prefix);
                let listed = self.store.list(&prefix, cut, limit, Some(offset), now);
                Ok((listed, None))
            }
            _ => Err(RpcError::new(code::INTERNAL, "not a datastore method")),
        }
    }

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
        let slot = &self.sensors[sensor.0];
        if slot.converses && slot.life.generation == generation && self.phase != Phase::Stopped {
            self.out.push(Effect::Tell {
                sensor,
                generation,
                line,
            });
        }
    }
}

impl From<protocol::Scope> for Scope {
    fn from(scope: protocol::Scope) -> Self {
        match scope {
            protocol::Scope::Sensor => Self::Sensor,
            protocol::Scope::Pack => Self::Pack,
            protocol::Scope::System => Self::System,
        }
    }
}

fn datastore_error(reason: String) -> RpcError {
    let data = json!({"reason": reason});
    RpcError::new(code::DATASTORE, reason).with_data(data)
}

fn no_crypto(wanted: bool) -> Result<(), RpcError> {
    match wanted {
        false => Ok(()),
        true => Err(datastore_error(
            "encryption needs a key, and none is configured".to_owned(),
        )),
    }
}
