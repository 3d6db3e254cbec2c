//! The client of the API: one request over the control socket.

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::world::api::SOCKET_FILE;
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
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "petrel")
        .header("content-type", "application/json")
        .body(Full::from(body))?;
    runtime.block_on(exchange(&data, request))
}

async fn exchange(data: &Path, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
    let unreachable = || Unreachable(data.to_owned());
    let socket = std::fs::read_to_string(data.join(SOCKET_FILE)).map_err(|_| unreachable())?;
    let stream = UnixStream::connect(socket).await;
    let stream = stream.map_err(|_| unreachable())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its errors are those of the request.
    tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let total = response
        .headers()
        .get("x-total-count")
        .and_then(|count| count.to_str().ok()?.parse().ok());
    let bytes = response.into_body().collect().await?.to_bytes();
    let body = match bytes.is_empty() {
        true => Value::Null,
        // What axum itself refuses, it refuses in plain text.
        false => serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()),
    };
    if !status.is_success() {
        let said = body["faultstring"].as_str().or(body.as_str());
        let why = said
            .unwrap_or("the supervisor refused the request")
            .to_owned();
        return Err(Refused { status, why }.into());
    }
    Ok(Answer { body, total })
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
