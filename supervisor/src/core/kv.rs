//! Reading and writing the datastore, for sensors and for the API: encryption, life times, and the
//! events that tell of changes.

use petrel_sdk::protocol::{Call, KvDelete, KvGet, KvList, KvSet, RpcError, Scope, code};
use serde_json::{Value, json};

use super::datastore::{Change, expiry, stored_text};
pub use super::datastore::{Key, USER};
use super::effect::Effect;
use super::intake::Reply;
use super::record::KvItem;
use super::seal::texts_of;
use super::sensor::SensorIx;
use super::step::{After, Core};
use super::view::kv_item;
pub use crate::rules::store::Owner;

/// How a value that is written is to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrecy {
    /// As it is.
    #[default]
    Plain,
    /// Encrypted.
    Encrypt,
    /// It is ciphertext already, of this datastore's key.
    Encrypted,
}

/// A value to be written.
#[derive(Clone, Debug)]
pub struct Put {
    /// Where.
    pub key: Key,
    /// Text.
    pub value: String,
    /// Seconds to live.
    pub ttl: Option<u64>,
    /// How it is kept.
    pub secrecy: Secrecy,
}

/// A question of the API to the datastore.
#[derive(Clone, Debug)]
pub enum KvAsk {
    /// One item, or null.
    Get {
        /// Which.
        key: Key,
        /// In clear, where it is encrypted.
        decrypt: bool,
    },
    /// Write all of these or none; the items.
    Set(Vec<Put>),
    /// Remove these; how many there were.
    Delete(Vec<Key>),
    /// The items of a scope, or of both, by the beginning of their names.
    List {
        /// Whose; none for all.
        owner: Option<Owner>,
        /// Of the whole name.
        prefix: String,
        /// In clear, where they are encrypted.
        decrypt: bool,
    },
}

impl Core {
    /// A sensor's question.
    pub(super) fn kv(&mut self, sensor: SensorIx, generation: u64, reply: Reply, call: Call) {
        let before = self.batch.kv.len();
        match self.kv_result(sensor, call) {
            Ok(result) if self.batch.kv.len() > before => {
                self.answer_later(sensor, generation, Some(reply), result);
            }
            Ok(result) => self.answer(sensor, generation, &reply, result),
            Err(error) => self.answer_error(sensor, generation, &reply, error),
        }
    }

    /// No log and no record of a crash shows what came out of the datastore decrypted, or was to be
    /// encrypted there.
    fn learn(&mut self, sensor: SensorIx, secret: &Value) {
        self.sensors[sensor.0].learn(texts_of(secret));
    }

    fn kv_result(&mut self, sensor: SensorIx, call: Call) -> Result<Value, RpcError> {
        let reference = self.sensors[sensor.0].spec.reference.clone();
        let now = self.now.wall;
        match call {
            Call::KvGet(KvGet {
                key: name,
                scope,
                decrypt,
            }) => {
                let key = Key::of_sensor(scope, &reference, &name);
                if decrypt {
                    self.may_decrypt(scope, &name)?;
                }
                let item = self.store.get(&key, now).cloned();
                let is_secret = item.as_ref().is_some_and(|item| item.secret && decrypt);
                let value = item.map(|item| self.shown(&key, item, decrypt)).transpose();
                let value = json!(value.map_err(refusal)?.map(|item| item.value));
                if is_secret {
                    self.learn(sensor, &value);
                }
                Ok(value)
            }
            Call::KvSet(set) => {
                let key = Key::of_sensor(set.scope, &reference, &set.key);
                if set.encrypt {
                    self.learn(sensor, &set.value);
                }
                self.put(sensor_put(key, &set)).map_err(refusal)?;
                Ok(Value::Null)
            }
            Call::KvDelete(KvDelete { key, scope }) => {
                let key = Key::of_sensor(scope, &reference, &key);
                Ok(json!(self.remove(&key)))
            }
            Call::KvList(list) => {
                if list.decrypt {
                    self.may_decrypt(list.scope, &list.prefix)?;
                }
                let (found, secrets) = self.sensor_list(&reference, &list).map_err(refusal)?;
                self.learn(sensor, &secrets);
                Ok(found)
            }
            _ => Err(RpcError::new(code::INTERNAL, "not a datastore method")),
        }
    }

