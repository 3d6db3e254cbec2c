//! The one thread that writes: everything that waited during the last commit is one transaction.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, params};

use super::query::execution_from_row;
use super::remove::{remember_number, remove};
use super::space;
use crate::core::clock::Wall;
use crate::core::ids;
use crate::core::input::{Duplicate, Input};
use crate::core::queue::{Fetch, Whose};
use crate::core::record::{Batch, CrashRow, Event, Execution, ExecutionChange, KvWrite, Rejected};
use crate::core::retention::{Chore, Tended};
use crate::core::stats::Written;
use crate::world::clock;
use crate::world::signals;

/// Within this time an idempotency key is known.
const DEDUP_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Most batches in one transaction: the knee where larger ones only add latency.
const MOST_BATCHES: usize = 1000;

/// Between two tries while the disk is full.
const RETRY: Duration = Duration::from_secs(1);

/// Refused messages that are kept.
const MOST_REJECTED: u64 = 10_000;

/// Ends of a sensor that are kept.
const MOST_CRASHES: i64 = 20;

/// What the thread is asked to do, in order.
#[derive(Debug)]
pub enum Order {
    /// Write.
    Commit {
        /// Rising from 1.
        number: u64,
        /// What.
        batch: Box<Batch>,
    },
    /// Read owed executions.
    Refill(Fetch),
    /// Do this beside.
    Tend(Chore),
}

/// Why the thread ended.
pub type Ended = anyhow::Result<()>;

/// The handle of the thread; dropping the sender ends it once all is written.
#[derive(Debug)]
pub struct Journal {
    /// Orders, in order.
    pub orders: Sender<Order>,
    /// The thread.
    pub thread: JoinHandle<Ended>,
}

/// Starts the thread; `tell` takes its answers.
pub fn start(
    db: Connection,
    boot: String,
    tell: impl Fn(Input) -> bool + Send + 'static,
) -> std::io::Result<Journal> {
    let (orders, waiting) = channel();
    let mut writer = Writer {
        db,
        sync: Sync::Now,
        boot,
        fresh: 0,
        tell: Box::new(tell),
    };
    let thread = std::thread::Builder::new()
        .name("journal".into())
        .spawn(move || {
            signals::defer();
            writer.run(&waiting)
        })?;
    Ok(Journal { orders, thread })
}

/// A batch with its number.
type Numbered = (u64, Box<Batch>);

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sync {
    Now,
    Later,
}

/// What the transactions of one group know of each other.
#[derive(Debug, Default)]
struct Group {
    /// Rules that judged events which overtake their text.
    rule_sets: Vec<(String, String)>,
    /// Sensors whose memory is written already, by the batch of which number.
    memories: HashMap<String, u64>,
}

struct Writer {
    db: Connection,
    /// As the connection is set.
    sync: Sync,
    boot: String,
    /// Rows of events that came since rows were last removed.
    fresh: usize,
    tell: Box<dyn Fn(Input) -> bool + Send>,
}

impl Writer {
    fn run(&mut self, waiting: &Receiver<Order>) -> Ended {
        while let Ok(first) = waiting.recv() {
            let mut orders = vec![first];
            orders.extend(waiting.try_iter().take(MOST_BATCHES - 1));
            self.take(orders)?;
        }
        Ok(())
    }

    /// Commits come first up to a read, so that the read sees them.
    fn take(&mut self, orders: Vec<Order>) -> Ended {
        let mut commits = Vec::new();
        for order in orders {
            match order {
                Order::Commit { number, batch } => commits.push((number, batch)),
                Order::Refill(fetch) => {
                    self.commit(&mut commits)?;
                    self.refill(fetch)?;
                }
                Order::Tend(chore) => {
                    self.commit(&mut commits)?;
                    self.tend(&chore)?;
                }
            }
        }
        self.commit(&mut commits)
    }

