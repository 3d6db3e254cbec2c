//! `petrel rule test RULE EVENT`: what StackStorm's `st2-rule-tester` answers, and why.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::client::{self, Unreachable, escaped};
use super::{Folders, print};
use crate::catalog::{Catalog, PackSource, Rule, SourceFile, Sources};
use crate::config::Settings;
use crate::daemon;
use crate::rules::store::{NoKeys, Owner, Store};
use crate::rules::{Explained, Host, RuleSet, Told, Trigger};
use crate::world::paths::Paths;
use crate::world::{clock, secrets};

/// Longest value that is shown, characters.
const SHOWN: usize = 200;

/// See [`super::rule::Command::Test`].
#[derive(Debug, Args)]
pub struct Test {
    /// File of the rule, or its reference
    rule: String,
    /// File with `trigger` and `payload` in JSON or YAML, `-` for standard input, or the id of an
    /// event that petrel has
    event: String,
    #[command(flatten)]
    folders: Folders,
    /// Print the answer as JSON
    #[arg(short, long)]
    json: bool,
}

/// The event that the rule is tested with.
struct Event {
    trigger: String,
    /// Of the trigger with parameters, where that is known.
    trigger_ref: Option<String>,
    payload: Value,
    at: Timestamp,
}

impl Test {
    /// Exit code 1 when the rule does not match, or its parameters fail.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let data = self.folders.data.clone();
        let paths = Paths::resolve(self.folders.clone().into())?;
        let event = self.event(&data)?;
        let (settings, catalog, rule) = self.load(&paths)?;
        let key = settings.datastore.encryption_key.as_deref();
        let key = secrets::existing(key, &paths.data);
        let host = Host {
            zone: clock::zone(),
            cipher: key.map(Arc::new),
        };
        let (rules, found) = RuleSet::compile(Arc::new(catalog), &host);
        let color = std::io::stderr().is_terminal();
        for one in &found {
            eprintln!("{}\n", one.render(color));
        }
        let store = keys(data, rules.reads_store(&Trigger::of(&rule).reference))?;
        let at = Some(event.at);
        let Some(explained) = rules.explain(&rule.reference, &event.payload, at, &store) else {
            bail!("rule {} cannot be tested: see above", rule.reference);
        };
        let fits = fits(&rule, &event);
        let good = fits.is_ok() && explained.matches() && explained.parameters.is_ok();
        match self.json {
            true => print::json(&as_json(&rule, &event, &fits, &explained))?,
            false => show(&rule, &event, &fits, &explained)?,
        }
        Ok(ExitCode::from(u8::from(!good)))
    }

    fn event(&self, data: &Option<PathBuf>) -> anyhow::Result<Event> {
        let text = match self.event.as_str() {
            "-" => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text)?;
                text
            }
            file if Path::new(file).is_file() => {
                std::fs::read_to_string(file).with_context(|| format!("failed to read {file}"))?
            }
            id if id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()) => {
                return recorded(data, id);
            }
            other => bail!("{other} is neither a file nor the id of an event"),
        };
        from_text(&self.event, &text)
    }

    /// The catalog with this rule alone, enabled whether it is or not.
    fn load(&self, paths: &Paths) -> anyhow::Result<(Settings, Catalog, Arc<Rule>)> {
        let file = Path::new(&self.rule);
        let file = file
            .is_file()
            .then(|| std::path::absolute(file))
            .transpose()?;
        let mut paths = paths.clone();
        if let Some(pack) = file.as_deref().and_then(pack_of) {
            let mut known = paths.packs.iter().filter_map(|dir| dir.canonicalize().ok());
            let known =
                known.any(|dir| pack.canonicalize().is_ok_and(|pack| pack.starts_with(dir)));
            if !known {
                paths.packs.push(pack);
            }
        }
        let mut trouble = Ok(());
        let (settings, built) = daemon::load_with(&paths, |sources| {
            if let Some(file) = &file {
                trouble = add(sources, file);
            }
        })?;
        trouble?;
        let mut catalog = built.catalog;
        let rules = catalog.rules.values();
        let found = match &file {
            Some(file) => rules.clone().find(|rule| is_of(&catalog, rule, file)),
            None => catalog.rules.get(&self.rule),
        };
        let Some(found) = found.cloned() else {
            let here = file.as_ref().map(|file| file.display().to_string());
            let of_file = |shown: &str| here.as_ref().is_some_and(|file| file.ends_with(shown));
            for one in built.diagnostics.iter().filter(|one| of_file(&one.file)) {
                eprintln!("{}\n", one.render(std::io::stderr().is_terminal()));
            }
            bail!("there is no usable rule {}", self.rule);
        };
        let rule = Arc::new(Rule {
            enabled: true,
            ..Rule::clone(&found)
        });
        catalog.rules = BTreeMap::from([(rule.reference.clone(), Arc::clone(&rule))]);
        Ok((settings, catalog, found))
    }
}

