//! `/v1/journal`: what it has, whether it is whole, copies of it. Ours.

use std::path::PathBuf;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::handlers::{Answer, Fault, ask, body, read};
use super::{Question, Shared};
use crate::core::clock::Wall;
use crate::core::input::Ask;
use crate::world::export;
use crate::world::journal::query::Span;
use crate::world::journal::{check, copy, info, open_read_only};

/// Lines that wait for a slow reader.
const MOST_LINES: usize = 64;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/v1/journal", get(show))
        .route("/v1/journal/check", get(whole))
        .route("/v1/journal/compact", post(compact))
        .route("/v1/journal/export", get(lines))
        .route("/v1/journal/backup", post(backup))
}

/// What is in it, and what is to become of that.
async fn show(State(shared): State<Shared>) -> Answer {
    let found = read(&shared, info::read).await?;
    let mut shown = json!(found);
    let kept = ask(&shared, Question::Journal).await?;
    if let (Value::Object(all), Value::Object(kept)) = (&mut shown, kept) {
        all.extend(kept);
    }
    Ok(Json(shown).into_response())
}

#[derive(Debug, Default, Deserialize)]
struct How {
    #[serde(default)]
    quick: bool,
}

async fn whole(State(shared): State<Shared>, Query(how): Query<How>) -> Answer {
    let found = read(&shared, move |db| check::check(db, how.quick)).await?;
    Ok(Json(found).into_response())
}

async fn compact(State(shared): State<Shared>) -> Answer {
    let answer = ask(&shared, Question::Core(Ask::Compact)).await;
    let answer = answer.map_err(|Fault(_, why)| Fault(StatusCode::CONFLICT, why))?;
    Ok(Json(answer).into_response())
}

#[derive(Debug, Deserialize)]
struct To {
    file: PathBuf,
}

async fn backup(State(shared): State<Shared>, bytes: Bytes) -> Answer {
    let To { file } = body(&bytes)?;
    let why = |error: anyhow::Error| Fault(StatusCode::CONFLICT, format!("{error:#}"));
    if !file.is_absolute() {
        return Err(why(anyhow::anyhow!("the file's path is not absolute")));
    }
    let (data, to) = (shared.data.clone(), file.clone());
    let written = tokio::task::spawn_blocking(move || copy::backup(&data, &to)).await;
    let written = written.map_err(|error| why(error.into()))?;
    let size = written.map_err(why)?;
    Ok(Json(json!({"file": file, "size": size})).into_response())
}

/// Which events.
#[derive(Debug, Deserialize)]
struct Which {
    since: Option<String>,
    until: Option<String>,
    trigger: Option<String>,
    sensor: Option<String>,
}

impl Which {
    fn span(self) -> Result<Span, Fault> {
        let moment = |text: Option<String>| {
            let parsed = text
                .as_deref()
                .map(str::parse::<jiff::Timestamp>)
                .transpose();
            let why = |error| Fault(StatusCode::BAD_REQUEST, format!("no moment: {error}"));
            let parsed = parsed.map_err(why)?;
            Ok::<_, Fault>(parsed.map(|at| Wall(at.as_microsecond())))
        };
        Ok(Span {
            since: moment(self.since)?,
            until: moment(self.until)?,
            trigger: self.trigger,
            sensor: self.sensor,
        })
    }
}

/// Lines of JSON, as fast as they are read.
async fn lines(State(shared): State<Shared>, Query(which): Query<Which>) -> Answer {
    let span = which.span()?;
    let (to, lines) = mpsc::channel::<Bytes>(MOST_LINES);
    let (catalog, data) = (shared.catalog(), shared.data.clone());
    tokio::task::spawn_blocking(move || {
        let read = open_read_only(&data).and_then(|db| {
            export::lines(&db, &catalog, &span, |line| {
                to.blocking_send(line.into()).is_ok()
            })
        });
        if let Err(error) = read {
            let line = json!({"error": format!("the journal cannot be read: {error}")});
            // Who asked may have gone away.
            let _ = to.blocking_send((line.to_string() + "\n").into());
        }
    });
    Ok(super::lines::answer(lines))
}
