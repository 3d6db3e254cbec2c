//! Archives into a [`Tree`]. What an archive says of its sizes is not believed.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use flate2::bufread::MultiGzDecoder;
use tar::EntryType;
use zip::ZipArchive;

use super::tree::{MOST_BYTES, MOST_ENTRIES, Tree};

/// Longest path that a link of a zip file may hold, bytes.
const LONGEST_TARGET: u64 = 4096;
/// What an archive has beside its files: headers of tar, which also count.
const MOST_HEADERS: u64 = 128 << 20;

/// Unpacks a `.tar.gz`, `.tgz` or `.zip`.
///
/// # Errors
/// When it is damaged, half written, too large, or wants to write elsewhere.
pub fn unpack(archive: &Path, tree: Tree) -> anyhow::Result<()> {
    let told = || format!("failed to unpack {}", archive.display());
    let file = File::open(archive).with_context(told)?;
    let is_zip = archive.extension().is_some_and(|ending| ending == "zip");
    match is_zip {
        true => unzip(file, tree),
        false => untar(file, tree),
    }
    .with_context(told)
}

fn untar(file: File, mut tree: Tree) -> anyhow::Result<()> {
    let inflated = MultiGzDecoder::new(BufReader::new(file));
    let mut bounded = inflated.take(MOST_BYTES + MOST_HEADERS);
    let mut archive = tar::Archive::new(&mut bounded);
    for entry in archive.entries().map_err(damaged)? {
        add(&mut entry.map_err(damaged)?, &mut tree)?;
    }
    // The checksum stands behind the last entry, and says whether all of it came.
    io::copy(&mut bounded, &mut io::sink()).map_err(damaged)?;
    ensure!(
        bounded.limit() > 0,
        "it has more than {} MiB of files",
        MOST_BYTES >> 20
    );
    tree.finish()
}

fn add(entry: &mut tar::Entry<'_, impl Read>, tree: &mut Tree) -> anyhow::Result<()> {
    let name = entry.path().map_err(damaged)?.into_owned();
    match entry.header().entry_type() {
        EntryType::Directory => tree.folder(&name),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let mode = entry.header().mode().map_err(damaged)?;
            tree.file(&name, mode & 0o111 != 0, &mut Damageable(entry))
        }
        EntryType::Symlink => {
            let target = entry.link_name().map_err(damaged)?;
            let target = target.context("a link without a target")?;
            tree.link(&name, target.into_owned())
        }
        EntryType::XGlobalHeader | EntryType::XHeader => Ok(()),
        EntryType::Link => bail!(
            "{} is a hard link: make the archive with --hard-dereference",
            name.display()
        ),
        _ => bail!("{} is a device or a pipe", name.display()),
    }
}

/// Says of a file that ends too early what is the matter.
struct Damageable<R>(R);

impl<R: Read> Read for Damageable<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0
            .read(into)
            .map_err(|error| io::Error::other(format!("{:#}", damaged(error))))
    }
}

fn damaged(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("it is damaged or half written ({error}): fetch it again")
}

fn unzip(file: File, mut tree: Tree) -> anyhow::Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    ensure!(
        archive.len() <= MOST_ENTRIES,
        "it has more than {MOST_ENTRIES} files and folders"
    );
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(damaged)?;
        let name = PathBuf::from(entry.name().map_err(damaged)?.into_owned());
        let mode = entry.unix_mode().unwrap_or(0o644);
        match mode & 0o170_000 {
            _ if entry.is_dir() => tree.folder(&name)?,
            0o120_000 => {
                let mut target = String::new();
                let mut text = (&mut entry).take(LONGEST_TARGET);
                text.read_to_string(&mut target).map_err(damaged)?;
                tree.link(&name, target.into())?;
            }
            0 | 0o100_000 => tree.file(&name, mode & 0o111 != 0, &mut Damageable(&mut entry))?,
            _ => bail!("{} is a device or a pipe", name.display()),
        }
    }
    tree.finish()
}
