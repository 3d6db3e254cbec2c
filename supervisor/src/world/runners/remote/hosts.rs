//! Hosts as StackStorm writes them: `a.example, b.example:2222, [2001:db8::1]:22`.

use anyhow::{Context, bail};

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Name or address, and its key in the result.
    pub name: String,
    /// Given behind the name.
    pub port: Option<u16>,
}

/// The hosts of a list.
///
/// # Errors
/// When there is none, or one is no host.
pub fn parse(list: &str) -> anyhow::Result<Vec<Host>> {
    let items = list
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    let hosts: Vec<Host> = items.map(one).collect::<anyhow::Result<_>>()?;
    if hosts.is_empty() {
        bail!("No hosts specified to run action: give \"hosts\" as a.example,b.example:2222");
    }
    Ok(hosts)
}

/// One host with or without its port. Several colons without brackets are an IPv6 address.
///
/// # Errors
/// When it has characters that no host has, or its port is none.
pub fn one(item: &str) -> anyhow::Result<Host> {
    let (name, port) = match item.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, "")) => (name, None),
        Some((name, rest)) => (name, Some(rest.strip_prefix(':').unwrap_or(rest))),
        None => match item.split_once(':') {
            Some((name, port)) if !port.contains(':') => (name, Some(port)),
            _ => (item, None),
        },
    };
    let allowed = |c: char| c.is_alphanumeric() || "._-:%".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(allowed) {
        bail!("\"{item}\" in \"hosts\" is no host");
    }
    let port = port.map(|port| port.parse::<u16>());
    let port = port
        .transpose()
        .with_context(|| format!("the port of \"{item}\" in \"hosts\" is no number to 65535"))?;
    let name = name.to_owned();
    Ok(Host { name, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_ports() {
        let shown = |list: &str| -> Vec<(String, Option<u16>)> {
            let hosts = parse(list).unwrap().into_iter();
            hosts.map(|host| (host.name, host.port)).collect()
        };
        let list = " a.example,b:2222,,[2001:db8::1]:22, 2001:db8::2 ,[::1]";
        let expected = [
            ("a.example", None),
            ("b", Some(2222)),
            ("2001:db8::1", Some(22)),
            ("2001:db8::2", None),
            ("::1", None),
        ];
        assert_eq!(
            shown(list),
            expected.map(|(name, port)| (name.to_owned(), port))
        );
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for list in [
            "",
            " , ",
            "-oProxyCommand=x",
            "a b",
            "a:b",
            "a:70000",
            "a;b",
            "$(x)",
        ] {
            assert!(parse(list).is_err(), "{list}");
        }
    }
}
