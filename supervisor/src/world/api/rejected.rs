//! `/v1/rejected`: what sensors said that was refused, and what becomes of it. Ours; StackStorm drops it.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use super::Shared;
use super::executions::by;
use super::handlers::{Answer, Fault, ask, page, read};
use crate::core::input::{Ask, Refusal};
use crate::core::view;
use crate::world::journal::query::{self, Page, Wanted};

/// Rows of a list when nobody says how many.
const LIMIT: usize = 50;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/v1/rejected", get(list))
        .route("/v1/rejected/{id}", get(one).delete(drop_one))
        .route("/v1/rejected/{id}/retry", post(retry))
}

#[derive(Debug, Default, Deserialize)]
struct Narrowed {
    limit: Option<usize>,
    offset: Option<usize>,
    sensor: Option<String>,
}

async fn list(State(shared): State<Shared>, Query(asked): Query<Narrowed>) -> Answer {
    let limit = asked.limit.unwrap_or(LIMIT);
    let wanted = Wanted {
        limit,
        offset: asked.offset.unwrap_or(0),
        reference: asked.sensor,
        status: None,
    };
    let Page { rows, total } = read(&shared, move |db| query::rejected(db, &wanted)).await?;
    let rows = rows.iter().map(|row| view::rejected(row, false));
    Ok(page(rows.collect(), total, limit))
}

async fn found(shared: &Shared, id: u64) -> Result<view::RejectedRow, Fault> {
    let found = read(shared, move |db| query::one_rejected(db, id)).await?;
    found.ok_or_else(|| {
        let why = format!("no refused message has the number {id}: it was retried or dropped, or 10,000 newer ones came");
        Fault(StatusCode::NOT_FOUND, why)
    })
}

async fn one(State(shared): State<Shared>, Path(id): Path<u64>) -> Answer {
    let row = found(&shared, id).await?;
    Ok(Json(view::rejected(&row, true)).into_response())
}

async fn retry(State(shared): State<Shared>, Path(id): Path<u64>, headers: HeaderMap) -> Answer {
    let row = found(&shared, id).await?;
    let refusal = Refusal::Retry(Box::new(row));
    let answer = ask(&shared, by(&headers, Ask::Rejected(refusal))).await;
    let answer = answer.map_err(|Fault(_, why)| Fault(StatusCode::BAD_REQUEST, why))?;
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

async fn drop_one(State(shared): State<Shared>, Path(id): Path<u64>, headers: HeaderMap) -> Answer {
    found(&shared, id).await?;
    let refusal = Ask::Rejected(Refusal::Drop(id));
    let answer = ask(&shared, by(&headers, refusal)).await?;
    Ok(Json(answer).into_response())
}
