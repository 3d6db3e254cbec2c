//! What the article prints, and the places that it names.

use std::fs;
use std::path::{Path, PathBuf};

use crate::skipped;

/// The folder of the article's packs.
pub const HOME: &str = "/opt/stackstorm";
/// Where the published pack's action writes.
pub const OUTPUT: &str = "/tmp/output";

/// `/opt/stackstorm` for the time of a test, removed with it when the test made it.
#[derive(Debug)]
pub struct Home {
    is_ours: bool,
}

impl Home {
    /// None, with a word why, where nothing may be written.
    pub fn new(what: &str) -> Option<Self> {
        let is_ours = !Path::new(HOME).exists();
        let probe = Path::new(HOME).join(format!("petrel-probe-{}", std::process::id()));
        let made = fs::create_dir_all(&probe).and_then(|()| fs::remove_dir(&probe));
        if let Err(error) = made {
            skipped(what, &format!("{HOME} cannot be written: {error}"));
            return None;
        }
        Some(Self { is_ours })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.is_ours {
            // A failed test has more to tell than this.
            let _ = fs::remove_dir_all(HOME);
        }
    }
}

/// The pack that the article publishes, in `$PETREL_PUBLIC_PACKS/st2-pack-example`, and the file
/// that its configuration names.
#[derive(Debug)]
pub struct Published {
    /// The pack's folder.
    pub pack: PathBuf,
}

impl Published {
    /// None, with a word why, where it is not, or the file is somebody's.
    pub fn new(what: &str) -> Option<Self> {
        let public = std::env::var_os("PETREL_PUBLIC_PACKS").unwrap_or_default();
        let pack = Path::new(&public).join("st2-pack-example");
        let why = if public.is_empty() {
            "PETREL_PUBLIC_PACKS is not set".to_owned()
        } else if !pack.is_dir() {
            "st2-pack-example is not in PETREL_PUBLIC_PACKS".to_owned()
        } else if Path::new(OUTPUT).exists() {
            format!("{OUTPUT} is there already")
        } else {
            return Some(Self { pack });
        };
        skipped(what, &why);
        None
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        let _ = fs::remove_file(OUTPUT);
    }
}

/// `st2 NOUN list --pack=mypack`, by noun.
pub const LISTS: [(&str, &str); 4] = [
    ("sensor", SENSORS),
    ("trigger", TRIGGERS),
    ("action", ACTIONS),
    ("rule", RULES),
];

const SENSORS: &str = "\
+------------------------+--------+-----------------------------------------------+---------+
| ref                    | pack   | description                                   | enabled |
+------------------------+--------+-----------------------------------------------+---------+
| mypack.DirectorySensor | mypack | An example sensor to know how to implement it | True    |
+------------------------+--------+-----------------------------------------------+---------+
";
const TRIGGERS: &str = "\
+---------------------+--------+---------------------------------------------+
| ref                 | pack   | description                                 |
+---------------------+--------+---------------------------------------------+
| mypack.changed_file | mypack | Trigger which indicates a change of trigger |
+---------------------+--------+---------------------------------------------+
";
const ACTIONS: &str = "\
+-----------------------+--------+----------------------------------------+
| ref                   | pack   | description                            |
+-----------------------+--------+----------------------------------------+
| mypack.output_context | mypack | An example action to know how it works |
+-----------------------+--------+----------------------------------------+
";
const RULES: &str = "\
+--------------------+--------+--------------------------------+---------+
| ref                | pack   | description                    | enabled |
+--------------------+--------+--------------------------------+---------+
| mypack.mypack_test | mypack | A test rule for testing mypack | True    |
+--------------------+--------+--------------------------------+---------+
";
