//! What runs actions, and the parameters that each kind brings along (StackStorm's
//! `contrib/runners/*/runner.yaml`; reference st2.md 7.2).

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::model::Runner;
use super::schemas::Schemas;

/// What a `runner_type` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Run here.
    Supported(Runner),
    /// A runner of StackStorm that this version does not have.
    NotYet,
    /// Nobody's.
    Unknown,
}

/// Names of the runners of this version, those of StackStorm before 0.9 last.
pub const SUPPORTED: &[&str] = &[
    "python-script",
    "local-shell-cmd",
    "local-shell-script",
    "remote-shell-cmd",
    "remote-shell-script",
    "http-request",
    "announcement",
    "noop",
    "action-chain",
    "run-python",
    "run-local",
    "run-local-script",
    "run-remote",
    "run-remote-script",
    "http-runner",
];

const NOT_YET: &[&str] = &[
    "orquesta",
    "orchestra",
    "inquirer",
    "winrm-cmd",
    "winrm-ps-cmd",
    "winrm-ps-script",
    "mistral-v2",
    "cloudslang",
    "windows-cmd",
    "windows-script",
];

/// Looks a `runner_type` up.
pub fn known(name: &str) -> Known {
    match name {
        "python-script" | "run-python" => Known::Supported(Runner::PythonScript),
        "local-shell-cmd" | "run-local" => Known::Supported(Runner::LocalShellCmd),
        "local-shell-script" | "run-local-script" => Known::Supported(Runner::LocalShellScript),
        "remote-shell-cmd" | "run-remote" => Known::Supported(Runner::RemoteShellCmd),
        "remote-shell-script" | "run-remote-script" => Known::Supported(Runner::RemoteShellScript),
        "http-request" | "http-runner" => Known::Supported(Runner::HttpRequest),
        "announcement" => Known::Supported(Runner::Announcement),
        "action-chain" => Known::Supported(Runner::ActionChain),
        "noop" => Known::Supported(Runner::Noop),
        _ if NOT_YET.contains(&name) => Known::NotYet,
        _ => Known::Unknown,
    }
}

/// Every name that StackStorm knows, for hints.
pub fn names() -> impl Iterator<Item = &'static str> {
    SUPPORTED.iter().chain(NOT_YET).copied()
}

/// The schemas of a runner's own parameters, in StackStorm's order.
pub fn parameters(runner: Runner) -> Map<String, Value> {
    let schemas = match runner {
        Runner::PythonScript => python_script(),
        Runner::LocalShellCmd => local_shell_cmd(),
        Runner::LocalShellScript => local_shell_script(),
        Runner::RemoteShellCmd => remote_shell_cmd(),
        Runner::RemoteShellScript => remote_shell_script(),
        Runner::HttpRequest => http_request(),
        Runner::Announcement => json!({
            "experimental": {"type": "boolean", "required": true, "default": false},
            "route": {"type": "string", "default": "general"},
        }),
        Runner::Noop => json!({}),
        Runner::ActionChain => json!({
            "display_published": {"type": "boolean", "default": true},
            "skip_notify": {"type": "array", "default": []},
        }),
    };
    match schemas {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn python_script() -> Value {
    json!({
        "debug": {"type": "boolean", "default": false},
        "content_version": {"type": "string"},
        "env": {"type": "object"},
        "timeout": {"type": "integer", "default": 600},
        "log_level": {
            "type": "string",
            "default": "DEBUG",
            "enum": ["AUDIT", "CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"],
        },
    })
}

fn http_request() -> Value {
    json!({
        "url": {"type": "string", "required": true},
        "headers": {"type": "object"},
        "cookies": {"type": "object"},
        "username": {"type": "string"},
        "password": {"type": "string", "secret": true},
        "http_proxy": {"type": "string"},
        "https_proxy": {"type": "string"},
        "allow_redirects": {"type": "boolean", "default": false},
        "verify_ssl_cert": {"type": "boolean", "default": true},
        "url_hosts_blacklist": {"type": "array"},
        "url_hosts_whitelist": {"type": "array"},
    })
}

fn local_shell_cmd() -> Value {
    json!({
        "cmd": {"type": "string"},
        "cwd": {"type": "string"},
        "env": {"type": "object"},
        "kwarg_op": {"type": "string", "default": "--"},
        "sudo": {"type": "boolean", "default": false},
        "sudo_password": {"type": "string", "secret": true, "default": null},
        "timeout": {"type": "integer", "default": 60},
    })
}

fn local_shell_script() -> Value {
    json!({
        "cwd": {"type": "string"},
        "env": {"type": "object"},
        "debug": {"type": "boolean", "default": false},
        "content_version": {"type": "string"},
        "kwarg_op": {"type": "string", "default": "--"},
        "sudo": {"type": "boolean", "default": false},
        "sudo_password": {"type": "string", "secret": true, "default": null},
        "timeout": {"type": "integer", "default": 60},
    })
}

fn remote_shell_cmd() -> Value {
    let mut schemas = remote_shell_script();
    schemas["cmd"] = json!({"type": "string"});
    schemas["dir"]["immutable"] = json!(true);
    schemas
}

fn remote_shell_script() -> Value {
    json!({
        "hosts": {"type": "string", "required": true},
        "username": {"type": "string"},
        "password": {"type": "string", "secret": true},
        "private_key": {"type": "string", "secret": true},
        "passphrase": {"type": "string", "secret": true},
        "port": {"type": "integer"},
        "bastion_host": {"type": "string"},
        "parallel": {"type": "boolean", "default": false, "immutable": true},
        "cwd": {"type": "string", "default": "/tmp"},
        "dir": {"type": "string", "default": "/tmp"},
        "env": {"type": "object"},
        "kwarg_op": {"type": "string", "default": "--"},
        "sudo": {"type": "boolean", "default": false},
        "sudo_password": {"type": "string", "secret": true, "default": null},
        "timeout": {"type": "integer", "default": 60},
    })
}

/// Made once: all actions of a runner share them.
static OF_RUNNERS: LazyLock<HashMap<Runner, Schemas>> = LazyLock::new(|| {
    let runners = SUPPORTED.iter().filter_map(|name| match known(name) {
        Known::Supported(runner) => Some(runner),
        _ => None,
    });
    runners
        .map(|runner| (runner, parameters(runner).into()))
        .collect()
});

/// The runner's parameters with the action's own laid over them, key by key of each schema.
pub fn overlay(runner: Runner, own: &Schemas) -> Schemas {
    let of_runner = OF_RUNNERS.get(&runner);
    of_runner.map_or_else(|| own.clone(), |all| all.overlaid(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_mean_the_same() {
        assert_eq!(known("run-python"), known("python-script"));
        assert_eq!(known("run-local"), Known::Supported(Runner::LocalShellCmd));
        assert_eq!(known("orquesta"), Known::NotYet);
        assert_eq!(known("run-pyton"), Known::Unknown);
    }

    #[test]
    fn an_action_overrides_parts_of_the_runners_parameter() {
        let own = json!({"timeout": {"default": 5}, "x": {"type": "string"}});
        let all = overlay(
            Runner::PythonScript,
            &own.as_object().unwrap().clone().into(),
        );
        assert_eq!(all["timeout"], json!({"type": "integer", "default": 5}));
        assert_eq!(all.iter().next_back().unwrap().0, "x");
    }
}