    /// A sensor reads what is encrypted in its own scope and its pack's, and elsewhere what
    /// `datastore.decrypt` allows.
    fn may_decrypt(&self, scope: Scope, name: &str) -> Result<(), RpcError> {
        let allowed = scope != Scope::System
            || self
                .decrypt
                .iter()
                .any(|prefix| name.starts_with(&**prefix));
        if allowed {
            return Ok(());
        }
        let message = format!(
            "decrypting \"{name}\" of the system scope needs its prefix in datastore.decrypt of \
             petrel.yaml"
        );
        Err(RpcError::new(code::OUT_OF_SCOPE, message))
    }

    /// The items, and the values among them that were encrypted.
    fn sensor_list(&self, reference: &str, list: &KvList) -> Result<(Value, Value), String> {
        let to_usize = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let cut = Key::of_sensor(list.scope, reference, "").name().len();
        let prefix = Key::of_sensor(list.scope, reference, &list.prefix);
        let items = self
            .store
            .list(Owner::System, prefix.name(), self.now.wall)
            .skip(to_usize(list.offset))
            .take(list.limit.map_or(usize::MAX, to_usize));
        let (mut found, mut secrets) = (Vec::new(), Vec::new());
        for (key, item) in items {
            let shown = self.shown(key, item.clone(), list.decrypt)?;
            if item.secret && list.decrypt {
                secrets.push(json!(shown.value));
            }
            let expires = shown.expires.map(super::clock::Wall::rfc3339);
            found
                .push(json!({"key": &key.name()[cut..], "value": shown.value, "expires": expires}));
        }
        Ok((json!(found), json!(secrets)))
    }

    /// A question of the API.
    pub(super) fn ask_kv(&mut self, ask: u64, question: KvAsk) {
        let before = self.batch.kv.len();
        match self.kv_answer(question) {
            Ok(answer) if self.batch.kv.len() > before => {
                self.after.push(After::Reply { ask, answer });
            }
            answer => self.out.push(Effect::Reply { ask, answer }),
        }
    }

    fn kv_answer(&mut self, question: KvAsk) -> Result<Value, String> {
        let now = self.now.wall;
        match question {
            KvAsk::Get { key, decrypt } => match self.store.get(&key, now).cloned() {
                None => Ok(Value::Null),
                Some(item) => self.told(&key, item, decrypt),
            },
            KvAsk::Set(puts) => self.put_all(puts),
            KvAsk::Delete(keys) => {
                let gone = keys.iter().filter(|key| self.remove(key));
                Ok(json!(gone.count()))
            }
            KvAsk::List {
                owner,
                prefix,
                decrypt,
            } => {
                let owners = [Owner::System, Owner::User];
                let wanted = owners
                    .into_iter()
                    .filter(|one| owner.is_none_or(|o| o == *one));
                let items = wanted.flat_map(|owner| self.store.list(owner, &prefix, now));
                let shown = items.map(|(key, item)| {
                    let told = self.told(key, item.clone(), decrypt);
                    told.map_err(|why| format!("{}: {why}", key.name()))
                });
                shown.collect()
            }
        }
    }

    /// Every value is made ready before the first is written.
    fn put_all(&mut self, puts: Vec<Put>) -> Result<Value, String> {
        let mut ready = Vec::new();
        for put in puts {
            let key = put.key.clone();
            let item = self
                .item(put)
                .map_err(|why| format!("{}: {why}", key.name()))?;
            ready.push((key, item));
        }
        self.store.has_room(&ready)?;
        let mut written = Vec::new();
        for (key, item) in ready {
            written.push(kv_item(&key, &item));
            let change = self.store.set(key, item, self.now.wall)?;
            self.changed(change);
        }
        Ok(Value::Array(written))
    }

