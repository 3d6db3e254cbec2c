//! Reading the packs, at the start and again.

use std::collections::{BTreeMap, HashSet};
use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::Context;

use crate::catalog::{self, Built, Catalog, Diagnostic, Sources};
use crate::config::Settings;
use crate::core::notice::{Level, Notice};
use crate::core::reload::News;
use crate::rules::{Host, RuleSet};
use crate::world::paths::Paths;
use crate::world::{packs, stream};

/// Reads `petrel.yaml` and the packs, and says all that is wrong with them.
///
/// # Errors
/// When `petrel.yaml` cannot be read.
pub fn load(paths: &Paths) -> anyhow::Result<(Settings, Built)> {
    let (settings, mut diagnostics) = settings(paths)?;
    let mut faults = Vec::new();
    let configs = packs::configs(&paths.configs, &mut faults);
    let mut builder = catalog::Builder::new(&configs, &settings);
    packs::each(&paths.packs, &mut faults, |pack| builder.pack(&pack));
    let mut built = builder.finish(faults);
    diagnostics.append(&mut built.diagnostics);
    built.diagnostics = diagnostics;
    Ok((settings, built))
}

/// The same, with a chance to add to what was read.
///
/// # Errors
/// When `petrel.yaml` cannot be read.
pub fn load_with(
    paths: &Paths,
    more: impl FnOnce(&mut Sources),
) -> anyhow::Result<(Settings, Built)> {
    let (settings, mut diagnostics) = settings(paths)?;
    let mut sources = packs::read(&paths.packs, &paths.configs);
    more(&mut sources);
    let mut built = catalog::build(&sources, &settings);
    diagnostics.append(&mut built.diagnostics);
    built.diagnostics = diagnostics;
    Ok((settings, built))
}

/// Reads petrel.yaml, where there is one.
fn settings(paths: &Paths) -> anyhow::Result<(Settings, Vec<Diagnostic>)> {
    let Some(file) = &paths.config else {
        return Ok((Settings::default(), Vec::new()));
    };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("failed to read {}", file.display()))?;
    Ok(Settings::parse(&text, &file.display().to_string()))
}

/// What is needed to read the packs again.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Where they are.
    pub paths: Paths,
    /// Where rules run.
    pub host: Host,
    /// What petrel.yaml said when it was last without new faults.
    pub settings: Settings,
    /// Errors, in text, with which the supervisor lives.
    pub known: HashSet<String>,
    /// Errors that were told.
    pub told: HashSet<String>,
}

/// What was read.
#[derive(Debug)]
pub struct Again {
    /// For the core.
    pub news: News,
    /// With which to read the next time.
    pub reader: Reader,
    /// What is wrong and was not told yet.
    pub faults: Vec<Diagnostic>,
}

impl Reader {
    /// Reads everything again. What has new errors stays as `running` has it: a pack with all that
    /// it brings, or petrel.yaml.
    ///
    /// # Errors
    /// When petrel.yaml cannot be read at all.
    pub fn again(mut self, running: &Catalog) -> Result<Again, String> {
        let (settings, mut faults) = settings(&self.paths).map_err(|error| format!("{error:#}"))?;
        let mut kept = BTreeMap::new();
        let mut refused = HashSet::new();
        match self.fresh(&faults) {
            why if why.is_empty() => self.settings = settings,
            why => {
                kept.insert("petrel.yaml".to_owned(), why.join("\n\n"));
                refused.extend(why);
            }
        }
        let (mut built, places) = self.build();
        for (pack, why) in self.by_pack(&places, &built.diagnostics) {
            if built.catalog.keep(running, &pack) {
                kept.insert(pack, why.join("\n\n"));
                refused.extend(why);
            }
        }
        faults.append(&mut built.diagnostics);
        let catalog = Arc::new(built.catalog);
        let (rules, left_out) = RuleSet::compile(Arc::clone(&catalog), &self.host);
        faults.extend(left_out);
        let now = errors(faults.iter());
        faults.retain(|one| !one.is_error() || !self.told.contains(&one.render(false)));
        // What was refused is not lived with: it is refused again the next time.
        self.known = now.difference(&refused).cloned().collect();
        self.told = now;
        let news = News {
            catalog: Arc::unwrap_or_clone(catalog),
            rules: Arc::new(rules),
            retention: self.settings.journal.retention,
            kept,
        };
        Ok(Again {
            news,
            reader: self,
            faults,
        })
    }

    /// The errors that are new, in text.
    fn fresh(&self, found: &[Diagnostic]) -> Vec<String> {
        let errors = found.iter().filter(|one| one.is_error());
        let texts = errors.map(|one| one.render(false));
        texts.filter(|text| !self.known.contains(text)).collect()
    }

    /// Builds the catalog; with the name of each pack, its folder and its configuration's file.
    fn build(&self) -> (Built, Vec<PackPlace>) {
        let (mut faults, mut places) = (Vec::new(), Vec::new());
        let configs = packs::configs(&self.paths.configs, &mut faults);
        let mut builder = catalog::Builder::new(&configs, &self.settings);
        packs::each(&self.paths.packs, &mut faults, |pack| {
            let name = catalog::name_of(&pack);
            places.push(PackPlace {
                folder: format!("{}/", pack.shown),
                config: configs.get(&name).map(|file| file.shown.clone()),
                name,
            });
            builder.pack(&pack);
        });
        (builder.finish(faults), places)
    }

    /// New errors by the pack in whose files they are.
    fn by_pack(&self, places: &[PackPlace], found: &[Diagnostic]) -> BTreeMap<String, Vec<String>> {
        let of = |place: &PackPlace| {
            let its = found.iter().filter(|one| place.has(&one.file)).cloned();
            (place.name.clone(), self.fresh(&its.collect::<Vec<_>>()))
        };
        places
            .iter()
            .map(of)
            .filter(|(_, why)| !why.is_empty())
            .collect()
    }
}

/// Where the files of a pack are, as messages name them.
#[derive(Debug)]
struct PackPlace {
    name: String,
    folder: String,
    config: Option<String>,
}

impl PackPlace {
    fn has(&self, file: &str) -> bool {
        file.starts_with(&self.folder) || self.config.as_deref() == Some(file)
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
