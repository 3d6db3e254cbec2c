//! The index of packs: a JSON file of StackStorm's form, `{"packs": {NAME: {repo_url, version}}}`.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::source::Source;

/// StackStorm's.
pub const EXCHANGE: &str = "https://index.stackstorm.org/v1/index.json";

const MOST_BYTES: u64 = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the index has a pack: a repository and the version in it.
///
/// # Errors
/// When the index cannot be read or has no such pack.
pub fn find(index: &str, name: &str, version: Option<&str>) -> anyhow::Result<Source> {
    let text = read(index).with_context(|| {
        format!(
            "failed to read the index of packs {index}, which was asked for \"{name}\"; a pack is \
             also installed from its repository (OWNER/REPOSITORY or a URL), a folder or an archive"
        )
    })?;
    let index_of: Value = serde_json::from_slice(&text)
        .with_context(|| format!("the index of packs {index} is no JSON"))?;
    let Some(entry) = index_of["packs"].get(name) else {
        let known = index_of["packs"].as_object().into_iter().flatten();
        let names = known.map(|(name, _)| name.as_str());
        let near = crate::catalog::diagnostics::did_you_mean(name, names);
        let near = near.map(|near| format!(" {near}")).unwrap_or_default();
        bail!("No record of the \"{name}\" pack in the index.{near}");
    };
    let url = entry["repo_url"].as_str();
    let url = url.with_context(|| format!("the index has no repo_url for \"{name}\""))?;
    let wanted = version.or(entry["version"].as_str());
    let found = match wanted {
        Some(version) => Source::parse(&format!("{url}={version}")),
        None => Source::parse(url),
    }
    .with_context(|| format!("the index has \"{name}\" at a wrong place"))?;
    match found {
        Source::Git { .. } => Ok(found),
        _ => bail!("the index has \"{name}\" at {url}, which is no repository's URL"),
    }
}

fn read(index: &str) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    match index.split_once("://") {
        None => File::open(index)?
            .take(MOST_BYTES + 1)
            .read_to_end(&mut text)?,
        Some(("file", path)) => File::open(path)?
            .take(MOST_BYTES + 1)
            .read_to_end(&mut text)?,
        Some(("https", _)) => fetch(index)?.take(MOST_BYTES + 1).read_to_end(&mut text)?,
        Some((scheme, _)) => bail!("it is a file or comes over https, not over {scheme}"),
    };
    ensure!(
        text.len() as u64 <= MOST_BYTES,
        "it is larger than {} MiB",
        MOST_BYTES >> 20
    );
    Ok(text)
}

fn fetch(url: &str) -> anyhow::Result<impl Read> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .https_only(true)
        .user_agent(concat!("petrel/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent();
    Ok(agent.get(url).call()?.into_body().into_reader())
}
