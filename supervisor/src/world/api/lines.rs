//! Bodies that go on: lines of JSON, as they come.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::mpsc;

/// The kind of such a body.
pub const NDJSON: &str = "application/x-ndjson";

/// A body that ends with its sender.
struct Lines(mpsc::Receiver<Bytes>);

/// Answers with what comes through a channel.
pub fn answer(lines: mpsc::Receiver<Bytes>) -> Response {
    ([(CONTENT_TYPE, NDJSON)], Body::new(Lines(lines))).into_response()
}

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