    /// Writes all; those that need not be on disk first, for they wait for nothing.
    fn commit(&mut self, commits: &mut Vec<Numbered>) -> Ended {
        let Some(upto) = commits.last().map(|(number, _)| *number) else {
            return Ok(());
        };
        let all = std::mem::take(commits);
        let (safe, fast): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, batch)| !batch.unsynced);
        let overtakes = !fast.is_empty() && !safe.is_empty();
        let mut group = Group::default();
        if overtakes {
            group.rule_sets = safe
                .iter()
                .flat_map(|(_, batch)| batch.rule_sets.clone())
                .collect();
        }
        let mut duplicates = self.write_all(&fast, Sync::Later, &mut group)?;
        if overtakes {
            let numbers = fast.iter().map(|(number, _)| *number).collect();
            let duplicates = std::mem::take(&mut duplicates);
            (self.tell)(Input::Written {
                numbers,
                duplicates,
            });
        }
        duplicates.extend(self.write_all(&safe, Sync::Now, &mut group)?);
        (self.tell)(Input::Committed { upto, duplicates });
        Ok(())
    }

    /// One transaction, tried until the disk has room. Any other error ends the thread: what is on
    /// the disk is then known only to a new start.
    fn write_all(
        &mut self,
        commits: &[Numbered],
        sync: Sync,
        group: &mut Group,
    ) -> anyhow::Result<Vec<Duplicate>> {
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        self.choose(sync)?;
        let duplicates = self.until_there_is_room(|writer| writer.transaction(commits, group))?;
        let rows = commits.iter().map(|(_, batch)| batch.events.len());
        self.fresh += rows.sum::<usize>();
        for (number, batch) in commits.iter().filter(|_| sync == Sync::Later) {
            let written = batch
                .sensors
                .iter()
                .map(|(name, _)| (name.clone(), *number));
            group.memories.extend(written);
        }
        Ok(duplicates)
    }

    fn until_there_is_room<T>(
        &mut self,
        write: impl Fn(&mut Self) -> rusqlite::Result<T>,
    ) -> anyhow::Result<T> {
        let mut stuck = false;
        let done = loop {
            match write(self) {
                Ok(done) => break done,
                Err(error) if is_full(&error) => {
                    if !stuck {
                        (self.tell)(Input::JournalStuck(Some(error.to_string())));
                    }
                    stuck = true;
                    std::thread::sleep(RETRY);
                }
                Err(error) => return Err(error.into()),
            }
        };
        if stuck {
            (self.tell)(Input::JournalStuck(None));
        }
        Ok(done)
    }

    /// Nobody waits for the disk here: what is removed once more after a loss of power does no harm.
    fn tend(&mut self, chore: &Chore) -> Ended {
        self.choose(Sync::Later)?;
        // As much goes as came, so that the file never outgrows its bounds by a flood.
        let least = std::mem::take(&mut self.fresh) * 5 / 4;
        let removed = match chore {
            Chore::Measure => None,
            Chore::Remove(order) => {
                Some(self.until_there_is_room(|writer| remove(&mut writer.db, order, least))?)
            }
            Chore::Shrink { pages } => {
                self.until_there_is_room(|writer| space::shrink(&writer.db, *pages))?;
                None
            }
        };
        let space = space::measure(&self.db)?;
        (self.tell)(Input::Tended(Box::new(Tended { removed, space })));
        Ok(())
    }

    /// Whether commits wait for the disk from now on.
    fn choose(&mut self, sync: Sync) -> rusqlite::Result<()> {
        if self.sync != sync {
            let word = match sync {
                Sync::Now => "full",
                Sync::Later => "normal",
            };
            self.db.pragma_update(None, "synchronous", word)?;
            self.sync = sync;
        }
        Ok(())
    }

    fn transaction(
        &mut self,
        commits: &[Numbered],
        group: &Group,
    ) -> rusqlite::Result<Vec<Duplicate>> {
        let begun = clock::now().mono;
        let transaction = self.db.transaction()?;
        let mut duplicates = Vec::new();
        for (hash, text) in &group.rule_sets {
            insert_rule_set(&transaction, hash, text)?;
        }
        for (number, batch) in commits {
            write(&transaction, batch, &self.boot, &mut duplicates)?;
            write_memories(&transaction, *number, batch, group)?;
        }
        let made = clock::now().mono;
        transaction.commit()?;
        let ended = clock::now().mono;
        (self.tell)(Input::Transaction(Written {
            took: ended.saturating_sub(begun),
            sync: ended.saturating_sub(made),
            batches: commits.len() as u64,
        }));
        Ok(duplicates)
    }

    fn refill(&mut self, fetch: Fetch) -> Ended {
        let executions = owed(&self.db, &fetch)?;
        let all = executions.len() < fetch.most;
        let of = fetch.of;
        (self.tell)(Input::Refilled {
            of,
            executions,
            all,
        });
        Ok(())
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

pub(super) const DELAYED: &str = "SELECT * FROM executions
    WHERE status = 'delayed' AND ended IS NULL AND seq > ?1 AND action = ?3 ORDER BY seq LIMIT ?2";
pub(super) const REQUESTED: &str = "SELECT * FROM executions
    WHERE status = 'requested' AND seq > ?1 AND rule = ?3 ORDER BY seq LIMIT ?2";

fn owed(db: &Connection, fetch: &Fetch) -> rusqlite::Result<Vec<Execution>> {
    let (text, name) = match &fetch.of {
        Whose::Delayed(action) => (DELAYED, action),
        Whose::Rule(rule) => (REQUESTED, rule),
    };
    let mut statement = db.prepare_cached(text)?;
    let given = params![fetch.after as i64, fetch.most as i64, name];
    statement.query_map(given, execution_from_row)?.collect()
}

fn write(
    db: &Transaction<'_>,
    batch: &Batch,
    boot: &str,
    duplicates: &mut Vec<Duplicate>,
) -> rusqlite::Result<()> {
    for (hash, text) in &batch.rule_sets {
        insert_rule_set(db, hash, text)?;
    }
    for event in &batch.events {
        match first_of(db, event)? {
            Some(first) => duplicates.push(Duplicate {
                event: event.seq,
                first,
            }),
            None if event.kept => insert_event(db, event)?,
            None => remember_number(db, "last_event", event.seq)?,
        }
    }
    for execution in &batch.executions {
        if !duplicates
            .iter()
            .any(|one| Some(one.event) == execution.event)
        {
            insert_execution(db, execution, boot)?;
        }
    }
    for change in &batch.changes {
        change_execution(db, change, boot)?;
    }
    for kv in &batch.kv {
        write_kv(db, kv)?;
    }
    for (reference, settled) in &batch.timers {
        match settled {
            Some(at) => db
                .prepare_cached("INSERT OR REPLACE INTO timers VALUES (?1, ?2)")?
                .execute(params![reference, at.0])?,
            None => db
                .prepare_cached("DELETE FROM timers WHERE ref = ?1")?
                .execute([reference])?,
        };
    }
    for seq in &batch.unrejected {
        db.prepare_cached("DELETE FROM rejected WHERE seq = ?1")?
            .execute([*seq as i64])?;
    }
    for rejected in &batch.rejected {
        insert_rejected(db, rejected)?;
    }
    for crash in &batch.crashes {
        insert_crash(db, crash)?;
    }
    for (trigger, counts) in &batch.counts {
        db.prepare_cached("INSERT OR REPLACE INTO counts VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                trigger,
                counts.accepted as i64,
                counts.matched as i64,
                counts.dropped as i64
            ])?;
    }
    Ok(())
}

