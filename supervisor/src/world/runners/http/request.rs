//! From parameters to a request.

use anyhow::{Context, bail};
use data_encoding::BASE64;
use serde_json::{Map, Value};
use ureq::http::{HeaderName, HeaderValue, Request, Uri, header};

use crate::rules::{literal, python};

type Parameters = Map<String, Value>;

/// The request of an action.
///
/// # Errors
/// What is wrong with which parameter.
pub fn build(parameters: &Parameters, action: &str) -> anyhow::Result<Request<Vec<u8>>> {
    let text = |name: &str| parameters.get(name).and_then(Value::as_str);
    let url = text("url").filter(|url| !url.is_empty());
    let url = url.context("URL must be specified.")?;
    let uri = with_query(url, parameters.get("params"))?;
    check_host(&uri, url, parameters)?;
    let mut request = Request::new(Vec::new());
    add_headers(&mut request, parameters, action)?;
    let has_body = add_body(&mut request, parameters)?;
    let method = text("method").filter(|method| !method.is_empty());
    let method = method.unwrap_or(if has_body { "POST" } else { "GET" });
    let method = method.to_ascii_uppercase();
    *request.method_mut() = method
        .parse()
        .with_context(|| format!("\"{method}\" is no method"))?;
    *request.uri_mut() = uri;
    Ok(request)
}

/// The URL with `params` behind its own query: lists repeat their name, null is left out.
fn with_query(url: &str, params: Option<&Value>) -> anyhow::Result<Uri> {
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    let _not_sent = fragment;
    let mut whole = url.to_owned();
    let query = form(params)?;
    if !query.is_empty() {
        whole.push(if whole.contains('?') { '&' } else { '?' });
        whole.push_str(&query);
    }
    let uri: Uri = whole
        .parse()
        .with_context(|| format!("\"{url}\" is no URL"))?;
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        _ => bail!("the URL \"{url}\" must begin with http:// or https://"),
    }
}

/// `a=1&b=2`, each part escaped; text is taken as it is.
fn form(values: Option<&Value>) -> anyhow::Result<String> {
    let map = match values {
        None | Some(Value::Null) => return Ok(String::new()),
        Some(Value::String(text)) => return Ok(text.clone()),
        Some(Value::Object(map)) => map,
        Some(other) => bail!("\"params\" must be an object, and is {other}"),
    };
    let mut parts = Vec::new();
    for (name, value) in map {
        let values = match value {
            Value::Null => continue,
            Value::Array(items) => items.iter().collect(),
            other => vec![other],
        };
        for value in values {
            let value = escaped(&python::text_of_json(value));
            parts.push(format!("{}={value}", escaped(name)));
        }
    }
    Ok(parts.join("&"))
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            _ if plain(byte) => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Hosts that are forbidden, or the only ones that are allowed.
fn check_host(uri: &Uri, url: &str, parameters: &Parameters) -> anyhow::Result<()> {
    let hosts = |name: &str| -> Vec<String> {
        let items = parameters.get(name).and_then(Value::as_array);
        let texts = items.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_ascii_lowercase).collect()
    };
    let (black, white) = (hosts("url_hosts_blacklist"), hosts("url_hosts_whitelist"));
    if !black.is_empty() && !white.is_empty() {
        bail!(
            "\"url_hosts_blacklist\" and \"url_hosts_whitelist\" parameters are mutually exclusive. \
             Only one should be provided."
        );
    }
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    if black.contains(&host) {
        bail!("URL \"{url}\" is blacklisted");
    }
    if !white.is_empty() && !white.contains(&host) {
        bail!("URL \"{url}\" is not whitelisted");
    }
    Ok(())
}

fn add_headers(
    request: &mut Request<Vec<u8>>,
    parameters: &Parameters,
    action: &str,
) -> anyhow::Result<()> {
    let given = parameters.get("headers").and_then(Value::as_object);
    for (name, value) in given.into_iter().flatten().filter(|(_, v)| !v.is_null()) {
        set(request, name, &python::text_of_json(value))?;
    }
    set(
        request,
        "user-agent",
        concat!("petrel/", env!("CARGO_PKG_VERSION")),
    )?;
    set(request, "x-stanley-action", action)?;
    let cookies = parameters.get("cookies").and_then(Value::as_object);
    let cookies: Vec<String> = cookies
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", python::text_of_json(value)))
        .collect();
    if !cookies.is_empty() {
        set(request, "cookie", &cookies.join("; "))?;
    }
    match credentials(parameters)? {
        Some(Credentials::Basic(pair)) => {
            let text = BASE64.encode(pair.as_bytes());
            set(request, "authorization", &format!("Basic {text}"))
        }
        Some(Credentials::Header(name, value)) => set(request, name, value),
        None => Ok(()),
    }
}

