//! The script, and the folder `lib` beside it, as one archive.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Context;
use tar::{Builder, EntryType, Header};

/// Mode of the script on the far side; StackStorm's.
const SCRIPT_MODE: u32 = 0o744;

/// Name of the script within the archive.
///
/// # Errors
/// When it has none that is text.
pub fn name(script: &Path) -> anyhow::Result<&str> {
    let name = script.file_name().and_then(|name| name.to_str());
    name.with_context(|| format!("{} has no name that is text", script.display()))
}

/// The archive.
///
/// # Errors
/// When a file cannot be read.
pub fn archive(script: &Path) -> anyhow::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    let content = fs::read(script).with_context(|| format!("cannot read {}", script.display()))?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(content.len() as u64);
    header.set_mode(SCRIPT_MODE);
    archive.append_data(&mut header, name(script)?, content.as_slice())?;
    let lib = script.with_file_name("lib");
    if lib.is_dir() {
        add(&mut archive, &lib, Path::new("lib"))
            .with_context(|| format!("cannot read {}", lib.display()))?;
    }
    Ok(archive.into_inner()?)
}

/// A folder with what is in it; a link is sent as what it leads to, for it leads nowhere over there.
fn add(archive: &mut Builder<Vec<u8>>, folder: &Path, inside: &Path) -> std::io::Result<()> {
    archive.append_dir(inside, folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, inside) = (entry.path(), inside.join(entry.file_name()));
        let link = entry.file_type()?.is_symlink();
        if entry.file_name() == "__pycache__" || (link && path.is_dir()) {
            continue;
        }
        match path.is_dir() {
            true => add(archive, &path, &inside)?,
            false => archive.append_file(&inside, &mut File::open(&path)?)?,
        }
    }
    Ok(())
}
