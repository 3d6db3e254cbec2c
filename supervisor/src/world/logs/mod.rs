//! The logs of sensors on disk: a thread writes them, apart from the journal and without its fsync.
//!
//! What waits for the thread is bounded in bytes; what does not fit is dropped and counted, so a
//! slow disk stops no sensor and not the supervisor. Followers get each record from memory.

pub mod files;
pub mod journald;
pub mod read;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, oneshot};

use super::signals;
use crate::catalog::Sensor;
use crate::config::LogSettings;
use crate::core::logs::LogRecord;

/// Most bytes of records that wait for the disk.
const MOST_WAITING: usize = 4 << 20;

/// What a record takes in memory beside its text, bytes, roughly.
const RECORD_BYTES: usize = 256;

/// Records that a follower may be behind before it misses some.
const MOST_BEHIND: usize = 1024;

/// How long an upgrade waits for the disk.
const FLUSH: Duration = Duration::from_millis(100);

/// How long the end waits for the disk.
const LAST: Duration = Duration::from_secs(2);

/// A record and whose it is.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The sensor.
    pub spec: Arc<Sensor>,
    /// The record.
    pub record: Arc<LogRecord>,
}

/// What is done once something is written.
type Done = Box<dyn FnOnce() + Send>;

/// What the thread does, in order.
enum Order {
    Write {
        entry: Entry,
        /// Records of this sensor that were dropped before it.
        lost: u64,
        /// Room, which is given back when it is written.
        _room: OwnedSemaphorePermit,
    },
    /// Say when all before is with the system.
    Flush(Done),
    /// No more is to come.
    End,
}

/// The way to the thread.
#[derive(Debug)]
pub struct Logs {
    orders: Sender<Order>,
    room: Arc<Semaphore>,
    lost: HashMap<String, u64>,
    live: broadcast::Sender<Entry>,
    done: Receiver<()>,
}

/// For those who read: the records as they come, and a word when those before are on disk.
#[derive(Clone, Debug)]
pub struct Tap {
    live: broadcast::Sender<Entry>,
    orders: Sender<Order>,
}

impl Logs {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn start(data: &Path, settings: &LogSettings) -> std::io::Result<Self> {
        let (orders, waiting) = channel();
        let (ended, done) = channel();
        let mut writer = writer::Writer::new(files::folder(data), settings);
        std::thread::Builder::new()
            .name("logs".into())
            .spawn(move || {
                signals::defer();
                writer.run(&waiting);
                // Nobody may wait for it any more.
                let _ = ended.send(());
            })?;
        Ok(Self {
            orders,
            room: Arc::new(Semaphore::new(MOST_WAITING)),
            lost: HashMap::new(),
            live: broadcast::channel(MOST_BEHIND).0,
            done,
        })
    }

    /// Shows a record to followers and has it written.
    pub fn keep(&mut self, spec: Arc<Sensor>, record: Arc<LogRecord>) {
        let bytes = RECORD_BYTES + record.message.len();
        let entry = Entry { spec, record };
        if self.live.receiver_count() > 0 {
            // Without a follower there is nobody to miss it.
            let _ = self.live.send(entry.clone());
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes);
        let reference = &entry.spec.reference;
        let Ok(room) = room else {
            *self.lost.entry(reference.clone()).or_default() += 1;
            return;
        };
        let lost = self.lost.remove(reference).unwrap_or_default();
        let order = Order::Write {
            entry,
            lost,
            _room: room,
        };
        // The thread ends only after us.
        let _ = self.orders.send(order);
    }

    /// For those who read.
    pub fn tap(&self) -> Tap {
        Tap {
            live: self.live.clone(),
            orders: self.orders.clone(),
        }
    }

    /// Waits until what there is is written, but not for ever.
    pub fn flush(&self) {
        let (to, done) = channel();
        let to = Box::new(move || {
            // Who asked may have gone away.
            let _ = to.send(());
        });
        if self.orders.send(Order::Flush(to)).is_ok() {
            let _ = done.recv_timeout(FLUSH);
        }
    }

    /// Waits until all is written, within reason.
    pub fn finish(self) {
        // Readers may have the way to the thread still.
        let _ = self.orders.send(Order::End);
        if self.done.recv_timeout(LAST).is_err() {
            tracing::warn!("the last of the sensors' logs is not on disk: it is too slow");
        }
    }
}

impl Tap {
    /// The records from now on.
    pub fn follow(&self) -> broadcast::Receiver<Entry> {
        self.live.subscribe()
    }

    /// Waits until the records up to now can be read from the files.
    pub async fn flushed(&self) {
        let (to, done) = oneshot::channel();
        let to = Box::new(move || {
            // Who asked may have gone away.
            let _ = to.send(());
        });
        if self.orders.send(Order::Flush(to)).is_ok() {
            // An error means that the thread is gone, and with it whatever it had not written.
            let _ = done.await;
        }
    }
}
