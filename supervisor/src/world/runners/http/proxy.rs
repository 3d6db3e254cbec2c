//! Which proxy a URL is reached by.
//!
//! Behaviour of python-requests 2.x, with which StackStorm makes requests: the parameters
//! `http_proxy` and `https_proxy` are for URLs of that scheme, and hold whatever `no_proxy` says.
//! Where there is none, the environment's `http_proxy` or `https_proxy`, else its `all_proxy`, each
//! in small letters before capitals, unless `no_proxy` names the host. A redirect asks anew.

use std::net::Ipv4Addr;

use anyhow::{Context, bail};
use serde_json::{Map, Value};
use ureq::Proxy;
use ureq::http::Uri;

/// What is known of proxies.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Of the parameters: http, https.
    asked: [Option<Proxy>; 2],
    /// Of the environment: http, https.
    found: [Option<Proxy>; 2],
    /// Hosts that the environment's proxies are not for.
    spared: Vec<String>,
}

impl Proxies {
    /// By parameters of the action and by the environment.
    ///
    /// # Errors
    /// Which proxy is no URL of one, or is of a kind that is not known here.
    pub fn new(
        parameters: &Map<String, Value>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let asked = |name: &str| {
            let text = parameters.get(name).and_then(Value::as_str);
            parsed(name, text.map(str::to_owned))
        };
        // What is empty in small letters hides what is there in capitals.
        let variable = |name: &str| variable(name).or_else(|| variable(&name.to_uppercase()));
        let found = |name: &str| {
            let own = variable(name).filter(|text| !text.is_empty());
            parsed(name, own.or_else(|| variable("all_proxy")))
        };
        let spared = variable("no_proxy").unwrap_or_default().replace(' ', "");
        let spared = spared.split(',').filter(|host| !host.is_empty());
        Ok(Self {
            asked: [asked("http_proxy")?, asked("https_proxy")?],
            found: [found("http_proxy")?, found("https_proxy")?],
            spared: spared.map(str::to_ascii_lowercase).collect(),
        })
    }

    /// The proxy for a URL; none where the host is reached without.
    pub fn of(&self, uri: &Uri) -> Option<&Proxy> {
        let scheme = usize::from(uri.scheme_str() == Some("https"));
        let found = || self.found[scheme].as_ref().filter(|_| !self.spares(uri));
        self.asked[scheme].as_ref().or_else(found)
    }

    fn spares(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let whole = uri.port_u16().map(|port| format!("{host}:{port}"));
        self.spared.iter().any(|spared| match spared.as_str() {
            "*" => true,
            spared => match host.parse::<Ipv4Addr>() {
                Ok(address) => host == spared || is_within(address, spared),
                Err(_) => {
                    host.ends_with(spared)
                        || spared.strip_prefix('.') == Some(host)
                        || whole.as_ref().is_some_and(|whole| whole.ends_with(spared))
                }
            },
        })
    }
}

/// `10.0.0.0/8`.
fn is_within(address: Ipv4Addr, network: &str) -> bool {
    let Some((base, bits)) = network.split_once('/') else {
        return false;
    };
    let (Ok(base), Ok(bits @ 1..=32)) = (base.parse::<Ipv4Addr>(), bits.parse::<u32>()) else {
        return false;
    };
    let mask = u32::MAX << (32 - bits);
    address.to_bits() & mask == base.to_bits() & mask
}

fn parsed(name: &str, text: Option<String>) -> anyhow::Result<Option<Proxy>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    // Its text may hold a password: it is not in the message.
    let proxy = Proxy::new(&text).with_context(|| format!("{name} is no URL of a proxy"))?;
    match proxy.protocol() {
        ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https => Ok(Some(proxy)),
        other => bail!("{name} is a {other} proxy; only http:// and https:// are known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chosen(parameters: Value, environment: &[(&str, &str)], url: &str) -> Option<String> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxies = Proxies::new(parameters.as_object().unwrap(), variable).unwrap();
        let proxy = proxies.of(&url.parse().unwrap());
        proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn a_parameter_goes_before_the_environment_and_each_scheme_has_its_own() {
        let environment = [
            ("http_proxy", "http://small:1"),
            ("HTTP_PROXY", "http://capital:2"),
            ("ALL_PROXY", "all:3"),
        ];
        let of = |parameters, url| chosen(parameters, &environment, url);
        assert_eq!(of(json!({}), "http://h/").as_deref(), Some("small:1"));
        assert_eq!(of(json!({}), "https://h/").as_deref(), Some("all:3"));
        let asked = json!({"http_proxy": "http://u:p@asked:4"});
        assert_eq!(of(asked.clone(), "http://h/").as_deref(), Some("asked:4"));
        assert_eq!(of(asked, "https://h/").as_deref(), Some("all:3"));
        let hidden = [("http_proxy", ""), ("HTTP_PROXY", "http://capital:2")];
        assert_eq!(chosen(json!({}), &hidden, "http://h/"), None);
    }

    #[test]
    fn spared_hosts_are_reached_directly_unless_a_parameter_says_otherwise() {
        let spared = [
            ("http_proxy", "p:1"),
            (
                "no_proxy",
                "example.com, .intern, 10.0.0.0/8,192.0.2.7,other:8080",
            ),
        ];
        for (url, direct) in [
            ("http://EXAMPLE.com/", true),
            ("http://a.example.com/", true),
            ("http://notexample.com/", true), // as there: an ending, not a domain
            ("http://example.org/", false),
            ("http://intern/", true),
            ("http://a.intern/", true),
            ("http://10.9.8.7/", true),
            ("http://11.9.8.7/", false),
            ("http://192.0.2.7:99/", true),
            ("http://192.0.2.70/", false),
            ("http://other:8080/", true),
            ("http://other/", false),
        ] {
            assert_eq!(chosen(json!({}), &spared, url).is_none(), direct, "{url}");
        }
        let asked = json!({"http_proxy": "p:2"});
        assert!(chosen(asked, &spared, "http://example.com/").is_some());
        let all = [("http_proxy", "p:1"), ("NO_PROXY", "*")];
        assert_eq!(chosen(json!({}), &all, "http://h/"), None);
    }

    #[test]
    fn what_is_no_proxy_is_said_without_its_password() {
        for url in [
            "socks5://u:hidden@h",
            "ftp://u:hidden@h",
            "http://u:hidden@",
        ] {
            let parameters = json!({"http_proxy": url});
            let error = Proxies::new(parameters.as_object().unwrap(), |_| None).unwrap_err();
            let text = format!("{error:#}");
            assert!(
                text.contains("http_proxy") && !text.contains("hidden"),
                "{text}"
            );
        }
    }
}
