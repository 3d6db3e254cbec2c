//! `petrel stats`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::client;
use super::{Client, print};

/// See [`super::Command::Stats`].
#[derive(Debug, Args)]
pub struct Stats {
    #[command(flatten)]
    client: Client,
}

impl Stats {
    /// Prints what happened since the start of the supervisor: a name and a value a line.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let stats = client::get(self.client.data.clone(), "/v1/stats")?.body;
        if self.client.json || self.client.yaml || !self.client.attr.is_empty() {
            let names = stats.as_object().into_iter().flat_map(|all| all.keys());
            let names: Vec<&str> = names.map(String::as_str).collect();
            print::one(&self.client, &stats, &names)?;
            return Ok(ExitCode::SUCCESS);
        }
        let lines = lines("", &stats);
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in lines {
            print::line(&format!("{name:<width$}  {value}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Each value with its way; a spread is one line.
fn lines(way: &str, value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(map) if map.contains_key("count") => {
            let parts = ["p50", "p90", "p99", "max"].map(|name| {
                let part = map.get(name).and_then(Value::as_f64);
                format!("{name} {}", part.map_or_else(|| "-".to_owned(), short))
            });
            let count = &map["count"];
            vec![(way.to_owned(), format!("{}  of {count}", parts.join("  ")))]
        }
        Value::Object(map) => {
            let below = |name: &str| match way {
                "" => name.to_owned(),
                way => format!("{way}.{name}"),
            };
            let all = map.iter().map(|(name, value)| lines(&below(name), value));
            all.flatten().collect()
        }
        Value::Null => vec![(way.to_owned(), "-".to_owned())],
        Value::String(text) => vec![(way.to_owned(), text.clone())],
        Value::Number(number) if !number.is_u64() => {
            let number = number.as_f64().map(short).unwrap_or_default();
            vec![(way.to_owned(), number)]
        }
        other => vec![(way.to_owned(), other.to_string())],
    }
}

/// Three places that count.
fn short(number: f64) -> String {
    let places = match number.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{number:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_a_line() {
        let stats = json!({
            "events": {"accepted": 3, "ack_ms": {"count": 2, "p50": 1.2345, "p90": 12.34, "p99": 123.4, "max": 0.1}},
            "journal": null,
        });
        let shown: Vec<_> = lines("", &stats)
            .into_iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(
            shown,
            [
                "events.accepted: 3",
                "events.ack_ms: p50 1.23  p90 12.3  p99 123  max 0.100  of 2",
                "journal: -",
            ]
        );
    }
}
