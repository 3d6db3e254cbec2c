//! The child that makes the request: parameters on standard input, the outcome in the result file.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::proxy::Proxies;
use super::{forward, request, response};
use crate::core::record::Status;
use crate::world::runners::child;

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
    child::run(|text| {
        let asked = serde_json::from_str(text).context("standard input is no request")?;
        exchange(&asked)
    })
}

fn exchange(asked: &Value) -> anyhow::Result<(Status, Value)> {
    let none = Map::new();
    let parameters = asked["parameters"].as_object().unwrap_or(&none);
    let request = request::build(parameters, asked["action"].as_str().unwrap_or_default())?;
    let proxies = Proxies::new(parameters, |name| std::env::var(name).ok())?;
    let way = way(&request, &proxies);
    let agent = agent(parameters, proxies);
    match agent.run(request).and_then(response::read) {
        Ok((code, result)) if (200..=206).contains(&code) => Ok((Status::Succeeded, result)),
        Ok((_, result)) => Ok((Status::Failed, result)),
        Err(error @ ureq::Error::Timeout(_)) => {
            Ok((Status::Timeout, json!({"error": error.to_string()})))
        }
        Err(error) => Err(anyhow::Error::from(error).context(format!("{way} failed"))),
    }
}

/// `GET http://host:port by way of the proxy host:port`: no path, for one may hold a token.
fn way(request: &ureq::http::Request<Vec<u8>>, proxies: &Proxies) -> String {
    let uri = request.uri();
    let port = uri.port().map(|port| format!(":{port}"));
    let (scheme, host) = (uri.scheme_str(), uri.host());
    let proxy = proxies.of(uri);
    let proxy = proxy.map(|by| format!(" by way of the proxy {}:{}", by.host(), by.port()));
    format!(
        "{} {}://{}{}{}",
        request.method(),
        scheme.unwrap_or_default(),
        host.unwrap_or_default(),
        port.unwrap_or_default(),
        proxy.unwrap_or_default(),
    )
}

fn agent(parameters: &Map<String, Value>, proxies: Proxies) -> Agent {
    let flag = |name: &str| parameters.get(name).and_then(Value::as_bool);
    let seconds = parameters.get("timeout").and_then(Value::as_f64);
    let limit = Duration::try_from_secs_f64(seconds.unwrap_or(TIMEOUT_S));
    let limit = limit.ok().filter(|limit| !limit.is_zero());
    let redirects = match flag("allow_redirects") {
        Some(true) => MOST_REDIRECTS,
        _ => 0,
    };
    let tls = TlsConfig::builder()
        .root_certs(roots())
        .disable_verification(flag("verify_ssl_cert") == Some(false))
        .build();
    let configure = move |proxy| {
        Agent::config_builder()
            .tls_config(tls.clone())
            .proxy(proxy)
            .max_idle_connections(0)
            .max_redirects(redirects)
            .max_redirects_will_error(redirects > 0)
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(limit)
            .build()
    };
    forward::agent(proxies, Box::new(configure))
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
