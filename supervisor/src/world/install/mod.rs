//! Packs from outside into a folder of packs.
//!
//! What is fetched is put together in a folder beside the packs, checked, and renamed into its
//! place in one step; what was there before is there until then. No program of a pack runs.

mod archive;
pub mod config_file;
mod git;
pub mod index;
mod program;
pub mod requirements;
pub mod source;
mod staging;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::catalog::{self, Diagnostic, Pack, Sources};
use crate::config::Settings;
use crate::world::packs;
use crate::world::spawn::Wrapper;
pub use program::{Ended, Program};
use source::Source;
pub use staging::Staging;
use tree::Tree;

/// StackStorm's folder of packs.
const STACKSTORM: &str = "/opt/stackstorm/packs";

const NO_PACK: &str = "it has no pack.yaml, so it is no pack: nothing was installed";

/// How to install.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of packs.
    pub packs: PathBuf,
    /// Path or URL of the index.
    pub index: String,
    /// Replace a pack of that name.
    pub replace: bool,
    /// Install what says that it needs another StackStorm or Python.
    pub force: bool,
}

/// What was installed.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The pack, with its folder in its place.
    pub pack: Pack,
    /// The version that it replaced.
    pub replaced: Option<String>,
    /// `dependencies` of its `pack.yaml`.
    pub dependencies: Vec<String>,
    /// What is wrong with its files; the rest of it works.
    pub faults: Vec<Diagnostic>,
}

/// The folder into which packs go: the first given one, else `./packs`, else StackStorm's where it
/// is there.
///
/// # Errors
/// When a pack is given instead of a folder of packs.
pub fn folder_of_packs(given: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let here = PathBuf::from("packs");
    let folder = match given.first() {
        Some(given) => given.clone(),
        None if !here.is_dir() && Path::new(STACKSTORM).is_dir() => STACKSTORM.into(),
        None => here,
    };
    ensure!(
        !folder.join("pack.yaml").exists(),
        "{} is a pack: name the folder of packs with --packs",
        folder.display()
    );
    Ok(std::path::absolute(folder)?)
}

/// Fetches a pack, checks it, has `prepare` do with its name and folder what must be done before it
/// runs, and puts it into its place.
///
/// # Errors
/// What is wrong; then all is as it was.
pub fn install(
    source: &Source,
    options: &Options,
    wrapper: &Wrapper,
    prepare: &dyn Fn(&str, &Path) -> anyhow::Result<()>,
) -> anyhow::Result<Installed> {
    let source = match source {
        Source::Index { name, version } => &index::find(&options.index, name, version.as_deref())?,
        found => found,
    };
    let staging = Staging::new(&options.packs)?;
    let unpacked = staging.path("unpacked");
    fetch(source, &staging, &unpacked, wrapper)?;
    let root = root_of(&unpacked)?;
    tree::check_links(&root)?;
    let mut found = read(&root)?;
    if !options.force {
        requirements::check(&found.sources, &found.pack.name)?;
    }
    let name = found.pack.name.clone();
    let before = taken(&options.packs, &name, options.replace)?;
    if before.is_some() {
        keep_config(&options.packs.join(&name), &root)?;
    }
    prepare(&name, &root)?;
    staging.place(&root, &name, before.is_some())?;
    found.pack.dir = options.packs.join(&name);
    let shown = |file: &str| file.replace(&root.display().to_string(), &format!("packs/{name}"));
    for fault in &mut found.faults {
        fault.file = shown(&fault.file);
    }
    Ok(Installed {
        dependencies: requirements::dependencies(&found.sources),
        pack: found.pack,
        replaced: before,
        faults: found.faults,
    })
}

/// Removes the folders of packs, of links only the links; all or none.
///
/// # Errors
/// When the system refuses one; then all are still there.
pub fn remove(packs: &[&Path]) -> anyhow::Result<()> {
    let mut by_folder: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
    for pack in packs {
        let above = pack.parent().context("a pack lies in a folder")?;
        by_folder.entry(above).or_default().push(pack);
    }
    let locked = by_folder.into_iter().map(|(above, packs)| {
        let staging = Staging::new(above)?;
        anyhow::Ok((staging, packs))
    });
    let locked: Vec<_> = locked.collect::<Result<_, _>>()?;
    for (staging, packs) in &locked {
        staging.take(packs)?;
    }
    Ok(())
}

