//! Logs and crashes of sensors; these paths are ours.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use globset::{Glob, GlobMatcher};
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::mpsc;

use super::Shared;
use super::handlers::{Answer, Fault, read};
use crate::catalog::diagnostics::did_you_mean;
use crate::core::clock::Wall;
use crate::core::logs::{Level, LogRecord};
use crate::world::clock;
use crate::world::journal::query;
use crate::world::logs::read::Wanted;
use crate::world::logs::{Entry, read as files};

/// Records when nobody says how many.
const RECORDS: usize = 100;

/// Most records of one answer.
const MOST_RECORDS: usize = 100_000;

/// Crashes when nobody says how many.
const CRASHES: usize = 20;

/// Lines that wait for a slow follower.
const MOST_LINES: usize = 64;

/// The paths.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/v1/sensortypes/{ref}/logs", get(logs))
        .route("/v1/sensortypes/{ref}/crashes", get(crashes))
        .route("/v1/sensortypes/{ref}/crashes/{id}", get(crash))
}

/// Which records.
#[derive(Debug, Deserialize)]
struct Which {
    limit: Option<usize>,
    since: Option<String>,
    level: Option<Level>,
    #[serde(default)]
    follow: bool,
}

/// A record, with its sensor.
#[derive(Debug, Serialize)]
struct Row<'r> {
    #[serde(rename = "ref")]
    reference: &'r str,
    #[serde(flatten)]
    record: &'r LogRecord,
}

fn row(reference: &str, record: &LogRecord) -> String {
    json!(Row { reference, record }).to_string() + "\n"
}

fn bad(why: String) -> Fault {
    Fault(StatusCode::BAD_REQUEST, why)
}

impl Which {
    fn wanted(&self) -> Result<Wanted, Fault> {
        let since = self.since.as_deref().map(str::parse::<jiff::Timestamp>);
        let since = since.transpose();
        let since = since.map_err(|error| bad(format!("since is no moment: {error}")))?;
        let otherwise = if since.is_some() {
            MOST_RECORDS
        } else {
            RECORDS
        };
        Ok(Wanted {
            limit: self.limit.unwrap_or(otherwise).min(MOST_RECORDS),
            since: since.map(|at| Wall(at.as_microsecond())),
            level: self.level.unwrap_or(Level::Debug),
        })
    }
}

