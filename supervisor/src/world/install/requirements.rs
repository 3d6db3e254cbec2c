//! What `pack.yaml` asks for: StackStorm's version, Python's, other packs (reference st2.md 1.2).

use anyhow::bail;

use crate::catalog::Sources;
use crate::catalog::yaml::Node;

/// The StackStorm that we behave as.
const STACKSTORM: [u64; 3] = [3, 10, 0];
/// The Python that packs run with.
const PYTHON: &str = "3";

/// Whether a pack asks for something that we are not.
///
/// # Errors
/// In StackStorm's words.
pub fn check(sources: &Sources, pack: &str) -> anyhow::Result<()> {
    let wanted = field(sources, "stackstorm_version").and_then(Node::scalar_text);
    if let Some(wanted) = wanted.filter(|wanted| !satisfies(STACKSTORM, wanted)) {
        let [major, minor, patch] = STACKSTORM;
        bail!(
            "Pack \"{pack}\" requires StackStorm \"{wanted}\", but current version is \
             \"{major}.{minor}.{patch}\". Install it with --force; it is not guaranteed to work."
        );
    }
    let pythons = texts(sources, "python_versions");
    if !pythons.is_empty() && !pythons.iter().any(|version| version == PYTHON) {
        bail!(
            "Pack \"{pack}\" requires Python {}, but current version is {PYTHON}. Install it with \
             --force; it is not guaranteed to work.",
            pythons.join(", ")
        );
    }
    Ok(())
}

/// `dependencies`, in the form of sources.
pub fn dependencies(sources: &Sources) -> Vec<String> {
    texts(sources, "dependencies")
}

fn field<'a>(sources: &'a Sources, name: &str) -> Option<&'a Node> {
    let manifest = &sources.packs.first()?.manifest;
    manifest.document.as_ref()?.get(name)
}

fn texts(sources: &Sources, name: &str) -> Vec<String> {
    let items = field(sources, name).and_then(Node::as_list);
    let items = items.unwrap_or_default().iter();
    items.filter_map(Node::scalar_text).collect()
}

/// `>=2.1.0, <4`: every part must hold. What cannot be read holds.
fn satisfies(own: [u64; 3], wanted: &str) -> bool {
    wanted.split(',').all(|part| {
        let part = part.trim();
        let end = part
            .find(|c: char| !"<>=".contains(c))
            .unwrap_or(part.len());
        let (operator, version) = part.split_at(end);
        let Some(version) = numbers(version) else {
            return true;
        };
        match operator {
            ">=" => own >= version,
            ">" | ">>" => own > version,
            "<=" => own <= version,
            "<" | "<<" => own < version,
            _ => own == version,
        }
    })
}

/// The three numbers of a version; missing ones are 0, what follows them is not looked at.
fn numbers(text: &str) -> Option<[u64; 3]> {
    let mut found = [0; 3];
    for (at, part) in text.trim().split('.').take(3).enumerate() {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        found[at] = digits.parse().ok()?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (wanted, holds) in [
            (">=2.1.0", true),
            (">= 3.9.0", true),
            (">=3.10.1", false),
            (">3.10.0", false),
            ("<3.9.0", false),
            (">=2.0.0, <4.0.0", true),
            (">=2.0.0,<3.0.0", false),
            ("=3.10.0", true),
            ("3.9.0", false),
            (">=2.9dev", true),
            ("nonsense", true),
        ] {
            assert_eq!(satisfies(STACKSTORM, wanted), holds, "{wanted}");
        }
    }
}
