//! The client of the API: one request over the control socket.

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::world::api::{EXECUTION, KEY_HEADER, Key, SOCKET_FILE};
use crate::world::paths;

/// No supervisor answers.
#[derive(Debug, thiserror::Error)]
#[error(
    "no petrel answers for the data in {}: start one with `petrel run`, or name another folder \
     with --data", .0.display()
)]
pub struct Unreachable(PathBuf);

/// What the API says is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// The status of the answer.
    pub status: StatusCode,
    why: String,
}

/// True where there is nothing at the path.
pub fn is_not_found(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<Refused>();
    refused.is_some_and(|refused| refused.status == StatusCode::NOT_FOUND)
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// The body; null where there is none.
    pub body: Value,
    /// `X-Total-Count`, on lists.
    pub total: Option<u64>,
}

/// Asks the supervisor of a data folder.
///
/// # Errors
/// [`Unreachable`], or [`Refused`].
pub fn get(data: Option<PathBuf>, path: &str) -> anyhow::Result<Answer> {
    send(data, Method::GET, path, None)
}

/// Tells the supervisor of a data folder something.
///
/// # Errors
/// [`Unreachable`], or [`Refused`].
pub fn send(
    data: Option<PathBuf>,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Answer> {
    let data = paths::data_dir(data)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = request(&data, method.clone(), path, body)?;
    runtime.block_on(async {
        let answer = exchange(&data, request.clone()).await;
        match answer {
            // An upgrade in place closes what it has not begun to answer. Whether a question came
            // through makes no difference, so it is asked once more.
            Err(error) if method == Method::GET && was_cut(&error) => {
                exchange(&data, request).await
            }
            other => other,
        }
    })
}

/// The connection ended before the answer did.
fn was_cut(error: &anyhow::Error) -> bool {
    error.downcast_ref::<hyper::Error>().is_some()
}

/// Gives each line of an answer as it comes; an error of `line` ends it.
///
/// # Errors
/// [`Unreachable`], [`Refused`], or what `line` says.
pub fn lines(
    data: Option<PathBuf>,
    path: &str,
    mut line: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let data = paths::data_dir(data)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let request = request(&data, Method::GET, path, String::new())?;
    runtime.block_on(async {
        let response = respond(&data, request).await?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            return Err(refused(status, &read(&body.collect().await?.to_bytes())));
        }
        let mut held = Vec::new();
        while let Some(frame) = body.frame().await {
            held.extend_from_slice(&frame?.into_data().unwrap_or_default());
            let Some(end) = held.iter().rposition(|byte| *byte == b'\n') else {
                continue;
            };
            let rest = held.split_off(end + 1);
            String::from_utf8_lossy(&held)
                .lines()
                .try_for_each(&mut line)?;
            held = rest;
        }
        Ok(())
    })
}

fn request(
    data: &Path,
    method: Method,
    path: &str,
    body: String,
) -> anyhow::Result<Request<Full<Bytes>>> {
    let key = Key::of(data).unwrap_or_default();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(KEY_HEADER, key)
        .header("host", "petrel")
        .header("content-type", "application/json");
    // Within an action: what it causes is known to come from it.
    if let Ok(execution) = std::env::var("PETREL_EXECUTION_ID") {
        request = request.header(EXECUTION, execution);
    }
    Ok(request.body(Full::from(body))?)
}

async fn exchange(data: &Path, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
    let response = respond(data, request).await?;
    let status = response.status();
    let total = response
        .headers()
        .get("x-total-count")
        .and_then(|count| count.to_str().ok()?.parse().ok());
    let body = read(&response.into_body().collect().await?.to_bytes());
    match status.is_success() {
        true => Ok(Answer { body, total }),
        false => Err(refused(status, &body)),
    }
}

async fn respond(data: &Path, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
    let unreachable = || Unreachable(data.to_owned());
    let socket = std::fs::read_to_string(data.join(SOCKET_FILE)).map_err(|_| unreachable())?;
    let stream = UnixStream::connect(socket).await;
    let stream = stream.map_err(|_| unreachable())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its errors are those of the request.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

fn read(bytes: &[u8]) -> Value {
    match bytes.is_empty() {
        true => Value::Null,
        // What axum itself refuses, it refuses in plain text.
        false => {
            serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into())
        }
    }
}

fn refused(status: StatusCode, body: &Value) -> anyhow::Error {
    let said = body["faultstring"].as_str().or(body.as_str());
    let why = said
        .unwrap_or("the supervisor refused the request")
        .to_owned();
    Refused { status, why }.into()
}

/// A value for a query string.
pub fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
