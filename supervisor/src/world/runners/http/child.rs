//! The child that makes the request: parameters on standard input, the outcome in the result file.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::{request, response};
use crate::core::record::Status;

/// Time limit where the action has none, seconds; StackStorm's.
const TIMEOUT_S: f64 = 60.0;

/// Most redirects that are followed; that of the library that StackStorm uses.
const MOST_REDIRECTS: u32 = 30;

/// Certificates of authorities on Debian, Red Hat and their kin.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Makes the request that standard input asks for.
///
/// # Errors
/// When there is nobody to tell the outcome to.
pub fn run() -> anyhow::Result<()> {
    let file = std::env::var_os("PETREL_RESULT_FILE").context("PETREL_RESULT_FILE is not set")?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let asked: Value = serde_json::from_str(&text).context("standard input is no request")?;
    let (status, result) = exchange(&asked).unwrap_or_else(|error| {
        let error = format!("{error:#}");
        (Status::Failed, json!({"error": error}))
    });
    let said = json!({"status": status.word(), "result": result});
    std::fs::write(Path::new(&file), said.to_string()).context("failed to write the result")
}

fn exchange(asked: &Value) -> anyhow::Result<(Status, Value)> {
    let none = Map::new();
    let parameters = asked["parameters"].as_object().unwrap_or(&none);
    let request = request::build(parameters, asked["action"].as_str().unwrap_or_default())?;
    let agent = agent(parameters)?;
    match agent.run(request).and_then(response::read) {
        Ok((code, result)) if (200..=206).contains(&code) => Ok((Status::Succeeded, result)),
        Ok((_, result)) => Ok((Status::Failed, result)),
        Err(error @ ureq::Error::Timeout(_)) => {
            Ok((Status::Timeout, json!({"error": error.to_string()})))
        }
        Err(error) => Err(error.into()),
    }
}

fn agent(parameters: &Map<String, Value>) -> anyhow::Result<Agent> {
    let flag = |name: &str| parameters.get(name).and_then(Value::as_bool);
    let seconds = parameters.get("timeout").and_then(Value::as_f64);
    let limit = Duration::try_from_secs_f64(seconds.unwrap_or(TIMEOUT_S));
    let redirects = match flag("allow_redirects") {
        Some(true) => MOST_REDIRECTS,
        _ => 0,
    };
    let tls = TlsConfig::builder()
        .root_certs(roots())
        .disable_verification(flag("verify_ssl_cert") == Some(false))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .proxy(proxy(parameters)?)
        .max_redirects(redirects)
        .max_redirects_will_error(redirects > 0)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .timeout_global(limit.ok().filter(|limit| !limit.is_zero()))
        .build();
    Ok(config.into())
}

/// `http_proxy` or `https_proxy`, by the scheme of the URL; else what the environment says.
fn proxy(parameters: &Map<String, Value>) -> anyhow::Result<Option<ureq::Proxy>> {
    let text = |name: &str| parameters.get(name).and_then(Value::as_str);
    let url = text("url").unwrap_or_default();
    let name = match url.starts_with("https:") {
        true => "https_proxy",
        false => "http_proxy",
    };
    match text(name).filter(|proxy| !proxy.is_empty()) {
        Some(proxy) => {
            let proxy = ureq::Proxy::new(proxy).with_context(|| format!("{name} is wrong"))?;
            Ok(Some(proxy))
        }
        None => Ok(ureq::Proxy::try_from_env()),
    }
}

/// What the host trusts (or `REQUESTS_CA_BUNDLE`, `SSL_CERT_FILE`); else the roots of Mozilla.
fn roots() -> RootCerts {
    let named = ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"].map(std::env::var_os);
    let named = named.into_iter().flatten().map(Into::into);
    let mut files = named.chain(BUNDLES.map(std::path::PathBuf::from));
    let Some(pem) = files.find_map(|file| std::fs::read(file).ok()) else {
        return RootCerts::WebPki;
    };
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<Certificate<'static>> = certificates.collect();
    RootCerts::Specific(Arc::new(certificates))
}