fn set(request: &mut Request<Vec<u8>>, name: &str, value: &str) -> anyhow::Result<()> {
    let name: HeaderName = name
        .parse()
        .with_context(|| format!("\"{name}\" is no name of a header"))?;
    // Its value may be secret: it is not in the message.
    let value = HeaderValue::from_bytes(value.as_bytes())
        .with_context(|| format!("the value of header \"{name}\" has a control character"))?;
    request.headers_mut().insert(name, value);
    Ok(())
}

/// How the caller shows who it is.
enum Credentials<'p> {
    /// `user:password`.
    Basic(String),
    /// Name and value.
    Header(&'p str, &'p str),
}

/// `username` and `password`; else `auth`: two items, or `user:password`, or the header `name=value`
/// of which the description of StackStorm's `core.http` speaks.
fn credentials(parameters: &Parameters) -> anyhow::Result<Option<Credentials<'_>>> {
    let text = |name: &str| parameters.get(name).and_then(Value::as_str);
    let (user, password) = (text("username"), text("password"));
    if user.is_some() || password.is_some() {
        let of = |text: Option<&str>| text.unwrap_or_default().to_owned();
        return Ok(Some(Credentials::Basic(of(user) + ":" + &of(password))));
    }
    let auth = match parameters.get("auth") {
        None | Some(Value::Null) => return Ok(None),
        Some(auth) => auth,
    };
    let items = auth.as_array().map(Vec::as_slice).unwrap_or_default();
    if let [Value::String(user), Value::String(password)] = items {
        return Ok(Some(Credentials::Basic(format!("{user}:{password}"))));
    }
    match auth.as_str() {
        Some("") => return Ok(None),
        Some(auth) => match (auth.split_once('='), auth.contains(':')) {
            (Some((name, value)), _) if name.parse::<HeaderName>().is_ok() => {
                return Ok(Some(Credentials::Header(name, value)));
            }
            (_, true) => return Ok(Some(Credentials::Basic(auth.to_owned()))),
            _ => {}
        },
        None if auth.as_object().is_some_and(Map::is_empty) => return Ok(None),
        None => {}
    }
    // Its value may be secret: it is not in the message.
    bail!("\"auth\" is neither name=value, nor user:password, nor a list of these two")
}

/// The body or the file; false where there is none.
fn add_body(request: &mut Request<Vec<u8>>, parameters: &Parameters) -> anyhow::Result<bool> {
    let text = |name: &str| parameters.get(name).and_then(Value::as_str);
    let body = parameters.get("body").filter(|body| !is_empty(body));
    let file = text("file_name").zip(text("file_content"));
    if let Some((name, content)) =
        file.filter(|(name, content)| !name.is_empty() && !content.is_empty())
    {
        if body.is_some_and(Value::is_string) {
            bail!("\"body\" must be an object where a file is sent, not text");
        }
        add_file(request, body, name, content, text("file_content_type"))?;
        return Ok(true);
    }
    let Some(body) = body else { return Ok(false) };
    let kind = request.headers().get(header::CONTENT_TYPE);
    let is_json = kind.is_some_and(|kind| kind.as_bytes() == b"application/json");
    *request.body_mut() = match body {
        _ if is_json => json(body)?.into_bytes(),
        Value::String(text) => text.clone().into_bytes(),
        Value::Object(_) => {
            if kind.is_none() {
                set(request, "content-type", "application/x-www-form-urlencoded")?;
            }
            form(Some(body))?.into_bytes()
        }
        other => other.to_string().into_bytes(),
    };
    Ok(true)
}