    fn put(&mut self, put: Put) -> Result<(), String> {
        let key = put.key.clone();
        let item = self.item(put)?;
        let change = self.store.set(key, item, self.now.wall)?;
        self.changed(change);
        Ok(())
    }

    fn item(&mut self, put: Put) -> Result<KvItem, String> {
        let name = put.key.name();
        let value = match put.secrecy {
            Secrecy::Plain => put.value,
            Secrecy::Encrypt => self.encrypt(name, &put.value)?,
            Secrecy::Encrypted => {
                self.decrypted(name, &put.value)?;
                put.value
            }
        };
        Ok(KvItem {
            value,
            expires: put.ttl.map(|ttl| expiry(ttl, self.now.wall)),
            secret: put.secrecy != Secrecy::Plain,
        })
    }

    fn remove(&mut self, key: &Key) -> bool {
        let change = self.store.delete(key, self.now.wall);
        let was = change.is_some();
        if let Some(change) = change {
            self.changed(change);
        }
        was
    }

    fn changed(&mut self, change: Change) {
        self.batch.kv.push(change.write());
        let shown = |item: &KvItem| kv_item(&change.key, item);
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        let what = match (before, after) {
            (None, _) => "create",
            (_, Some(_)) => "update",
            (_, None) => "delete",
        };
        let object = after.or(before).map(shown);
        self.emit(
            &format!("core.st2.key_value_pair.{what}"),
            || json!({"object": object}),
        );
        if let (Some(old), Some(new)) = (before, after)
            && old.value != new.value
        {
            let payload = || json!({"old_object": shown(old), "new_object": shown(new)});
            self.emit("core.st2.key_value_pair.value_change", payload);
        }
    }

    pub(super) fn encrypt(&mut self, name: &str, plain: &str) -> Result<String, String> {
        self.last_secret += 1;
        let nonce = self.last_secret ^ (self.now.wall.0 as u64).rotate_left(20);
        let cipher = self.cipher.as_ref().ok_or_else(|| no_key(name))?;
        Ok(cipher.encrypt(plain, cipher.iv_for(nonce, name, plain)))
    }

    pub(super) fn decrypted(&self, name: &str, hex: &str) -> Result<String, String> {
        let cipher = self.cipher.as_ref().ok_or_else(|| no_key(name))?;
        cipher.decrypt(hex)
    }

    /// An item as the API tells it: a secret stays one where it is told in clear.
    fn told(&self, key: &Key, item: KvItem, decrypt: bool) -> Result<Value, String> {
        let mut told = kv_item(key, &item);
        if decrypt && item.secret {
            told["value"] = json!(self.decrypted(key.name(), &item.value)?);
            told["encrypted"] = json!(false);
        }
        Ok(told)
    }

    /// An item as its reader gets it.
    fn shown(&self, key: &Key, item: KvItem, decrypt: bool) -> Result<KvItem, String> {
        if !(decrypt && item.secret) {
            return Ok(item);
        }
        Ok(KvItem {
            value: self.decrypted(key.name(), &item.value)?,
            secret: false,
            ..item
        })
    }
}

fn sensor_put(key: Key, set: &KvSet) -> Put {
    Put {
        key,
        value: stored_text(&set.value),
        ttl: set.ttl_s.map(|seconds| seconds.ceil() as u64),
        secrecy: match set.encrypt {
            true => Secrecy::Encrypt,
            false => Secrecy::Plain,
        },
    }
}

fn refusal(reason: String) -> RpcError {
    let data = json!({"reason": reason});
    RpcError::new(code::DATASTORE, reason).with_data(data)
}

fn no_key(name: &str) -> String {
    format!(
        "there is no key to encrypt or decrypt \"{name}\" with; datastore.encryption_key of \
         petrel.yaml names its file"
    )
}
