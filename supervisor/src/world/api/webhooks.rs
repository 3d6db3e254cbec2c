//! `/v1/webhooks/st2`: StackStorm's webhook for any trigger.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Shared;
use super::executions::by;
use super::handlers::{Answer, Fault, ask, body};
use crate::core::input::{Ask, Injected};

/// The header of the trace tag.
const TRACE_TAG: &str = "st2-trace-tag";

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/v1/webhooks/st2", post(inject))
}

#[derive(Debug, Deserialize)]
struct Item {
    trigger: Option<String>,
    payload: Option<Map<String, Value>>,
}

async fn inject(State(shared): State<Shared>, headers: HeaderMap, bytes: Bytes) -> Answer {
    let item: Item = body(&bytes)?;
    let refused = |why: String| Fault(StatusCode::BAD_REQUEST, why);
    let trigger = item.trigger.filter(|trigger| !trigger.is_empty());
    let tag = headers.get(TRACE_TAG).and_then(|tag| tag.to_str().ok());
    let injected = Injected {
        trigger: trigger.ok_or_else(|| refused("Trigger not specified.".to_owned()))?,
        payload: item.payload.unwrap_or_default(),
        trace_tag: tag.map(str::to_owned),
    };
    let answer = ask(&shared, by(&headers, Ask::Inject(injected))).await;
    let answer = answer.map_err(|Fault(_, why)| refused(why))?;
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}