/// The pack's folder of a file in one of its folders.
fn pack_of(file: &Path) -> Option<PathBuf> {
    let dir = file.parent()?.parent()?;
    dir.join("pack.yaml").is_file().then(|| dir.to_owned())
}

fn is_of(catalog: &Catalog, rule: &Rule, file: &Path) -> bool {
    let pack = catalog.packs.get(&rule.pack);
    pack.is_some_and(|pack| pack.dir.join(&rule.metadata_file) == *file)
        || Path::new(&rule.source.file) == file
}

/// Adds a rule that lies in no pack to the pack that it names, or to one of its own.
fn add(sources: &mut Sources, file: &Path) -> anyhow::Result<()> {
    let mut all = sources.packs.iter().flat_map(|pack| {
        let rules = pack.rules.iter();
        rules.map(|rule| pack.dir.join(&rule.relative))
    });
    if all.any(|known| known == file) {
        return Ok(());
    }
    let text = std::fs::read_to_string(file)?;
    let shown = file.display().to_string();
    let rule = SourceFile::new(shown.clone(), shown, text);
    let name = rule.top_level_text("pack").unwrap_or("default").to_owned();
    let named = |pack: &&mut PackSource| {
        let manifest = &pack.manifest;
        let known = manifest
            .top_level_text("ref")
            .or(manifest.top_level_text("name"));
        known == Some(&name)
    };
    match sources.packs.iter_mut().find(named) {
        Some(pack) => pack.rules.push(rule),
        None => {
            let mut pack = PackSource::lone(&name);
            pack.rules.push(rule);
            sources.packs.push(pack);
        }
    }
    Ok(())
}

fn from_text(name: &str, text: &str) -> anyhow::Result<Event> {
    let file = SourceFile::new(name, name, text);
    let Some(document) = &file.document else {
        let fault = file.diagnostics.first().map(|one| one.render(false));
        bail!("{}", fault.unwrap_or_default());
    };
    let value = document.to_json();
    let trigger = value["trigger"].as_str();
    ensure!(
        trigger.is_some() && value["payload"].is_object(),
        "{name} must be a map with `trigger`, a reference, and `payload`, a map"
    );
    Ok(Event {
        trigger: trigger.unwrap_or_default().to_owned(),
        trigger_ref: value["trigger_ref"].as_str().map(str::to_owned),
        payload: value["payload"].clone(),
        at: timestamp(&value["occurrence_time"]).unwrap_or_else(now),
    })
}

fn recorded(data: &Option<PathBuf>, id: &str) -> anyhow::Result<Event> {
    let path = format!("/v1/triggerinstances/{}", escaped(id));
    let event = client::get(data.clone(), &path)?.body;
    let text = |name: &str| event[name].as_str().map(str::to_owned);
    Ok(Event {
        trigger: text("trigger").unwrap_or_default(),
        trigger_ref: text("trigger_ref"),
        payload: event["payload"].clone(),
        at: timestamp(&event["occurrence_time"]).unwrap_or_else(now),
    })
}

