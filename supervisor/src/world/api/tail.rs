//! What a running execution writes, as it writes it.
//!
//! While it runs, its files are read as they grow, and the core hides what nobody may see; once it is
//! over, the rest comes from its result, which hides it already.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::executions::row;
use super::handlers::{Answer, Fault, ask, read};
use super::lines;
use super::{Question, Shared};
use crate::catalog::Runner;
use crate::core::ids;
use crate::core::input::Ask;
use crate::core::record::Status;
use crate::core::view::ExecutionRow;
use crate::world::action;
use crate::world::journal::query;

/// Between two looks at what was written.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Most that one look reads of a file, bytes.
const PIECE: u64 = 256 << 10;

/// Lines that wait for a slow reader.
const MOST_LINES: usize = 1024;

/// The streams of a program, as its folder and its result name them.
const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// The paths of this file.
pub fn router() -> Router<Shared> {
    Router::new().route("/v1/executions/{id}/tail", get(tail))
}

/// Lines of JSON until it is over: what became of it, and what it writes.
async fn tail(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let first = row(&shared, &id).await?;
    let (to, answer) = mpsc::channel(MOST_LINES);
    let tail = Tail { shared, to };
    tokio::spawn(async move { tail.follow(first.seq).await });
    Ok(lines::answer(answer))
}

/// Nobody reads any more, or there is nothing to read.
struct Over;

impl From<Fault> for Over {
    fn from(_: Fault) -> Self {
        Self
    }
}

struct Tail {
    shared: Shared,
    to: mpsc::Sender<Bytes>,
}

/// How far one stream was shown.
#[derive(Default)]
struct Seen {
    /// Bytes of its file.
    read: u64,
    /// What follows the last whole line.
    begun: Vec<u8>,
    lines: usize,
}

impl Tail {
    /// One execution to its end; those of a chain's tasks within it, one after the other.
    async fn follow(&self, seq: u64) -> Result<(), Over> {
        let mut seen: [Seen; 2] = Default::default();
        let mut told = None;
        let mut tasks = BTreeSet::new();
        loop {
            let found = read(&self.shared, move |db| query::execution(db, seq)).await?;
            let row = found.ok_or(Over)?;
            if told.replace(row.status) != Some(row.status) {
                self.tell(&row, json!({"status": row.status})).await?;
            }
            if row.status == Status::Requested {
                // Begun again: what it wrote before is gone.
                seen = Default::default();
            }
            if self.is_chain(&row) {
                self.tasks(seq, &mut tasks).await?;
            } else if row.status == Status::Running {
                self.written(&row, &mut seen).await?;
            }
            if row.status.is_final() {
                return self.rest(&row, &seen).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn is_chain(&self, row: &ExecutionRow) -> bool {
        let catalog = self.shared.catalog();
        let action = catalog.actions.get(&row.action);
        action.is_some_and(|action| action.runner == Runner::ActionChain)
    }

    async fn tasks(&self, chain: u64, known: &mut BTreeSet<u64>) -> Result<(), Over> {
        let all = read(&self.shared, move |db| query::come_from(db, chain)).await?;
        for task in all.iter().filter(|one| one.is_task()) {
            if known.insert(task.seq) {
                Box::pin(self.follow(task.seq)).await?;
            }
        }
        Ok(())
    }

    /// Whole lines that were written since the last look.
    async fn written(&self, row: &ExecutionRow, seen: &mut [Seen; 2]) -> Result<(), Over> {
        let folder = action::folder(&self.shared.data, row.seq);
        for (name, seen) in STREAMS.into_iter().zip(seen) {
            loop {
                let piece = piece(folder.join(name), seen.read).await;
                let more = piece.len() as u64 == PIECE;
                let whole = seen.take(&piece);
                if !whole.is_empty() {
                    self.show(row, name, whole).await?;
                }
                if !more {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The core knows what nobody may see; of one that is over it knows nothing any more, and its
    /// result is waited for.
    async fn show(&self, row: &ExecutionRow, name: &str, whole: Vec<String>) -> Result<(), Over> {
        let execution = row.seq;
        let question = Ask::Hide { execution, whole };
        let shown = ask(&self.shared, Question::Core(question)).await;
        let Ok(Value::Array(shown)) = shown else {
            return Ok(());
        };
        for line in shown {
            self.tell(row, json!({"stream": name, "line": line}))
                .await?;
        }
        Ok(())
    }

    /// What was not seen while it ran.
    async fn rest(&self, row: &ExecutionRow, seen: &[Seen; 2]) -> Result<(), Over> {
        let result = row.result.as_deref().unwrap_or_default();
        let result: Value = serde_json::from_str(result).unwrap_or_default();
        for (name, seen) in STREAMS.into_iter().zip(seen) {
            let text = result[name].as_str().unwrap_or_default();
            for line in text.lines().skip(seen.lines) {
                self.tell(row, json!({"stream": name, "line": line}))
                    .await?;
            }
        }
        Ok(())
    }

    async fn tell(&self, row: &ExecutionRow, mut line: Value) -> Result<(), Over> {
        line["id"] = json!(ids::format(ids::Kind::Execution, row.requested, row.seq));
        line["action"] = json!(row.action);
        line["task"] = json!(row.cause.task);
        let line = Bytes::from(line.to_string() + "\n");
        self.to.send(line).await.map_err(|_| Over)
    }
}

impl Seen {
    /// The lines that a piece completes.
    fn take(&mut self, piece: &[u8]) -> Vec<String> {
        self.read += piece.len() as u64;
        self.begun.extend_from_slice(piece);
        let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.begun.split_off(end + 1);
        let whole = std::mem::replace(&mut self.begun, rest);
        let whole = String::from_utf8_lossy(&whole);
        let whole: Vec<_> = whole.lines().map(str::to_owned).collect();
        self.lines += whole.len();
        whole
    }
}

/// What a file has after so many bytes; nothing where it is not there.
async fn piece(path: PathBuf, after: u64) -> Vec<u8> {
    let read = move || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(after))?;
        let mut piece = Vec::new();
        file.take(PIECE).read_to_end(&mut piece)?;
        std::io::Result::Ok(piece)
    };
    let piece = spawn_blocking(read).await;
    piece.ok().and_then(Result::ok).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_when_they_are_whole() {
        let mut seen = Seen::default();
        assert!(seen.take(b"on").is_empty());
        assert_eq!(seen.take(b"e\ntwo\nthr"), ["one", "two"]);
        assert_eq!(seen.take(b"ee\r\n"), ["three"]);
        assert_eq!((seen.read, seen.lines), (15, 3));
    }
}
