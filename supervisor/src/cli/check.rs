//! `petrel check`: every fault of every file, without a daemon.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{Folders, print};
use crate::catalog::{self, Diagnostic};
use crate::daemon;
use crate::rules::{Host, RuleSet};
use crate::world::paths::{Paths, private_dir};
use crate::world::python;

/// See [`super::Command::Check`].
#[derive(Debug, Args)]
pub struct Check {
    /// Folder of packs, or a pack
    dir: Option<PathBuf>,
    #[command(flatten)]
    folders: Folders,
    /// Print the faults as JSON
    #[arg(short, long)]
    json: bool,
}

impl Check {
    /// Exit code 1 on errors.
    pub fn run(mut self) -> anyhow::Result<ExitCode> {
        if let Some(dir) = self.dir.take() {
            self.folders.packs = vec![dir];
        }
        let paths = Paths::resolve(self.folders.into())?;
        let (settings, built) = daemon::load(&paths)?;
        let catalog = Arc::new(built.catalog);
        let mut found = built.diagnostics;
        found.extend(catalog::check_schemas(&catalog));
        found.extend(RuleSet::compile(Arc::clone(&catalog), &Host::default()).1);
        found.extend(python_faults(settings.python.as_deref(), &catalog)?);
        let errors = found.iter().filter(|one| one.is_error()).count();
        if self.json {
            print::json(&serde_json::to_value(&found)?)?;
        } else {
            show(&found)?;
            for line in switched_off(&catalog) {
                print::line(&line)?;
            }
            let (packs, warnings) = (catalog.packs.len(), found.len() - errors);
            print::line(&format!(
                "{packs} packs: {errors} errors, {warnings} warnings"
            ))?;
        }
        Ok(ExitCode::from(u8::from(errors > 0)))
    }
}

/// What an override disables, which the file of the thing does not tell.
fn switched_off(catalog: &catalog::Catalog) -> Vec<String> {
    let sensors = catalog.sensors.values();
    let actions = catalog.actions.values();
    let rules = catalog.rules.values();
    let all = sensors
        .map(|one| ("sensor", &one.reference, one.enabled, &one.enabled_source))
        .chain(actions.map(|one| ("action", &one.reference, one.enabled, &one.enabled_source)))
        .chain(rules.map(|one| ("rule", &one.reference, one.enabled, &one.enabled_source)));
    let off = all.filter(|(_, _, enabled, _)| !enabled);
    off.filter_map(|(what, reference, _, source)| {
        let source = source.as_ref()?;
        Some(format!("{what} {reference} is disabled by {source}"))
    })
    .collect()
}

fn show(found: &[Diagnostic]) -> anyhow::Result<()> {
    let color = std::io::stdout().is_terminal();
    for one in found {
        print::line(&one.render(color))?;
        print::line("")?;
    }
    Ok(())
}

/// What the interpreter says of the Python files; without one, a warning that they went unread.
fn python_faults(
    configured: Option<&std::path::Path>,
    catalog: &catalog::Catalog,
) -> anyhow::Result<Vec<Diagnostic>> {
    let python = python::interpreter(configured);
    let folder = std::env::temp_dir().join(format!("petrel-check-{}", std::process::id()));
    private_dir(&folder)?;
    let checked = sensor_wrapper::sdk::unpack(&folder)
        .map_err(anyhow::Error::from)
        .and_then(|sdk| python::check(&python, &sdk, catalog));
    std::fs::remove_dir_all(&folder)?;
    Ok(checked.unwrap_or_else(|error| {
        let message = format!("the packs' Python files were not checked: {error:#}");
        let severity = catalog::Severity::Warning;
        let shown = python.display().to_string();
        vec![Diagnostic::of_file(severity, shown, message).help("install python3")]
    }))
}