fn fetch(source: &Source, staging: &Staging, to: &Path, wrapper: &Wrapper) -> anyhow::Result<()> {
    let mut tree = Tree::new(to)?;
    match source {
        Source::Archive(file) => archive::unpack(file, tree),
        Source::Folder(folder) => {
            let folder = fs::canonicalize(folder)?;
            ensure!(folder.join("pack.yaml").is_file(), NO_PACK);
            let own = fs::canonicalize(to)?;
            ensure!(
                !own.starts_with(&folder),
                "{} holds the folder of packs itself",
                folder.display()
            );
            tree::copy(&folder, &mut tree)?;
            tree.finish()
        }
        Source::Git { url, reference } => {
            let scratch = staging.path("git");
            fs::create_dir(&scratch)?;
            git::Clone::fetch(wrapper, &scratch, url, reference.as_deref())?;
            tree::copy(&scratch.join("tree"), &mut tree)?;
            tree.finish()
        }
        Source::Index { .. } => bail!("an index leads to an index"),
    }
}

/// The folder with the `pack.yaml`: the top, or the only folder in it, as in archives.
fn root_of(unpacked: &Path) -> anyhow::Result<PathBuf> {
    let is_pack = |dir: &Path| {
        let found = fs::symlink_metadata(dir.join("pack.yaml"));
        found.is_ok_and(|found| found.is_file())
    };
    if is_pack(unpacked) {
        return Ok(unpacked.to_owned());
    }
    let mut inside = Vec::new();
    for entry in fs::read_dir(unpacked)? {
        inside.push(entry?.path());
    }
    match &inside[..] {
        [only] if is_pack(only) => Ok(only.clone()),
        _ => bail!(NO_PACK),
    }
}

struct Found {
    pack: Pack,
    sources: Sources,
    faults: Vec<Diagnostic>,
}

/// What a folder is as a pack.
fn read(root: &Path) -> anyhow::Result<Found> {
    let sources = packs::read(&[root.to_owned()], Path::new(""));
    let built = catalog::build(&sources, &Settings::default());
    let faults = built.diagnostics;
    let Some(pack) = built.catalog.packs.values().next() else {
        let errors = faults.iter().filter(|one| one.is_error());
        let told: Vec<String> = errors.map(|one| one.render(false)).collect();
        let told = told.join("\n").replace(&format!("{}/", root.display()), "");
        bail!("its pack.yaml is faulty: nothing was installed\n\n{told}");
    };
    let pack = Pack::clone(pack);
    Ok(Found {
        pack,
        sources,
        faults,
    })
}

/// The version of the pack that has the name, if one may be replaced.
fn taken(packs: &Path, name: &str, replace: bool) -> anyhow::Result<Option<String>> {
    let place = packs.join(name);
    let Ok(found) = fs::symlink_metadata(&place) else {
        return Ok(None);
    };
    let shown = place.display();
    ensure!(
        !found.is_symlink(),
        "{shown} is a link, which somebody made: remove it first"
    );
    ensure!(
        place.join("pack.yaml").is_file(),
        "{shown} is there and is no pack: move it away first"
    );
    let version = read(&place).map_or_else(|_| "?".into(), |found| found.pack.version);
    ensure!(
        replace,
        "pack \"{name}\" is installed already, version {version}: replace it with --replace"
    );
    Ok(Some(version))
}

/// As StackStorm has it, a `config.yaml` in the pack outlives the rest.
fn keep_config(old: &Path, new: &Path) -> anyhow::Result<()> {
    let kept = old.join("config.yaml");
    if fs::symlink_metadata(&kept).is_ok_and(|found| found.is_file()) {
        let to = new.join("config.yaml");
        let _ = fs::remove_file(&to);
        fs::copy(&kept, &to).context("failed to keep the pack's config.yaml")?;
    }
    Ok(())
}
