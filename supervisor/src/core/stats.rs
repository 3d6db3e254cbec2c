//! What happened since the start, in numbers. Names and meanings: ARCHITECTURE.md, "Metrics".

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::record::{Execution, Outcome, Status};
use super::step::Core;

/// The longest time that is told from longer ones, microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// Most rows that are told from more.
const MOST_ROWS: u64 = 10_000_000;

/// Counts and distributions.
#[derive(Debug)]
pub struct Stats {
    accepted: u64,
    duplicates: u64,
    /// Accepted, and no more than counted.
    pub(super) passed: u64,
    pub(super) rejected: u64,
    matched: u64,
    failed: u64,
    results: BTreeMap<&'static str, u64>,
    pub(super) restarts: u64,
    /// From the core to the answer of an event.
    pub(super) ack: Spread,
    /// From being asked for to being claimed, of an execution.
    wait: Spread,
    /// From being claimed to its end.
    run: Spread,
    commit: Spread,
    sync: Spread,
    rows: Spread,
}

/// What a transaction of the journal took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// All of it.
    pub took: Duration,
    /// Its end, the wait for the disk.
    pub sync: Duration,
    /// Batches in it.
    pub batches: u64,
}

/// How values are spread, to about 1 %.
#[derive(Debug)]
pub struct Spread(Histogram<u64>);

impl Spread {
    fn upto(most: u64) -> Self {
        Self(Histogram::new_with_bounds(1, most, 2).expect("bounds that are fit for it"))
    }

    fn note(&mut self, value: u64) {
        self.0.saturating_record(value.max(1));
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.note(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Divided by `unit`.
    fn view(&self, unit: f64) -> Value {
        let all = &self.0;
        if all.is_empty() {
            return json!({"count": 0});
        }
        let part = |share: f64| all.value_at_quantile(share) as f64 / unit;
        json!({
            "count": all.len(),
            "p50": part(0.5),
            "p90": part(0.9),
            "p99": part(0.99),
            "max": all.max() as f64 / unit,
        })
    }

    fn view_ms(&self) -> Value {
        self.view(1000.0)
    }
}

impl Default for Stats {
    fn default() -> Self {
        let times = || Spread::upto(LONGEST);
        Self {
            accepted: 0,
            duplicates: 0,
            passed: 0,
            rejected: 0,
            matched: 0,
            failed: 0,
            results: BTreeMap::new(),
            restarts: 0,
            ack: times(),
            wait: times(),
            run: times(),
            commit: times(),
            sync: times(),
            rows: Spread::upto(MOST_ROWS),
        }
    }
}

impl Stats {
    /// A transaction is written.
    pub(super) fn written(&mut self, written: Written) {
        self.commit.took(written.took);
        self.sync.took(written.sync);
        self.rows.note(written.batches);
    }

    /// An event is judged: whether rules matched, and whether one failed.
    pub(super) fn judged(&mut self, matched: bool, failed: bool) {
        self.matched += u64::from(matched);
        self.failed += u64::from(failed);
    }

    /// An event is on disk, or was there before.
    pub(super) fn kept(&mut self, is_new: bool) {
        match is_new {
            true => self.accepted += 1,
            false => self.duplicates += 1,
        }
    }

    /// An execution is claimed.
    pub(super) fn claimed(&mut self, execution: &Execution) {
        if let Some(started) = execution.started {
            self.wait.took(started.since(execution.requested));
        }
    }

    /// An execution is over.
    pub(super) fn ended(&mut self, execution: &Execution, outcome: &Outcome) {
        *self.results.entry(outcome.status.word()).or_default() += 1;
        let started = outcome.started.or(execution.started);
        if let Some(started) = started.filter(|_| outcome.status != Status::Canceled) {
            self.run.took(outcome.ended.since(started));
        }
    }
}

impl Core {
    /// As `/v1/stats` has it; times in milliseconds.
    pub fn stats_view(&self) -> Value {
        let stats = &self.stats;
        let (waiting, more) = self.executions.queue.waiting();
        let mut states: BTreeMap<&str, u64> = BTreeMap::new();
        for sensor in self.names.values() {
            let word = self.sensors[sensor.0].shown_state();
            *states.entry(word).or_default() += 1;
        }
        json!({
            "uptime_s": (self.now.mono.saturating_sub(self.begun)).as_secs_f64(),
            "journal": self.journal_trouble,
            "events": {
                "accepted": stats.accepted,
                "duplicate": stats.duplicates,
                "passed": stats.passed,
                "rejected": stats.rejected,
                "matched": stats.matched,
                "failed": stats.failed,
                "ack_ms": stats.ack.view_ms(),
            },
            "commits": {
                "backlog": self.commits_under_way(),
                "batches": stats.rows.view(1.0),
                "ms": stats.commit.view_ms(),
                "sync_ms": stats.sync.view_ms(),
            },
            "executions": {
                "waiting": waiting,
                "more_in_journal": more,
                "pending": self.executions.pending.len(),
                "running": self.executions.running.len(),
                "slots": self.executions.queue.slots(),
                "results": stats.results,
                "wait_ms": stats.wait.view_ms(),
                "run_ms": stats.run.view_ms(),
            },
            "sensors": {"states": states, "restarts": stats.restarts},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_tells_its_parts_and_nothing_where_there_is_nothing() {
        let mut spread = Spread::upto(LONGEST);
        assert_eq!(spread.view_ms(), json!({"count": 0}));
        for ms in 1..=1000 {
            spread.took(Duration::from_millis(ms));
        }
        let view = spread.view_ms();
        let about = |name: &str, ms: f64| {
            let found = view[name].as_f64().expect("a number");
            assert!((found - ms).abs() <= ms / 50.0, "{name}: {found}");
        };
        about("p50", 500.0);
        about("p99", 990.0);
        about("max", 1000.0);
        spread.took(Duration::from_secs(100_000));
        assert_eq!(spread.view_ms()["count"], 1001);
    }
}
