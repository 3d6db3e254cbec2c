//! Reading the packs, at the start and again.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::Context;

use crate::catalog::{self, Built, Catalog, Diagnostic, Sources};
use crate::config::Settings;
use crate::core::notice::{Level, Notice};
use crate::rules::{Host, RuleSet};
use crate::world::paths::Paths;
use crate::world::{packs, stream};

/// Reads `petrel.yaml` and the packs, and says all that is wrong with them.
///
/// # Errors
/// When `petrel.yaml` cannot be read.
pub fn load(paths: &Paths) -> anyhow::Result<(Settings, Built)> {
    load_with(paths, |_| {})
}

/// The same, with a chance to add to what was read.
///
/// # Errors
/// When `petrel.yaml` cannot be read.
pub fn load_with(
    paths: &Paths,
    more: impl FnOnce(&mut Sources),
) -> anyhow::Result<(Settings, Built)> {
    let (settings, mut diagnostics) = match &paths.config {
        None => (Settings::default(), Vec::new()),
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("failed to read {}", file.display()))?;
            Settings::parse(&text, &file.display().to_string())
        }
    };
    let mut sources = packs::read(&paths.packs, &paths.configs);
    more(&mut sources);
    let mut built = catalog::build(&sources, &settings);
    diagnostics.append(&mut built.diagnostics);
    built.diagnostics = diagnostics;
    Ok((settings, built))
}

/// What is needed to read the packs again.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Where they are.
    pub paths: Paths,
    /// Where rules run.
    pub host: Host,
    /// The errors of the start, in text: with these the supervisor lives.
    pub known: Arc<HashSet<String>>,
}

impl Reader {
    /// Reads the packs again.
    ///
    /// # Errors
    /// The errors that are new: then nothing is to change.
    pub fn again(&self) -> Result<(Catalog, RuleSet), String> {
        let (_, built) = load(&self.paths).map_err(|error| format!("{error:#}"))?;
        let catalog = Arc::new(built.catalog);
        let (rules, refused) = RuleSet::compile(Arc::clone(&catalog), &self.host);
        let mut fresh = errors(built.diagnostics.iter().chain(&refused));
        fresh.retain(|error| !self.known.contains(error));
        match fresh.is_empty() {
            true => Ok((Arc::unwrap_or_clone(catalog), rules)),
            false => {
                let mut fresh: Vec<_> = fresh.into_iter().collect();
                fresh.sort();
                let all = fresh.join("\n\n");
                Err(format!(
                    "nothing was changed, for the packs have new errors\n\n{all}"
                ))
            }
        }
    }
}

/// The errors among diagnostics, in text.
pub fn errors<'a>(found: impl Iterator<Item = &'a Diagnostic>) -> HashSet<String> {
    found
        .filter(|one| one.is_error())
        .map(|one| one.render(false))
        .collect()
}

/// Shows what is wrong with the packs; the rest of them runs.
pub fn report<'a>(diagnostics: impl Iterator<Item = &'a Diagnostic>) {
    let color = std::io::stdout().is_terminal();
    for diagnostic in diagnostics {
        let level = match diagnostic.is_error() {
            true => Level::Error,
            false => Level::Warning,
        };
        let text = diagnostic.render(color);
        stream::show(&Notice::new(level, "pack.fault", "", text));
    }
}
