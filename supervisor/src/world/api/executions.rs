//! Executions that are asked for: run an action, run one again, cancel one.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::handlers::{Answer, Fault, ask, body, read};
use super::{EXECUTION, Question, Shared};
use crate::core::ids;
use crate::core::input::{Ask, Verdict, Wanted};
use crate::core::view::ExecutionRow;
use crate::world::journal::query;

/// The paths of this file.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/v1/executions", post(run))
        .route("/v1/executions/{id}", delete(cancel))
        .route("/v1/executions/{id}/re_run", post(again))
        .route("/v1/executions/{id}/decide", post(decide))
        .route("/v1/actions/views/parameters/{ref}", get(parameters))
}

/// What a body asks for; StackStorm's names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    action: String,
    parameters: Map<String, Value>,
    user: Option<String>,
}

/// The question, and which running action asks it.
pub(super) fn by(headers: &HeaderMap, question: Ask) -> Question {
    let id = headers.get(EXECUTION).and_then(|id| id.to_str().ok());
    Question::Core(
        match id.and_then(|id| ids::parse(ids::Kind::Execution, id)) {
            Some(execution) => Ask::By {
                execution,
                question: Box::new(question),
            },
            None => question,
        },
    )
}

async fn run(State(shared): State<Shared>, headers: HeaderMap, bytes: Bytes) -> Answer {
    let asked: Asked = body(&bytes)?;
    let wanted = Wanted {
        action: asked.action,
        parameters: asked.parameters,
        user: asked.user.unwrap_or_else(|| "petrel".to_owned()),
        again: None,
    };
    begin(&shared, &headers, wanted).await
}

async fn begin(shared: &Shared, headers: &HeaderMap, wanted: Wanted) -> Answer {
    let question = by(headers, Ask::Run(Box::new(wanted)));
    let answer = ask(shared, question).await;
    let mut answer = answer.map_err(|Fault(_, why)| Fault(StatusCode::BAD_REQUEST, why))?;
    answer["status"] = json!("requested");
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

pub(super) async fn row(shared: &Shared, id: &str) -> Result<ExecutionRow, Fault> {
    let found = match ids::parse(ids::Kind::Execution, id) {
        Some(seq) => read(shared, move |db| query::execution(db, seq)).await?,
        None => None,
    };
    let same = |row: &ExecutionRow| ids::format(ids::Kind::Execution, row.requested, row.seq) == id;
    found.filter(same).ok_or_else(|| {
        let why = format!("Resource with a reference or id \"{id}\" not found: no execution");
        Fault(StatusCode::NOT_FOUND, why)
    })
}

async fn again(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let row = row(&shared, &id).await?;
    let asked: Asked = match bytes.is_empty() {
        true => Asked::default(),
        false => body(&bytes)?,
    };
    let before = serde_json::from_str(&row.parameters).unwrap_or_default();
    let wanted = Wanted {
        action: row.action,
        parameters: asked.parameters,
        user: asked.user.unwrap_or_else(|| "petrel".to_owned()),
        again: Some((id, before)),
    };
    begin(&shared, &headers, wanted).await
}

async fn cancel(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let row = row(&shared, &id).await?;
    if row.status.is_final() {
        let word = row.status.word();
        let why = format!(
            "Unable to cancel execution \"{id}\" because it is already in a completed state: {word}."
        );
        return Err(Fault(StatusCode::BAD_REQUEST, why));
    }
    let question = Ask::Cancel {
        execution: row.seq,
        user: "petrel".to_owned(),
    };
    let mut answer = ask(&shared, Question::Core(question)).await?;
    answer["id"] = json!(id);
    Ok(Json(answer).into_response())
}

/// What somebody says of an execution whose end is not known.
#[derive(Debug, Deserialize)]
struct Decided {
    verdict: Verdict,
    user: Option<String>,
}

async fn decide(State(shared): State<Shared>, Path(id): Path<String>, bytes: Bytes) -> Answer {
    let decided: Decided = body(&bytes)?;
    let row = row(&shared, &id).await?;
    let question = Ask::Decide {
        execution: row.seq,
        verdict: decided.verdict,
        user: decided.user.unwrap_or_else(|| "petrel".to_owned()),
    };
    let answer = ask(&shared, Question::Core(question)).await;
    let mut answer = answer.map_err(|Fault(_, why)| Fault(StatusCode::BAD_REQUEST, why))?;
    answer["id"] = json!(id);
    Ok(Json(answer).into_response())
}

/// All parameters of an action: its own and those of its runner.
async fn parameters(State(shared): State<Shared>, Path(reference): Path<String>) -> Answer {
    let catalog = shared.catalog();
    match catalog.actions.get(&reference) {
        Some(action) => {
            let shown = json!({"ref": reference, "parameters": action.all_parameters});
            Ok(Json(shown).into_response())
        }
        None => {
            let known = catalog.actions.keys().map(String::as_str);
            let near = crate::catalog::diagnostics::did_you_mean(&reference, known);
            let near = near.map_or_else(String::new, |near| format!("; {near}"));
            let why = format!("Action \"{reference}\" doesn't exist{near}");
            Err(Fault(StatusCode::NOT_FOUND, why))
        }
    }
}
