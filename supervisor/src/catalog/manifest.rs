//! `pack.yaml` and the configuration of a pack.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fancy_regex::Regex;

use super::diagnostics::{Diagnostic, Severity};
use super::fields::Fields;
use super::model::Pack;
use super::pack_config;
use super::sources::{PackSource, SourceFile};

/// What StackStorm's `pack.yaml` may say.
const KEYS: &[&str] = &[
    "name",
    "ref",
    "description",
    "keywords",
    "version",
    "author",
    "email",
    "contributors",
    "dependencies",
    "stackstorm_version",
    "python_versions",
    "system",
    "icon",
    "path",
    "id",
    "uid",
    "files",
];

static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9_]+$").expect("a constant pattern"));

fn is_name(text: &str) -> bool {
    NAME.is_match(text).unwrap_or(false)
}

/// The pack of a folder, with its configuration; none when it cannot be named.
///
/// The name is `ref`, else `name` where that is a valid reference, else the folder's name. Here
/// StackStorm prefers the folder, which is wrong for a pack that is run from a checkout.
pub fn pack(
    source: &PackSource,
    configs: &BTreeMap<String, SourceFile>,
    out: &mut Vec<Diagnostic>,
) -> Option<Pack> {
    let file = &source.manifest;
    out.extend(file.diagnostics.iter().cloned());
    let root = file.document.as_ref()?;
    if root.is_null() {
        let found = Diagnostic::of_file(Severity::Error, &file.shown, "the file is empty");
        out.push(found.help("write at least  name: …"));
        return None;
    }
    let mut fields = Fields::of(root, file, "pack.yaml", out)?;
    fields.only(KEYS, Severity::Warning, "pack.yaml");
    let name = name(&mut fields, source)?;
    let loaded = pack_config::load(source, configs, &name, fields.out);
    let pack = Pack {
        name,
        dir: source.dir.clone(),
        description: fields.text("description"),
        version: fields.text("version"),
        author: fields.text("author"),
        email: fields.text("email"),
        config: loaded.config,
        written_config: loaded.written,
        config_schema: loaded.schema,
        config_check: loaded.check,
        is_dynamic: loaded.is_dynamic,
        secrets: loaded.secrets,
    };
    for key in ["version", "description", "author"] {
        if fields.get(key).is_none() {
            let message = format!("pack \"{}\" has no \"{key}\"", pack.name);
            fields.warn(
                fields.span_of("name"),
                message,
                Some(format!("StackStorm asks for it: add  {key}: …")),
            );
        }
    }
    Some(pack)
}

/// The name of a pack, or of its folder where it has none.
pub fn name_of(source: &PackSource) -> String {
    let mut out = Vec::new();
    let folder = || {
        source
            .dir
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let root = source.manifest.document.as_ref();
    let fields = root.and_then(|root| Fields::of(root, &source.manifest, "pack.yaml", &mut out));
    let named = fields.and_then(|mut fields| name(&mut fields, source));
    named.or_else(folder).unwrap_or_default()
}

fn name(fields: &mut Fields<'_, '_>, source: &PackSource) -> Option<String> {
    let reference = fields.text("ref");
    if !reference.is_empty() && !is_name(&reference) {
        let at = fields.get("ref").map_or(fields.node.span, |node| node.span);
        let help = "use small letters, digits and _ only".to_owned();
        fields.error(
            at,
            format!("\"{reference}\" cannot name a pack"),
            Some(help),
        );
        return None;
    }
    let (written, at) = fields.required_text("name", "pack.yaml")?;
    let folder = source.dir.file_name().map(|name| name.to_string_lossy());
    let candidates = [
        reference,
        written.clone(),
        folder.unwrap_or_default().into_owned(),
    ];
    let found = candidates.into_iter().find(|name| is_name(name));
    if found.is_none() {
        let help = "add  ref: …  with small letters, digits and _ only";
        fields.error(
            at,
            format!("\"{written}\" cannot name a pack"),
            Some(help.into()),
        );
    }
    found
}
