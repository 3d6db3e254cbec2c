//! What is listed and got alike: trigger types, rules, actions, executions, events.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{self, escaped};
use super::{Client, print};
use crate::catalog::diagnostics::did_you_mean;

/// A kind of thing: its path in the API and its columns.
#[derive(Debug)]
pub struct Noun {
    path: &'static str,
    plural: &'static str,
    columns: &'static [&'static str],
    properties: &'static [&'static str],
    /// The parameter that narrows a list to one reference.
    of: &'static str,
}

/// Sensors; only their lists are printed here.
pub const SENSORS: Noun = Noun {
    path: "/v1/sensortypes",
    plural: "sensors",
    columns: &["ref", "pack", "description", "enabled"],
    properties: &[],
    of: "",
};

/// Packs.
pub const PACKS: Noun = Noun {
    path: "/v1/packs",
    plural: "packs",
    columns: &["ref", "name", "description", "version", "author"],
    properties: &[],
    of: "",
};

/// Trigger types.
pub const TRIGGERS: Noun = Noun {
    path: "/v1/triggertypes",
    plural: "triggers",
    columns: &["ref", "pack", "description"],
    properties: &[],
    of: "",
};

/// Rules.
pub const RULES: Noun = Noun {
    path: "/v1/rules",
    plural: "rules",
    columns: &["ref", "pack", "description", "enabled"],
    properties: &[],
    of: "",
};

/// What became of rules that matched, or failed.
pub const ENFORCEMENTS: Noun = Noun {
    path: "/v1/ruleenforcements",
    plural: "enforcements",
    columns: &[
        "rule.ref",
        "trigger_instance_id",
        "execution_id",
        "failure_reason",
        "enforced_at",
    ],
    properties: &[],
    of: "rule_ref",
};

/// Actions.
pub const ACTIONS: Noun = Noun {
    path: "/v1/actions",
    plural: "actions",
    columns: &["ref", "pack", "description"],
    properties: &[],
    of: "",
};

/// Executions.
pub const EXECUTIONS: Noun = Noun {
    path: "/v1/executions",
    plural: "executions",
    columns: &[
        "id",
        "action.ref",
        "context.user",
        "status",
        "start_timestamp",
        "end_timestamp",
    ],
    properties: &[
        "id",
        "action.ref",
        "context.user",
        "rule.ref",
        "trigger_instance.id",
        "parameters",
        "status",
        "start_timestamp",
        "end_timestamp",
        "result",
    ],
    of: "action",
};

/// Events.
pub const EVENTS: Noun = Noun {
    path: "/v1/triggerinstances",
    plural: "events",
    columns: &["id", "trigger", "occurrence_time", "status"],
    properties: &[
        "id",
        "trigger",
        "sensor",
        "occurrence_time",
        "trace_tag",
        "status",
        "payload",
        "rules",
    ],
    of: "trigger",
};

/// Commands of what packs bring.
#[derive(Debug, Subcommand)]
pub enum Listed {
    /// List them.
    List(List),
    /// Show one.
    Get(Get),
}

/// Commands of what the journal keeps.
#[derive(Debug, Subcommand)]
pub enum Recorded {
    /// List the newest.
    List(Newest),
    /// Show one.
    Get(Get),
}

/// Commands of what is only listed.
#[derive(Debug, Subcommand)]
pub enum Enforced {
    /// List the newest.
    List(Newest),
}

impl Enforced {
    /// Prints it.
    pub fn run(self, noun: &Noun) -> anyhow::Result<ExitCode> {
        let Self::List(newest) = self;
        Recorded::List(newest).run(noun)
    }
}

/// Narrows a list of what packs bring.
#[derive(Debug, Args)]
pub struct List {
    /// Only of this pack
    #[arg(short, long)]
    pack: Option<String>,
    /// At most so many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u32>,
    #[command(flatten)]
    client: Client,
}

/// Narrows a list of what the journal keeps.
#[derive(Debug, Args)]
pub struct Newest {
    /// At most so many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Only of this action, trigger or rule
    #[arg(long, value_name = "REF")]
    of: Option<String>,
    /// Only executions with this status
    #[arg(long)]
    status: Option<String>,
    #[command(flatten)]
    client: Client,
}

