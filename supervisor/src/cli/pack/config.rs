//! `petrel pack config`: `configs/<pack>.yaml`, by questions or by KEY=VALUE.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::{Map, Value};

use super::{after, answers};
use crate::catalog::diagnostics::did_you_mean;
use crate::catalog::pack_config::at;
use crate::catalog::{Pack, SourceFile};
use crate::cli::key::secret;
use crate::cli::{Folders, print};
use crate::daemon;
use crate::world::install::config_file;
use crate::world::paths::Paths;

const MASK: &str = "********";

/// See [`super::Command::Config`].
#[derive(Debug, Args)]
pub struct Config {
    /// The pack
    name: String,
    /// Values, dotted for what lies inside; `KEY=-` asks for the value. Without any, all are asked
    #[arg(value_name = "KEY=VALUE")]
    values: Vec<String>,
    #[command(flatten)]
    folders: Folders,
}

impl Config {
    /// Writes nothing unless all of it is valid.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let data = self.folders.data.clone();
        let paths = Paths::resolve(self.folders.into())?;
        let file = paths.configs.join(format!("{}.yaml", self.name));
        let pack = pack(&paths, &self.name, &file)?;
        let mut values = pack.written_config.clone();
        match self.values.is_empty() {
            true => ask_all(&pack.config_schema, "", &mut values)?,
            false => set_all(&pack.config_schema, &self.values, &mut values)?,
        }
        let text = answers::to_yaml(&values);
        if !is_valid(&paths, &self.name, &file, &text, &values)? {
            eprintln!("nothing was written");
            return Ok(ExitCode::FAILURE);
        }
        config_file::write(&file, &text)?;
        print::line(&format!("wrote {}", file.display()))?;
        after::tell(data);
        Ok(ExitCode::SUCCESS)
    }
}

fn pack(paths: &Paths, name: &str, file: &Path) -> anyhow::Result<std::sync::Arc<Pack>> {
    let mut unreadable = false;
    let (_, built) = daemon::load_with(paths, |sources| {
        let config = sources.configs.get(name);
        unreadable = config.is_some_and(|config| config.document.is_none());
    })?;
    ensure!(
        !unreadable,
        "{} cannot be read, so it is not replaced: mend it first, `petrel check` says how",
        file.display()
    );
    let known = built.catalog.packs;
    known.get(name).cloned().with_context(|| {
        let near = did_you_mean(name, known.keys().map(String::as_str));
        let near = near.map(|near| format!(": {near}")).unwrap_or_default();
        format!("there is no pack \"{name}\"{near}")
    })
}

/// Whether the pack takes the configuration; what it does not take is told.
fn is_valid(
    paths: &Paths,
    name: &str,
    file: &Path,
    text: &str,
    values: &Map<String, Value>,
) -> anyhow::Result<bool> {
    let shown = file.display().to_string();
    let (_, built) = daemon::load_with(paths, |sources| {
        let config = SourceFile::new(shown.clone(), shown.clone(), text);
        sources.configs.insert(name.to_owned(), config);
    })?;
    let mut valid = true;
    for one in built.diagnostics.iter().filter(|one| one.file == shown) {
        eprintln!("{}\n", one.render(io::stderr().is_terminal()));
        valid &= !one.is_error();
    }
    let read = built
        .catalog
        .packs
        .get(name)
        .map(|pack| &pack.written_config);
    ensure!(
        !valid || read == Some(values),
        "these values cannot be written as YAML"
    );
    Ok(valid)
}

fn set_all(
    schema: &Value,
    given: &[String],
    values: &mut Map<String, Value>,
) -> anyhow::Result<()> {
    for one in given {
        let split = one.split_once('=').filter(|(path, _)| !path.is_empty());
        let (path, text) = split.with_context(|| format!("\"{one}\" is not KEY=VALUE"))?;
        let about = about(schema, path)?;
        let is_secret = about["secret"] == true;
        let text = match text {
            "-" => answer(path, is_secret)?,
            _ => text.to_owned(),
        };
        if is_secret && !one.ends_with("=-") {
            eprintln!(
                "note: {path} is secret, and was visible to others in the list of processes; \
                 {path}=- asks for it"
            );
        }
        answers::put(values, path, answers::value(&text, about))?;
    }
    Ok(())
}

/// What the schema says of a path; null below what is open.
fn about<'s>(schema: &'s Value, path: &str) -> anyhow::Result<&'s Value> {
    if let Some(found) = answers::described(schema, path) {
        return Ok(found);
    }
    let mut above = schema;
    for name in path.split('.') {
        match above["properties"].get(name) {
            Some(below) => above = below,
            None => break,
        }
    }
    if answers::is_open(above) {
        return Ok(&Value::Null);
    }
    let known = above["properties"].as_object().into_iter().flatten();
    let names: Vec<&str> = known.map(|(name, _)| name.as_str()).collect();
    let last = path.rsplit('.').next().unwrap_or(path);
    let help = did_you_mean(last, names.iter().copied())
        .unwrap_or_else(|| format!("it has {}", names.join(", ")));
    anyhow::bail!("config.schema.yaml has no \"{path}\": {help}")
}

fn ask_all(schema: &Value, above: &str, values: &mut Map<String, Value>) -> anyhow::Result<()> {
    let known = schema["properties"].as_object().into_iter().flatten();
    let mut some = false;
    for (name, about) in known {
        some = true;
        let path = match above.is_empty() {
            true => name.clone(),
            false => format!("{above}.{name}"),
        };
        match about["properties"].is_object() {
            true => ask_all(about, &path, values)?,
            false => ask(about, &path, values)?,
        }
    }
    ensure!(
        some || !above.is_empty(),
        "the pack has no config.schema.yaml that says what to ask: give KEY=VALUE"
    );
    Ok(())
}

fn ask(about: &Value, path: &str, values: &mut Map<String, Value>) -> anyhow::Result<()> {
    if let Some(text) = about["description"].as_str() {
        eprintln!("{text}");
    }
    let is_secret = about["secret"] == true;
    let now = at(values, path).or(about.get("default"));
    let shown = match now {
        None => String::new(),
        Some(_) if is_secret => format!(" [{MASK}]"),
        Some(Value::String(text)) => format!(" [{text}]"),
        Some(value) => format!(" [{value}]"),
    };
    let choices = about["enum"].as_array().map(|all| {
        let all: Vec<String> = all.iter().map(Value::to_string).collect();
        format!(", one of {}", all.join(", "))
    });
    let kind = about["type"].as_str().unwrap_or("any value");
    let question = format!("{path} ({kind}{}){shown}", choices.unwrap_or_default());
    let text = answer(&question, is_secret)?;
    match text.is_empty() {
        true => Ok(()),
        false => answers::put(values, path, answers::value(&text, about)),
    }
}

fn answer(question: &str, is_secret: bool) -> anyhow::Result<String> {
    let stdin = io::stdin();
    if is_secret && stdin.is_terminal() {
        return secret::hidden(&format!("{question}: "));
    }
    eprint!("{question}: ");
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line)?;
    ensure!(read > 0, "no answer came: nothing was written");
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
