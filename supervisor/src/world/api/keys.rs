//! `/v1/keys`: the datastore.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::executions::by;
use super::handlers::{Answer, Fault, ask, body};
use crate::core::input::Ask;
use crate::core::kv::{Key, KvAsk, Owner, Put, Secrecy, USER};

/// Most bytes of a body: a full datastore, with room for JSON's escapes.
const MOST_BYTES: usize = 96 << 20;

pub(super) fn router() -> Router<Shared> {
    let all = get(list).post(load).delete(delete_by_prefix);
    Router::new()
        .route("/v1/keys", all)
        .route("/v1/keys/{*name}", get(one).put(set).delete(delete))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
}

/// Parameters of every path.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    scope: Option<String>,
    user: Option<String>,
    #[serde(default)]
    decrypt: bool,
    prefix: Option<String>,
    limit: Option<i64>,
    offset: Option<usize>,
}

/// The body of a write.
#[derive(Debug, Deserialize)]
struct Item {
    name: Option<String>,
    value: String,
    scope: Option<String>,
    user: Option<String>,
    ttl: Option<u64>,
    /// To be encrypted.
    secret: Option<bool>,
    /// It is ciphertext already.
    encrypted: Option<bool>,
}

/// Whose keys a word names; none for those of all.
fn owner(scope: Option<&str>) -> Result<Option<Owner>, Fault> {
    match scope {
        None | Some("system" | "st2kv.system") => Ok(Some(Owner::System)),
        Some("user" | "st2kv.user") => Ok(Some(Owner::User)),
        Some("all") => Ok(None),
        Some(other) => Err(Fault(
            StatusCode::BAD_REQUEST,
            format!("scope \"{other}\" is not one of system, user, all"),
        )),
    }
}

fn key(scope: Option<&str>, user: Option<&str>, name: &str) -> Result<Key, Fault> {
    match owner(scope)? {
        Some(Owner::User) => Ok(Key::user(user.unwrap_or(USER), name)),
        Some(Owner::System) => Ok(Key::system(name)),
        None => Err(Fault(
            StatusCode::BAD_REQUEST,
            "one item is of the scope system or user, not of all".into(),
        )),
    }
}

fn put(item: Item, name: &str, asked: &Asked) -> Result<Put, Fault> {
    let scope = item.scope.as_deref().or(asked.scope.as_deref());
    let user = item.user.as_deref().or(asked.user.as_deref());
    Ok(Put {
        key: key(scope, user, name)?,
        value: item.value,
        ttl: item.ttl.filter(|ttl| *ttl > 0),
        secrecy: match (item.encrypted == Some(true), item.secret == Some(true)) {
            (true, _) => Secrecy::Encrypted,
            (false, true) => Secrecy::Encrypt,
            (false, false) => Secrecy::Plain,
        },
    })
}

async fn kv(shared: &Shared, question: KvAsk) -> Result<Value, Fault> {
    write(shared, &HeaderMap::new(), question).await
}

/// A write knows which action does it, if one does: rules may run on it.
async fn write(shared: &Shared, headers: &HeaderMap, question: KvAsk) -> Result<Value, Fault> {
    let answer = ask(shared, by(headers, Ask::Kv(question))).await;
    answer.map_err(|Fault(_, why)| Fault(StatusCode::BAD_REQUEST, why))
}

fn not_found(name: &str) -> Fault {
    let why = format!("Unable to find a key-value pair with name \"{name}\"");
    Fault(StatusCode::NOT_FOUND, why)
}

async fn list(State(shared): State<Shared>, Query(asked): Query<Asked>) -> Answer {
    Ok(cut(listed(&shared, &asked).await?, &asked))
}

/// The items that are asked for. A user means the scope of that user, and the scope of all is
/// everybody's items and a user's own, as in StackStorm.
async fn listed(shared: &Shared, asked: &Asked) -> Result<Vec<Value>, Fault> {
    let owner = match asked.user {
        Some(_) => Some(Owner::User),
        None => owner(asked.scope.as_deref())?,
    };
    let prefix = asked.prefix.as_deref().unwrap_or_default();
    let of_user = format!("{}:{prefix}", asked.user.as_deref().unwrap_or(USER));
    let mut items = Vec::new();
    for (each, prefix) in [(Owner::System, prefix), (Owner::User, &of_user)] {
        if owner.is_some_and(|owner| owner != each) {
            continue;
        }
        let question = KvAsk::List {
            owner: Some(each),
            prefix: prefix.to_owned(),
            decrypt: asked.decrypt,
        };
        if let Value::Array(found) = kv(shared, question).await? {
            items.extend(found);
        }
    }
    Ok(items)
}

/// Ours: removes all items whose name begins with the prefix, which must be there; the items.
async fn delete_by_prefix(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Answer {
    if asked.prefix.as_deref().unwrap_or_default().is_empty() {
        let why = "without a \"prefix\" this would remove every item".to_owned();
        return Err(Fault(StatusCode::BAD_REQUEST, why));
    }
    let items = listed(&shared, &asked).await?;
    let key_of = |item: &Value| {
        let name = item["name"].as_str().unwrap_or_default();
        key(item["scope"].as_str(), item["user"].as_str(), name)
    };
    let keys = items.iter().map(key_of).collect::<Result<Vec<_>, _>>()?;
    write(&shared, &headers, KvAsk::Delete(keys)).await?;
    Ok(Json(items).into_response())
}

/// A page, with StackStorm's header that tells how many there are.
fn cut(items: Vec<Value>, asked: &Asked) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert("x-total-count", HeaderValue::from(items.len()));
    let limit = asked.limit.and_then(|limit| usize::try_from(limit).ok());
    let items = items.into_iter().skip(asked.offset.unwrap_or(0));
    let items: Vec<Value> = items.take(limit.unwrap_or(usize::MAX)).collect();
    (headers, Json(Value::Array(items))).into_response()
}

async fn one(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    let key = key(asked.scope.as_deref(), asked.user.as_deref(), &name)?;
    let decrypt = asked.decrypt;
    match kv(&shared, KvAsk::Get { key, decrypt }).await? {
        Value::Null => Err(not_found(&name)),
        item => Ok(Json(item).into_response()),
    }
}

async fn set(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    bytes: Bytes,
) -> Answer {
    let puts = vec![put(body(&bytes)?, &name, &asked)?];
    let written = write(&shared, &headers, KvAsk::Set(puts)).await?;
    Ok(Json(written[0].clone()).into_response())
}

/// Ours: writes all of a list or nothing.
async fn load(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
    bytes: Bytes,
) -> Answer {
    let mut puts = Vec::new();
    for mut item in body::<Vec<Item>>(&bytes)? {
        let name = item
            .name
            .take()
            .ok_or_else(|| Fault(StatusCode::BAD_REQUEST, "an item has no \"name\"".into()))?;
        puts.push(put(item, &name, &asked)?);
    }
    let written = write(&shared, &headers, KvAsk::Set(puts)).await?;
    Ok(Json(written).into_response())
}

async fn delete(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    let key = key(asked.scope.as_deref(), asked.user.as_deref(), &name)?;
    let gone = write(&shared, &headers, KvAsk::Delete(vec![key])).await?;
    match gone == json!(1) {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(not_found(&name)),
    }
}