/// Names one thing.
#[derive(Debug, Args)]
pub struct Get {
    /// Its reference or id
    id: String,
    #[command(flatten)]
    client: Client,
}

impl Listed {
    /// Prints it.
    pub fn run(self, noun: &Noun) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.run(noun),
            Self::Get(get) => get.of_list(noun),
        }
    }
}

impl Get {
    /// Shows all of one thing that packs bring, by its reference or id.
    pub fn of_list(&self, noun: &Noun) -> anyhow::Result<ExitCode> {
        let all = client::get(self.client.data.clone(), noun.path)?.body;
        let all = all.as_array().map_or(&[][..], Vec::as_slice);
        let is_it = |one: &&Value| one["ref"] == self.id.as_str() || one["id"] == self.id.as_str();
        let Some(found) = all.iter().find(is_it) else {
            let references = all.iter().filter_map(|one| one["ref"].as_str());
            let near = did_you_mean(&self.id, references);
            let near = near.map(|near| format!(": {near}")).unwrap_or_default();
            anyhow::bail!("none of the {} is \"{}\"{near}", noun.plural, self.id);
        };
        let members = found.as_object().into_iter().flatten();
        let names: Vec<&str> = members.map(|(name, _)| name.as_str()).collect();
        print::one(&self.client, found, &names)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    /// Prints it.
    pub fn run(self, noun: &Noun) -> anyhow::Result<ExitCode> {
        let limit = self.limit.map(|limit| limit.to_string());
        let query = [("pack", self.pack), ("limit", limit)];
        show(noun, &self.client, query)
    }
}

impl Recorded {
    /// Prints it.
    pub fn run(self, noun: &Noun) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(newest) => {
                let limit = Some(newest.limit.to_string());
                let query = [
                    ("limit", limit),
                    (noun.of, newest.of),
                    ("status", newest.status),
                ];
                show(noun, &newest.client, query)
            }
            Self::Get(get) => {
                let path = format!("{}/{}", noun.path, escaped(&get.id));
                let answer = client::get(get.client.data.clone(), &path)?;
                print::one(&get.client, &answer.body, noun.properties)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// Says beside `enabled` who switched it and why, and what it waits for: nobody should have to look
/// for that.
fn with_overrides(mut rows: Value) -> Value {
    for row in rows.as_array_mut().into_iter().flatten() {
        let switched = row["override"].take();
        if let Some(by) = switched["by"].as_str() {
            let word = if row["enabled"] == true {
                "True"
            } else {
                "False"
            };
            let part = |name: &str, before: &str| {
                let text = switched[name].as_str();
                text.map_or_else(String::new, |text| format!("{before}{text}"))
            };
            let (until, reason) = (part("until", " until "), part("reason", ": "));
            row["enabled"] = format!("{word} (switched by {by}{until}{reason})").into();
        }
        if let Some(why) = row["journal"].as_str() {
            let word = match &row["enabled"] {
                Value::String(text) => text.clone(),
                enabled => if *enabled == true { "True" } else { "False" }.to_owned(),
            };
            row["enabled"] = format!("{word} (waits: {why})").into();
        }
    }
    rows
}

fn show<const N: usize>(
    noun: &Noun,
    client: &Client,
    query: [(&str, Option<String>); N],
) -> anyhow::Result<ExitCode> {
    let query: Vec<String> = query
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escaped(&value?))))
        .collect();
    let path = format!("{}?{}", noun.path, query.join("&"));
    let answer = client::get(client.data.clone(), &path)?;
    match client.json || client.yaml {
        true => print::list(client, &answer.body, noun.columns)?,
        false => print::list(client, &with_overrides(answer.body.clone()), noun.columns)?,
    }
    let shown = answer.body.as_array().map_or(0, Vec::len) as u64;
    if let Some(total) = answer.total.filter(|total| *total > shown) {
        let plural = noun.plural;
        eprintln!("Note: {shown} of {total} {plural} are shown; --limit N shows more.");
    }
    Ok(ExitCode::SUCCESS)
}