fn insert_rule_set(db: &Transaction<'_>, hash: &str, text: &str) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO rule_sets VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute([hash, text])?;
    Ok(())
}

/// A later batch may have overtaken this one: then the memory is newer.
fn write_memories(
    db: &Transaction<'_>,
    number: u64,
    batch: &Batch,
    group: &Group,
) -> rusqlite::Result<()> {
    for (reference, memory) in &batch.sensors {
        if group
            .memories
            .get(reference)
            .is_some_and(|newer| *newer > number)
        {
            continue;
        }
        let text = serde_json::to_string(memory).unwrap_or_default();
        db.prepare_cached("INSERT OR REPLACE INTO sensors VALUES (?1, ?2)")?
            .execute(params![reference, text])?;
    }
    Ok(())
}

/// The identifier of the event that had this key first, within the window; otherwise this one
/// takes the key.
fn first_of(db: &Transaction<'_>, event: &Event) -> rusqlite::Result<Option<String>> {
    let Some(key) = &event.key else {
        return Ok(None);
    };
    let window = i64::try_from(DEDUP_WINDOW.as_micros()).unwrap_or(i64::MAX);
    db.prepare_cached("DELETE FROM seen WHERE received < ?1")?
        .execute([event.received.0 - window])?;
    let first = db
        .prepare_cached(
            "SELECT event, received FROM seen WHERE sensor = ?1 AND trigger = ?2 AND key = ?3",
        )?
        .query_row(params![event.sensor, event.trigger, key], |row| {
            let (seq, at): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(ids::format(ids::Kind::Event, Wall(at), seq as u64))
        })
        .optional()?;
    if first.is_none() {
        db.prepare_cached("INSERT INTO seen VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                event.sensor,
                event.trigger,
                key,
                event.seq as i64,
                event.received.0
            ])?;
    }
    Ok(first)
}

fn insert_event(db: &Transaction<'_>, event: &Event) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?
        .execute(params![
            event.seq as i64,
            event.trigger,
            event.sensor,
            event.received.0,
            event.time,
            event.trace_tag,
            event.payload,
            event.verdict,
            &*event.rule_set,
            event.trigger_ref,
        ])?;
    Ok(())
}

