//! The client of the API: one request over the control socket.

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
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

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// The body.
    pub body: Value,
    /// `X-Total-Count`, on lists.
    pub total: Option<u64>,
}

/// Asks the supervisor of a data folder.
///
/// # Errors
/// [`Unreachable`], or what the API says is wrong.
pub fn get(data: Option<PathBuf>, path: &str) -> anyhow::Result<Answer> {
    let data = paths::data_dir(data)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(request(&data, path))
}

async fn request(data: &Path, path: &str) -> anyhow::Result<Answer> {
    let unreachable = || Unreachable(data.to_owned());
    let socket = std::fs::read_to_string(data.join(SOCKET_FILE)).map_err(|_| unreachable())?;
    let stream = UnixStream::connect(socket).await;
    let stream = stream.map_err(|_| unreachable())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its errors are those of the request.
    tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", "petrel")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let total = response
        .headers()
        .get("x-total-count")
        .and_then(|count| count.to_str().ok()?.parse().ok());
    let bytes = response.into_body().collect().await?.to_bytes();
    let body: Value = serde_json::from_slice(&bytes)?;
    let fault = body["faultstring"].as_str();
    anyhow::ensure!(
        status.is_success(),
        "{}",
        fault.unwrap_or("the supervisor refused the request")
    );
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
