//! What a file of requirements says, with the files that it names.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// Longest file that is read, bytes.
const MOST: usize = 1 << 20;

/// The lines that matter, those of `-r` and `-c` files after the line that names them. A comment
/// or an empty line makes no other environment.
///
/// # Errors
/// When a file cannot be read.
pub fn text(file: &Path) -> io::Result<String> {
    let mut lines = Vec::new();
    read(file, &mut HashSet::new(), &mut lines)?;
    Ok(lines.join("\n"))
}

fn read(file: &Path, seen: &mut HashSet<PathBuf>, out: &mut Vec<String>) -> io::Result<()> {
    if !seen.insert(file.to_owned()) {
        return Ok(());
    }
    let text = std::fs::read_to_string(file)?;
    if text.len() > MOST {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        out.push(line.to_owned());
        let words = ["-r", "--requirement", "-c", "--constraint"];
        let named = words.iter().find_map(|word| line.strip_prefix(word));
        if let Some(other) = named {
            let other = other.trim_start_matches('=').trim();
            let beside = file.parent().unwrap_or(Path::new(".")).join(other);
            read(&beside, seen, out)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_read_and_circles_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("requirements.txt");
        std::fs::write(&file, "# x\nsix>=1.9 # y\n\n-r more.txt\n").expect("a file");
        std::fs::write(
            dir.path().join("more.txt"),
            "-r requirements.txt\nurl#egg=x\n",
        )
        .expect("a file");
        let wanted = "six>=1.9\n-r more.txt\n-r requirements.txt\nurl#egg=x";
        assert_eq!(text(&file).expect("read"), wanted);
        assert!(text(&dir.path().join("nope.txt")).is_err());
    }
}