/// Lines of JSON, the oldest first; with `follow` they go on.
async fn logs(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Answer {
    let wanted = which.wanted()?;
    let glob = Glob::new(&name).map_err(|error| bad(format!("\"{name}\": {}", error.kind())))?;
    let glob = glob.compile_matcher();
    let references = references(&shared, &name, &glob)?;
    // First to listen, then to read: so nothing falls between the two.
    let live = which.follow.then(|| shared.logs.follow());
    shared.logs.flushed().await;
    let (rows, last) = kept(&shared, references, wanted).await?;
    let body = match live {
        None => Body::from(rows),
        Some(live) => {
            let (to, lines) = mpsc::channel(MOST_LINES);
            let follower = Follower {
                glob,
                wanted,
                last,
                to,
            };
            tokio::spawn(follower.run(rows, live));
            Body::new(Lines(lines))
        }
    };
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// The sensors of this name or glob: those there are, and those of which there are logs.
fn references(shared: &Shared, name: &str, glob: &GlobMatcher) -> Result<Vec<String>, Fault> {
    let catalog = shared.catalog();
    let mut all: BTreeSet<String> = catalog.sensors.keys().cloned().collect();
    all.extend(files::known(&shared.data));
    let found: Vec<_> = all
        .iter()
        .filter(|one| glob.is_match(one))
        .cloned()
        .collect();
    if found.is_empty() {
        let near = did_you_mean(name, all.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!("; {near}"));
        let why = format!("Sensor \"{name}\" is not found{near}");
        return Err(Fault(StatusCode::NOT_FOUND, why));
    }
    Ok(found)
}

/// What the files have, as lines, and the moment of the last one.
async fn kept(
    shared: &Shared,
    references: Vec<String>,
    wanted: Wanted,
) -> Result<(String, Option<Wall>), Fault> {
    let data = shared.data.clone();
    let read = move || {
        let mut all = Vec::new();
        for reference in references {
            let reference: Arc<str> = reference.into();
            let found = files::read(&data, &reference, &wanted)?;
            all.extend(found.into_iter().map(|one| (Arc::clone(&reference), one)));
        }
        all.sort_by_key(|(_, record)| record.time);
        all.drain(..all.len().saturating_sub(wanted.limit));
        let last = all.last().map(|(_, record)| record.time);
        let rows = all.iter().map(|(reference, record)| row(reference, record));
        Ok::<_, std::io::Error>((rows.collect(), last))
    };
    let fault = |why: String| Fault(StatusCode::INTERNAL_SERVER_ERROR, why);
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| fault(error.to_string()))?
        .map_err(|error| fault(format!("the logs cannot be read: {error}")))
}

/// Passes records on as they come.
struct Follower {
    glob: GlobMatcher,
    wanted: Wanted,
    /// What was read from the files is not told again.
    last: Option<Wall>,
    to: mpsc::Sender<Bytes>,
}

impl Follower {
    async fn run(self, rows: String, mut live: Receiver<Entry>) {
        if !rows.is_empty() && self.to.send(rows.into()).await.is_err() {
            return;
        }
        loop {
            let next = tokio::select! {
                next = live.recv() => next,
                () = self.to.closed() => return,
            };
            let line = match next {
                Ok(entry) => match self.takes(&entry) {
                    true => row(&entry.spec.reference, &entry.record),
                    false => continue,
                },
                Err(RecvError::Lagged(count)) => missed(count),
                Err(RecvError::Closed) => return,
            };
            if self.to.send(line.into()).await.is_err() {
                return;
            }
        }
    }

    fn takes(&self, entry: &Entry) -> bool {
        let is_new = self.last.is_none_or(|last| entry.record.time > last);
        is_new && self.wanted.takes(&entry.record) && self.glob.is_match(&entry.spec.reference)
    }
}

fn missed(count: u64) -> String {
    let record = LogRecord {
        time: clock::now().wall,
        level: Level::Warning,
        logger: None,
        message: format!("{count} records came faster than they were read here"),
        generation: 0,
        pid: None,
    };
    row("", &record)
}

/// A body that ends with its sender.
pub(super) struct Lines(pub(super) mpsc::Receiver<Bytes>);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = self.0.poll_recv(context);
        next.map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

/// How many crashes.
#[derive(Debug, Deserialize)]
struct Most {
    limit: Option<usize>,
}

async fn crashes(
    State(shared): State<Shared>,
    Path(reference): Path<String>,
    Query(Most { limit }): Query<Most>,
) -> Answer {
    let most = limit.unwrap_or(CRASHES);
    let name = reference.clone();
    let found = read(&shared, move |db| query::crashes(db, &name, most)).await?;
    if found.is_empty() {
        references(&shared, &reference, &exactly(&reference)?)?;
    }
    let rows: Vec<Value> = found.iter().map(|text| value(text)).collect();
    Ok(Json(rows).into_response())
}

/// Only this one.
fn exactly(reference: &str) -> Result<GlobMatcher, Fault> {
    let glob = Glob::new(&globset::escape(reference));
    let glob = glob.map_err(|error| bad(error.to_string()))?;
    Ok(glob.compile_matcher())
}

async fn crash(
    State(shared): State<Shared>,
    Path((reference, id)): Path<(String, String)>,
) -> Result<Response, Fault> {
    let name = reference.clone();
    let found = match id.parse() {
        Ok(id) => read(&shared, move |db| query::crash(db, &name, id)).await?,
        Err(_) => None,
    };
    let Some((summary, details)) = found else {
        let why = format!("{reference} has no crash {id} (the newest 20 are kept)");
        return Err(Fault(StatusCode::NOT_FOUND, why));
    };
    let mut shown = value(&summary);
    if let (Value::Object(all), Value::Object(details)) = (&mut shown, value(&details)) {
        all.extend(details);
    }
    Ok(Json(shown).into_response())
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
