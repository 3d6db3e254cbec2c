//! One function per path.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::key::guard;
use super::{Question, Shared};
use crate::core::input::{Ask, Control, Verb};
use crate::core::record::Status;
use crate::core::{ids, view};
use crate::world::journal::query::{self, Page, Wanted};
use crate::world::journal::{self};

/// Rows of a list when nobody says how many; StackStorm's.
const LIMIT: usize = 50;

/// All paths.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/packs", get(packs))
        .route("/v1/sensortypes", get(sensors))
        .route("/v1/sensortypes/control", post(control))
        .route("/v1/sensortypes/{ref}", get(sensor).put(toggle))
        .route("/v1/triggertypes", get(triggers))
        .route("/v1/rules", get(rules))
        .route("/v1/actions", get(actions))
        .route("/v1/stats", get(stats))
        .route("/v1/reload", post(reload))
        .route("/v1/upgrade", get(upgraded).post(upgrade))
        .route("/v1/executions", get(executions))
        .route("/v1/executions/{id}", get(execution))
        .route("/v1/ruleenforcements", get(enforcements))
        .route("/v1/triggerinstances", get(events))
        .route("/v1/triggerinstances/{id}", get(event))
        .merge(super::rejected::router())
        .merge(super::journal::router())
        .merge(super::sensors::router())
        .merge(super::executions::router())
        .merge(super::tail::router())
        .merge(super::keys::router())
        .merge(super::webhooks::router())
        .fallback(nowhere)
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

/// What went wrong, in StackStorm's form.
pub(super) struct Fault(pub StatusCode, pub String);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"faultstring": self.1}))).into_response()
    }
}

pub(super) type Answer = Result<Response, Fault>;

/// Parameters of lists.
#[derive(Debug, Default, Deserialize)]
struct List {
    pack: Option<String>,
    limit: Option<i64>,
    offset: Option<usize>,
    action: Option<String>,
    trigger: Option<String>,
    rule_ref: Option<String>,
    status: Option<String>,
}

impl List {
    fn limit(&self, otherwise: usize) -> usize {
        match self.limit {
            None => otherwise,
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX >> 1),
        }
    }

    fn wants(&self, pack: &str) -> bool {
        self.pack.as_deref().is_none_or(|wanted| wanted == pack)
    }
}

/// A page, with StackStorm's headers that tell how many there are.
pub(super) fn page(rows: Vec<Value>, total: u64, limit: usize) -> Response {
    let mut headers = HeaderMap::new();
    for (name, number) in [("x-total-count", total), ("x-limit", limit as u64)] {
        headers.insert(name, HeaderValue::from(number));
    }
    (headers, Json(Value::Array(rows))).into_response()
}

/// A page of a list that is in memory.
fn cut(rows: Vec<Value>, list: &List) -> Response {
    let total = rows.len() as u64;
    let limit = list.limit(usize::MAX >> 1);
    let offset = list.offset.unwrap_or(0);
    let rows = rows.into_iter().skip(offset).take(limit).collect();
    page(rows, total, limit)
}

async fn nowhere() -> Fault {
    Fault(
        StatusCode::NOT_FOUND,
        "there is nothing at this path".into(),
    )
}

async fn packs(State(shared): State<Shared>, Query(list): Query<List>) -> Response {
    let catalog = shared.catalog();
    let all = catalog.packs.values();
    cut(all.map(|one| view::pack(one)).collect(), &list)
}

async fn triggers(State(shared): State<Shared>, Query(list): Query<List>) -> Response {
    let catalog = shared.catalog();
    let all = catalog.trigger_types.values();
    let some = all.filter(|one| list.wants(&one.pack));
    cut(some.map(|one| view::trigger_type(one)).collect(), &list)
}

async fn rules(State(shared): State<Shared>, Query(list): Query<List>) -> Response {
    let catalog = shared.catalog();
    let all = catalog.rules.values();
    let some = all.filter(|one| list.wants(&one.pack));
    cut(some.map(|one| view::rule(one)).collect(), &list)
}