fn timestamp(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn now() -> Timestamp {
    Timestamp::from_microsecond(clock::now().wall.0).unwrap_or_default()
}

/// Whether the event is of the trigger that the rule waits for.
fn fits(rule: &Rule, event: &Event) -> Result<(), String> {
    if rule.trigger_type != event.trigger {
        let (wanted, is) = (&rule.trigger_type, &event.trigger);
        return Err(format!("the rule waits for {wanted}, the event is {is}"));
    }
    let own = [Trigger::of(rule), Trigger::of_timer(rule)].map(|one| one.reference);
    match &event.trigger_ref {
        Some(other) if !own.contains(other) => {
            let parameters = Value::Object(rule.trigger_parameters.clone());
            Err(format!(
                "the event is of other trigger parameters than {parameters}"
            ))
        }
        _ => Ok(()),
    }
}

/// The datastore of the supervisor that answers for the data folder.
#[derive(Debug)]
struct Keys(BTreeMap<(bool, String), String>);

impl Store for Keys {
    fn get(&self, owner: Owner, key: &str) -> Option<String> {
        self.0.get(&(owner == Owner::User, key.to_owned())).cloned()
    }
}

fn keys(data: Option<PathBuf>, needed: bool) -> anyhow::Result<Arc<dyn Store>> {
    if !needed {
        return Ok(Arc::new(NoKeys));
    }
    let answer = match client::get(data, "/v1/keys?scope=all") {
        Ok(answer) => answer.body,
        Err(error) if error.is::<Unreachable>() => {
            eprintln!(
                "note: the rule reads the datastore, and no petrel answers: it is empty here"
            );
            return Ok(Arc::new(NoKeys));
        }
        Err(error) => return Err(error),
    };
    let item = |item: &Value| {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        ((item["scope"] == "st2kv.user", text("name")), text("value"))
    };
    let items = answer.as_array().into_iter().flatten().map(item);
    Ok(Arc::new(Keys(items.collect())))
}

fn show(
    rule: &Rule,
    event: &Event,
    fits: &Result<(), String>,
    explained: &Explained,
) -> anyhow::Result<()> {
    let disabled = if rule.enabled {
        ""
    } else {
        " (it is disabled)"
    };
    print::line(&format!(
        "rule {}{disabled}, event of {}",
        rule.reference, event.trigger
    ))?;
    if let Err(why) = fits {
        print::line(&format!("  FAIL  {why}"))?;
    }
    if explained.empty_payload {
        print::line("  FAIL  a rule with criteria never matches an event without payload")?;
    }
    for told in &explained.criteria {
        print::line(&criterion(told))?;
    }
    let verdict = match fits.is_ok() && explained.matches() {
        true => "the rule MATCHES",
        false => "the rule DOES NOT MATCH",
    };
    print::line(verdict)?;
    print::line(&format!("action {}", rule.action))?;
    match &explained.parameters {
        Err(why) => print::line(&format!("  FAIL  {why}")),
        Ok(parameters) => {
            for (name, value) in masked(parameters, explained) {
                print::line(&format!("  {name}: {value}"))?;
            }
            Ok(())
        }
    }
}

fn criterion(told: &Told) -> String {
    let criterion = &told.criterion;
    let word = if told.holds { "ok  " } else { "FAIL" };
    let rendered = told.wanted.as_ref();
    let rendered = rendered.filter(|_| criterion.operator != "search");
    let wanted = short(rendered.unwrap_or(&criterion.pattern));
    let actual = told.actual.as_ref().map_or("nothing".to_owned(), short);
    let line = format!(
        "  {word}  {}  {}  {wanted}",
        criterion.key, criterion.operator
    );
    let mut text = match (told.holds, criterion.operator.as_str()) {
        (_, "search") => format!("{line}\n        in {actual}"),
        _ => format!("{line}\n        the event has {actual}"),
    };
    for error in &told.errors {
        text.push_str(&format!("\n        {error}"));
    }
    text
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn masked(parameters: &Map<String, Value>, explained: &Explained) -> Map<String, Value> {
    let hide = |(name, value): (&String, &Value)| {
        let value = match explained.secrets.contains(name) {
            true => json!("********"),
            false => value.clone(),
        };
        (name.clone(), value)
    };
    parameters.iter().map(hide).collect()
}

fn as_json(rule: &Rule, event: &Event, fits: &Result<(), String>, explained: &Explained) -> Value {
    let criteria = explained.criteria.iter().map(|told| {
        json!({
            "key": told.criterion.key,
            "type": told.criterion.operator,
            "pattern": told.criterion.pattern,
            "wanted": told.wanted,
            "actual": told.actual,
            "holds": told.holds,
            "errors": told.errors,
        })
    });
    let parameters = explained.parameters.as_ref();
    json!({
        "rule": rule.reference,
        "enabled": rule.enabled,
        "trigger": event.trigger,
        "trigger_error": fits.as_ref().err(),
        "matches": fits.is_ok() && explained.matches(),
        "criteria": criteria.collect::<Vec<_>>(),
        "action": rule.action,
        "parameters": parameters.ok().map(|all| masked(all, explained)),
        "parameters_error": parameters.err(),
    })
}
