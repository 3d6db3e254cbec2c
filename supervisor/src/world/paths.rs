//! Where things lie.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folders of a run.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Folders of packs, absolute.
    pub packs: Vec<PathBuf>,
    /// Folder of `<pack>.yaml`.
    pub configs: PathBuf,
    /// The journal, executions, the unpacked SDK.
    pub data: PathBuf,
    /// `petrel.yaml`, where there is one.
    pub config: Option<PathBuf>,
}

/// What was given on the command line or in the environment.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// `--packs`, any number.
    pub packs: Vec<PathBuf>,
    /// `--configs`.
    pub configs: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--config`.
    pub config: Option<PathBuf>,
}

/// StackStorm's packs.
const STACKSTORM: &str = "/opt/stackstorm/packs";

impl Paths {
    /// Fills in the defaults.
    ///
    /// # Errors
    /// When a folder of packs does not exist.
    pub fn resolve(given: Given) -> anyhow::Result<Self> {
        let packs = match given.packs.is_empty() {
            false => given.packs,
            true => vec![default_packs()],
        };
        let packs: Vec<_> = packs
            .iter()
            .map(|dir| {
                fs::canonicalize(dir).with_context(|| {
                    format!(
                        "failed to find the packs in {}; name their folder with --packs DIR",
                        dir.display()
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        let beside = packs[0].parent().unwrap_or(Path::new("/")).join("configs");
        Ok(Self {
            configs: given.configs.unwrap_or(beside),
            data: data_dir(given.data)?,
            config: given.config.or_else(default_config),
            packs,
        })
    }
}

fn default_packs() -> PathBuf {
    let here = PathBuf::from("packs");
    match here.is_dir() {
        true => here,
        false => STACKSTORM.into(),
    }
}

fn default_config() -> Option<PathBuf> {
    ["petrel.yaml", "/etc/petrel/petrel.yaml"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_file())
}

/// The data folder: as given, else `/var/lib/petrel` for root, else below `$XDG_STATE_HOME`.
///
/// # Errors
/// When there is neither a home nor a given folder.
pub fn data_dir(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if let Some(dir) = given {
        return Ok(std::path::absolute(dir)?);
    }
    if let Some(state) = set("XDG_STATE_HOME") {
        return Ok(state.join("petrel"));
    }
    if rustix::process::getuid().is_root() {
        return Ok("/var/lib/petrel".into());
    }
    let home = set("HOME").context("failed to find a data folder: HOME is not set; use --data")?;
    Ok(home.join(".local/state/petrel"))
}

/// A private folder, made if it is missing.
///
/// # Errors
/// When it cannot be made.
pub fn private_dir(path: &Path) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(path)
        .with_context(|| format!("failed to make the folder {}", path.display()))
}

/// A path for the control socket that is short enough for a socket's address: in the user's
/// runtime folder, named by the data folder.
///
/// # Errors
/// When the folder cannot be made, or belongs to somebody else.
pub fn socket_path(data: &Path) -> anyhow::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let uid = rustix::process::getuid();
    let dir = match runtime.filter(|dir| dir.is_dir()) {
        Some(dir) => dir.join("petrel"),
        None if uid.is_root() => "/run/petrel".into(),
        None => std::env::temp_dir().join(format!("petrel-{}", uid.as_raw())),
    };
    own_dir(&dir)?;
    Ok(dir.join(format!("{}.sock", name_of(data))))
}

/// A private folder in memory, where nothing reaches a disk: for secrets that sensors read from
/// files. Where the system has none, it is in the runtime folder.
///
/// # Errors
/// When the folder cannot be made, or belongs to somebody else.
pub fn memory_dir(data: &Path) -> anyhow::Result<PathBuf> {
    let shared = Path::new("/dev/shm");
    let in_memory = rustix::fs::statfs(shared).is_ok_and(|fs| fs.f_type == TMPFS_MAGIC);
    let dir = match in_memory {
        true => {
            let uid = rustix::process::getuid().as_raw();
            shared.join(format!("petrel-{uid}-{}", name_of(data)))
        }
        false => socket_path(data)?.with_extension("run"),
    };
    own_dir(&dir)?;
    Ok(dir)
}

/// `f_type` of a file system in memory.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// A folder that belongs to us and to nobody else, made if it is missing.
fn own_dir(dir: &Path) -> anyhow::Result<()> {
    private_dir(dir)?;
    let found = fs::symlink_metadata(dir)?;
    let private = found.is_dir() && found.permissions().mode() & 0o077 == 0;
    let uid = rustix::process::getuid().as_raw();
    let own = std::os::unix::fs::MetadataExt::uid(&found) == uid;
    anyhow::ensure!(
        private && own,
        "the folder {} must belong to you and to nobody else",
        dir.display()
    );
    Ok(())
}

/// The data folder in twelve letters.
pub fn name_of(data: &Path) -> String {
    blake3::hash(data.as_os_str().as_encoded_bytes()).to_hex()[..12].to_owned()
}