async fn actions(State(shared): State<Shared>, Query(list): Query<List>) -> Response {
    let catalog = shared.catalog();
    let all = catalog.actions.values();
    let some = all.filter(|one| list.wants(&one.pack));
    cut(some.map(|one| view::action(one)).collect(), &list)
}

async fn sensors(State(shared): State<Shared>, Query(list): Query<List>) -> Answer {
    let all = ask(&shared, Question::Sensors(None)).await?;
    let Value::Array(all) = all else {
        return Ok(cut(Vec::new(), &list));
    };
    let wanted = |one: &Value| list.wants(one["pack"].as_str().unwrap_or_default());
    Ok(cut(all.into_iter().filter(wanted).collect(), &list))
}

async fn sensor(State(shared): State<Shared>, Path(reference): Path<String>) -> Answer {
    let found = ask(&shared, Question::Sensors(Some(reference))).await?;
    Ok(Json(found).into_response())
}

pub(super) async fn ask(shared: &Shared, question: Question) -> Result<Value, Fault> {
    let (to, answer) = oneshot::channel();
    let leaving = || {
        let why = "petrel is stopping".to_owned();
        Fault(StatusCode::SERVICE_UNAVAILABLE, why)
    };
    let sent = shared.questions.send((question, to)).await;
    sent.map_err(|_| leaving())?;
    let answer = answer.await.map_err(|_| leaving())?;
    answer.map_err(|why| Fault(StatusCode::NOT_FOUND, why))
}

/// Ours: what people do to sensors.
async fn control(State(shared): State<Shared>, bytes: Bytes) -> Answer {
    let control: Control = body(&bytes)?;
    let answer = ask(&shared, Question::Core(Ask::Control(control))).await?;
    Ok(Json(answer).into_response())
}

/// What `st2 sensor enable` and `disable` send.
#[derive(Debug, Deserialize)]
struct Toggle {
    enabled: bool,
}

/// StackStorm's way to enable and disable: the whole sensor, of which `enabled` counts.
async fn toggle(
    State(shared): State<Shared>,
    Path(reference): Path<String>,
    bytes: Bytes,
) -> Answer {
    let Toggle { enabled } = body(&bytes)?;
    let control = Control {
        verb: if enabled { Verb::Enable } else { Verb::Disable },
        sensors: vec![reference.clone()],
        reason: None,
        for_seconds: None,
        user: None,
    };
    ask(&shared, Question::Core(Ask::Control(control))).await?;
    sensor(State(shared), Path(reference)).await
}

/// What a body says.
pub(super) fn body<T: serde::de::DeserializeOwned>(bytes: &Bytes) -> Result<T, Fault> {
    let wrong = |error: serde_json::Error| {
        Fault(
            StatusCode::BAD_REQUEST,
            format!("the body is wrong: {error}"),
        )
    };
    serde_json::from_slice(bytes).map_err(wrong)
}

/// Reads the journal off the main thread.
pub(super) async fn read<T: Send + 'static>(
    shared: &Shared,
    query: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let data = shared.data.clone();
    let read = move || journal::open_read_only(&data).and_then(|db| query(&db));
    let fault = |why: String| Fault(StatusCode::INTERNAL_SERVER_ERROR, why);
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| fault(error.to_string()))?
        .map_err(|error| fault(format!("the journal cannot be read: {error}")))
}

fn wanted(list: &List, reference: &Option<String>) -> Result<Wanted, Fault> {
    let status = match &list.status {
        None => None,
        Some(word) => Some(Status::from_word(word).ok_or_else(|| {
            let known = Status::ALL.map(Status::word).join(", ");
            let why = format!("status \"{word}\" is not one of {known}");
            Fault(StatusCode::BAD_REQUEST, why)
        })?),
    };
    Ok(Wanted {
        limit: list.limit(LIMIT),
        offset: list.offset.unwrap_or(0),
        reference: reference.clone(),
        status,
    })
}