fn is_empty(body: &Value) -> bool {
    match body {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Text is JSON, or a Python literal, and is written anew.
fn json(body: &Value) -> anyhow::Result<String> {
    let Value::String(text) = body else {
        return Ok(body.to_string());
    };
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return Ok(value.to_string());
    }
    let value = literal::parse(text)
        .map_err(|why| anyhow::anyhow!("Request body can't be parsed as JSON: {why}"))?;
    Ok(value.to_string())
}

/// One file, and the body's members as fields before it.
fn add_file(
    request: &mut Request<Vec<u8>>,
    fields: Option<&Value>,
    name: &str,
    content: &str,
    kind: Option<&str>,
) -> anyhow::Result<()> {
    let mut boundary = "petrel-part".to_owned();
    while content.contains(&boundary) {
        boundary.push('-');
    }
    let quoted = |name: &str| name.replace('"', "%22").replace(['\r', '\n'], " ");
    let mut text = String::new();
    for (field, value) in fields.and_then(Value::as_object).into_iter().flatten() {
        let (field, value) = (quoted(field), python::text_of_json(value));
        text.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
        ));
    }
    let name = quoted(name);
    let kind = kind.map_or_else(String::new, |kind| format!("Content-Type: {kind}\r\n"));
    text.push_str(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\
         {kind}\r\n{content}\r\n--{boundary}--\r\n"
    ));
    set(
        request,
        "content-type",
        &format!("multipart/form-data; boundary={boundary}"),
    )?;
    *request.body_mut() = text.into_bytes();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn built(parameters: Value) -> anyhow::Result<Request<Vec<u8>>> {
        build(parameters.as_object().unwrap(), "p.a")
    }

    fn body(parameters: Value) -> String {
        String::from_utf8(built(parameters).unwrap().into_body()).unwrap()
    }

    #[test]
    fn the_method_follows_the_body() {
        let request =
            built(json!({"url": "http://h/p?x=1", "params": {"a": [1, "b c"], "n": null}}));
        let request = request.unwrap();
        assert_eq!(request.method(), "GET");
        assert_eq!(request.uri(), "http://h/p?x=1&a=1&a=b+c");
        let request = built(json!({"url": "http://h", "body": "x"})).unwrap();
        assert_eq!(request.method(), "POST");
        let request = built(json!({"url": "http://h", "body": "x", "method": "put"})).unwrap();
        assert_eq!(request.method(), "PUT");
    }

    #[test]
    fn json_bodies_are_written_anew_and_others_are_left_alone() {
        let kind = json!({"Content-Type": "application/json"});
        for given in [
            json!("{'a': True}"),
            json!("{\"a\":true}"),
            json!({"a": true}),
        ] {
            let text = body(json!({"url": "http://h", "headers": kind, "body": given}));
            assert_eq!(text, r#"{"a":true}"#);
        }
        assert_eq!(
            body(json!({"url": "http://h", "body": "{'a': True}"})),
            "{'a': True}"
        );
        assert_eq!(
            body(json!({"url": "http://h", "body": {"a": "b c"}})),
            "a=b+c"
        );
        let wrong = json!({"url": "http://h", "headers": kind, "body": "{x"});
        assert!(built(wrong).unwrap_err().to_string().contains("JSON"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (parameters, said) in [
            (json!({}), "URL must be specified"),
            (json!({"url": "ftp://h"}), "http://"),
            (
                json!({"url": "http://h", "headers": {"a b": "c"}}),
                "no name",
            ),
            (
                json!({"url": "http://h", "headers": {"a": "b\nc"}}),
                "control",
            ),
            (
                json!({"url": "http://H:80/", "url_hosts_blacklist": ["h"]}),
                "blacklisted",
            ),
            (
                json!({"url": "http://h", "url_hosts_whitelist": ["i"]}),
                "not whitelisted",
            ),
            (
                json!({"url": "http://h", "url_hosts_whitelist": ["i"], "url_hosts_blacklist": ["j"]}),
                "mutually exclusive",
            ),
        ] {
            let error = built(parameters.clone()).unwrap_err().to_string();
            assert!(error.contains(said), "{parameters}: {error}");
        }
    }

    #[test]
    fn credentials_and_files_are_sent() {
        let request = built(json!({"url": "http://h", "username": "u", "password": "p"})).unwrap();
        assert_eq!(request.headers()["authorization"], "Basic dTpw");
        for (auth, header, value) in [
            (json!(["u", "p"]), "authorization", "Basic dTpw"),
            (json!("u:p"), "authorization", "Basic dTpw"),
            (json!("x-auth-token=XYZ"), "x-auth-token", "XYZ"),
            (json!("X-Auth-Token=a:b="), "x-auth-token", "a:b="),
        ] {
            let request = built(json!({"url": "http://h", "auth": auth})).unwrap();
            assert_eq!(request.headers()[header], value);
        }
        assert!(built(json!({"url": "http://h", "auth": "token"})).is_err());
        let text = body(json!({"url": "http://h", "file_name": "f", "file_content": "data"}));
        assert!(text.contains("filename=\"f\"\r\n\r\ndata\r\n--"), "{text}");
    }
}
