//! From a response to a result.

use serde_json::{Map, Value, json};
use ureq::Body;
use ureq::http::{HeaderMap, Response, header};

/// Longest body that is kept, bytes: results lie in the journal.
const MOST: u64 = 32 << 20;

/// The status and the result.
///
/// # Errors
/// When the body breaks off, takes too long or is too long.
pub fn read(response: Response<Body>) -> Result<(u16, Value), ureq::Error> {
    let (parts, mut body) = response.into_parts();
    let bytes = body.with_config().limit(MOST).read_to_vec()?;
    let text = text(bytes);
    let (body, parsed) = parsed(&parts.headers, text);
    let code = parts.status.as_u16();
    let result = json!({
        "status_code": code,
        "body": body,
        "parsed": parsed,
        "headers": headers(&parts.headers),
    });
    Ok((code, result))
}

/// UTF-8, else each byte as the character of its number, so that nothing of it is lost.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect())
}

/// JSON becomes its value where the server says that it is JSON.
fn parsed(headers: &HeaderMap, text: String) -> (Value, bool) {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json = kind.split(';').next() == Some("application/json");
    match serde_json::from_str(&text) {
        Ok(value) if is_json => (value, true),
        _ => (Value::String(text), false),
    }
}

/// Several of one name are joined, as HTTP allows.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut shown = Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers.get_all(name).iter().collect();
        let values = values
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        let values: Vec<_> = values.collect();
        shown.insert(canonical(name.as_str()), json!(values.join(", ")));
    }
    shown
}

/// `content-type` as `Content-Type`.
fn canonical(name: &str) -> String {
    let parts = name.split('-').map(|part| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    parts.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_people_do_and_bytes_are_kept() {
        assert_eq!(canonical("x-rate-limit"), "X-Rate-Limit");
        assert_eq!(text(vec![0xff, b'a']), "\u{ff}a");
    }
}