async fn executions(State(shared): State<Shared>, Query(list): Query<List>) -> Answer {
    let wanted = wanted(&list, &list.action)?;
    let limit = wanted.limit;
    let Page { rows, total } = read(&shared, move |db| query::executions(db, &wanted)).await?;
    let catalog = shared.catalog();
    let rows = rows.iter().map(|row| view::execution(row, &catalog));
    Ok(page(rows.collect(), total, limit))
}

async fn execution(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let found = match ids::parse(ids::Kind::Execution, &id) {
        Some(seq) => read(&shared, move |db| query::execution(db, seq)).await?,
        None => None,
    };
    let children = match &found {
        Some(row) => {
            let seq = row.seq;
            read(&shared, move |db| query::children(db, seq)).await?
        }
        None => Vec::new(),
    };
    let catalog = shared.catalog();
    let shown = found.map(|row| {
        let mut shown = view::execution(&row, &catalog);
        shown["children"] = json!(children);
        shown
    });
    identified(shown, "execution", &id)
}

async fn events(State(shared): State<Shared>, Query(list): Query<List>) -> Answer {
    let wanted = wanted(&list, &list.trigger)?;
    let limit = wanted.limit;
    let Page { rows, total } = read(&shared, move |db| query::events(db, &wanted)).await?;
    let rows = rows.iter().map(|row| view::event(row, false));
    Ok(page(rows.collect(), total, limit))
}

/// Which program is to go on.
#[derive(Debug, Default, Deserialize)]
struct Next {
    binary: Option<std::path::PathBuf>,
}

/// Ours: another program takes our place. The answer says that it is about to.
async fn upgrade(State(shared): State<Shared>, bytes: Bytes) -> Answer {
    let next: Next = match bytes.is_empty() {
        true => Next::default(),
        false => body(&bytes)?,
    };
    let answer = ask(&shared, Question::Upgrade(next.binary)).await;
    let answer = answer.map_err(|Fault(_, why)| Fault(StatusCode::CONFLICT, why))?;
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// Ours: how the last upgrade went.
async fn upgraded(State(shared): State<Shared>) -> Answer {
    let answer = ask(&shared, Question::Upgraded).await?;
    Ok(Json(answer).into_response())
}

/// Ours: reads the packs again.
async fn stats(State(shared): State<Shared>) -> Answer {
    Ok(Json(ask(&shared, Question::Stats).await?).into_response())
}

async fn reload(State(shared): State<Shared>) -> Answer {
    let answer = ask(&shared, Question::Reload).await;
    let answer = answer.map_err(|Fault(_, why)| Fault(StatusCode::CONFLICT, why))?;
    Ok(Json(answer).into_response())
}

async fn enforcements(State(shared): State<Shared>, Query(list): Query<List>) -> Answer {
    let wanted = wanted(&list, &list.rule_ref)?;
    let limit = wanted.limit;
    let Page { rows, total } = read(&shared, move |db| query::enforcements(db, &wanted)).await?;
    let rows = rows.iter().map(view::enforcement);
    Ok(page(rows.collect(), total, limit))
}

async fn event(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let found = match ids::parse(ids::Kind::Event, &id) {
        Some(seq) => read(&shared, move |db| query::event(db, seq)).await?,
        None => None,
    };
    identified(found.map(|row| view::event(&row, true)), "event", &id)
}

/// The row, if its identifier is the one that was asked for to the letter.
fn identified(found: Option<Value>, kind: &str, id: &str) -> Answer {
    match found.filter(|one| one["id"] == id) {
        Some(one) => Ok(Json(one).into_response()),
        None => {
            let why = format!("Resource with a reference or id \"{id}\" not found: no {kind}");
            Err(Fault(StatusCode::NOT_FOUND, why))
        }
    }
}