fn insert_execution(
    db: &Transaction<'_>,
    execution: &Execution,
    boot: &str,
) -> rusqlite::Result<()> {
    let parameters = serde_json::to_string(&execution.parameters).unwrap_or_default();
    db.prepare_cached(
        "INSERT INTO executions VALUES
             (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?14, ?15, ?11, ?12, ?13)",
    )?
    .execute(params![
        execution.seq as i64,
        execution.event.map(|event| event as i64),
        execution.rule,
        execution.rule_version,
        execution.action,
        parameters,
        execution.status.word(),
        execution.started.map(|_| boot),
        execution.requested.0,
        execution.started.map(|at| at.0),
        serde_json::to_string(&execution.cause).unwrap_or_default(),
        execution.cause.parent_seq().map(|parent| parent as i64),
        execution.progress,
        execution.over.map(|at| at.0),
        execution.over.map(|_| "null"),
    ])?;
    Ok(())
}

/// Every change names the status that it comes from, so that a final one is never left.
fn change_execution(
    db: &Transaction<'_>,
    change: &ExecutionChange,
    boot: &str,
) -> rusqlite::Result<()> {
    match change {
        ExecutionChange::Delayed { seq } => {
            db.prepare_cached(
                "UPDATE executions SET status = 'delayed' WHERE seq = ?1 AND status = 'requested'",
            )?
            .execute([*seq as i64])?;
        }
        ExecutionChange::Progress { seq, progress } => {
            db.prepare_cached(
                "UPDATE executions SET progress = ?2 WHERE seq = ?1 AND status = 'running'",
            )?
            .execute(params![*seq as i64, progress])?;
        }
        ExecutionChange::Claimed { seq, at } => {
            db.prepare_cached(
                "UPDATE executions SET status = 'running', started = ?2, boot = ?3
                 WHERE seq = ?1 AND status IN ('requested', 'delayed')",
            )?
            .execute(params![*seq as i64, at.0, boot])?;
        }
        ExecutionChange::Returned { seq } => {
            db.prepare_cached(
                "UPDATE executions SET status = 'requested', started = NULL, boot = NULL
                 WHERE seq = ?1 AND status = 'running'",
            )?
            .execute([*seq as i64])?;
        }
        ExecutionChange::Pending { seq } => {
            db.prepare_cached(
                "UPDATE executions SET status = 'pending' WHERE seq = ?1 AND status = 'running'",
            )?
            .execute([*seq as i64])?;
        }
        ExecutionChange::Again { seq, cause } => {
            db.prepare_cached(
                "UPDATE executions SET status = 'requested', started = NULL, boot = NULL, cause = ?2
                 WHERE seq = ?1 AND status IN ('running', 'pending')",
            )?
            .execute(params![
                *seq as i64,
                serde_json::to_string(cause).unwrap_or_default()
            ])?;
        }
        ExecutionChange::Ended { seq, outcome } => {
            db.prepare_cached(
                "UPDATE executions SET status = ?2, started = coalesce(?3, started), ended = ?4,
                 result = ?5, progress = NULL
                 WHERE seq = ?1 AND status IN ('requested', 'delayed', 'running', 'pending')",
            )?
            .execute(params![
                *seq as i64,
                outcome.status.word(),
                outcome.started.map(|at| at.0),
                outcome.ended.0,
                outcome.result.to_string(),
            ])?;
        }
    }
    Ok(())
}

fn write_kv(db: &Transaction<'_>, kv: &KvWrite) -> rusqlite::Result<()> {
    let (scope, name) = (kv.key.scope(), kv.key.name());
    match &kv.item {
        Some(item) => db
            .prepare_cached("INSERT OR REPLACE INTO datastore VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                scope,
                name,
                item.value,
                item.expires.map(|at| at.0),
                item.secret
            ])?,
        None => db
            .prepare_cached("DELETE FROM datastore WHERE scope = ?1 AND name = ?2")?
            .execute([scope, name])?,
    };
    Ok(())
}

fn insert_rejected(db: &Transaction<'_>, rejected: &Rejected) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO rejected VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            rejected.sensor,
            rejected.at.0,
            rejected.code,
            rejected.reason,
            rejected.trigger,
            rejected.data,
            rejected.sha256,
        ])?;
    let oldest = db.last_insert_rowid() - MOST_REJECTED as i64;
    db.prepare_cached("DELETE FROM rejected WHERE seq <= ?1")?
        .execute([oldest])?;
    Ok(())
}

fn insert_crash(db: &Transaction<'_>, crash: &CrashRow) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO crashes VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            crash.sensor,
            crash.generation as i64,
            crash.summary,
            crash.details
        ])?;
    db.prepare_cached(
        "DELETE FROM crashes WHERE sensor = ?1 AND generation <=
             (SELECT generation FROM crashes WHERE sensor = ?1
              ORDER BY generation DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![crash.sensor, MOST_CRASHES])?;
    Ok(())
}
